"""A change of the brakes before it is made: what it is, what it would do, and whom it touches. Pure.

`Wish` is what the operator asks for; `mode_change` says what that means for the settings as they stand, so that it can
be said anew when somebody else has changed them meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

from console.lines.formatting import Line, Span, Tone, flat, line, wrap
from responder.domain.audit import AuditRecord
from responder.domain.health import scope_told
from responder.domain.mode import ModeSettings
from responder.domain.refs import is_namespace_name
from responder.domain.rule import Mode
from responder.domain.views import RuleView

_LABEL = 14
_NOTHING = "-"
"""Typed for no ceiling."""


@dataclass(frozen=True)
class KillSwitch:
    on: bool


@dataclass(frozen=True)
class Ceiling:
    mode: Mode


@dataclass(frozen=True)
class NamespaceCeiling:
    namespace: str
    mode: Mode | None
    """None: without one."""


@dataclass(frozen=True)
class ResetBreakers:
    pass


Wish: TypeAlias = KillSwitch | Ceiling | NamespaceCeiling | ResetBreakers


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the API said: the brakes, and what they hold."""

    mode: ModeSettings
    limit: Mode = Mode.AUTONOMOUS
    """From the configuration."""
    states: Mapping[str, int] = field(default_factory=dict)
    """State -> number of incidents in it; empty where that is not known."""
    rules: tuple[RuleView, ...] = ()
    records: tuple[AuditRecord, ...] = ()
    """Changes of the brakes, newest first."""


@dataclass(frozen=True, kw_only=True)
class ModeChange:
    """A wish, worked out on settings."""

    wish: Wish
    title: str
    word: str
    """Names the change; typed to confirm it."""
    body: Mapping[str, object]
    """Of PUT /api/v1/mode, without the reason."""
    before: ModeSettings
    after: ModeSettings

    @property
    def changes_nothing(self) -> bool:
        return self.before.fingerprint == self.after.fingerprint

    @property
    def raises(self) -> bool:
        """One brake holds less afterwards, be it that another one still holds as much."""
        was, becomes = self.before, self.after
        free = Mode.AUTONOMOUS
        return (
            (was.kill_switch and not becomes.kill_switch)
            or becomes.ceiling.rank > was.ceiling.rank
            or any(becomes.namespaces.get(name, free).rank > mode.rank for name, mode in was.namespaces.items())
            or not set(was.breakers) <= set(becomes.breakers)
        )

    @property
    def is_urgent(self) -> bool:
        """Nothing stands between the word and the deed: no reason has to be given, and no look at who else was here."""
        return self.wish == KillSwitch(on=True)


def mode_change(wish: Wish, mode: ModeSettings) -> ModeChange:
    body: Mapping[str, object]
    match wish:
        case KillSwitch(on=on):
            after = replace(mode, kill_switch=on)
            title = "pull the kill switch" if on else "release the kill switch"
            word, body = ("kill" if on else "release"), {"kill_switch": on}
        case Ceiling(mode=highest):
            after = replace(mode, ceiling=highest)
            title, word, body = f"ceiling of the process: {highest}", highest.value, {"ceiling": highest.value}
        case NamespaceCeiling(namespace=namespace, mode=wanted):
            ceilings = {name: each for name, each in mode.namespaces.items() if name != namespace}
            ceilings |= {namespace: wanted} if wanted else {}
            after = replace(mode, namespaces=ceilings)
            title, word = f"ceiling of namespace {namespace}: {wanted or 'none'}", namespace
            body = {"namespaces": {name: each.value for name, each in ceilings.items()}}
        case ResetBreakers():
            after = replace(mode, breakers={})
            title, word, body = "reset the breakers", "reset", {"reset_breakers": True}
        case _:
            assert_never(wish)
    return ModeChange(wish=wish, title=title, word=word, body=body, before=mode, after=after)


def ceiling_typed(typed: str) -> Ceiling:
    """Raises ValueError, with a sentence for the operator."""
    return Ceiling(_mode(typed.strip()))


