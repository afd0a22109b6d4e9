"""Other programs of this user: whether one of them still holds a login that is renewed here (SEC-53).

Two programs that renew one login end it, as soon as one presents a token that the other has spent. Seen are the places
where programs keep their logins, for the user that runs vaultd; a service's own user has no home, and then there is
nothing to see. Compared are hashes; nothing of a file is told but its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vaultd.errors import Misconfigured
from vaultd.work.health.codes import Finding, found
from vaultd.work.health.seen import House
from vaultd.work.importing import fate, places
from vaultd.work.importing.fields import Around, Found
from vaultd.work.importing.formats import FORMATS, read


def second_refreshers(house: House) -> Iterator[Finding]:
    held = house.owner.snapshot()
    around = Around(house.catalog, house.clock.now())
    for format_ in places.PLACES:
        if FORMATS[format_].shared:
            continue
        for file, login in _logins(house, format_, around):
            if (one := fate.holder(login, held.values())) is not None:
                says = f"{file} still holds the login of {one.id}, and {FORMATS[format_].client} renews it too"
                yield found("second-refresher", says, subject=format_)
                break


def _logins(house: House, format_: str, around: Around) -> Iterator[tuple[Path, Found]]:
    """What can be read of it; anything else is that program's own business."""
    try:
        files = places.listed(places.default(format_, house.env))
    except (OSError, Misconfigured):
        return
    for file in files:
        try:
            # A pipe would be waited for.
            if file.suffix in {".json", places.ASIDE} and file.is_file() and not _is_ours(house, file):
                for login in read(places.text_of(file), file.name, around, format_)[1]:
                    yield file, login
        except (OSError, Misconfigured):
            continue


def _is_ours(house: House, file: Path) -> bool:
    """The credentials' folder may be CLIProxyAPI's own: a file in clear in there has a code of its own."""
    return file.suffix == ".json" and file.parent.resolve() == house.owner.folder.resolve()
