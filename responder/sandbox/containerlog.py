"""The log of one container: its current and its previous instance, bounded in lines and bytes.

Decides: what a log request gets for `previous`, `tailLines`, `limitBytes`, `sinceSeconds` and `timestamps`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

_MOST_LINES: Final = 2000
_LONGEST_LINE: Final = 16 << 10


@dataclass(frozen=True, kw_only=True)
class LogQuery:
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    timestamps: bool = False


@dataclass(frozen=True, kw_only=True)
class LoggedLine:
    at: datetime
    text: str


@dataclass(kw_only=True)
class ContainerLog:
    current: deque[LoggedLine] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    previous: deque[LoggedLine] | None = None
    written: int = 0
    """Lines ever written to the current instance; lets a follower tell new lines from dropped ones."""

    def write(self, at: datetime, text: str) -> None:
        self.current.append(LoggedLine(at=at, text=text[:_LONGEST_LINE]))
        self.written += 1

    def rotate(self) -> None:
        """A new instance of the container starts."""
        self.previous, self.current, self.written = self.current, deque(maxlen=_MOST_LINES), 0

    def tail(self, lines: int, size: int) -> str:
        """The end of the current log within both bounds: what FallbackToLogsOnError makes a termination message."""
        text = "".join(line.text + "\n" for line in list(self.current)[-lines:])
        return text.encode()[-size:].decode(errors="ignore")


def select(lines: tuple[LoggedLine, ...], query: LogQuery) -> bytes:
    """The body of a log answer."""
    chosen = [line for line in lines if query.since is None or line.at >= query.since]
    if query.tail_lines is not None:
        chosen = chosen[len(chosen) - min(query.tail_lines, len(chosen)) :]
    body = b"".join(render_line(line, timestamps=query.timestamps) for line in chosen)
    return body if query.limit_bytes is None else body[: query.limit_bytes]


def render_line(line: LoggedLine, *, timestamps: bool) -> bytes:
    stamp = line.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z ") if timestamps else ""
    return f"{stamp}{line.text}\n".encode()
