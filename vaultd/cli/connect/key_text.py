"""A file that holds one word and nothing else: a client key, for programs that read theirs from a file."""

from __future__ import annotations

from typing import Any

from vaultd.cli.connect.edit import Path


def read(text: str) -> Any:
    return {"key": text.strip()} if text.strip() else {}


def put(text: str, path: Path, value: Any) -> str:
    del text, path
    return f"{value}\n"


def remove(text: str, path: Path) -> str:
    del text, path
    return ""


def empty(text: str) -> bool:
    return not text.strip()
