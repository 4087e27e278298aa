"""What is wrong with rules that are each well written: two of one name, one that can never match, a protected target.

Shadowing is judged conservatively: a rule is called dead only when earlier rules provably take every alert it could
match. What the judgement rests on: an earlier rule without `exclude` takes an alert name and source when each of its
matchers is implied by one of the later rule's. Overlaps that only two expressions together make are not looked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from responder.domain.alert import AlertSource
from responder.domain.errors import ConfigError
from responder.domain.rule import Matcher, MatchOp, Mode, Rule
from responder.rules import matchers

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
"""Never changed, whatever a rule says."""

_ANY = "*"
"""Stands for a rule that takes every alert name. No alert bears it: `*` is not a metric name."""


def conflicts(rules: Sequence[Rule]) -> Iterator[ConfigError]:
    """Every problem between rules, and of each with what is never allowed, in the order of the rules."""
    named: dict[str, Rule] = {}
    earlier = _Earlier()
    for rule in rules:
        if rule.name in named:
            first = named[rule.name]
            yield _error(rule, "name", f"the name is taken by the rule at {first.file}:{first.line}")
        elif rule.name:
            named[rule.name] = rule
        yield from _protected(rule)
        if contradiction := _contradiction(rule.match.matchers):
            yield _error(rule, "match.matchers", f"can never match: {contradiction}")
        elif owners := earlier.covering(rule):
            names = ", ".join(f"{owner.name} ({owner.file}:{owner.line})" for owner in owners)
            yield _error(rule, "match", f"can never match: {names} before it takes all of its alerts")
        earlier.add(rule)


def _error(rule: Rule, key: str, problem: str) -> ConfigError:
    return ConfigError(path=rule.file, line=rule.line, column=1, key=f"{rule.name}.{key}", problem=problem)


def _protected(rule: Rule) -> Iterator[ConfigError]:
    if rule.mode is not Mode.AUTONOMOUS:
        return
    for matcher in rule.match.matchers:
        if matcher.label == "namespace" and matcher.op is MatchOp.EQUAL and matcher.value in SYSTEM_NAMESPACES:
            yield _error(rule, "match.matchers", f"{matcher.value} is protected: the rule cannot be autonomous")


def _contradiction(all_of: Iterable[Matcher]) -> str:
    """Why no labels can satisfy all of them, where a matcher by `=` shows it; else ''."""
    fixed: dict[str, Matcher] = {}
    listed = tuple(all_of)
    for matcher in listed:
        if matcher.op is MatchOp.EQUAL:
            fixed.setdefault(matcher.label, matcher)
    for matcher in listed:
        wanted = fixed.get(matcher.label)
        if wanted is not None and not matchers.test_of(matcher)(wanted.value):
            return f"{wanted} and {matcher} exclude each other"
    return ""


class _Earlier:
    """The rules so far, found by an alert name and one matcher, so that 10,000 rules are not compared pair by pair."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, tuple[str, str]], list[Rule]] = defaultdict(list)

    def add(self, rule: Rule) -> None:
        if rule.exclude is not None:
            return
        handle = _handle(rule.match.matchers[0]) if rule.match.matchers else ("", "")
        for name in rule.match.alerts or (_ANY,):
            self._rules[name, handle].append(rule)

    def covering(self, rule: Rule) -> tuple[Rule, ...]:
        """Earlier rules that together take whatever `rule` could match; empty when something is left for it."""
        owners: dict[str, Rule] = {}
        for name in rule.match.alerts or (_ANY,):
            candidates = tuple(self._candidates(name, rule))
            for source in rule.match.sources or tuple(AlertSource):
                owner = next((one for one in candidates if _takes(one, source, rule)), None)
                if owner is None:
                    return ()
                owners.setdefault(owner.name, owner)
        return tuple(owners.values())

    def _candidates(self, name: str, rule: Rule) -> Iterator[Rule]:
        handles = {("", "")}
        for matcher in rule.match.matchers:
            handles.add(_handle(matcher))
            handles.add((matcher.label, ""))
        for handle in sorted(handles):
            for key in sorted({name, _ANY}):
                yield from self._rules.get((key, handle), ())


def _handle(matcher: Matcher) -> tuple[str, str]:
    """What a later rule must have for `matcher` to be implied: the same value, or for expressions the same label."""
    return (matcher.label, matcher.value) if matcher.op is MatchOp.EQUAL else (matcher.label, "")


def _takes(owner: Rule, source: str, rule: Rule) -> bool:
    if owner.match.sources and source not in owner.match.sources:
        return False
    return all(_implied(matcher, rule.match.matchers) for matcher in owner.match.matchers)


def _implied(matcher: Matcher, given: Iterable[Matcher]) -> bool:
    """True when labels that satisfy `given` must satisfy `matcher`."""
    return any(
        other == matcher
        or (other.label == matcher.label and other.op is MatchOp.EQUAL and matchers.test_of(matcher)(other.value))
        for other in given
    )
