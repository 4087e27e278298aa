"""Which rule speaks for an alert: the first that matches, in the order of the set. Pure; no clock, no cluster.

The labels it looks at are the alert's, with `owner_kind` and `owner_name` of the incident's root object added by the
caller. What the rule then permits is the guard's affair.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from responder.domain.rule import Match, Matcher, Rule, RuleSet
from responder.rules import matchers


@dataclass(frozen=True, kw_only=True)
class MatchResult:
    rule: Rule | None
    why: tuple[str, ...]
    """What decided, one sentence each, for the record and for people."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One rule's answer to one alert."""

    rule: Rule
    matches: bool
    wins: bool
    """The first that matches. A later one may match too and is never asked."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    position: int
    rule: Rule
    tests: tuple[tuple[Matcher, matchers.Test], ...]
    exclude_tests: tuple[tuple[Matcher, matchers.Test], ...]

    def refusal(self, labels: Mapping[str, str], source: str) -> str:
        """Why the rule does not match; '' when it does."""
        if missed := _missed(self.rule.match, self.tests, labels, source):
            return missed
        exclude = self.rule.exclude
        if exclude is not None and not _missed(exclude, self.exclude_tests, labels, source):
            return f"excluded by {_described(exclude)}"
        return ""


class RuleIndex:
    """A rule set prepared for matching: rules are found by alert name, those that name none are always looked at."""

    def __init__(self, rule_set: RuleSet) -> None:
        self.rule_set = rule_set
        self._all = tuple(_compile(position, rule) for position, rule in enumerate(rule_set.rules))
        self._nameless = [one for one in self._all if not one.rule.match.alerts]
        self._named: dict[str, list[_Compiled]] = defaultdict(list)
        for one in self._all:
            for name in one.rule.match.alerts:
                self._named[name].append(one)

    def match(self, labels: Mapping[str, str], source: str) -> MatchResult:
        for one in self._candidates(labels):
            if not one.refusal(labels, source):
                return MatchResult(rule=one.rule, why=(_described(one.rule.match),))
        return MatchResult(rule=None, why=("no rule matches",))

    def explain(self, labels: Mapping[str, str], source: str) -> tuple[Explanation, ...]:
        """Every rule's answer, in order."""
        winner = self.match(labels, source).rule
        explanations = []
        for one in self._all:
            refusal = one.refusal(labels, source)
            wins = one.rule is winner
            later = "" if wins else "; an earlier rule wins"
            reason = refusal or f"{_described(one.rule.match)}{later}"
            explanations.append(Explanation(rule=one.rule, matches=not refusal, wins=wins, reason=reason))
        return tuple(explanations)

    def _candidates(self, labels: Mapping[str, str]) -> Iterator[_Compiled]:
        named = self._named.get(labels.get("alertname", ""), [])
        return heapq.merge(named, self._nameless, key=lambda one: one.position)


def _compile(position: int, rule: Rule) -> _Compiled:
    return _Compiled(
        position=position,
        rule=rule,
        tests=_tests(rule.match),
        exclude_tests=_tests(rule.exclude) if rule.exclude else (),
    )


def _tests(match: Match) -> tuple[tuple[Matcher, matchers.Test], ...]:
    return tuple((matcher, matchers.test_of(matcher)) for matcher in match.matchers)


def _missed(
    match: Match, tests: Sequence[tuple[Matcher, matchers.Test]], labels: Mapping[str, str], source: str
) -> str:
    """The first condition that does not hold; '' when all do."""
    name = labels.get("alertname", "")
    if match.alerts and name not in match.alerts:
        return f"alert {name or 'without a name'} is not listed"
    if match.sources and source not in match.sources:
        return f"source {source} is not listed"
    for matcher, test in tests:
        value = labels.get(matcher.label, "")
        if not test(value):
            return f'{matcher} does not hold: {matcher.label} is "{value}"'
    return ""


def _described(match: Match) -> str:
    conditions = []
    if match.alerts:
        conditions.append(f"alert in {', '.join(match.alerts)}")
    if match.sources:
        conditions.append(f"source in {', '.join(match.sources)}")
    conditions.extend(str(matcher) for matcher in match.matchers)
    return " and ".join(conditions) or "matches every alert"
