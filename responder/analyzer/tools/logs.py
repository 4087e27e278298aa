"""The end of a container's log, and searching in it.

A search looks at the redacted text, never at the raw one: which lines match would otherwise tell a secret letter by
letter. A secret is searched for by its placeholder, which stands for the secret itself and cannot be taken apart.
Patterns are RE2: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import re2

from responder.analyzer.tools.arguments import ContainerName, Name, Refused, Whole, Words, YesNo, argument, shown
from responder.analyzer.tools.look import Found, Look, Unseen
from responder.cluster.protocol import LogTail
from responder.domain.errors import ObjectGone
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, items, text
from responder.patterns import MAX_LINE, Pattern
from responder.redact.placeholders import Placeholders

MOST_LINES = 5_000
"""Read where they are searched; the byte limit usually comes first."""
_PLACEHOLDER = Pattern(r"\[redacted:[a-z0-9\-]+(?::[0-9]+)?\]")
_LEAST_SECRET = 16
"""Characters of a secret that a placeholder finds in its plain form. Whoever writes a log can write guesses into it,
and a hit would tell which is right: what a short secret may be fits into a log, what a long one may be into none."""
_PROGRAM_BYTES = 1 << 20
"""What one compiled pattern may take."""


@dataclass(frozen=True, kw_only=True)
class Logs:
    pod: str = argument(Name(), "Name of the pod")
    container: str = argument(
        ContainerName(), "Name of the container or init container; needed where the pod has several", default=""
    )
    previous: bool = argument(YesNo(), "The instance before the last restart, not the one of now", default=False)
    tail_lines: int = argument(
        Whole(least=1, most=1_000), "The last lines, count; of a search, the last hits", default=100
    )
    grep: str = argument(
        Words(longest=200),
        "Only lines in which this RE2 pattern is found. A [redacted:...] placeholder in it finds the same secret",
        default="",
    )


async def logs(look: Look, wanted: Logs) -> Found:
    search = _Search.of(wanted.grep) if wanted.grep else None
    live = await look.get(look.scope.ref("Pod", wanted.pod))
    container = wanted.container or _only_container(live)
    source = f"{live.ref.key} container {container}, {'previous' if wanted.previous else 'current'} log"
    try:
        tail = await look.cluster.logs(
            live.ref,
            container,
            previous=wanted.previous,
            tail_lines=MOST_LINES if search is not None else wanted.tail_lines,
            limit_bytes=look.options.log_bytes,
        )
    except ObjectGone as exc:
        raise Unseen(f"there is no such log: {exc}") from exc
    told = await look.redacting(lambda: _told(tail, wanted.tail_lines, search, look.secrets))
    whose = f"{source}{f', lines with {wanted.grep!r}' if search is not None else ''}"
    part = f", only its last {look.options.log_bytes} bytes were read" if tail.truncated else ""
    words = f"{whose}{part}:\n{told}" if told else f"{whose}{part}: {_nothing(tail, search)}"
    return Found(
        text=words,
        kind=EvidenceKind.LOG,
        source=source,
        subject=live.ref,
        keep_end=True,
        truncated=tail.truncated,
    )


@dataclass(frozen=True, kw_only=True)
class _Search:
    expression: Any  # a compiled pattern; the library has no types
    placeholders: tuple[str, ...]

    @classmethod
    def of(cls, pattern: str) -> _Search:
        """Placeholders stand for themselves, whatever their brackets would mean. Raises Refused."""
        parts, at = list[str](), 0
        placeholders = tuple(hit.text for hit in _PLACEHOLDER.each(pattern))
        for placeholder in placeholders:
            start = pattern.index(placeholder, at)
            parts += [pattern[at:start], re2.escape(placeholder)]
            at = start + len(placeholder)
        options = re2.Options()
        options.log_errors = False  # the library writes to stderr by itself otherwise
        options.max_mem = _PROGRAM_BYTES
        try:
            compiled = re2.compile("".join([*parts, pattern[at:]]), options)
        except re2.error as exc:
            raise Refused(
                f"grep {shown(pattern)} is no RE2 pattern ({exc}): no look-around, no back-references"
            ) from exc
        return cls(expression=compiled, placeholders=placeholders)

    def hits(self, text: str, secrets: Placeholders) -> list[str]:
        for placeholder in self.placeholders:
            secret = secrets.restore(placeholder)
            if len(secret) >= _LEAST_SECRET and secret != placeholder:
                text = text.replace(secret, placeholder)
        return [line for line in text.splitlines() if self.expression.search(line[:MAX_LINE])]


def _told(tail: LogTail, tail_lines: int, search: _Search | None, secrets: Placeholders) -> str:
    # The first line that was read may begin in the middle of a secret, which then has no form to be known by.
    redacted = secrets.redact(tail.text.partition("\n")[2] if tail.truncated else tail.text)
    lines = redacted.splitlines() if search is None else search.hits(redacted, secrets)
    return "\n".join(lines[-tail_lines:])


def _nothing(tail: LogTail, search: _Search | None) -> str:
    if tail.truncated and "\n" not in tail.text.rstrip("\n"):
        return "one line whose beginning was not read, so it is not told"
    return "no line matches (the log was read)" if search is not None else "empty (the log was read)"


def _only_container(live: LiveObject) -> str:
    names = [text(one, "name") for one in items(live.body, "spec", "containers")]
    others = [text(one, "name") for one in items(live.body, "spec", "initContainers")]
    if len(names) != 1:
        raise Refused(f"container is missing: {live.ref.name} has {', '.join([*names, *others])}")
    return names[0]
