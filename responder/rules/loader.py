"""Rule files to a `RuleSet`. Every mistake of every file is found in one go, with file, line, column and key.

What a rule may say is decided here, key by key; whether the rules make sense together is `check`'s. A set with one
mistake is no set: the caller keeps the one it has. Files are read in the order of the given paths, those of a directory
by name, and the first rule that matches wins.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from responder.document import Node, Problems, Table, parse, read
from responder.domain.action import ACTION_KINDS
from responder.domain.alert import AlertSource
from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.rule import (
    ApprovalPolicy,
    Budget,
    Match,
    Matcher,
    Mode,
    Risk,
    Rule,
    RuleSet,
    RuleTest,
    VerifyPolicy,
)
from responder.rules import check, matchers
from responder.rules.fields import (
    Fields,
    Unreadable,
    duration,
    member_of,
    name_like,
    one_of,
    rate,
    text,
    truth,
    whole,
)

ANALYZERS = ("heuristic", "claude", "openai_compatible", "drill")
SOURCES = tuple(AlertSource)
SUFFIXES = (".yaml", ".yml")

_RULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_GLOB_ONLY = re.compile(r"[*?\[\]!/:@.]*")
_MODES = tuple(Mode)


@dataclass(frozen=True, kw_only=True)
class RuleFile:
    path: str
    raw: bytes


def load(paths: Sequence[Path]) -> RuleSet:
    """Read every rule file under `paths`, each a file or a directory of `*.yaml` and `*.yml`.

    Raises:
        ConfigErrors: whatever is wrong, all of it.
    """
    errors: list[ConfigError] = []
    files = tuple(_read_files(paths, errors))
    rules: list[Rule] = []
    for file in files:
        problems = Problems(file.path)
        rules.extend(read_rules(file, problems))
        errors.extend(problems.found)
    errors.extend(check.conflicts(rules))
    if errors:
        raise ConfigErrors(errors)
    return RuleSet(rules=tuple(rules), digest=_digest(files))


def read_rules(file: RuleFile, problems: Problems) -> tuple[Rule, ...]:
    """The sound rules of one file. One with a problem is left out, so that its stand-ins clash with nothing."""
    root = parse(file.raw, problems)
    if root is None:
        return ()
    if not isinstance(root, Table):
        problems.add(f"must be a mapping with the key rules, not {root.described}", line=root.line, column=root.column)
        return ()
    fields = Fields(root, key="", problems=problems)
    if not fields.has("rules"):
        fields.problem("rules is missing")
    rules = fields.sections("rules", lambda rule: _rule(rule, file.path))
    fields.close()
    return rules


def _read_files(paths: Sequence[Path], errors: list[ConfigError]) -> Iterator[RuleFile]:
    if not paths:
        errors.append(ConfigError(path="rules", problem="no path is given"))
    for path in paths:
        for file in _listed(path, errors):
            try:
                yield RuleFile(path=str(file), raw=read(file))
            except OSError as exc:
                errors.append(ConfigError(path=file, problem=f"cannot be read: {exc.strerror}"))


def _listed(path: Path, errors: list[ConfigError]) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    home = path.resolve()
    files = []
    for entry in sorted(path.iterdir(), key=lambda item: item.name):
        # A mounted ConfigMap is a directory of links into a hidden one: hidden entries are skipped, links followed.
        if entry.name.startswith(".") or entry.suffix not in SUFFIXES or entry.is_dir():
            continue
        if not entry.resolve().is_relative_to(home):
            errors.append(ConfigError(path=entry, problem="is a link that leads out of its directory"))
        elif entry.exists() and not entry.is_file():
            errors.append(ConfigError(path=entry, problem="is no regular file"))
        else:
            files.append(entry)
    if not files and not errors:
        errors.append(ConfigError(path=path, problem="the directory has no *.yaml or *.yml file"))
    return tuple(files)


def _digest(files: Sequence[RuleFile]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.raw)
    return digest.hexdigest()


def _rule(fields: Fields, path: str) -> Rule:
    rule = Rule(
        name=fields.require("name", _rule_name, ""),
        match=_match_of(fields),
        exclude=_exclude_of(fields),
        mode=fields.get("mode", member_of("mode", Mode), Mode.REPORT),
        actions=fields.words("actions", "action", ACTION_KINDS),
        images=fields.items("images", _image_glob),
        max_risk=fields.get("max_risk", member_of("risk", Risk), Risk.LOW),
        approval=fields.section("approval", _approval, ApprovalPolicy()),
        budget=fields.section("budget", _budget, Budget()),
        analyzers=fields.words("analyzers", "analyzer", ANALYZERS) or Rule.analyzers,
        deadline_seconds=fields.get("deadline", duration(), Rule.deadline_seconds),
        verify=fields.section("verify", _verify, VerifyPolicy()),
        notify=fields.items("notify", name_like),
        tests=fields.sections("tests", _test),
        file=path,
        line=fields.table.line,
    )
    if rule.mode is Mode.AUTONOMOUS and not fields.has("actions"):
        fields.problem("autonomous needs actions: the list of what may be done without a human", "mode")
    return rule


def _match_of(fields: Fields) -> Match:
    if not fields.has("match"):
        fields.problem("match is missing; a rule for every alert says `match: {}`")
    return fields.section("match", _match, Match())


def _exclude_of(fields: Fields) -> Match | None:
    exclude: Match | None = fields.section("exclude", _match, None)
    if exclude == Match():
        fields.problem("excludes every alert: the rule could never match", "exclude")
        return None
    return exclude


def _match(fields: Fields) -> Match:
    return Match(
        alerts=fields.items("alerts", name_like),
        matchers=fields.items("matchers", _matcher),
        sources=fields.words("sources", "source", SOURCES),
    )


def _approval(fields: Fields) -> ApprovalPolicy:
    return ApprovalPolicy(
        approvers=fields.get("approvers", whole(at_least=1, at_most=10), ApprovalPolicy.approvers),
        expires_seconds=fields.get("expires", duration(), ApprovalPolicy.expires_seconds),
    )


def _budget(fields: Fields) -> Budget:
    return Budget(
        per_workload=fields.get("per_workload", rate, Budget.per_workload),
        per_namespace=fields.get("per_namespace", rate, Budget.per_namespace),
        per_cluster=fields.get("per_cluster", rate, Budget.per_cluster),
        concurrent=fields.get("concurrent", whole(at_least=1, at_most=100), Budget.concurrent),
    )


def _verify(fields: Fields) -> VerifyPolicy:
    policy = VerifyPolicy(
        settle_seconds=fields.get("settle", duration(zero=True), VerifyPolicy.settle_seconds),
        within_seconds=fields.get("within", duration(), VerifyPolicy.within_seconds),
        alert_resolved=fields.get("alert_resolved", truth, VerifyPolicy.alert_resolved),
        rollback=fields.get("rollback", truth, VerifyPolicy.rollback),
    )
    if policy.within_seconds < 2 * policy.settle_seconds:
        # The first look comes after `settle`, and what it sees must then hold for as long again.
        fields.problem("within must be at least twice settle, or no change could ever be verified", "within")
    return policy


def _test(fields: Fields) -> RuleTest:
    alert = fields.texts("alert")
    if not alert.get("alertname"):
        fields.problem("the alert of a test needs the label alertname")
    case = fields.section("expect", _expect, RuleTest(alert=alert))
    if case.expect_mode is None and case.expect_rule is None:
        fields.problem("expect needs a mode or a rule")
    return RuleTest(
        alert=alert,
        source=fields.get("source", one_of("source", SOURCES), RuleTest.source),
        expect_mode=case.expect_mode,
        expect_rule=case.expect_rule,
        line=fields.table.line,
    )


def _expect(fields: Fields) -> RuleTest:
    mode: str | None = fields.get("mode", one_of("mode", _MODES), None)
    rule: str | None = fields.get("rule", text, None)
    if rule == "" and mode is not None:
        fields.problem('rule: "" says that no rule may win; then there is no mode either', "mode")
    return RuleTest(alert={}, expect_mode=mode, expect_rule=rule)


def _rule_name(node: Node) -> str:
    value = name_like(node)
    if not _RULE_NAME.fullmatch(value):
        raise Unreadable("must be up to 100 letters, digits, dots, dashes and underscores")
    return value


def _matcher(node: Node) -> Matcher:
    try:
        return matchers.parse(text(node))
    except matchers.MatcherInvalid as exc:
        raise Unreadable(str(exc)) from exc


def _image_glob(node: Node) -> str:
    value = name_like(node)
    if _GLOB_ONLY.fullmatch(value):
        raise Unreadable(f"{value} admits every image; name a registry or repository")
    if any(char.isspace() for char in value):
        raise Unreadable("an image reference has no spaces")
    return value
