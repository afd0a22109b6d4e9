"""What a flow hook hands back. Below `oauth`, so plain facts; `oauth.grant` puts them where they belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vaultd.secret import Secret


@dataclass(frozen=True, slots=True)
class Learned:
    """Empty members leave what is known as it is."""

    email: str = ""
    person: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Inference presents this instead of the access token.
    api_key: Secret | None = None
    warnings: tuple[str, ...] = ()
