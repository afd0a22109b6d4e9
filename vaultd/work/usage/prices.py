"""What tokens cost, where the operator wrote it down: `usage.prices-file`.

    currency: USD
    models:
      "claude-sonnet-4-5*": {input: 3, output: 15, cached: 0.3, cache-write: 3.75}
      "qwen://*": {input: 0, output: 0}

Rates are for a million tokens. The first pattern that fits counts; `provider://` before it binds it to one provider.
Costs are worked out when asked, from the tokens that were counted: a rate that is corrected corrects the past too, and
money is never written down.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vaultd.config import yaml
from vaultd.errors import Misconfigured

Rate = Annotated[float, Meta(ge=0)]
_MILLION: Final = 1_000_000


class Rates(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """Per million tokens. What is not named costs what `input` or `output` does, of which it is a part."""

    input: Rate
    output: Rate
    cached: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    currency: Annotated[str, Meta(max_length=8)] = ""
    models: dict[str, Rates] = {}

    def __bool__(self) -> bool:
        return bool(self.models)

    def __hash__(self) -> int:
        return id(self)

    @lru_cache(maxsize=4096)  # noqa: B019 - a reload makes new prices, and what is kept of the old falls out
    def rates(self, provider: str, model: str) -> Rates | None:
        for pattern, rates in self.models.items():
            bound, sign, rest = pattern.partition("://")
            if sign and bound != provider:
                continue
            if fnmatchcase(model, rest if sign else pattern):
                return rates
        return None

    def cost(self, provider: str, model: str, tokens: tuple[float, float, float, float, float]) -> float | None:
        """Of input, output, reasoning, cached and written tokens; None where nobody wrote down what they cost."""
        rates = self.rates(provider, model)
        if rates is None:
            return None
        input_, output, reasoning, cached, written = tokens
        parts = (
            max(0.0, input_ - cached - written) * rates.input,
            cached * (rates.input if rates.cached is None else rates.cached),
            written * (rates.input if rates.cache_write is None else rates.cache_write),
            max(0.0, output - reasoning) * rates.output,
            reasoning * (rates.output if rates.reasoning is None else rates.reasoning),
        )
        return sum(parts) / _MILLION


def read(file: Path) -> Prices:
    """Raises Misconfigured naming file and key."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}", code="prices-unusable") from None
    return parse(data, str(file))


def parse(data: bytes, source: str) -> Prices:
    """Raises Misconfigured naming source and key."""
    try:
        return yaml.convert(yaml.load(data, source) or {}, Prices, source)
    except Misconfigured as error:
        raise Misconfigured(str(error), code="prices-unusable") from None
