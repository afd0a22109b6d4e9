"""The local API: name → function. What the command line asks and the admin socket answers.

A verb takes the house and a JSON object, and returns something JSON-able. It prints nothing and asks nobody; it
raises `vaultd.errors`, whose class decides the exit code. No HTTP and no terminal in here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from vaultd.house import House

Verb = Callable[[House, Mapping[str, Any]], Awaitable[Any]]

VERBS: Final[dict[str, Verb]] = {}
