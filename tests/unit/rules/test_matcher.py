"""Which rule speaks for an alert."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from responder.domain.rule import Match, Matcher, MatchOp, Rule, RuleSet
from responder.rules.matcher import RuleIndex


def index_of(*rules: Rule) -> RuleIndex:
    return RuleIndex(RuleSet(rules=rules, digest="0"))


def equal(label: str, value: str) -> Matcher:
    return Matcher(label=label, op=MatchOp.EQUAL, value=value)


def test_the_first_rule_that_matches_wins_though_a_later_one_is_more_exact() -> None:
    index = index_of(
        Rule(name="shop", match=Match(matchers=(equal("namespace", "shop"),))),
        Rule(name="named", match=Match(alerts=("A",))),
    )
    result = index.match({"alertname": "A", "namespace": "shop"}, "alertmanager")
    assert result.rule is not None
    assert result.rule.name == "shop"
    assert result.why == ('namespace="shop"',)


def test_names_are_exact() -> None:
    index = index_of(Rule(name="a", match=Match(alerts=("KubePod",))))
    assert index.match({"alertname": "KubePodNotReady"}, "alertmanager").rule is None


def test_no_rule_is_an_answer_with_its_reason() -> None:
    assert index_of().match({"alertname": "A"}, "alertmanager").why == ("no rule matches",)


def test_a_source_that_is_not_listed_does_not_match() -> None:
    index = index_of(Rule(name="a", match=Match(sources=("kubernetes",))))
    assert index.match({}, "alertmanager").rule is None
    assert index.match({}, "kubernetes").rule is not None


def test_exclude_needs_all_of_its_conditions() -> None:
    exclude = Match(alerts=("A",), matchers=(equal("owner_kind", "Job"),))
    index = index_of(Rule(name="a", exclude=exclude))
    assert index.match({"alertname": "A", "owner_kind": "Job"}, "alertmanager").rule is None
    assert index.match({"alertname": "A", "owner_kind": "Deployment"}, "alertmanager").rule is not None
    assert index.match({"alertname": "B", "owner_kind": "Job"}, "alertmanager").rule is not None


def test_every_rule_explains_itself() -> None:
    index = index_of(
        Rule(name="other", match=Match(alerts=("B",))),
        Rule(name="team", match=Match(matchers=(equal("team", "x"),))),
        Rule(name="excluded", exclude=Match(matchers=(equal("owner_kind", "Job"),))),
        Rule(name="winner", match=Match(alerts=("A",))),
        Rule(name="rest"),
    )
    answers = index.explain({"alertname": "A", "owner_kind": "Job"}, "alertmanager")
    assert [(one.rule.name, one.matches, one.wins, one.reason) for one in answers] == [
        ("other", False, False, "alert A is not listed"),
        ("team", False, False, 'team="x" does not hold: team is ""'),
        ("excluded", False, False, 'excluded by owner_kind="Job"'),
        ("winner", True, True, "alert in A"),
        ("rest", True, False, "matches every alert; an earlier rule wins"),
    ]


names = st.sampled_from(["A", "B", "C"])
matchers = st.builds(
    Matcher, label=st.sampled_from(["x", "y"]), op=st.sampled_from(list(MatchOp)), value=st.sampled_from(["", "1", "2"])
)
matches = st.builds(
    Match,
    alerts=st.lists(names, max_size=2, unique=True).map(tuple),
    matchers=st.lists(matchers, max_size=2).map(tuple),
    sources=st.sampled_from([(), ("kubernetes",)]),
)
rule_lists = st.lists(st.tuples(matches, st.none() | matches), max_size=8)
label_sets = st.dictionaries(st.sampled_from(["x", "y", "alertname"]), st.sampled_from(["A", "1", "2"]))


@given(parts=rule_lists, labels=label_sets, source=st.sampled_from(["alertmanager", "kubernetes"]))
def test_the_index_answers_as_reading_the_rules_in_order_does(
    parts: list[tuple[Match, Match | None]], labels: dict[str, str], source: str
) -> None:
    rules = [Rule(name=f"r{n}", match=match, exclude=exclude) for n, (match, exclude) in enumerate(parts)]
    index = index_of(*rules)
    first = next((one.rule for one in index.explain(labels, source) if one.matches), None)
    assert index.match(labels, source).rule is first
