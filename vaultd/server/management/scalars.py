"""CLIProxyAPI's switches, each a route of its own. One table; the handlers come from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from vaultd.config import keys
from vaultd.config.masked import key_at, shown
from vaultd.config.write import steps
from vaultd.server.management.config import REFUSALS, One, edited, saved, source
from vaultd.server.management.route import Call, Done, Handler, Query, Route


class Flag(msgspec.Struct):
    value: bool


class Number(msgspec.Struct):
    #: Further rounds; nobody waits for more.
    value: Annotated[int, Meta(ge=0, le=1_000_000)]


class Text(msgspec.Struct):
    value: str


@dataclass(frozen=True, slots=True)
class Scalar:
    #: As in the path and in the configuration, `/` for `.`.
    name: str
    body: Any
    #: The answer's only member, where it is not the last word of the name.
    said: str = ""
    removable: bool = False

    @property
    def key(self) -> str:
        return self.name.replace("/", ".")

    @property
    def answers(self) -> Any:
        kinds: dict[Any, Any] = {Flag: dict[str, bool], Number: dict[str, int], Text: dict[str, str]}
        return kinds[self.body]

    @property
    def member(self) -> str:
        return self.said or self.name.rpartition("/")[2]


_SCALARS: Final = (
    Scalar("debug", Flag),
    Scalar("logging-to-file", Flag),
    Scalar("usage-statistics-enabled", Flag),
    Scalar("request-log", Flag),
    Scalar("ws-auth", Flag),
    Scalar("quota-exceeded/switch-project", Flag),
    Scalar("quota-exceeded/switch-preview-model", Flag),
    Scalar("force-gpt-5-codex", Flag, "gpt-5-codex"),
    Scalar("request-retry", Number),
    Scalar("proxy-url", Text, removable=True),
    # Of its later versions.
    Scalar("routing/strategy", Text),
)


def _routes() -> Iterator[Route]:
    for scalar in _SCALARS:
        says = next(key.says for key in keys.every() if key.path == scalar.key).rstrip(".")
        read, write, remove = _handlers(scalar)
        path = f"/{scalar.name}"
        reveal = Query("reveal", "In clear; from this machine only.", "boolean")
        query = (reveal,) if scalar.removable else ()
        yield Route("GET", path, read, f"{says}.", "config", query, answers=scalar.answers, theirs=True)
        for method in ("PUT", "PATCH"):
            yield Route(
                method,
                path,
                write,
                f"Sets `{scalar.key}`.",
                "config",
                body=scalar.body,
                also=REFUSALS,
                theirs=True,
            )
        if scalar.removable:
            yield Route("DELETE", path, remove, f"Removes `{scalar.key}`.", "config", also=REFUSALS, theirs=True)


def _handlers(scalar: Scalar) -> tuple[Handler, Handler, Handler]:
    path = steps(scalar.key)

    async def read(call: Call) -> dict[str, Any]:
        value = keys.values(call.house.config)[scalar.key]
        return {scalar.member: value if call.reveal else shown(key_at(path), value)}

    async def write(call: Call) -> Done:
        value = call.body.value
        await saved(call, edited([One(scalar.key, value.strip() if isinstance(value, str) else value)], source(call)))
        return Done()

    async def remove(call: Call) -> Done:
        await saved(call, edited([One(scalar.key, remove=True)], source(call)))
        return Done()

    return read, write, remove


ROUTES: Final[tuple[Route, ...]] = tuple(_routes())
