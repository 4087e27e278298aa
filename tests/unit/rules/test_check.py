"""What is wrong between rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.rule import RuleSet
from responder.rules.loader import load

Load = Callable[..., RuleSet]
Errors = Callable[..., tuple[ConfigError, ...]]


def pair(earlier: str, later: str) -> str:
    return f"rules:\n- {{name: earlier, {earlier}}}\n- {{name: later, {later}}}\n"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("match: {}", "match: {}"),
        ("match: {}", "match: {alerts: [A]}"),
        ("match: {alerts: [A, B]}", "match: {alerts: [B]}"),
        ("match: {alerts: [A]}", "match: {alerts: [A], matchers: ['x=\"1\"']}"),
        ("match: {matchers: ['x=\"1\"']}", "match: {alerts: [A], matchers: ['y=\"2\"', 'x=\"1\"']}"),
        ("match: {matchers: ['x=~\"sh.*\"']}", "match: {matchers: ['x=~\"sh.*\"']}"),
        ("match: {matchers: ['x=~\"sh.*\"']}", "match: {matchers: ['x=\"shop\"']}"),
        ("match: {matchers: ['x!=\"info\"']}", "match: {matchers: ['x=\"warning\"']}"),
        ("match: {alerts: [A]}", "match: {alerts: [A], sources: [kubernetes]}"),
        ("match: {alerts: [A], sources: [alertmanager, kubernetes]}", "match: {alerts: [A]}"),
        ("match: {alerts: [A]}", "match: {alerts: [A]}, exclude: {matchers: ['x=\"1\"']}"),
    ],
)
def test_a_rule_that_an_earlier_one_shadows_is_an_error(errors_of: Errors, earlier: str, later: str) -> None:
    (error,) = errors_of(pair(earlier, later))
    assert error.line == 3
    assert error.key == "later.match"
    assert "can never match: earlier (" in error.problem


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("match: {alerts: [A]}", "match: {}"),
        ("match: {alerts: [A]}", "match: {alerts: [A, B]}"),
        ("match: {alerts: [A], matchers: ['x=\"1\"']}", "match: {alerts: [A]}"),
        ("match: {alerts: [A], matchers: ['x=\"1\"']}", "match: {alerts: [A], matchers: ['x=\"2\"']}"),
        ("match: {matchers: ['x=~\"sh.*\"']}", "match: {matchers: ['x=\"bank\"']}"),
        ("match: {matchers: ['x=~\"sh.*\"']}", "match: {matchers: ['x=~\"shop.*\"']}"),
        ("match: {matchers: ['x!=\"info\"']}", "match: {matchers: ['y=\"info\"']}"),
        ("match: {alerts: [A], sources: [kubernetes]}", "match: {alerts: [A]}"),
        ("match: {alerts: [A]}, exclude: {matchers: ['x=\"1\"']}", "match: {alerts: [A]}"),
    ],
)
def test_a_rule_for_which_something_is_left_is_fine(rules_of: Load, earlier: str, later: str) -> None:
    assert len(rules_of(pair(earlier, later)).rules) == 2


def test_two_earlier_rules_may_shadow_a_later_one_together(errors_of: Errors) -> None:
    (error,) = errors_of("""\
        rules:
        - {name: a, match: {alerts: [A]}}
        - {name: b, match: {alerts: [B], sources: [alertmanager]}}
        - {name: c, match: {alerts: [B], sources: [kubernetes]}}
        - {name: dead, match: {alerts: [A, B]}}
    """)
    assert error.line == 5
    for name in ("a (", "b (", "c ("):
        assert name in error.problem


def test_matchers_that_exclude_each_other_can_never_match(errors_of: Errors) -> None:
    (error,) = errors_of("""\
        rules: [{name: one, match: {matchers: ['x="1"', 'x=~"2|3"']}}]
    """)
    assert 'x="1" and x=~"2|3" exclude each other' in error.problem


def test_a_name_may_be_used_once_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules: [{name: one, match: {alerts: [A]}}]")
    (tmp_path / "b.yaml").write_text("rules: [{name: one, match: {alerts: [B]}}]")
    with pytest.raises(ConfigErrors) as caught:
        load([tmp_path])
    (error,) = caught.value
    assert error.path.endswith("b.yaml")
    assert "a.yaml:1" in error.problem


@pytest.mark.inv(26)
@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_an_autonomous_rule_must_not_aim_at_a_protected_namespace(errors_of: Errors, namespace: str) -> None:
    (error,) = errors_of(f"""\
        rules:
        - name: one
          match: {{matchers: ['namespace="{namespace}"']}}
          mode: autonomous
          actions: [set_image]
    """)
    assert "is protected" in error.problem


def test_a_broken_rule_shadows_nothing(errors_of: Errors) -> None:
    (error,) = errors_of("""\
        rules:
        - {name: broken, match: {matchers: ['x=~"("']}}
        - {name: sound, match: {alerts: [A]}}
    """)
    assert error.key == "rules[0].match.matchers[0]"


def test_ten_thousand_rules_for_one_alert_are_checked_without_comparing_all_pairs(rules_of: Load) -> None:
    lines = [f"- {{name: r{n}, match: {{matchers: ['team=\"t{n}\"', 'x=~\"a.*\"']}}}}" for n in range(10_000)]
    assert len(rules_of("rules:\n" + "\n".join(lines)).rules) == 10_000
