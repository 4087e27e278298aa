"""Cases that rules carry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from responder.domain.rule import RuleSet
from responder.rules.testing import run

Load = Callable[..., RuleSet]

TWO = """\
rules:
  - name: first
    match: {{alerts: [A], matchers: ['namespace="shop"']}}
    mode: dry-run
  - name: second
    match: {{alerts: [A]}}
    tests:
      - {{{case}}}
"""


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("alert: {alertname: A}, expect: {mode: report}", ""),
        ("alert: {alertname: A}, expect: {mode: dry-run}", "expected mode dry-run, got report"),
        ("alert: {alertname: A, namespace: shop}, expect: {mode: dry-run}", "expected second, got first (alert in A"),
        ("alert: {alertname: A, namespace: shop}, expect: {rule: first, mode: dry-run}", ""),
        ("alert: {alertname: B}, expect: {rule: ''}", ""),
        ("alert: {alertname: B}, expect: {mode: report}", "expected second, got no rule (no rule matches)"),
        ("alert: {alertname: A}, expect: {rule: ''}", "expected no rule, got second"),
    ],
)
def test_a_case_passes_only_when_its_rule_and_mode_come_out(rules_of: Load, case: str, problem: str) -> None:
    (result,) = run(rules_of(TWO.format(case=case)))
    assert result.passed is not bool(problem)
    assert result.problem.startswith(problem)
    assert result.line == 8
