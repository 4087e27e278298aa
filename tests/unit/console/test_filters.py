"""The filter language."""

from __future__ import annotations

import pytest

from console.filters import Filter, parse
from responder.domain.incident import State


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("", {}),
        ("checkout", {"q": "checkout"}),
        ("two words", {"q": "two words"}),
        ("ns:shop", {"namespace": "shop"}),
        ("ns:", {}),
        ("rule:images web", {"rule": "images", "q": "web"}),
        ("state:await", {"state": "awaiting_approval"}),
        ("state:AWAIT state:resolved", {"state": "awaiting_approval,resolved"}),
        ("state:", {}),
        ("state:r", {"state": "rolling_back,resolved"}),
        ("http://web:80", {"q": "http://web:80"}),
    ],
)
def test_words_become_parameters_of_the_api(typed, query):
    assert parse(typed).query == query


def test_a_state_that_does_not_exist_is_told():
    with pytest.raises(ValueError, match="no state begins with 'zz'; there are open, "):
        parse("state:zz")


def test_faults_only_leaves_out_what_is_over():
    states = parse("", faults_only=True).states
    assert State.ESCALATED in states
    assert State.AWAITING_APPROVAL in states
    assert not {State.RESOLVED, State.SUPPRESSED} & set(states)
    assert parse("state:esc", faults_only=True) == Filter(states=(State.ESCALATED,))


def test_faults_only_of_states_that_are_none_is_told():
    with pytest.raises(ValueError, match="press f"):
        parse("state:resolved", faults_only=True)
