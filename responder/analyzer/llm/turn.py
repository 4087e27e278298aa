"""A conversation with a language model, in words that no provider owns.

The loop builds a `Request`, a backend sends it and answers with a `Reply`. How a block is spelt on the wire, what is
cached, and which error of a provider is which `Refusal`, is the backend's; what is asked, allowed and paid, the loop's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from responder.domain.investigation import EvidenceKind, Usage
from responder.domain.manifest import Json, Manifest
from responder.domain.refs import ObjectRef


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    name: str
    """`[a-z_]{1,40}`."""
    description: str
    parameters: Manifest
    """JSON Schema of the arguments: one object, closed (`additionalProperties: false`)."""


@dataclass(frozen=True, kw_only=True)
class Text:
    text: str


@dataclass(frozen=True, kw_only=True)
class Thinking:
    text: str
    """As far as the provider shows it; empty where it shows nothing."""


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    id: str
    """The provider's. Unique within a reply, or the reply is invalid."""
    name: str
    """As the model wrote it."""
    arguments: Manifest | None
    """None where it is no JSON object; `raw` then is what came."""
    raw: str


Block: TypeAlias = Text | Thinking | ToolCall


class Stop(StrEnum):
    """Why a reply ended."""

    DONE = "done"
    TOOLS = "tools"
    """It waits for the results of its tool calls."""
    LENGTH = "length"
    """Cut at the most tokens it may have."""
    REFUSED = "refused"
    CONTEXT = "context"
    """The conversation is longer than the model can take."""
    PAUSED = "paused"
    """The provider wants the same conversation again, to go on."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One turn of the model, complete."""

    blocks: tuple[Block, ...]
    stop: Stop
    stop_reason: str
    """The provider's word for it."""
    usage: Usage | None
    """As reported, unchecked: it may be absurd. None where nothing was reported."""
    model: str
    """Which model answered, in the provider's word."""
    request_id: str = ""
    own: Json = None
    """The reply as the provider wants it back in the next request, unchanged; read by its backend only."""


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    call: ToolCall
    text: str
    """Fenced."""
    error: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the loop says besides results."""

    text: str


Message: TypeAlias = Question | Reply | tuple[ToolResult, ...]
"""After a Reply with tool calls come their results, in order, in one tuple."""


@dataclass(frozen=True, kw_only=True)
class Request:
    system: str
    """The same for every incident, so that providers can keep it in their cache."""
    tools: tuple[ToolSpec, ...]
    """Likewise."""
    messages: tuple[Message, ...]
    """Begins with a Question. Within one investigation it only grows at its end: what came before stays cached."""
    max_output_tokens: int
    must_call: str = ""
    """Name of the tool that the reply has to call; empty: as the model likes."""


class Refusal(StrEnum):
    """Why a provider gave no whole reply; also a label of metrics."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    FAILED = "failed"
    """5xx."""
    UNREACHABLE = "unreachable"
    """No connection, or cut before anything came."""
    CUT = "cut"
    """The reply broke off."""
    TIMED_OUT = "timed_out"
    UNAUTHORIZED = "unauthorized"
    """401, 403, or no key."""
    REJECTED = "rejected"
    """400, 404, 413, 422: the same request will never do."""
    MALFORMED = "malformed"
    """What came does not follow the protocol, or is larger than any reply may be."""


PASSING = frozenset(
    {
        Refusal.RATE_LIMITED,
        Refusal.OVERLOADED,
        Refusal.FAILED,
        Refusal.UNREACHABLE,
        Refusal.CUT,
        Refusal.TIMED_OUT,
    }
)
"""Refusals after which the same request may do."""


class ProviderError(Exception):
    """No whole reply. Never leaves this package: the loop retries, or makes an AnalyzerUnavailable of it."""

    def __init__(self, refusal: Refusal, problem: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{refusal.value}: {problem}")
        self.refusal = refusal
        self.problem = problem
        """The provider's words, redacted and short; never a key."""
        self.retry_after = retry_after
        """Seconds, as the provider asked; None where it did not."""


def malformed(problem: str) -> ProviderError:
    return ProviderError(Refusal.MALFORMED, problem)


OnBlock: TypeAlias = Callable[[Block], Awaitable[None]]


class Backend(Protocol):
    """One provider and one model. Two implementations: `claude`, `openai_compatible`."""

    name: str
    """As rules name the analyzer: `claude`, `openai_compatible`."""
    model: str

    async def complete(self, request: Request, *, seconds: float, on_block: OnBlock) -> Reply:
        """One attempt, streamed; it never retries by itself. `on_block` is told each block as soon as it is whole.

        A reply larger than MAX_REPLY_BYTES is cut off as MALFORMED.

        Raises:
            ProviderError: no whole reply; blocks that were told before stay told.
        """

    async def close(self) -> None: ...


MAX_REPLY_BYTES = 1024 * 1024
"""Of one reply, all blocks together: far above what `max_output_tokens` can fill."""


class Given(StrEnum):
    """What an observation is."""

    SEEN = "seen"
    ERROR = "error"
    """Could not be read, or may not: nothing is known. Never the same as absent."""
    REFUSED = "refused"
    """Outside of what this incident may look at, or no such tool or argument."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a tool found. Redacted, control characters made visible, cut; not fenced yet."""

    given: Given
    text: str
    kind: EvidenceKind = EvidenceKind.OBJECT
    source: str = ""
    """As `Evidence.source`."""
    subject: ObjectRef | None = None
    truncated: bool = False


class Tools(Protocol):
    """What a model may look with. `analyzer.tools.Toolbox` reads the cluster, `replay` reads the record."""

    specs: tuple[ToolSpec, ...]

    async def call(self, name: str, arguments: Manifest) -> Observation:
        """Look once. Never raises for what cannot be read: that is an Observation with `error`."""
