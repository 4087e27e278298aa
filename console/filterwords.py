"""The words of the filter language: keys, the values they know, and what Tab makes of a word that was begun. Pure.

States, outcomes, modes, severities and kinds are few and known, so a word of theirs may be begun only. Namespaces and
rules are names: whole, or with `*`. What they mean together is decided in `console.filters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from types import MappingProxyType
from typing import Self

from console.lines.formatting import SHORT_KINDS, flat
from responder.domain.incident import ACTIVE_STATES, IN_FLIGHT_STATES, Incident, Outcome, State
from responder.domain.rule import Mode

OVER_STATES = frozenset({State.RESOLVED, State.SUPPRESSED})
"""Nothing is wrong any more, or nobody wants to know of it."""

KEYS = ("ns", "state", "sev", "rule", "mode", "kind", "outcome", "age")
LONG_KEYS: Mapping[str, str] = MappingProxyType({"namespace": "ns", "severity": "sev"})

KEYS_SHOWN = "ns: state: sev: rule: mode: kind: outcome: age<1h age>2d"

_GROUPS = {
    "open": frozenset(State) - OVER_STATES,
    "new": frozenset({State.OPEN}),
    "active": ACTIVE_STATES,
    "busy": IN_FLIGHT_STATES | {State.INVESTIGATING},
    "closed": OVER_STATES,
}
"""`open` is everything that is not over, as people use the word; the state of this name alone is `new`."""

STATES: Mapping[str, frozenset[State]] = MappingProxyType(
    {**_GROUPS, **{state.value: frozenset({state}) for state in State if state is not State.OPEN}}
)
OUTCOMES: Mapping[str, frozenset[Outcome]] = MappingProxyType(
    {outcome.value or "none": frozenset({outcome}) for outcome in Outcome}
)
MODES = tuple(Mode)
SEVERITIES = ("critical", "error", "warning", "info")
KINDS: Mapping[str, str] = MappingProxyType({short: kind for kind, short in SHORT_KINDS.items()})

_MOST_SEEN = 500
"""Values of one key that are remembered for Tab."""
_MOST_CHOICES = 40


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Names that stood in the rows read so far: what Tab can know of them."""

    namespaces: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()

    def with_rows(self, rows: Iterable[Incident]) -> Self:
        rows = tuple(rows)
        return type(self)(
            namespaces=_added(self.namespaces, (row.namespace for row in rows)),
            rules=_added(self.rules, (row.rule for row in rows)),
            severities=_added(self.severities, (row.severity for row in rows)),
        )


def _added(known: frozenset[str], more: Iterable[str]) -> frozenset[str]:
    fresh = {word for word in more if word and _can_be_typed(word)}
    return known if fresh <= known or len(known) >= _MOST_SEEN else known | fresh


def _can_be_typed(word: str) -> bool:
    """Text of an alert may hold anything; only what stands for itself is offered."""
    return flat(word) == word and not set(word) & set(' ,"*?')


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The line after Tab."""

    typed: str
    cursor: int
    choices: tuple[str, ...] = field(default=())
    """What the word could become, where that is more than one."""


def complete(typed: str, cursor: int, seen: Seen) -> Completion:
    """Finish the word before the cursor as far as that is certain."""
    before, after = typed[:cursor], typed[cursor:]
    word = before[max(before.rfind(" "), before.rfind('"')) + 1 :]
    if before.count('"') % 2:
        return Completion(typed=typed, cursor=cursor)
    begun = word.lstrip("!-")
    key, colon, values = begun.partition(":")
    if colon:
        begun = values.rpartition(",")[2]
        ends = " "
        candidates = _values(LONG_KEYS.get(key, key), seen)
    else:
        ends = ""
        candidates = tuple(f"{name}<" if name == "age" else f"{name}:" for name in KEYS)
    found = sorted(name for name in candidates if name.lower().startswith(begun.lower()))
    if not found:
        return Completion(typed=typed, cursor=cursor)
    longer = found[0] + ends if len(found) == 1 else _common(found)
    if len(longer) < len(begun):
        longer = begun
    done = before[: len(before) - len(begun)] + longer
    choices = tuple(found[:_MOST_CHOICES]) if len(found) > 1 else ()
    return Completion(typed=done + after, cursor=len(done), choices=choices)


def _common(words: list[str]) -> str:
    """With what all of them begin; they are sorted, so the first and the last tell."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(words[0], words[-1], strict=False))
    return "".join(character for character, _ in same)


def _values(key: str, seen: Seen) -> tuple[str, ...]:
    match key:
        case "ns":
            return tuple(seen.namespaces)
        case "rule":
            return tuple(seen.rules)
        case "sev":
            return tuple({*SEVERITIES, *seen.severities})
        case "state":
            return tuple(STATES)
        case "outcome":
            return tuple(OUTCOMES)
        case "mode":
            return MODES
        case "kind":
            return tuple(KINDS)
        case _:
            return ()
