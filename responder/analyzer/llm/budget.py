"""What a run may cost and what it has cost: decided before each request, at the most that the request can cost.

The worst case of a request is one token for each byte that the provider has not counted yet, since no byte-level
tokenizer makes more, plus its own last count of what came before. A count that cannot be is not believed, and the most
it can be stands in its place. Which requests are made is `loop`'s; what hours and days may cost, `wallet`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from responder.domain.investigation import Usage

OVERHEAD_TOKENS = 2_048
"""What providers put around a request themselves, how tools are called for one. Later counts have it in them."""
LEAST_OUTPUT_TOKENS = 1_024
"""A conclusion does not fit into fewer."""
LEAST_LOOK_BYTES = 1_024
"""A look whose result may not have so many is not worth a turn."""
_FEWEST_TOKENS_PER_BYTE = 1 / 16
"""A count below this is no count of the request."""
_FEWEST_TOKENS_PER_SAID_BYTE = 1 / 64
"""Likewise of the reply, of whose bytes some are not the model's."""
_BOUNDLESS = 2**62


class Limit(StrEnum):
    """A limit of one run, as the settings name it."""

    TURNS = "analysis.max_turns"
    TOOL_CALLS = "analysis.max_tool_calls"
    EVIDENCE = "analysis.max_evidence_bytes"
    TOKENS = "analysis.max_tokens"
    USD = "analysis.max_usd"


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """Of one investigation by a model."""

    turns: int
    tool_calls: int
    evidence_bytes: int
    """All tool results together, as told to the model."""
    tokens: int
    usd: float
    output_tokens: int
    """Of one reply."""
    retry_seconds: float
    """A request that was not answered is repeated this long."""
    request_seconds: float = 180.0
    """One request, from its first byte to the last of the reply."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars per million tokens."""

    input: float
    cache_read: float
    cache_write: float
    output: float

    @property
    def dearest_input(self) -> float:
        return max(self.input, self.cache_read, self.cache_write)

    def cost(self, usage: Usage) -> float:
        """US dollars."""
        return (
            usage.input_tokens * self.input
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
            + usage.output_tokens * self.output
        ) / 1e6

    def most(self, *, input_tokens: int, output_tokens: int) -> float:
        """US dollars, whichever way the cache falls."""
        return (input_tokens * self.dearest_input + output_tokens * self.output) / 1e6


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a request."""

    known_tokens: int = 0
    """The provider's count of what it had before, its reply included; 0 before the first."""
    new_tokens: int
    """The most that what it has not had before can be."""
    request_bytes: int
    """All of it."""

    @property
    def tokens(self) -> int:
        """The most that it can be."""
        return self.known_tokens + self.new_tokens + (0 if self.known_tokens else OVERHEAD_TOKENS)


@dataclass(frozen=True, kw_only=True)
class Spent:
    """By one run so far, requests that came to nothing included where they were charged."""

    turns: int = 0
    tool_calls: int = 0
    told_bytes: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float = 0.0

    def charged(self, charge: Charge) -> Spent:
        return replace(self, usage=self.usage + charge.usage, usd=self.usd + charge.usd)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What one request cost."""

    usage: Usage
    usd: float
    believed: bool
    """False: the provider's count is missing or cannot be, and this is the most it can have been."""


NOTHING = Charge(usage=Usage(), usd=0.0, believed=True)
"""Of a request that was turned away before a model read it."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the next request may be."""

    output_tokens: int
    last: bool
    """No other request is sure to fit after it: it has to conclude."""


@dataclass(frozen=True, kw_only=True)
class _Purse:
    """One stock that input and output draw from: tokens, or dollars."""

    limit: Limit
    left: float
    input: float
    output: float

    def of_last(self, input_tokens: int) -> int:
        """Output tokens that are left for a request of this size, when none follows."""
        return _quotient(self.left - self.input * input_tokens, self.output)

    def of_last_but_one(self, input_tokens: int, least: int) -> int:
        """The same, when a concluding request with the look's result has to fit after it."""
        rest = self.left - self.input * (2 * input_tokens + LEAST_LOOK_BYTES) - self.output * least
        return _quotient(rest, self.input + self.output)

    def bytes_left(self, input_tokens: int, least: int) -> int:
        return _quotient(self.left - self.output * least - self.input * input_tokens, self.input)


