"""The panel's files: `/management.html` and `/panel/…`, from the wheel and from nowhere else (THR-26).

They hold no secret and need no key; where management is off or not for this peer there are none. An operator who would
rather have CLIProxyAPI's own page puts it where `MANAGEMENT_STATIC_PATH` says; that is one file with everything inline,
so it gets a policy of its own. What is served is read and packed once, and again when the file has changed.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from vaultd.house import House
from vaultd.server.management.gate import Gate
from vaultd.server.management.route import Refused

_FOLDER: Final = Path(__file__).parent / "panel"
_PAGE: Final = "management.html"
#: What a panel is made of. Anything else in the folder (notes, licences) is not served.
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
#: What gets no smaller.
_PACKED: Final = frozenset({".png", ".woff2"})
#: CLIProxyAPI's page has 2 MB; nobody's panel fills memory.
_LARGEST: Final = 16 * 1024 * 1024

#: Nothing inline, nothing from elsewhere, nothing sent elsewhere, in nobody's frame.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: For a page in one file: its own scripts and styles, yet what it reads and sends stays here.
POLICY_OF_OTHERS: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    # Asked again each time, and answered with 304: an update of vaultd is an update of its panel.
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class _File:
    stamp: tuple[int, int]
    plain: bytes
    packed: bytes | None
    etag: str


class Panel:
    def __init__(self, house: House, gate: Gate, folder: Path = _FOLDER) -> None:
        self._house, self._gate = house, gate
        self._folder = folder
        self._read: dict[Path, _File] = {}
        #: Name in a URL → file. A name is only ever looked up here, so none leads anywhere else (THR-17).
        self._names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in _TYPES}

    async def page(self, request: web.Request) -> web.Response:
        theirs = self._house.env.get("MANAGEMENT_STATIC_PATH", "").strip()
        if not theirs:
            return await self._answer(request, self._names.get("index.html"), POLICY)
        named = Path(theirs)
        return await self._answer(request, named if named.name == _PAGE else named / _PAGE, POLICY_OF_OTHERS)

    async def asset(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._names.get(request.match_info["name"]), POLICY)

    async def _answer(self, request: web.Request, path: Path | None, policy: str) -> web.Response:
        try:
            self._gate.page(request)
            if self._house.config.remote_management.disable_control_panel:
                raise Refused(404, "no such route")
            if path is None:
                raise Refused(404, "file not found")
            file = await self._file(path)
        except OSError:
            return _refusal(Refused(404, "file not found"))
        except Refused as refused:
            return _refusal(refused)
        headers = {**_HEADERS, "Content-Security-Policy": policy, "ETag": file.etag}
        if file.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = _TYPES[path.suffix]
        body = file.plain
        if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = file.packed, "gzip"
        return web.Response(body=body, headers=headers)

    async def _file(self, path: Path) -> _File:
        stamp = _stamp(path)
        file = self._read.get(path)
        if file is None or file.stamp != stamp:
            file = self._read[path] = await asyncio.to_thread(_packed, path, stamp)
        return file


def mount(app: web.Application, house: House, gate: Gate) -> None:
    panel = Panel(house, gate)
    app.router.add_get(f"/{_PAGE}", panel.page)
    app.router.add_get("/panel/{name:.+}", panel.asset)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    if found.st_size > _LARGEST:
        raise Refused(404, "file not found")
    return found.st_mtime_ns, found.st_size


def _packed(path: Path, stamp: tuple[int, int]) -> _File:
    plain = path.read_bytes()
    # A weak tag: it stands for both codings (RFC 9110 §8.8.3.3).
    etag = f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"'
    packed = None if path.suffix in _PACKED else gzip.compress(plain, compresslevel=9, mtime=0)
    return _File(stamp, plain, packed, etag)


def _refusal(refused: Refused) -> web.Response:
    body: dict[str, Any] = {"error": refused.message, **refused.more}
    return web.json_response(body, status=refused.status, headers={"Cache-Control": "no-store"})
