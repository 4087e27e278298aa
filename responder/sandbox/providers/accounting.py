"""What a stub provider charges: tokens counted from bytes, and the prompt caches of both protocols.

A token is four bytes of canonical JSON, rounded up: no tokenizer, but the same for every run, so that two layouts of a
prompt can be compared. The caches follow the documented rules of their protocols; they never expire here.

Rules: https://docs.claude.com/en/docs/build-with-claude/prompt-caching, https://platform.openai.com/docs/guides/prompt-caching
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from responder.domain.manifest import Json

_BYTES_PER_TOKEN = 4
MIN_CACHED_TOKENS = 1024
"""A shorter prefix is never cached."""
_LOOK_BACK_BLOCKS = 20
PREFIX_STEP = 128
"""In which steps the automatic cache grows, tokens."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Tokens of one request, or of many together."""

    input: int = 0
    """Neither read from a cache nor written to it."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            output=self.output + other.output,
        )


@dataclass
class Accounting:
    """Sum over every reply that was begun; a refused request costs nothing."""

    requests: int = 0
    total: Counted = field(default_factory=Counted)
    each: list[Counted] = field(default_factory=list)

    def add(self, counted: Counted) -> None:
        self.requests += 1
        self.total += counted
        self.each.append(counted)


def canonical(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def tokens(size: int) -> int:
    """Of so many bytes."""
    return -(-size // _BYTES_PER_TOKEN)


class BreakpointCache:
    """Caches a prompt up to the blocks that ask for it, as the Messages API does.

    A breakpoint finds what an earlier one wrote up to twenty blocks before it, and no farther.
    """

    def __init__(self, minimum: int = MIN_CACHED_TOKENS) -> None:
        self._minimum = minimum
        self._held: set[bytes] = set()

    def count(self, blocks: Sequence[tuple[Json, bool]]) -> Counted:
        """Of a prompt in order (tools, system, messages); the flag marks a block with a breakpoint."""
        digest, size = hashlib.sha256(), 0
        sizes, prefixes = [], []
        for block, _ in blocks:
            raw = canonical(block)
            digest.update(len(raw).to_bytes(8, "big") + raw)
            size += len(raw)
            sizes.append(size)
            prefixes.append(digest.digest())
        marked = [at for at, (_, mark) in enumerate(blocks) if mark and tokens(sizes[at]) >= self._minimum]
        read = max((sizes[at] for mark in marked for at in self._found(prefixes, mark)), default=0)
        written = max((sizes[at] for at in marked), default=0)
        self._held.update(prefixes[at] for at in marked)
        last = max(written, read)
        return Counted(
            cache_read=tokens(read), cache_write=tokens(last) - tokens(read), input=tokens(size) - tokens(last)
        )

    def _found(self, prefixes: Sequence[bytes], mark: int) -> list[int]:
        return [at for at in range(max(0, mark - _LOOK_BACK_BLOCKS), mark + 1) if prefixes[at] in self._held]


class PrefixCache:
    """Caches the longest prefix that an earlier prompt had, in steps, without being asked: as Chat Completions do."""

    def __init__(self, minimum: int = MIN_CACHED_TOKENS, step: int = PREFIX_STEP) -> None:
        self._minimum = minimum
        self._step = step
        self._held: set[bytes] = set()

    def count(self, prompt: bytes) -> Counted:
        """Of a prompt in order, as canonical bytes. What is new is charged as input: there is no price for writing."""
        digest, read, at = hashlib.sha256(), 0, 0
        whole = tokens(len(prompt))
        for end in range(self._step, whole + 1, self._step):
            digest.update(prompt[at * _BYTES_PER_TOKEN : end * _BYTES_PER_TOKEN])
            at = end
            if end >= self._minimum:
                if digest.digest() in self._held:
                    read = end
                self._held.add(digest.digest())
        return Counted(cache_read=read, input=whole - read)
