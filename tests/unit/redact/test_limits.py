"""What is cut is redacted first, and what others cut leaves no half of a secret."""

from __future__ import annotations

import pytest

from responder.redact import redact_tail
from responder.redact.placeholders import Placeholders

pytestmark = pytest.mark.inv(47)

TOKEN = "ghp_" + "A1b2" * 9


@pytest.mark.parametrize("limit", range(60))
def test_no_limit_leaves_part_of_a_secret(limit):
    kept, _ = redact_tail(f"before {TOKEN} after", limit)
    assert "A1b2" not in kept
    assert len(kept) <= limit


def test_the_first_line_of_a_tail_that_was_cut_goes():
    assert redact_tail(f"{TOKEN[8:]}\nready", 100, began_cut=True) == ("ready", True)


def test_a_tail_of_one_line_that_was_cut_leaves_nothing():
    assert redact_tail(TOKEN[8:], 100, began_cut=True) == ("", True)


def test_a_whole_tail_is_not_said_to_be_cut():
    assert redact_tail("starting\nready", 100) == ("starting\nready", False)


def test_a_tail_is_redacted_by_whatever_the_caller_gives():
    assert redact_tail(TOKEN, 100, redact=Placeholders().redact) == ("[redacted:github-token:1]", False)
