"""The whole story in its order: in short, then the sections, each at the number that is the key to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.reasoning import Form, Node
from console.story.cause import alerts, others, rule, why
from console.story.change import changes, undo
from console.story.overview import overview
from console.story.record import reasoning, timeline
from console.story.terms import Known


@dataclass(frozen=True, kw_only=True)
class Told:
    story: tuple[Node, ...]
    """In short, and sections 1 to 6."""
    record: tuple[Node, ...]
    """Sections 7 and 8, which stand beside the others where there is room."""


def tell(known: Known, *, now: datetime, sides: bool = False) -> Told:
    """`sides`: diffs with what is planned beside what is now."""
    detail = known.detail
    story = (
        *overview(detail, now),
        why(known, 1),
        changes(detail, 2, Form.SIDES if sides else Form.DIFF),
        undo(detail, 3),
        alerts(detail, 4),
        others(detail, 5),
        rule(detail, 6),
    )
    return Told(story=story, record=(timeline(detail, 7), reasoning(known, 8)))
