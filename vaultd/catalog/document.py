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
    schema = msgspec.json.schema(Provider)
    models = schema["$defs"]["Provider"]["properties"]["models"]
    models["items"] = {"anyOf": [{"type": "string"}, models["items"]]}  # `catalog.load` takes a bare id too
    return msgspec.json.format(msgspec.json.encode(described | schema), indent=2) + b"\n"


if __name__ == "__main__":
    PAGE.write_bytes(schema())
