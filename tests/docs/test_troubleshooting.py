"""Whoever sees a symptom finds the code, and whoever is told a code finds what it means."""

from __future__ import annotations

from markdown_pages import ROOT, anchors, links

from vaultd.work.health.codes import FAULTS


def test_every_code_has_an_anchor_of_its_own() -> None:
    assert FAULTS.keys() <= anchors(ROOT / "docs" / "doctor.md")


def test_every_code_is_reached_from_a_symptom() -> None:
    page = ROOT / "docs" / "troubleshooting.md"
    reached = {link.partition("#")[2] for link in links(page) if link.startswith("doctor.md#")}
    assert FAULTS.keys() - reached == set()