def namespace_typed(typed: str) -> NamespaceCeiling:
    """`shop report`, or `shop -` for no ceiling. Raises ValueError, with a sentence for the operator."""
    namespace, _, wanted = " ".join(typed.split()).partition(" ")
    if not is_namespace_name(namespace):
        raise ValueError(f"{namespace!r} is no name of a namespace")
    if not wanted:
        raise ValueError(f"say which: {namespace} report, {namespace} dry-run, or {namespace} {_NOTHING} for none")
    return NamespaceCeiling(namespace, None if wanted == _NOTHING else _mode(wanted))


def _mode(typed: str) -> Mode:
    found = [mode for mode in Mode if typed and mode.value.startswith(typed.lower())]
    if not found:
        raise ValueError(f"{typed!r} is no mode; there are {', '.join(Mode)}")
    return found[0]


def tell_change(asked: ModeChange, known: Known, *, width: int) -> tuple[Line, ...]:
    """Before and after, and how many rules and incidents it touches."""
    lines = [
        Line((Span(f"{flat(label):<{_LABEL}}", Tone.DIM), Span(f"{flat(was)} → "), Span(flat(becomes), Tone.STRONG)))
        for label, was, becomes in differences(asked.before, asked.after)
    ]
    if asked.changes_nothing:
        lines.append(line("it is so already: nothing changes"))
    for told in _touched(asked, known):
        lines += [line(piece) for piece in wrap(told, width)]
    if asked.raises:
        lines.append(line("this RAISES what may be done without a human", Tone.WAITS))
    return tuple(lines)


def differences(was: ModeSettings, becomes: ModeSettings) -> Iterator[tuple[str, str, str]]:
    """What, before, after; of each brake that is not the same."""
    if was.kill_switch != becomes.kill_switch:
        yield "kill switch", _switch(was), _switch(becomes)
    if was.ceiling is not becomes.ceiling:
        yield "ceiling", was.ceiling, becomes.ceiling
    for name in sorted({*was.namespaces, *becomes.namespaces}):
        before, after = was.namespaces.get(name), becomes.namespaces.get(name)
        if before is not after:
            yield name, before or "no ceiling", after or "no ceiling"
    for scope in sorted(set(was.breakers) - set(becomes.breakers)):
        yield "breaker", f"{scope_told(scope)}: open", "closed"


def _switch(mode: ModeSettings) -> str:
    return "ON" if mode.kill_switch else "off"


def _touched(asked: ModeChange, known: Known) -> Iterator[str]:
    """Sentences about what follows."""
    match asked.wish:
        case KillSwitch(on=True):
            yield "no new write starts: a plan that is approved now is refused, and its incident escalated"
            yield "undoing waits; what is in flight is still verified"
            yield _incidents(known, "executing", "rolling_back", "awaiting_approval")
        case KillSwitch():
            yield "writes start again: rules act as far as they may, and undoing that waited is carried out"
            yield _incidents(known, "executing", "rolling_back", "awaiting_approval")
        case Ceiling():
            yield from _rules(asked, known, namespace="")
        case NamespaceCeiling(namespace=namespace):
            yield from _rules(asked, known, namespace=namespace)
            yield "incidents that are open keep their plans; what comes next is judged by the new ceiling"
        case ResetBreakers():
            yield "autonomous mode comes back where the breakers had lowered it; older verdicts do not open them again"
            yield from _rules(asked, known, namespace=next(iter(sorted(asked.before.breakers)), ""))
        case _:
            assert_never(asked.wish)


def _incidents(known: Known, *states: str) -> str:
    if not known.states:
        return "how many incidents that touches is not known"
    return "incidents now: " + ", ".join(f"{known.states.get(state, 0)} {state.replace('_', ' ')}" for state in states)


def _rules(asked: ModeChange, known: Known, *, namespace: str) -> Iterator[str]:
    moves: Counter[tuple[Mode, Mode]] = Counter()
    for rule in known.rules:
        mode = Mode(rule.mode)
        was = asked.before.effective(mode, namespace).lowered_to(known.limit)
        becomes = asked.after.effective(mode, namespace).lowered_to(known.limit)
        if was is not becomes:
            moves[was, becomes] += 1
    where = f" in {scope_told(namespace)}" if namespace else ""
    told = ", ".join(f"{count} {was} → {becomes}" for (was, becomes), count in sorted(moves.items()))
    yield f"rules that change{where}: {told or 'none'} (of {len(known.rules)})"
