"""Writes the manifest's JSON Schema for editors to check against: `make docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from vaultd.catalog.manifest import Provider

PAGE: Final = Path("docs/manifest.schema.json")


def schema() -> bytes:
    """JSON Schema 2020-12 of one `providers/<id>.yaml`."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "vaultd provider manifest"}
    return msgspec.json.format(msgspec.json.encode(described | msgspec.json.schema(Provider)), indent=2) + b"\n"


if __name__ == "__main__":
    PAGE.write_bytes(schema())
