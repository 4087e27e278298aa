"""Text for the screen: tones, lines, ages, wrapping by terminal cells. Pure.

`shown` is the only door by which text from outside gets into a `Span`: whatever cannot be seen for what it is becomes
its escape. Lines are drawn as they are; nothing here or later reads markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rich.cells import cell_len, chop_cells, set_cell_size

from responder.domain.incident import IN_FLIGHT_STATES, State
from responder.domain.visible import visible


class Tone(StrEnum):
    """What a piece of text means; the style sheet decides how it looks. A word always says the same as the tone."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    SECTION = "section"
    GOOD = "good"
    WAITS = "waits"
    BAD = "bad"
    BUSY = "busy"
    ADDED = "added"
    REMOVED = "removed"
    ADDED_WORD = "added-word"
    """What differs within a line that stands for another one."""
    REMOVED_WORD = "removed-word"
    PLACE = "place"
    MATCH = "match"
    """What was searched for."""


@dataclass(frozen=True)
class Span:
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Line:
    """One line of the screen."""

    spans: tuple[Span, ...] = ()
    key: str = ""
    """What Enter opens or shuts; empty where there is nothing to open."""

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


def line(text: str, tone: Tone = Tone.PLAIN, *, key: str = "") -> Line:
    return Line((Span(text, tone),), key)


def shown(text: str) -> str:
    """Text from outside, safe to draw. Line feeds stay, for `wrap` and `chop` to split at."""
    return visible(text).replace("\t", "\\t")


def flat(text: str) -> str:
    """`shown` on one line."""
    return " ".join(part for part in shown(text).split("\n") if part)


def fit(text: str, width: int) -> str:
    """Exactly `width` cells: padded, or cut with dots."""
    if cell_len(text) <= width:
        return set_cell_size(text, max(width, 0))
    return set_cell_size(text, width - 2) + ".." if width > 2 else set_cell_size(text, max(width, 0))


def wrap(text: str, width: int) -> list[str]:
    """Words kept whole where they fit; a line feed ends a line; at least one line."""
    lines: list[str] = []
    for paragraph in shown(text).split("\n"):
        lines += _wrap_paragraph(paragraph, max(width, 8))
    return lines


def _wrap_paragraph(paragraph: str, width: int) -> Iterator[str]:
    current = ""
    for word in paragraph.split(" "):
        longer = f"{current} {word}" if current else word
        if cell_len(longer) <= width:
            current = longer
            continue
        if current:
            yield current
        *full, current = chop_cells(word, width) or [""]
        yield from full
    yield current


def labelled(
    label: str,
    text: str,
    width: int,
    tone: Tone = Tone.PLAIN,
    *,
    cells: int,
    label_tone: Tone = Tone.DIM,
    key: str = "",
) -> Iterator[Line]:
    """The text wrapped beside its label, which takes so many cells."""
    for number, part in enumerate(wrap(text, width - cells)):
        yield Line((Span(f"{'' if number else label:<{cells}}", label_tone), Span(part, tone)), key)


def two_lines(text: str, width: int) -> str:
    """On two lines; dots where there is more."""
    first, *rest = wrap(text, width)
    return "\n".join((first, fit(" ".join(rest), width).rstrip()))


def text_of(lines: Iterable[Line]) -> str:
    return "\n".join(each.text.rstrip() for each in lines)


def count(number: int, one: str) -> str:
    """`1 look`, `3 looks`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def chop(text: str, width: int) -> list[str]:
    """Every character kept in its place: lines longer than `width` cells go on in the next one after a `\\`."""
    lines: list[str] = []
    for part in shown(text).split("\n"):
        pieces = chop_cells(part, max(width - 1, 8)) if cell_len(part) > width else [part]
        lines += [f"{piece}\\" for piece in pieces[:-1]]
        lines.append(pieces[-1])
    return lines


def age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(int(seconds), 0)}s"


def clock(at: datetime) -> str:
    """Time of day where the operator sits."""
    return f"{at.astimezone():%H:%M:%S}"


def moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def state_tone(state: State) -> Tone:
    if state is State.AWAITING_APPROVAL:
        return Tone.WAITS
    if state is State.ESCALATED:
        return Tone.BAD
    if state is State.RESOLVED:
        return Tone.GOOD
    if state in IN_FLIGHT_STATES or state is State.INVESTIGATING:
        return Tone.BUSY
    return Tone.PLAIN if state is State.OPEN else Tone.DIM


SHORT_KINDS = {
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "ReplicaSet": "rs",
    "Pod": "po",
    "CronJob": "cj",
    "Service": "svc",
    "PersistentVolumeClaim": "pvc",
    "HorizontalPodAutoscaler": "hpa",
    "Node": "no",
}
"""As kubectl shortens them: https://kubernetes.io/docs/reference/kubectl/#resource-types"""


def short_key(key: str) -> str:
    kind, slash, rest = key.partition("/")
    return flat(SHORT_KINDS.get(kind, kind) + slash + rest)
