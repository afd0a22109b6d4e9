"""Bakes the commit into wheel and sdist, so that `vaultd --version` can say it where there is no checkout.

A wheel that is built from the sdist finds it there already. Nothing is written into the tree: two builds of one tree at
once, or of a tree that may not be written, are fine.
"""

from __future__ import annotations

import os
import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "vaultd/_commit"


class BakeCommit(BuildHookInterface):  # type: ignore[misc] # the builder has no types
    """`$VAULTD_COMMIT` first: the image is built from files without their history."""

    _file: str = ""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable":
            return
        if not (root / PLACE).exists():
            commit = os.environ.get("VAULTD_COMMIT") or runpy.run_path(str(root / "vaultd" / "__init__.py"))["commit"]()
            if not commit:
                return
            handle, self._file = tempfile.mkstemp()
            with os.fdopen(handle, "w") as file:
                file.write(f"{commit}\n")
        build_data["force_include"][self._file or str(root / PLACE)] = PLACE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._file:
            Path(self._file).unlink()
            self._file = ""
