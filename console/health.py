"""How the responder itself is, as lines: what is wrong first, then every number with its words. Pure.

What counts as wrong is decided in `responder.domain.health`. Lengths of bars and tones only repeat what is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from rich.cells import cell_len

from console.lines import grid
from console.lines.formatting import Line, Span, Tone, age, count, flat, labelled, line, moment, state_tone, wrap
from console.lines.grid import Cell, Column
from responder.domain.health import CLOSED, LIVE, brakes, scope_told, silent_watches, troubles
from responder.domain.incident import State
from responder.domain.views import BackendStatus, BudgetStatus, Status, StoreStatus, WatchView

_LABEL = 11
_row = partial(labelled, cells=_LABEL)
_BAR = 20
_NEARLY = 0.8
"""Of a budget: from here on it is worth a word."""

_BUDGETS = {
    "writes_cluster_hour": "writes, cluster, 1 h",
    "money_hour": "models, money, 1 h",
    "money_day": "models, money, 24 h",
    "tokens_day": "models, tokens, 24 h",
}
_BUDGET_NAME = max(map(len, _BUDGETS.values()))

_WATCH_COLUMNS = (
    Column(title="KIND", weight=5),
    Column(title="NAMESPACE", weight=3),
    Column(title="STATE", width=9),
    Column(title="OBJECTS", width=7, right=True, from_columns=70),
    Column(title="EVENT", width=5, right=True, from_columns=70),
    Column(title="PROBLEM", weight=3),
)


def tell(status: Status, *, width: int, now: datetime) -> tuple[Line, ...]:
    """Everything but the watches."""
    return tuple(_tell(status, width, now))


def tell_watches(status: Status, *, width: int, silent_only: bool = False) -> tuple[Line, ...]:
    """Those that should be live and are not come first, each with its problem."""
    return tuple(_watches(status, width, silent_only=silent_only))


def verdict(status: Status) -> tuple[str, bool]:
    """One line, and whether something is wrong."""
    wrong = len(troubles(status))
    if status.not_ready:
        return f"NOT READY: no alert is taken; {count(wrong, 'thing')} wrong", True
    if wrong:
        return f"ready, but {count(wrong, 'thing')} wrong", True
    return "ready, nothing wrong known", False


def _tell(status: Status, width: int, now: datetime) -> Iterator[Line]:
    text, bad = verdict(status)
    yield line(text, Tone.BAD if bad else Tone.GOOD)
    for trouble in troubles(status):
        first, *rest = wrap(trouble, width - 2)
        yield Line((Span("! ", Tone.BAD), Span(first)))
        yield from (Line((Span("  "), Span(piece))) for piece in rest)
    yield from _row("brakes", _brakes(status), width, Tone.WAITS if _held(status) else Tone.PLAIN)
    yield from _row("queue", _queue(status), width)
    yield from _row("alerts", _alerts(status), width, Tone.WAITS if status.quarantined_alerts else Tone.PLAIN)
    yield from _incidents(status, width)
    yield from _row("store", _store(status.store), width)
    if status.store.path:
        yield from _row("", status.store.path, width, Tone.DIM)
    yield from _row("responder", _responder(status, now), width)
    yield from _row("leader", status.leader, width)
    yield from _budgets(status)
    yield from _models(status, width)
    yield from _breakers(status, width)


def _held(status: Status) -> str:
    return brakes(status.mode, status.mode_limit)


def _brakes(status: Status) -> str:
    held = _held(status)
    if not held:
        return "none: rules act as they say"
    by = f"  ·  by {status.mode.set_by}" if status.mode.set_by else ""
    return f"{held}{by}{f': {status.mode.reason}' if status.mode.reason else ''}"


def _queue(status: Status) -> str:
    busy = f"{status.working} of {status.workers} workers busy"
    return f"{status.queued} waiting  ·  {busy}  ·  {status.timed} timed for later"


def _alerts(status: Status) -> str:
    return f"{_known(status.pending_alerts)} pending  ·  {_known(status.quarantined_alerts)} quarantined"


def _incidents(status: Status, width: int) -> Iterator[Line]:
    """As many states on a line as fit."""
    label = Span(f"{'incidents':<{_LABEL}}", Tone.DIM)
    unknown = "states" in status.unknown and not status.states
    spans = [label]
    for state, number in status.states.items():
        told = (Span(f"{number} "), Span(flat(state).replace("_", " "), _tone_of(state)), Span("  "))
        if not number:
            continue
        if len(spans) > 1 and cell_len(Line((*spans, *told)).text.rstrip()) > width:
            yield Line(tuple(spans))
            spans = [Span(" " * _LABEL)]
        spans += told
    if len(spans) == 1:
        spans.append(Span("not known", Tone.BAD) if unknown else Span("none"))
    yield Line(tuple(spans))


def _tone_of(state: str) -> Tone:
    """A newer server may know other states."""
    return state_tone(State(state)) if state in set(State) else Tone.PLAIN


def _store(store: StoreStatus) -> str:
    if not store.path:
        size = "in memory"
    elif store.bytes is None:
        size = "size not known"
    else:
        size = f"{store.bytes / 2**20:,.1f} MiB"
    return f"{size}  ·  {store.commits:,} commits  ·  {count(store.waiting, 'job')} waiting"


def _responder(status: Status, now: datetime) -> str:
    up = age((now - status.started_at).total_seconds())
    streams = f"{count(status.streams, 'stream')} open"
    return f"{status.version}  ·  up {up}, since {moment(status.started_at)}  ·  {streams}"


def _budgets(status: Status) -> Iterator[Line]:
    yield Line()
    yield line("BUDGETS", Tone.SECTION)
    if "budgets" in status.unknown:
        yield line("not known", Tone.BAD)
    for budget in status.budgets:
        yield _budget(budget)


def _budget(budget: BudgetStatus) -> Line:
    share = budget.used / budget.limit if budget.limit else 1.0
    tone, word = _spent(share)
    filled = round(_BAR * min(max(share, 0.0), 1.0))
    bar = "█" * filled + "░" * (_BAR - filled)
    name = flat(_BUDGETS.get(budget.name, budget.name))
    numbers = f"{_amount(budget.used, budget.unit)} of {_amount(budget.limit, budget.unit)} {flat(budget.unit)}"
    return Line(
        (Span(f"{name:<{_BUDGET_NAME}} "), Span(bar, tone), Span(f" {share:>4.0%} "), Span(numbers + word, tone))
    )


def _spent(share: float) -> tuple[Tone, str]:
    if share >= 1:
        return Tone.BAD, ", used up"
    return (Tone.WAITS, ", nearly used up") if share >= _NEARLY else (Tone.PLAIN, "")


def _amount(value: float, unit: str) -> str:
    return f"{value:,.2f}" if unit == "USD" else f"{value:,.0f}"


def _models(status: Status, width: int) -> Iterator[Line]:
    yield Line()
    yield line("MODELS", Tone.SECTION)
    if not status.backends:
        yield line("none is set up: the detectors alone investigate", Tone.DIM)
    for backend in status.backends:
        yield from _hanging(_backend(backend), width, Tone.PLAIN if backend.breaker == CLOSED else Tone.BAD)


def _backend(backend: BackendStatus) -> str:
    refused = f", refused last: {backend.problem}" if backend.problem else ""
    return f"{backend.name} {backend.model}  ·  breaker {backend.breaker}{refused}"


def _breakers(status: Status, width: int) -> Iterator[Line]:
    yield Line()
    yield line("BREAKERS", Tone.SECTION)
    if not status.mode.breakers:
        yield line("none is open", Tone.DIM)
    for scope, why in sorted(status.mode.breakers.items()):
        yield from _hanging(f"{scope_told(scope)}: open, {why}", width, Tone.BAD)


def _watches(status: Status, width: int, *, silent_only: bool) -> Iterator[Line]:
    watches, silent = status.watches.watches, silent_watches(status)
    if not status.watches.enabled:
        yield line("WATCHES", Tone.SECTION)
        yield line("nothing is watched: watch.enabled is false", Tone.DIM)
        return
    live = sum(watch.state == LIVE for watch in watches)
    yield line(f"WATCHES  {live} of {len(watches)} live, {len(silent)} silent that should not be", Tone.SECTION)
    shown_ones = silent if silent_only else _troubled_first(watches)
    if shown_ones:
        yield grid.header(_WATCH_COLUMNS, width)
    for watch in shown_ones:
        yield _watch(watch, width)
        if watch in silent:
            yield from _hanging(watch.problem, width, Tone.BAD, indent=4)


def _troubled_first(watches: Iterable[WatchView]) -> list[WatchView]:
    return sorted(watches, key=lambda watch: (watch.state == LIVE, watch.optional, watch.kind, watch.namespace))


def _watch(watch: WatchView, width: int) -> Line:
    tone = Tone.GOOD if watch.state == LIVE else Tone.DIM if watch.optional else Tone.BAD
    problem = f"optional; {watch.problem}" if watch.optional and watch.problem else ""
    seconds = watch.last_event_seconds
    cells = (
        watch.kind,
        watch.namespace or "(all)",
        Cell(watch.state, tone),
        f"{watch.objects:,}",
        "-" if seconds is None else age(seconds),
        Cell(problem, Tone.DIM),
    )
    return grid.row(_WATCH_COLUMNS, cells, width)


def _hanging(text: str, width: int, tone: Tone, *, indent: int = 2) -> Iterator[Line]:
    if not text:
        return
    for number, piece in enumerate(wrap(text, width - indent - 2)):
        yield Line((Span(" " * (indent + (2 if number else 0))), Span(piece, tone)))


def _known(number: int | None) -> str:
    return "an unknown number" if number is None else f"{number:,}"
