"""Reads Dockerfile and .dockerignore as far as ours go, for what is checked without an engine. What it does not know it
refuses: a word that is passed over would be a step that nobody has tried.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_WORDS = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "VOLUME", "USER", "EXPOSE", "STOPSIGNAL"} | {
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
}
#: Set once for a stage; the last one counts.
_ONCE = {"USER", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD", "WORKDIR"}


@dataclass
class Stage:
    base: str
    name: str
    #: In order: (word, rest) of what changes files.
    steps: list[tuple[str, str]] = field(default_factory=list)
    once: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def command(self, word: str) -> list[str]:
        """The exec form: a shell would be process 1, and pass no signal on."""
        words = json.loads(self.once[word])
        assert isinstance(words, list)
        return words

    @property
    def health(self) -> list[str]:
        options, _, command = self.once["HEALTHCHECK"].partition("CMD ")
        assert options, "a health check without limits"
        words = json.loads(command)
        assert isinstance(words, list)
        return words


def stages(text: str, given: dict[str, str] | None = None) -> list[Stage]:
    """`given`: build arguments."""
    found: list[Stage] = []
    before: dict[str, str] = {}
    for word, rest in _instructions(text):
        assert word in _WORDS, f"{word} is not known here"
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(filled(base, before), name))
        elif word == "ARG":
            name, _, default = rest.partition("=")
            (found[-1].args if found else before)[name] = (given or {}).get(name, default.strip('"'))
        elif word in {"ENV", "LABEL"}:
            pairs = dict(part.split("=", 1) for part in shlex.split(rest))
            pairs = {key: filled(value, found[-1].args) for key, value in pairs.items()}
            into = found[-1].env if word == "ENV" else found[-1].labels
            into |= pairs
            found[-1].steps += [("ENV", f"{key}={value}") for key, value in pairs.items() if word == "ENV"]
        else:
            if word in _ONCE:
                found[-1].once[word] = rest
            found[-1].steps.append((word, rest))
    return found


def filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, " ".join(rest.split())


def context(root: Path) -> Iterator[Path]:
    """The files that reach a build, relative to `root`."""
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules[0] == "*" and not any("*" in name for name in allowed), "a list of what is let through"
    refused = [rule for rule in rules[1:] if not rule.startswith("!")]
    for name in allowed:
        for path in sorted([root / name, *(root / name).rglob("*")]):
            parts = path.relative_to(root).parts
            if path.is_file() and not any(
                fnmatch.fnmatch(part, rule.removeprefix("**/")) for rule in refused for part in parts
            ):
                yield path.relative_to(root)
