"""Events as they are committed, from the server's stream, in a thread of its own. Nothing is lost or told twice.

The reader remembers the id of the last event it has handed on and resumes there after any drop. What it cannot vouch
for it says plainly: `Anew` means that something may have been missed, so that whoever shows anything reads it again.
That is so when a stream begins without an id, when the server does not know the id (it was restored), when the audit
records do not follow each other, and when an event cannot be read. It decides nothing about the screen.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Of it, `retry` is not followed: the wait between
attempts grows and is spread here.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.remote.client import ApiError, Client, Incoming, path_of
from console.remote.link import SILENCE_SECONDS, Feed, Phase
from responder import wire
from responder.domain.audit import AuditRecord
from responder.domain.views import StepEvent

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""A longer event is not kept in memory: it counts as one that cannot be read."""
MAX_WAITING = 1000
"""Events that nobody has taken yet; beyond these, whoever shows anything reads it again."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_ID = re.compile(r"[!-~]{1,128}")
"""What goes back in a header."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds."""

    silence: float = SILENCE_SECONDS
    """The link is no longer called live after so long."""
    read_timeout: float = 40.0
    """More than two heartbeats of the server: the connection is dead."""
    first_wait: float = 1.0
    longest_wait: float = 10.0
    refused_wait: float = 30.0
    """A rotated token is read again at every attempt."""
    absent_wait: float = 60.0
    longest_asked: float = 60.0
    """A server that asks for more is asked again anyway."""

    def wait(self, attempt: int, spread: float) -> float:
        """Before attempt 1, 2 ...: doubling up to the longest, of which `spread` (0 to 1) takes up to one half."""
        most = min(self.first_wait * 2.0 ** min(attempt - 1, 16), self.longest_wait)
        return most * (1.0 - spread / 2)


@dataclass(frozen=True, kw_only=True)
class Audit:
    record: AuditRecord

    @property
    def incident_id(self) -> str:
        return self.record.incident_id

    @property
    def moves_brakes(self) -> bool:
        return self.record.event in ("mode_changed", "breaker_opened")


@dataclass(frozen=True, kw_only=True)
class Step:
    event: StepEvent

    @property
    def incident_id(self) -> str:
        return self.event.incident_id


@dataclass(frozen=True, kw_only=True)
class Anew:
    """Something may have been missed."""

    why: str


