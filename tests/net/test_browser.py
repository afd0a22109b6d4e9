"""Opening the person's browser: by argument list, whatever the address holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultd.net.browser import open_browser

SCREEN = {"DISPLAY": ":0"}
EVIL = "https://auth.example/?a=1&b=$(touch /tmp/x);`id`|cat>y#'\""


def opener(folder: Path, script: str) -> Path:
    path = folder / "xdg-open"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_sec_07_the_address_is_one_argument_and_no_shell_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener(tmp_path, 'printf "%s\\n" "$#" "$1" > "$OUT"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("OUT", str(tmp_path / "argv"))

    assert open_browser(EVIL, SCREEN)

    assert (tmp_path / "argv").read_text() == f"1\n{EVIL}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["argv", "xdg-open"]


def test_a_browser_that_cannot_open_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener(tmp_path, "exit 3")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not open_browser(EVIL, SCREEN)


def test_no_browser_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not open_browser(EVIL, SCREEN)


@pytest.mark.parametrize("env", [{}, {"DISPLAY": "", "SSH_CONNECTION": "203.0.113.9 50514 192.0.2.7 22"}])
def test_without_a_screen_none_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    """Over plain SSH the address is printed at once: a browser that is installed looked opened while it was failing."""
    opener(tmp_path, "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert not open_browser(EVIL, env)


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
def test_what_names_a_screen_or_a_way_to_one_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    opener(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert open_browser(EVIL, {name: "x"})
