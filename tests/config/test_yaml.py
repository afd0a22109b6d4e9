"""The strict loader: what an operator writes is what is read, and no small file becomes a large value."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vaultd.config import yaml
from vaultd.config.model import Config
from vaultd.errors import Misconfigured


def read(text: str) -> Config:
    return yaml.convert(yaml.load(text, "c.yaml"), Config, "c.yaml")


@pytest.mark.parametrize("written", ["no", "08:30", "1_000", "0123", "1.10", "0x10", "2026-04-15", "yes", "=", "on"])
def test_thr_35_text_stays_the_text_it_is(written: str) -> None:
    config = read(f"openai-compatibility: [{{name: {written}, base-url: 'https://a.example'}}]\napi-keys: [{written}]")
    assert config.openai_compatibility[0].name == written
    assert config.api_keys == [written]


@pytest.mark.parametrize("written", ["08:30", "1_000", "0123", "0x10", "1.10"])
def test_thr_35_what_is_no_number_is_no_number(written: str) -> None:
    with pytest.raises(Misconfigured, match=r"c\.yaml: port: expected int"):
        read(f"port: {written}")


def test_thr_35_a_switch_is_true_or_false() -> None:
    with pytest.raises(Misconfigured, match=r"debug: is neither true nor false"):
        read("debug: no")


def test_thr_35_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghijk")
    )
    with pytest.raises(Misconfigured, match=r"c\.yaml:1: anchors and aliases are not allowed"):
        yaml.load(bomb, "c.yaml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3", r"c\.yaml:3: `a` is given twice"),
        ("a: !!python/object/apply:os.system [x]", "tags are not allowed"),
        ("<<: *x", "anchors and aliases"),
        ("[" * 33 + "]" * 33, "nested deeper than 32"),
        ("[" * 100_000, "nested deeper than 32"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("? [a]\n: b", "a key must be text"),
        ("#" * (1024 * 1024 + 1), "larger than 1 MiB"),
        ("a: [", "not YAML"),
        ("a: \x00", "not YAML"),
    ],
)
def test_thr_35_refused(text: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        yaml.load(text, "c.yaml")


def test_an_error_quotes_no_line_for_the_line_may_hold_a_key() -> None:
    with pytest.raises(Misconfigured) as caught:
        yaml.load('api-keys: ["CANARY-sk-secret', "c.yaml")
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_error_names_place_and_nearest_key() -> None:
    with pytest.raises(
        Misconfigured, match=r"c\.yaml: claude-api-key\[1\]\.models\[0\]\.nmae: no such key \(nearest: name\)"
    ):
        read("claude-api-key: [{api-key: a}, {api-key: b, models: [{nmae: x}]}]")


def test_an_empty_member_has_its_default() -> None:
    assert read("port:\nrouting:\n  strategy: ~\ntls:") == Config()


def test_values_only_a_vendor_knows_are_read_as_yaml_1_2_reads_them() -> None:
    text = "{i: -1, f: 0.7, e: 1e3, t: true, q: 'true', n: no, o: 0123, l: [1, x], u: 1_000}"
    assert yaml.natural(yaml.load(text, "")) == {
        "i": -1, "f": 0.7, "e": 1000.0, "t": True, "q": "true", "n": "no", "o": 123, "l": [1, "x"], "u": "1_000",
    }  # fmt: skip
