"""The rules that Clopus ships."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.domain.rule import Mode, RuleSet
from responder.rules.loader import load
from responder.rules.matcher import RuleIndex
from responder.rules.testing import run

RULES = Path(__file__).parents[3] / "rules"


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load([RULES])


def test_every_case_of_every_shipped_rule_passes(shipped: RuleSet) -> None:
    assert [result for result in run(shipped) if not result.passed] == []


def test_every_shipped_rule_has_a_case(shipped: RuleSet) -> None:
    assert [rule.name for rule in shipped.rules if not rule.tests] == []


def test_nothing_is_changed_before_someone_raises_a_mode(shipped: RuleSet) -> None:
    assert {rule.mode for rule in shipped.rules} == {Mode.REPORT}


@pytest.mark.parametrize(
    ("alert", "rule"),
    [
        ("KubePodCrashLooping", "crash-loop"),
        ("KubePodNotReady", "not-ready"),
        ("KubeContainerWaiting", "container-waiting"),
        ("KubeDeploymentReplicasMismatch", "replicas-mismatch"),
        ("KubeDeploymentRolloutStuck", "rollout-stuck"),
        ("KubeJobFailed", "job-failed"),
        ("Watchdog", "heartbeats"),
    ],
)
def test_the_alerts_of_kube_prometheus_find_their_rule(shipped: RuleSet, alert: str, rule: str) -> None:
    winner = RuleIndex(shipped).match({"alertname": alert, "namespace": "shop"}, "alertmanager").rule
    assert winner is not None
    assert winner.name == rule


def test_the_commented_examples_are_valid_when_uncommented(tmp_path: Path) -> None:
    for source in RULES.glob("*.yaml"):
        (tmp_path / source.name).write_text("\n".join(uncommented(source)))
    assert {rule.mode for rule in load([tmp_path]).rules} == set(Mode)


def uncommented(file: Path) -> Iterator[str]:
    """The file's lines with its examples in the place of the modes they replace, and without cases."""
    in_cases = False
    for line in file.read_text().splitlines():
        in_cases = line.strip() == "tests:" or (in_cases and line.startswith("      "))
        if line.startswith("    # "):
            yield line.replace("# ", "", 1)
        elif not in_cases and not (line.strip() == "mode: report" and "# mode:" in file.read_text()):
            yield line
