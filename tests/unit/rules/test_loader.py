"""Rule files: what they mean, and where each mistake is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.rule import (
    ApprovalPolicy,
    Budget,
    Match,
    Matcher,
    MatchOp,
    Mode,
    Rate,
    Risk,
    Rule,
    RuleSet,
    RuleTest,
    VerifyPolicy,
)
from responder.rules.loader import load

Load = Callable[..., RuleSet]
Errors = Callable[..., tuple[ConfigError, ...]]

WHOLE = """\
rules:
  - name: image-pull-failure
    match:
      alerts: [KubePodImagePullBackOff, ImagePullBackOff]
      matchers: ['namespace=~"shop-.*"', 'severity!="info"']
      sources: [alertmanager, kubernetes]
    exclude:
      matchers: ['owner_kind="Job"']
    mode: autonomous
    actions: [set_image, undo_rollout]
    images: ['ghcr.io/shop/*']
    max_risk: medium
    approval: {approvers: 2, expires: 15m}
    budget: {per_workload: 1/30m, per_namespace: 3/1h, per_cluster: 10/1h, concurrent: 2}
    analyzers: [heuristic, claude]
    deadline: 5m
    verify: {settle: 30s, within: 5m, alert_resolved: true, rollback: false}
    notify: [slack-oncall]
    tests:
      - alert: {alertname: KubePodImagePullBackOff, namespace: shop-eu, severity: warning}
        source: kubernetes
        expect: {mode: autonomous, rule: image-pull-failure}
