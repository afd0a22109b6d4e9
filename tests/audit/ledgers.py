"""An audit log of a vault of its own, and what somebody with an editor does to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from vaultd.vault.audit import Audit
from vaultd.vault.audit_chain import Keys, Report
from vaultd.vault.audit_file import FILE_BYTES, HEAD, AuditFile, Said
from vaultd.vault.keyring import Keyring, unlock

AT = "2026-01-02T03:04:05.678Z"


@dataclass
class Vault:
    """`state` holds the log and, in `auth`, the credentials' folder with the log's head."""

    keyring: Keyring
    state: Path

    @property
    def path(self) -> Path:
        return self.state / "audit.log"

    @property
    def head(self) -> Path:
        return self.state / "auth" / ".vault" / HEAD

    @property
    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)

    def file(self, most: int = FILE_BYTES) -> AuditFile:
        """As a process has it that was just started."""
        return AuditFile(self.path, self.keyring.files, Keys(self.keyring.pepper), most)

    def writes(self, *actions: str, most: int = FILE_BYTES) -> None:
        """Without a loop."""
        file = self.file(most)
        for action in actions:
            file.append(said(action))

    def audit(self) -> Audit:
        return Audit(self.keyring, self.state, lambda: 1_800_000_000.0)

    def walked(self) -> Report:
        """Without a loop, as `verified`."""
        file = self.file()
        return file.walk(file.as_it_is())

    def verified(self) -> Report:
        """By a process that was just started."""
        return asyncio.run(self.audit().verify())


def said(action: str) -> Said:
    return Said(AT, "command line uid 0", action, "noted", "laptop")


def made(folder: Path) -> Vault:
    state = folder / "state"
    return Vault(unlock(state / "auth", {}, None, folder / "root.key"), state)


def problems(report: Report) -> str:
    return "\n".join(f"{one.file}:{one.line}: {one.says}" for one in report.problems)