Event = Audit | Step | Anew


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One event as it was sent."""

    name: str
    data: str
    whole: bool = True
    """False: too long to keep."""


class Frames:
    """Pieces of bytes in, however they were cut; whole frames out. `last_id` is right after each one."""

    def __init__(self, *, last_id: str = "", max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_id = last_id
        self._max = max_bytes
        self._line = bytearray()
        self._is_cut = False
        self._after_cr = False
        self._is_first = True
        self._id = last_id
        self._begin()

    def _begin(self) -> None:
        self._name = ""
        self._data = list[str]()
        self._size = 0
        self._whole = True

    def feed(self, piece: bytes) -> Iterator[Frame]:
        if not piece:
            return
        if self._after_cr:
            piece = piece.removeprefix(b"\n")
        self._after_cr = piece.endswith(b"\r")
        *ends, rest = _LINE_END.split(piece)
        for end in ends:
            self._keep(end)
            line, is_cut = bytes(self._line), self._is_cut
            self._line.clear()
            self._is_cut = False
            if not is_cut:
                yield from self._take(line)
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        """A line that grows too long is let go, and spoils its frame."""
        if len(self._line) + len(part) > self._max:
            self._is_cut, self._whole = True, False
            self._line.clear()
        elif not self._is_cut:
            self._line += part

    def _take(self, line: bytes) -> Iterator[Frame]:
        if self._is_first:
            line, self._is_first = line.removeprefix(b"\xef\xbb\xbf"), False
        if not line:
            yield from self._end()
            return
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._name = value
            case "data":
                self._size += len(line)
                self._whole = self._whole and self._size <= self._max
                self._data = [*self._data, value] if self._whole else []
            case "id" if _ID.fullmatch(value):
                self._id = value
            case _:
                pass  # comments, and fields that nobody here needs

    def _end(self) -> Iterator[Frame]:
        frame = Frame(name=self._name or "message", data="\n".join(self._data), whole=self._whole)
        is_empty = self._whole and not self._data
        self._begin()
        self.last_id = self._id
        if not is_empty:
            yield frame


class EventReader:
    """Reads until it is stopped. `told` is called in the reader's thread whenever there is something to take or see."""

    def __init__(self, client: Client, *, told: Callable[[], None], timing: Timing | None = None) -> None:
        self._client = client
        self._told = told
        self._timing = timing or Timing()
        self.feed = Feed(silence_seconds=self._timing.silence)
        """Replaced as a whole: any thread may look."""
        self._lock = threading.Lock()
        self._waiting: tuple[Event, ...] = ()
        self._last_id = ""
        self._tip: AuditRecord | None = None
        self._incoming: Incoming | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-stream", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 1.0) -> None:
        """The connection is closed; the thread ends at once, unless it waits for a host that does not answer."""
        self._stopping.set()
        self._wake.set()
        incoming = self._incoming
        if incoming is not None:
            incoming.hang_up()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def hurry(self) -> None:
        """The server answers again: no need to wait any longer."""
        self._wake.set()

    def take(self) -> tuple[Event, ...]:
        """What has come since the last time, in order."""
        with self._lock:
            events, self._waiting = self._waiting, ()
        return events

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._listen()
                problem = ApiError("the server ended the stream")
            except ApiError as exc:
                problem = exc
            self._wake.clear()  # before the look at what `stop` sets first: its call to wake up is not lost
            if self._stopping.is_set():
                return
            if problem.status == 400 and self._last_id:
                self._last_id = ""  # restored from a backup: what it tells next belongs to another history
                continue
            lasted = time.monotonic() - began
            self._wake.wait(self._fail(problem, lasted if self.feed.phase is Phase.UP else 0.0))

    def _listen(self) -> None:
        """One connection, until it ends or breaks. Raises ApiError."""
        timing = self._timing
        incoming = self._client.incoming(path_of("stream"), timeout_seconds=timing.read_timeout)
        self._incoming = incoming
        try:
            if self._stopping.is_set():
                return
            self._show(replace(self.feed, next_at=None))
            incoming.open("text/event-stream", {"Last-Event-ID": self._last_id} if self._last_id else {})
            self._show(replace(self.feed, phase=Phase.UP, heard_at=_now(), problem=""))
            if not self._last_id:
                self._tip = None
                self._put(Anew(why="the stream begins"))
            frames = Frames(last_id=self._last_id)
            while piece := incoming.read():
                self._show(replace(self.feed, heard_at=_now()), quietly=True)
                for frame in frames.feed(piece):
                    self._hand_on(frame)
                self._last_id = frames.last_id
        finally:
            self._incoming = None
            incoming.close()

    def _hand_on(self, frame: Frame) -> None:
        """Kinds of events that are newer than this console are left out."""
        if frame.name not in ("audit", "step"):
            return
        if not frame.whole:
            self._put(Anew(why=f"one {frame.name} event is too long"))
            return
        try:
            if frame.name == "step":
                self._put(Step(event=wire.loads(StepEvent, frame.data)))
            else:
                self._hand_on_record(wire.loads(AuditRecord, frame.data))
        except ValueError as exc:
            self._put(Anew(why=f"one {frame.name} event cannot be read: {exc}"))

    def _hand_on_record(self, record: AuditRecord) -> None:
        tip, self._tip = self._tip, record
        if tip is not None and (record.seq, record.digest) == (tip.seq, tip.digest):
            return
        if tip is not None and (record.seq, record.previous) != (tip.seq + 1, tip.digest):
            self._put(Anew(why=f"audit record {record.seq} does not follow {tip.seq}"))
        self._put(Audit(record=record))

    def _put(self, event: Event) -> None:
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting = (Anew(why=f"{MAX_WAITING} events were not taken in time"),)
            self._waiting += (event,)
        self._told()

    def _fail(self, problem: ApiError, stood_seconds: float) -> float:
        """Seconds until the next attempt."""
        timing = self._timing
        # A stream that breaks right after it has begun is no success.
        attempt = 1 if stood_seconds > timing.longest_wait else self.feed.attempt + 1
        match problem.status:
            case 401 | 403:
                phase, wait = Phase.REFUSED, timing.refused_wait
            case 404 | 405:
                phase, wait = Phase.ABSENT, timing.absent_wait
            case _:
                phase, wait = Phase.WAITING, timing.wait(attempt, random.random())
        wait = max(wait, min(problem.delay_seconds, timing.longest_asked))
        next_at = datetime.fromtimestamp(time.time() + wait, UTC)
        self._show(replace(self.feed, phase=phase, attempt=attempt, next_at=next_at, problem=str(problem)))
        return wait

    def _show(self, feed: Feed, *, quietly: bool = False) -> None:
        self.feed = feed
        if not quietly:
            self._told()


def _now() -> datetime:
    return datetime.now(UTC)
