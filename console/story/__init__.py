"""One incident told: what happened, why, what changes, what was done, how to take it back. Pure.

The same order as on paper after an outage: first all four in short, then section by section.
"""

from __future__ import annotations

from console.story.questions import tell_plan, tell_undo
from console.story.sections import Told, tell
from console.story.terms import (
    Known,
    action_of,
    plan_that_waits,
    what_next,
)

__all__ = [
    "Known",
    "Told",
    "action_of",
    "plan_that_waits",
    "tell",
    "tell_plan",
    "tell_undo",
    "what_next",
]
