"""Runs the cases that rules carry under `tests:`. Each is one alert and the rule or mode that must come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from responder.domain.rule import Rule, RuleSet, RuleTest
from responder.rules.matcher import MatchResult, RuleIndex


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    rule: str
    """The rule that carries the case."""
    file: str
    line: int
    alert: str
    passed: bool
    problem: str = ""


def run(rule_set: RuleSet) -> tuple[CaseResult, ...]:
    """Every case against the whole set, in order. A rule without cases has no result."""
    index = RuleIndex(rule_set)
    return tuple(_results(index, rule_set))


def _results(index: RuleIndex, rule_set: RuleSet) -> Iterator[CaseResult]:
    for rule in rule_set.rules:
        for case in rule.tests:
            problem = _problem(rule, case, index.match(case.alert, case.source))
            yield CaseResult(
                rule=rule.name,
                file=rule.file,
                line=case.line,
                alert=case.alert.get("alertname", ""),
                passed=not problem,
                problem=problem,
            )


def _problem(rule: Rule, case: RuleTest, result: MatchResult) -> str:
    """What is wrong; '' when nothing is. A case that expects only a mode expects it of the rule that carries it."""
    wanted = rule.name if case.expect_rule is None else case.expect_rule
    winner = result.rule.name if result.rule else ""
    if winner != wanted:
        return f"expected {wanted or 'no rule'}, got {winner or 'no rule'} ({'; '.join(result.why)})"
    mode = result.rule.mode.value if result.rule else None
    if case.expect_mode is not None and mode != case.expect_mode:
        return f"expected mode {case.expect_mode}, got {mode}"
    return ""