def room(limits: RunLimits, spent: Spent, size: Size, prices: Prices, *, hurry: bool) -> Room | Limit:
    """What the next request may be, or which limit leaves no room for one. `hurry`: time remains for one only."""
    turns = limits.turns - spent.turns
    if turns <= 0:
        return Limit.TURNS
    least = min(LEAST_OUTPUT_TOKENS, limits.output_tokens)
    purses = _purses(limits, spent, prices)
    tightest = min(purses, key=lambda purse: purse.of_last(size.tokens))
    if tightest.of_last(size.tokens) < least:
        return tightest.limit
    going_on = min(purse.of_last_but_one(size.tokens, least) for purse in purses)
    last = hurry or turns == 1 or going_on < least or not _may_look(limits, spent)
    output = tightest.of_last(size.tokens) if last else going_on
    return Room(output_tokens=min(output, limits.output_tokens), last=last)


def bytes_left(limits: RunLimits, spent: Spent, size: Size, prices: Prices) -> int:
    """How much tool results may add to a conversation of this size, so that a conclusion can still be paid; >= 0."""
    least = min(LEAST_OUTPUT_TOKENS, limits.output_tokens)
    payable = min(purse.bytes_left(size.tokens, least) for purse in _purses(limits, spent, prices))
    return max(0, min(payable, limits.evidence_bytes - spent.told_bytes))


def believable(usage: Usage, size: Size, *, output_tokens: int, reply_bytes: int) -> bool:
    """Can this be the count of a request of this size, and of its reply? Its fields are as reported, unchecked."""
    counts = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    if any(type(count) is not int or count < 0 for count in counts):
        return False
    most = max(size.tokens, size.request_bytes + OVERHEAD_TOKENS)
    fewest = size.request_bytes * _FEWEST_TOKENS_PER_BYTE
    said = reply_bytes * _FEWEST_TOKENS_PER_SAID_BYTE <= usage.output_tokens <= max(output_tokens, reply_bytes)
    return said and fewest <= usage.all_input_tokens <= most


def charge(usage: Usage | None, size: Size, prices: Prices, *, output_tokens: int, reply_bytes: int) -> Charge:
    """What a request cost: by the provider's count where that is believable, else at its most."""
    if usage is not None and believable(usage, size, output_tokens=output_tokens, reply_bytes=reply_bytes):
        return Charge(usage=usage, usd=prices.cost(usage), believed=True)
    return worst(size, prices, output_tokens=output_tokens)


def worst(size: Size, prices: Prices, *, output_tokens: int) -> Charge:
    return Charge(
        usage=Usage(input_tokens=size.tokens, output_tokens=output_tokens),
        usd=prices.most(input_tokens=size.tokens, output_tokens=output_tokens),
        believed=False,
    )


def _purses(limits: RunLimits, spent: Spent, prices: Prices) -> tuple[_Purse, ...]:
    return (
        _Purse(limit=Limit.TOKENS, left=limits.tokens - spent.usage.all_tokens, input=1, output=1),
        _Purse(
            limit=Limit.USD,
            left=limits.usd - spent.usd,
            input=prices.dearest_input / 1e6,
            output=prices.output / 1e6,
        ),
    )


def _may_look(limits: RunLimits, spent: Spent) -> bool:
    return spent.tool_calls < limits.tool_calls and limits.evidence_bytes - spent.told_bytes >= LEAST_LOOK_BYTES


def _quotient(rest: float, price: float) -> int:
    if rest < 0:
        return -1
    return int(rest / price) if price else _BOUNDLESS
