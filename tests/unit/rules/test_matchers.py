"""Alertmanager's matcher syntax."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.rule import Matcher, MatchOp
from responder.rules.matchers import MatcherInvalid, accepts, parse


@pytest.mark.parametrize(
    ("text", "label", "op", "value"),
    [
        ('severity="warning"', "severity", MatchOp.EQUAL, "warning"),
        ("severity=warning", "severity", MatchOp.EQUAL, "warning"),
        (' severity  !=  "info" ', "severity", MatchOp.NOT_EQUAL, "info"),
        ('namespace=~"shop-.*"', "namespace", MatchOp.MATCHES, "shop-.*"),
        ("namespace=~shop-.*", "namespace", MatchOp.MATCHES, "shop-.*"),
        ("namespace!~(a|b)", "namespace", MatchOp.NOT_MATCHES, "(a|b)"),
        ('x=""', "x", MatchOp.EQUAL, ""),
        ('x="a \\"b\\" \\\\ c\\n"', "x", MatchOp.EQUAL, 'a "b" \\ c\n'),
        ('x=~"\\d+\\.\\d+"', "x", MatchOp.MATCHES, "\\d+\\.\\d+"),
        ('x="a,b={c}"', "x", MatchOp.EQUAL, "a,b={c}"),
        ('größe="weiß"', "größe", MatchOp.EQUAL, "weiß"),
        ('"label with spaces"="v"', "label with spaces", MatchOp.EQUAL, "v"),
        ("x=日本", "x", MatchOp.EQUAL, "日本"),
    ],
)
def test_a_matcher_is_read(text: str, label: str, op: MatchOp, value: str) -> None:
    assert parse(text) == Matcher(label=label, op=op, value=value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the label name is missing"),
        ('="x"', "the label name is missing"),
        ('""="x"', "the label name is missing"),
        ("x", "expected LABEL=VALUE"),
        ("x~y", "expected LABEL=VALUE"),
        ("x=", "the value is missing"),
        ("x==y", "put the value in double quotes"),
        ('x="y', "the closing double quote is missing"),
        ('x="y\\', "the closing double quote is missing"),
        ("x='y'", "put the value in double quotes"),
        ("x=a b", "follows the value"),
        ('x="a" b', "follows the value"),
        ('x="a",y="b"', "as an item of its own"),
        ('{x="a"}', "without braces"),
        ('x=~"("', "not an RE2 expression: missing )"),
        ('x=~"(?=a)"', "not an RE2 expression"),
        ('x=~"(a)\\1"', "not an RE2 expression"),
        ("x=" + "y" * 5000, "longer than"),
    ],
)
def test_what_is_no_matcher_says_why(text: str, problem: str) -> None:
    with pytest.raises(MatcherInvalid, match=problem.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ('x="a"', {"x": "a"}, True),
        ('x="a"', {}, False),
        ('x=""', {}, True),
        ('x!="a"', {}, True),
        ('x=~"a|b"', {"x": "ab"}, False),
        ('x=~"shop"', {"x": "my-shop-eu"}, False),
        ('x=~"shop.*"', {"x": "shop-eu"}, True),
        ('x=~".*"', {}, True),
        ('x=~".+"', {}, False),
        ('x!~"shop.*"', {"x": "shop-eu"}, False),
        ('x!~"shop.*"', {}, True),
        ('x=~"a.b"', {"x": "a\nb"}, False),
        ('x=~"aé.c"', {"x": "aéßc"}, True),
        ('x=~"a.*"', {"x": "a\ud800"}, True),
    ],
)
def test_expressions_are_anchored_and_an_absent_label_is_empty(
    text: str, labels: dict[str, str], expected: bool
) -> None:
    assert accepts(parse(text), labels) is expected


def test_an_expression_that_explodes_elsewhere_is_answered_at_once() -> None:
    assert not accepts(parse('x=~"(a+)+b"'), {"x": "a" * 10_000})


quotable = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@given(value=quotable)
def test_every_value_can_be_written_in_quotes(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert parse(f'x="{quoted}"').value == value


@given(text=st.text(max_size=60))
def test_any_text_is_a_matcher_or_refused(text: str) -> None:
    with contextlib.suppress(MatcherInvalid):
        parse(text)
