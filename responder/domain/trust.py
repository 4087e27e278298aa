"""Earned autonomy: whether a rule's record would bear a higher mode, or no longer bears the one it has. Pure.

It only tells. A human raises a mode, in the rule file; what lowers one by itself are the ceilings and breakers.
"""

from __future__ import annotations

from typing import assert_never

from responder.domain.rule import Mode
from responder.domain.views import RuleRecord

ENOUGH_PASSED = 10
"""Changes that pass in a row, none rejected or taken back meanwhile, before autonomy is earned."""
ENOUGH_INCIDENTS = 10
"""Before a rule that only reports can be judged."""
ENOUGH_PROPOSED = 0.5
"""Share of its incidents for which a change was proposed, before planning them is worth it."""
TOO_MANY_BAD = 2
"""Of the newest five judged changes: so many speak against autonomy."""


def trust(mode: Mode, record: RuleRecord) -> str:
    """One sentence, without a full stop. `mode` is what the rule says, not what ceilings leave of it."""
    match mode:
        case Mode.REPORT:
            return _of_report(record)
        case Mode.DRY_RUN:
            return _of_dry_run(record)
        case Mode.AUTONOMOUS:
            return _of_autonomous(record)
        case _:
            assert_never(mode)


def _of_report(record: RuleRecord) -> str:
    """Dry-run writes nothing without a human, so what is asked for is that it would have something to plan."""
    if record.recent_bad >= TOO_MANY_BAD:
        return f"{_bad(record)}: it should stay in report mode"
    if record.incidents < ENOUGH_INCIDENTS:
        return f"too little is known: {record.incidents} of the {ENOUGH_INCIDENTS} incidents that it takes"
    told = f"a change was proposed for {record.proposed} of {record.incidents} incidents"
    if record.proposed < record.incidents * ENOUGH_PROPOSED:
        return f"{told}: in dry-run mode there would be little to plan"
    return f"{told}: it could be in dry-run mode, which plans them and writes nothing without a person"


def _of_dry_run(record: RuleRecord) -> str:
    if record.recent_bad >= TOO_MANY_BAD:
        return f"{_bad(record)}: it should not be autonomous"
    if record.passed_in_a_row < ENOUGH_PASSED:
        return f"too little is known: {_row(record)}{_rejections(record)}"
    if record.rejected_since:
        return f"{_all_passed(record)}{_rejections(record)}: it should not be autonomous yet"
    return f"{_all_passed(record)}, none rejected or taken back: it could be autonomous"


def _of_autonomous(record: RuleRecord) -> str:
    if record.recent_bad >= TOO_MANY_BAD:
        return f"{_bad(record)}: it should not be autonomous"
    if record.recent_bad:
        return f"{_bad(record)}: one more, and it should not be autonomous"
    if record.passed_in_a_row < ENOUGH_PASSED:
        return f"its autonomy is not earned yet: {_row(record)}{_rejections(record)}"
    if record.rejected_since:
        return f"{_all_passed(record)}{_rejections(record)}: see why before trusting it further"
    return f"{_all_passed(record)}, none rejected or taken back: its autonomy is earned"


def _bad(record: RuleRecord) -> str:
    if record.recent == 1:
        return "the only change judged so far did not pass or was taken back"
    return f"{record.recent_bad} of the last {record.recent} changes did not pass or were taken back"


def _all_passed(record: RuleRecord) -> str:
    return f"the last {record.passed_in_a_row} changes all passed"


def _row(record: RuleRecord) -> str:
    if not record.recent:
        return f"no change is judged, and it takes {ENOUGH_PASSED} in a row that pass"
    return f"{record.passed_in_a_row} of the {ENOUGH_PASSED} changes in a row that it takes have passed"


def _rejections(record: RuleRecord) -> str:
    match record.rejected_since:
        case 0:
            return ""
        case 1:
            return ", and a plan was rejected meanwhile"
        case number:
            return f", and {number} plans were rejected meanwhile"
