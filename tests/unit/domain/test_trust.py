"""Whether a rule's record bears its mode, or a higher one."""

from __future__ import annotations

from typing import Any

import pytest

from responder.domain.rule import Mode
from responder.domain.trust import trust
from responder.domain.views import RuleRecord

TWELVE_GOOD = {"incidents": 20, "applied": 12, "passed": 12, "passed_in_a_row": 12, "recent": 5}


def told(mode: Mode, **record: Any) -> str:
    return trust(mode, RuleRecord(**record))


@pytest.mark.parametrize(
    ("mode", "record", "sentence"),
    [
        (Mode.REPORT, {}, "too little is known: 0 of the 10 incidents that it takes"),
        (Mode.REPORT, {"incidents": 9, "proposed": 9}, "too little is known: 9 of the 10 incidents that it takes"),
        (
            Mode.REPORT,
            {"incidents": 40, "proposed": 31},
            "a change was proposed for 31 of 40 incidents: "
            "it could be in dry-run mode, which plans them and writes nothing without a person",
        ),
        (
            Mode.REPORT,
            {"incidents": 40, "proposed": 2},
            "a change was proposed for 2 of 40 incidents: in dry-run mode there would be little to plan",
        ),
        (
            Mode.REPORT,
            {"incidents": 40, "proposed": 40, "recent": 5, "recent_bad": 3},
            "3 of the last 5 changes did not pass or were taken back: it should stay in report mode",
        ),
        (
            Mode.DRY_RUN,
            {"incidents": 4},
            "too little is known: no change is judged, and it takes 10 in a row that pass",
        ),
        (
            Mode.DRY_RUN,
            {"incidents": 4, "rejected_since": 3},
            "too little is known: no change is judged, and it takes 10 in a row that pass, "
            "and 3 plans were rejected meanwhile",
        ),
        (
            Mode.DRY_RUN,
            TWELVE_GOOD | {"passed_in_a_row": 9},
            "too little is known: 9 of the 10 changes in a row that it takes have passed",
        ),
        (
            Mode.DRY_RUN,
            TWELVE_GOOD,
            "the last 12 changes all passed, none rejected or taken back: it could be autonomous",
        ),
        (
            Mode.DRY_RUN,
            TWELVE_GOOD | {"rejected_since": 1},
            "the last 12 changes all passed, and a plan was rejected meanwhile: it should not be autonomous yet",
        ),
        (
            Mode.DRY_RUN,
            {"recent": 5, "recent_bad": 2, "passed_in_a_row": 3},
            "2 of the last 5 changes did not pass or were taken back: it should not be autonomous",
        ),
        (
            Mode.AUTONOMOUS,
            {"recent": 5, "recent_bad": 2, "passed_in_a_row": 3},
            "2 of the last 5 changes did not pass or were taken back: it should not be autonomous",
        ),
        (
            Mode.AUTONOMOUS,
            {"recent": 5, "recent_bad": 1, "passed_in_a_row": 3},
            "1 of the last 5 changes did not pass or were taken back: one more, and it should not be autonomous",
        ),
        (
            Mode.AUTONOMOUS,
            {"recent": 1, "recent_bad": 1},
            "the only change judged so far did not pass or was taken back: one more, and it should not be autonomous",
        ),
        (
            Mode.AUTONOMOUS,
            {"recent": 3, "passed_in_a_row": 3},
            "its autonomy is not earned yet: 3 of the 10 changes in a row that it takes have passed",
        ),
        (
            Mode.AUTONOMOUS,
            TWELVE_GOOD,
            "the last 12 changes all passed, none rejected or taken back: its autonomy is earned",
        ),
        (
            Mode.AUTONOMOUS,
            TWELVE_GOOD | {"rejected_since": 2},
            "the last 12 changes all passed, and 2 plans were rejected meanwhile: see why before trusting it further",
        ),
    ],
)
def test_the_record_is_weighed_in_one_sentence(mode: Mode, record: dict[str, Any], sentence: str) -> None:
    assert told(mode, **record) == sentence


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("rejected", [0, 1])
@pytest.mark.parametrize("in_a_row", [0, 9, 10])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_rule_could_be_autonomous_only_after_ten_good_changes_and_nothing_against_it(
    mode: Mode, bad: int, in_a_row: int, rejected: int
) -> None:
    sentence = told(
        mode, incidents=50, proposed=50, recent=5, recent_bad=bad, passed_in_a_row=in_a_row, rejected_since=rejected
    )
    spotless = mode is Mode.DRY_RUN and bad < 2 and in_a_row == 10 and not rejected
    assert ("could be autonomous" in sentence) is spotless
