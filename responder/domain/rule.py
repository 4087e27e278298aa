"""Rules as values: what the YAML says once `responder.rules.loader` has read it; `matcher` applies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """How far Clopus may go by itself. Ordered: `allows` compares."""

    REPORT = "report"
    DRY_RUN = "dry-run"
    AUTONOMOUS = "autonomous"

    @property
    def rank(self) -> int:
        return _MODE_RANK[self]

    def lowered_to(self, ceiling: Mode) -> Mode:
        """The lower of the two: a ceiling never raises."""
        return self if self.rank <= ceiling.rank else ceiling


_MODE_RANK = {Mode.REPORT: 0, Mode.DRY_RUN: 1, Mode.AUTONOMOUS: 2}


class Risk(StrEnum):
    """What can go wrong when the action itself is wrong; set by code per action."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return _RISK_RANK[self]


_RISK_RANK = {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 2}


class MatchOp(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """One Alertmanager matcher. Regular expressions are RE2, anchored at both ends; an absent label is ''.

    https://prometheus.io/docs/alerting/latest/configuration/#matcher
    """

    label: str
    op: MatchOp
    value: str

    def __str__(self) -> str:
        return f'{self.label}{self.op}"{self.value}"'


@dataclass(frozen=True, kw_only=True)
class Match:
    alerts: tuple[str, ...] = ()
    """Exact alert names; empty means every name."""
    matchers: tuple[Matcher, ...] = ()
    sources: tuple[str, ...] = ()
    """Values of `AlertSource`; empty means every source."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most `count` in any `seconds`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds:g}s"


@dataclass(frozen=True, kw_only=True)
class Budget:
    per_workload: Rate = Rate(count=1, seconds=1800.0)
    per_namespace: Rate = Rate(count=3, seconds=3600.0)
    per_cluster: Rate = Rate(count=10, seconds=3600.0)
    concurrent: int = 1
    """Changes of this rule that may be in flight at once; per workload it is always 1."""


@dataclass(frozen=True, kw_only=True)
class ApprovalPolicy:
    approvers: int = 1
    """Distinct humans needed."""
    expires_seconds: float = 900.0


@dataclass(frozen=True, kw_only=True)
class VerifyPolicy:
    settle_seconds: float = 30.0
    """Wait before the first look, and how long the good state must then hold without a break (soak)."""
    within_seconds: float = 300.0
    """After this, counted from the write, what has not been verified is not verified."""
    alert_resolved: bool = False
    """Also wait until every alert of the incident has resolved."""
    rollback: bool = True
    """Roll back by itself when the verification does not pass."""


@dataclass(frozen=True, kw_only=True)
class RuleTest:
    """One case of `clopus rules test`."""

    alert: Mapping[str, str]
    """Labels."""
    source: str = "alertmanager"
    expect_mode: str | None = None
    expect_rule: str | None = None
    """Name of the rule that must win; the empty string: none may."""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. Everything not said is the cautious default: report mode, no action."""

    name: str
    match: Match = field(default_factory=Match)
    exclude: Match | None = None
    mode: Mode = Mode.REPORT
    actions: tuple[str, ...] = ()
    """Kinds of `Action` (their tag) that autonomous mode may take. Empty: all may be proposed, none taken alone."""
    images: tuple[str, ...] = ()
    """Globs of full image references that `set_image` may use without having been seen healthy."""
    max_risk: Risk = Risk.LOW
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    budget: Budget = field(default_factory=Budget)
    analyzers: tuple[str, ...] = ("heuristic",)
    deadline_seconds: float = 300.0
    verify: VerifyPolicy = field(default_factory=VerifyPolicy)
    notify: tuple[str, ...] = ()
    tests: tuple[RuleTest, ...] = ()
    file: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """All rules in order of precedence, with the hash that every record names."""

    rules: tuple[Rule, ...]
    digest: str
    """SHA-256 over the files' bytes in order, hex."""
