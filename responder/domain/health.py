"""What is wrong with a responder, read off its status: the console and the command line judge alike. Pure.

What a human has set on purpose, such as the kill switch, is no trouble; `brakes` tells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode
from responder.domain.views import Status, WatchView

LIVE = "live"
CLOSED = "closed"
EVERYWHERE = "*"
"""Scope of a breaker that holds in all namespaces."""


def troubles(status: Status) -> tuple[str, ...]:
    """Sentences, the worst first; empty where all is well."""
    return tuple(_troubles(status))


def _troubles(status: Status) -> Iterator[str]:
    yield from (f"not ready: {reason}" for reason in status.not_ready)
    yield from _of_store(status)
    for scope, why in sorted(status.mode.breakers.items()):
        yield f"breaker open for {scope_told(scope)}: {why}"
    for backend in status.backends:
        if backend.breaker != CLOSED:
            yield f"{backend.name} is left alone ({backend.breaker}): {backend.problem or 'it refused'}"
    for budget in status.budgets:
        if budget.used >= budget.limit:
            yield f"budget {budget.name} is used up: {budget.used:,.10g} of {budget.limit:,.10g} {budget.unit}"
    dark = silent_watches(status)
    if dark:
        yield f"{len(dark)} of {len(status.watches.watches)} watches are not live: trouble there goes unseen"
    for why, fields in _by_reason(status.unknown).items():
        yield f"not known: {', '.join(fields)}: {why}"


def _of_store(status: Status) -> Iterator[str]:
    store = status.store
    if store.problem and not any(store.problem in reason for reason in status.not_ready):
        yield f"store: {store.problem}"
    if store.quarantined:
        yield f"store: a damaged database was put aside at the start, see {store.quarantined}"


def silent_watches(status: Status) -> tuple[WatchView, ...]:
    """Those that are not live and should be."""
    return tuple(watch for watch in status.watches.watches if watch.state != LIVE and not watch.optional)


def brakes(mode: ModeSettings, limit: Mode = Mode.AUTONOMOUS) -> str:
    """What people have set to hold rules back, in a few words; '' where nothing does. The strongest first."""
    ceiling = mode.ceiling.lowered_to(limit)
    told = []
    if mode.kill_switch:
        told.append("KILL SWITCH ON")
    if ceiling is not Mode.AUTONOMOUS:
        told.append(f"ceiling {ceiling}")
    lowered = [name for name, highest in mode.namespaces.items() if highest.lowered_to(ceiling) is not ceiling]
    if lowered:
        told.append(f"{len(lowered)} {'namespace' if len(lowered) == 1 else 'namespaces'} lowered")
    if mode.breakers:
        told.append("breaker open")
    return ", ".join(told)


def scope_told(scope: str) -> str:
    return "every namespace" if scope == EVERYWHERE else scope


def _by_reason(unknown: Mapping[str, str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in unknown.items():
        found.setdefault(why, []).append(name)
    return found