"""


def test_every_key_of_the_format_is_read(rules_of: Load) -> None:
    (rule,) = rules_of(WHOLE).rules
    assert rule == Rule(
        name="image-pull-failure",
        match=Match(
            alerts=("KubePodImagePullBackOff", "ImagePullBackOff"),
            matchers=(
                Matcher(label="namespace", op=MatchOp.MATCHES, value="shop-.*"),
                Matcher(label="severity", op=MatchOp.NOT_EQUAL, value="info"),
            ),
            sources=("alertmanager", "kubernetes"),
        ),
        exclude=Match(matchers=(Matcher(label="owner_kind", op=MatchOp.EQUAL, value="Job"),)),
        mode=Mode.AUTONOMOUS,
        actions=("set_image", "undo_rollout"),
        images=("ghcr.io/shop/*",),
        max_risk=Risk.MEDIUM,
        approval=ApprovalPolicy(approvers=2, expires_seconds=900.0),
        budget=Budget(
            per_workload=Rate(count=1, seconds=1800.0),
            per_namespace=Rate(count=3, seconds=3600.0),
            per_cluster=Rate(count=10, seconds=3600.0),
            concurrent=2,
        ),
        analyzers=("heuristic", "claude"),
        deadline_seconds=300.0,
        verify=VerifyPolicy(settle_seconds=30.0, within_seconds=300.0, alert_resolved=True, rollback=False),
        notify=("slack-oncall",),
        tests=(
            RuleTest(
                alert={"alertname": "KubePodImagePullBackOff", "namespace": "shop-eu", "severity": "warning"},
                source="kubernetes",
                expect_mode="autonomous",
                expect_rule="image-pull-failure",
                line=20,
            ),
        ),
        file=rule.file,
        line=2,
    )


def test_what_a_rule_does_not_say_is_the_cautious_default(rules_of: Load) -> None:
    (rule,) = rules_of("rules: [{name: all, match: {}}]").rules
    assert rule == Rule(name="all", file=rule.file, line=1)


@pytest.mark.parametrize(
    ("line", "key", "problem"),
    [
        ("mod: report", "rules[0].mod", "unknown key 'mod'; did you mean 'mode'?"),
        ("mode: autonmous", "rules[0].mode", "unknown mode 'autonmous'; did you mean 'autonomous'?"),
        ("mode: auto", "rules[0].mode", "unknown mode 'auto'; did you mean 'autonomous'?"),
        ("mode: yes", "rules[0].mode", "YAML reads yes as a true/false value"),
        ("mode: [report]", "rules[0].mode", "must be text, not a list"),
        ("mode:", "rules[0].mode", "has no value"),
        ("mode: autonomous", "rules[0].mode", "autonomous needs actions"),
        ("actions: [set_imgae]", "rules[0].actions[0]", "unknown action 'set_imgae'; did you mean 'set_image'?"),
        ("actions: [exec]", "rules[0].actions[0]", "unknown action 'exec'; known: set_image,"),
        ("actions: []", "rules[0].actions", "the list is empty"),
        ("actions: set_image", "rules[0].actions", "must be a list, not text"),
        ("actions: [set_image, set_image]", "rules[0].actions", "an item is written twice"),
        ("images: ['*']", "rules[0].images[0]", "* admits every image"),
        ("images: ['**/*:*']", "rules[0].images[0]", "admits every image"),
        ("max_risk: none", "rules[0].max_risk", "unknown risk 'none'"),
        ("analyzers: [claud]", "rules[0].analyzers[0]", "unknown analyzer 'claud'; did you mean 'claude'?"),
        ("deadline: 5x", "rules[0].deadline", "must be a duration with its unit"),
        ("deadline: 5", "rules[0].deadline", "must be a duration with its unit"),
        ("deadline: 12:30", "rules[0].deadline", "must be a duration with its unit"),
        ("deadline: -5m", "rules[0].deadline", "must be a duration with its unit"),
        ("deadline: 0s", "rules[0].deadline", "must be longer than 0"),
        ("deadline: 31d", "rules[0].deadline", "must not be longer than 30d"),
        ("deadline: 99999999999999999999s", "rules[0].deadline", "must be a duration with its unit"),
        ("approval: {approvers: 0}", "rules[0].approval.approvers", "must be 1 to 10, not 0"),
        ("approval: {approvers: 010}", "rules[0].approval.approvers", "must be a whole number in digits"),
        ("approval: {approvers: '2'}", "rules[0].approval.approvers", "must be a whole number in digits"),
        ("approval: {expire: 5m}", "rules[0].approval.expire", "did you mean 'expires'?"),
        ("approval: 5", "rules[0].approval", "must be a mapping, not a number"),
        ("budget: {per_workload: 1}", "rules[0].budget.per_workload", "must be COUNT/DURATION"),
        ("budget: {per_workload: 0/30m}", "rules[0].budget.per_workload", "must be COUNT/DURATION"),
        ("budget: {per_workload: 1/0s}", "rules[0].budget.per_workload", "must be COUNT/DURATION"),
        ("budget: {per_workload: 1/30}", "rules[0].budget.per_workload", "must be COUNT/DURATION"),
        ("verify: {rollback: on}", "rules[0].verify.rollback", "must be true or false"),
        ("verify: {rollback: 'true'}", "rules[0].verify.rollback", "must be true or false"),
        ("verify: {settle: 3m, within: 5m}", "rules[0].verify.within", "at least twice settle"),
        ("exclude: {}", "rules[0].exclude", "excludes every alert"),
        ("notify: [no]", "rules[0].notify[0]", "YAML reads no as a true/false value"),
        ("notify: [1.10]", "rules[0].notify[0]", "YAML reads 1.10 as a number"),
        ("notify: ['']", "rules[0].notify[0]", "must not be empty"),
        ("tests: [{expect: {mode: report}}]", "rules[0].tests[0]", "needs the label alertname"),
        ("tests: [{alert: {alertname: A}}]", "rules[0].tests[0]", "expect needs a mode or a rule"),
        ("tests: [{alert: {alertname: A, code: 500}, expect: {mode: report}}]", "rules[0].tests[0].alert.code", "500"),
        (
            "tests: [{alert: {alertname: A}, expect: {mode: report, rule: ''}}]",
            "rules[0].tests[0].expect.mode",
            "no rule",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key_line_and_column(errors_of: Errors, line: str, key: str, problem: str) -> None:
    (error,) = errors_of(f"rules:\n  - name: one\n    match: {{}}\n    {line}\n")
    assert error.key == key
    assert problem in error.problem
    assert error.line == (2 if key in ("rules[0]",) else 4)
    assert error.column > 0


@pytest.mark.parametrize(
    ("match", "key", "problem"),
    [
        ("match:", "rules[0].match", "must be a mapping, not nothing"),
        ("match: {alerts: []}", "rules[0].match.alerts", "the list is empty"),
        ("match: {matchers: []}", "rules[0].match.matchers", "the list is empty"),
        ("match: {alert: [A]}", "rules[0].match.alert", "did you mean 'alerts'?"),
        ("match: {sources: [prometheus]}", "rules[0].match.sources[0]", "unknown source 'prometheus'"),
        ("match: {matchers: ['namespace=~\"(a\"']}", "rules[0].match.matchers[0]", "not an RE2 expression: missing )"),
        ("match: {matchers: ['namespace']}", "rules[0].match.matchers[0]", "expected LABEL=VALUE"),
        ("match: {alerts: [no]}", "rules[0].match.alerts[0]", "put it in quotes"),
    ],
)
def test_a_mistake_in_the_match_never_widens_it(errors_of: Errors, match: str, key: str, problem: str) -> None:
    (error,) = errors_of(f"rules:\n  - name: one\n    {match}\n")
    assert error.key == key
    assert problem in error.problem
    assert error.line == 3


def test_a_rule_for_every_alert_must_say_so(errors_of: Errors) -> None:
    (error,) = errors_of("rules: [{name: one}]")
    assert error.problem == "match is missing; a rule for every alert says `match: {}`"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"---\n", "the file is empty"),
        (b"[]", "must be a mapping with the key rules, not a list"),
        (b"{}", "rules is missing"),
        (b"rules:\n", "must be a list, not nothing"),
        (b"rules: {}\n", "must be a list, not a mapping"),
        (b"rules: [1]\n", "must be a mapping, not a number"),
        (b"rules: [{name: a, match: {}}]\n---\nrules: []\n", "a second document begins"),
        (b"rules:\n\t- name: a\n", "indent with spaces"),
        (b"rules: [\xff]", "not UTF-8"),
        (b"rules: [\x00]", "U+0000 may not stand in YAML"),
        (b"rules: [}", "did not find expected node content"),
        (b"rules: []\nrules: []\n", "the key 'rules' is written twice, first in line 1"),
        (b"rules: []\non: 1\n", "YAML reads the key on as a true/false value"),
        (b"rules: []\n12:30: 1\n", "YAML reads the key 12:30 as a number"),
        (b"rules: []\n? [a]\n: 1\n", "a key must be text, not a list"),
        (b"rules: !!python/object/apply:os.system ['true']\n", "tags are not read"),
        (b"rules: &all []\n", "anchors are not read: &all"),
        (b"<<: {a: b}\nrules: []\n", "merge keys are not read"),
        (b"rules: " + b"[" * 30 + b"]" * 30, "nested deeper than 20 levels"),
        (b"#" * (1024 * 1024 + 1), "more than 1048576 bytes; split it"),
        (b"rules: [" + b"a," * 300_000 + b"]", "more than 250000 values"),
    ],
)
def test_a_file_that_is_no_rule_file_is_an_error_that_names_it(errors_of: Errors, raw: bytes, problem: str) -> None:
    error = errors_of(raw)[0]
    assert error.path.endswith("rules.yaml")
    assert problem in error.problem


def test_aliases_are_refused_before_they_can_unfold(errors_of: Errors) -> None:
    laughs = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    problems = [error.problem for error in errors_of("\n".join(laughs))]
    assert "aliases are not read; write the value out instead of *a0" in problems


def test_a_hundred_thousand_open_brackets_are_an_error_and_no_crash(errors_of: Errors) -> None:
    (error,) = errors_of(b"rules: " + b"[" * 100_000)
    assert error.problem == "nested deeper than 20 levels"


def test_all_mistakes_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules: [{name: a, match: {}, mode: x, deadline: 5x}]")
    (tmp_path / "b.yml").write_text("")
    (tmp_path / "c.yaml").write_text("rules: [{nam: c, match: {}}]")
    with pytest.raises(ConfigErrors) as caught:
        load([tmp_path])
    assert [Path(error.path).name for error in caught.value] == ["a.yaml", "a.yaml", "b.yml", "c.yaml", "c.yaml"]
    assert str(caught.value).count("\n") == 4


@pytest.mark.parametrize("text", [WHOLE.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + WHOLE.encode()])
def test_windows_line_ends_and_a_byte_order_mark_are_fine(rules_of: Load, text: bytes) -> None:
    assert rules_of(text).rules[0].name == "image-pull-failure"


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("20-b.yaml", "10-a.yml", "notes.txt", ".hidden.yaml"):
        (tmp_path / name).write_text(f"rules: [{{name: r-{name}, match: {{alerts: [{name[:2]}A]}}}}]")
    assert [rule.name for rule in load([tmp_path]).rules] == ["r-10-a.yml", "r-20-b.yaml"]


def test_a_mounted_config_map_is_read_once_through_its_links(tmp_path: Path) -> None:
    version = tmp_path / "..2026_11_23"
    version.mkdir()
    (version / "rules.yaml").write_text(WHOLE)
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / "rules.yaml").symlink_to("..data/rules.yaml")
    assert len(load([tmp_path]).rules) == 1


def test_a_link_out_of_the_directory_is_refused_unread(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret")
    home = tmp_path / "rules"
    home.mkdir()
    (home / "rules.yaml").symlink_to(secret)
    with pytest.raises(ConfigErrors, match="leads out of its directory") as caught:
        load([home])
    assert "s3cret" not in str(caught.value)


def test_a_broken_link_and_a_pipe_are_errors_and_do_not_block(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone.yaml")
    os.mkfifo(tmp_path / "b.yaml")
    with pytest.raises(ConfigErrors) as caught:
        load([tmp_path])
    assert {Path(error.path).name: error.problem for error in caught.value} == {
        "a.yaml": "cannot be read: No such file or directory",
        "b.yaml": "is no regular file",
    }


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_path_without_rules_is_an_error(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "rules")
    with pytest.raises(ConfigErrors):
        load([tmp_path / "rules"])


def test_the_digest_moves_with_any_byte_of_any_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(WHOLE)
    before = load([tmp_path]).digest
    file.write_text(WHOLE + "# a comment\n")
    assert load([tmp_path]).digest != before


def test_ten_thousand_rules_fit_into_one_file(rules_of: Load) -> None:
    lines = [f"- {{name: r{n}, match: {{alerts: [A{n}], matchers: ['team=\"t{n}\"']}}}}" for n in range(10_000)]
    assert len(rules_of("rules:\n" + "\n".join(lines)).rules) == 10_000


def test_hostile_templates_in_text_stay_text(rules_of: Load) -> None:
    (rule,) = rules_of("""\
        rules: [{name: one, match: {alerts: ['{{ .Values.x }}', '%s', '{0.__class__}']}}]
    """).rules
    assert rule.match.alerts == ("{{ .Values.x }}", "%s", "{0.__class__}")


def test_a_file_that_cannot_be_read_does_not_hide_the_mistakes_of_the_next(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules: [{name: a, match: {}, mode: x}]")
    with pytest.raises(ConfigErrors) as caught:
        load([tmp_path / "absent.yaml", bad])
    assert [Path(error.path).name for error in caught.value] == ["absent.yaml", "bad.yaml"]
