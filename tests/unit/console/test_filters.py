"""The filter language."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from console.filters import Question, parse
from responder.domain.incident import Outcome, State
from responder.domain.search import EVERYTHING, Order, Search, SortBy

FAULTS = tuple(state for state in State if state not in (State.RESOLVED, State.SUPPRESSED))


@pytest.mark.parametrize(
    ("typed", "search"),
    [
        ("", EVERYTHING),
        ("   ", EVERYTHING),
        ("checkout", Search(text=("checkout",))),
        ("two words", Search(text=("two", "words"))),
        ('"two words"', Search(text=("two words",))),
        ('"still typ', Search(text=("still typ",))),
        ("!noise -more", Search(not_text=("noise", "more"))),
        ('!"not ready"', Search(not_text=("not ready",))),
        ('"-minus"', Search(text=("-minus",))),
        ('"ns:shop"', Search(text=("ns:shop",))),
        ("! - !! x", Search(not_text=("!",), text=("x",))),
        ("same same", Search(text=("same",))),
        ("http://web:80", Search(text=("http://web:80",))),
        ("nginx:1.27", Search(text=("nginx:1.27",))),
        ("a<b", Search(text=("a<b",))),
        ("ns:shop", Search(namespaces=("shop",))),
        ("NS:shop", Search(namespaces=("shop",))),
        ("namespace:shop", Search(namespaces=("shop",))),
        ("ns:shop* !ns:shop-test", Search(namespaces=("shop*",), not_namespaces=("shop-test",))),
        ("ns:a,b ns:c", Search(namespaces=("a", "b", "c"))),
        ("ns:", EVERYTHING),
        ("ns:a,", Search(namespaces=("a",))),
        ("rule:images -rule:noisy* web", Search(rules=("images",), not_rules=("noisy*",), text=("web",))),
        ("sev:crit", Search(severities=("crit*",))),
        ("severity:crit*", Search(severities=("crit*",))),
        ("!sev:info", Search(not_severities=("info*",))),
        ("mode:auto mode:dry", Search(modes=("autonomous", "dry-run"))),
        ("kind:deploy,sts", Search(kinds=("Deployment", "StatefulSet"))),
        ("kind:Deployment", Search(kinds=("Deployment*",))),
        ("kind:roll", Search(kinds=("roll*",))),
        ("state:await", Search(states=(State.AWAITING_APPROVAL,))),
        ("state:awaiting-approval", Search(states=(State.AWAITING_APPROVAL,))),
        ("state:AWAIT state:resolved", Search(states=(State.AWAITING_APPROVAL, State.RESOLVED))),
        ("state:", EVERYTHING),
        ("state:r", Search(states=(State.ROLLING_BACK, State.RESOLVED))),
        ("state:new", Search(states=(State.OPEN,))),
        ("state:open", Search(states=FAULTS)),
        ("state:closed", Search(states=(State.RESOLVED, State.SUPPRESSED))),
        ("!state:closed", Search(states=FAULTS)),
        ("state:open !state:esc", Search(states=tuple(state for state in FAULTS if state is not State.ESCALATED))),
        ("outcome:fixed", Search(outcomes=(Outcome.FIXED,))),
        ("outcome:roll", Search(outcomes=(Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED))),
        ("!outcome:none", Search(outcomes=tuple(outcome for outcome in Outcome if outcome))),
        ("age<1h", Search(younger_than=timedelta(hours=1))),
        ("age<=90s", Search(younger_than=timedelta(seconds=90))),
        ("age>2d age>1d", Search(older_than=timedelta(days=2))),
        ("age>1h age<2d", Search(older_than=timedelta(hours=1), younger_than=timedelta(days=2))),
        ("age<", EVERYTHING),
    ],
)
def test_what_is_typed_means(typed, search):
    assert parse(typed) == search


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("state:zz", "no state begins with 'zz': write one of open, new, active, busy, closed, investigating, "),
        ("outcome:zz", "no outcome begins with 'zz': write one of none, fixed, "),
        ("mode:zz", "no mode begins with 'zz': write one of report, dry-run, autonomous"),
        ("!mode:report", "a mode cannot be taken out: name those you want, mode:a,b"),
        ("-kind:pod", "a kind cannot be taken out: name those you want, kind:a,b"),
        ("stat:await", "no key is called stat: write state:, or put text in quotes"),
        ("sate:await", "no key is called sate: write state:"),
        ("namspace:x", "no key is called namspace: write namespace:"),
        ("ns<shop", "only an age is less or more: write ns:shop"),
        ("age:1h", "an age is less or more: write age<1h for younger, age>1h for older"),
        ("!age<1h", "an age cannot be taken out: write age<1h for younger"),
        ("age<5", "5 of what? write age<5m, or s, h, d"),
        ("age<soon", "'soon' is no time up to 36500d: write age<90s"),
        ("age<0s", "'0s' is no time"),
        ("age>999999999d", "'999999999d' is no time up to 36500d"),
        ("age<1h age>60m", "nothing is younger than 1h and older than 1h: write the longer time after age<"),
        ("state:new !state:open", "every state asked for is taken out again: leave out one of the state: terms"),
        ("a\u200bb", "characters that cannot be seen"),
        ("x" * 257, "a term of 257 characters: write at most 256"),
    ],
)
def test_a_mistake_is_a_sentence_that_says_what_to_write(typed, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse(typed)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("st", ()),
        ("web !sev", ("web",)),
        ("shop", ("shop",)),
        ("st ", ("st",)),
        ("st x", ("st", "x")),
    ],
)
def test_a_word_that_may_become_a_key_is_not_looked_for_while_it_is_typed(typed, text):
    assert parse(typed, is_typing=True).text == text


def test_faults_only_leaves_out_what_is_over():
    assert parse("", faults_only=True).states == FAULTS
    assert parse("state:esc,res", faults_only=True).states == (State.ESCALATED,)


def test_faults_only_of_states_that_are_none_is_told():
    with pytest.raises(ValueError, match="press f"):
        parse("state:resolved", faults_only=True)


def test_a_question_becomes_parameters_of_the_api():
    asked = Question(
        search=parse(
            "a !b ns:x,y !ns:z rule:r -rule:q sev:crit !sev:info mode:rep kind:po state:await age<90s age>30s"
        ),
        order=Order(by=SortBy.SEVERITY, descending=True),
    )
    assert asked.parameters == (
        ("q", "a"),
        ("not_q", "b"),
        ("state", "awaiting_approval"),
        ("namespace", "x"),
        ("namespace", "y"),
        ("not_namespace", "z"),
        ("rule", "r"),
        ("not_rule", "q"),
        ("severity", "crit*"),
        ("not_severity", "info*"),
        ("mode", "report"),
        ("kind", "Pod"),
        ("younger_than", "90s"),
        ("older_than", "30s"),
        ("sort", "-severity"),
    )


def test_an_outcome_that_is_none_has_a_word():
    assert Question(search=parse("outcome:none")).parameters == (("outcome", "none"),)


def test_nothing_typed_asks_for_nothing():
    assert Question().parameters == ()
