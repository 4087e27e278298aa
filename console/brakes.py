"""The brakes as lines: how they stand, what they leave of the rules, and who changed them when. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile

from console.lines.formatting import Line, Span, Tone, age, clock, labelled, line, moment, wrap
from console.modechange import Known, differences
from responder.domain.audit import AuditRecord
from responder.domain.health import scope_told
from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode

CHANGED, BREAKER_OPENED = "mode_changed", "breaker_opened"
"""Words of the audit chain."""
MOST_RECORDS = 20
"""Of each event, that are looked at for what was changed when."""
_row = partial(labelled, cells=14, label_tone=Tone.STRONG)


def tell(known: Known, *, width: int, now: datetime) -> tuple[Line, ...]:
    return tuple(_tell(known, width, now))


def _tell(known: Known, width: int, now: datetime) -> Iterator[Line]:
    mode = known.mode
    if mode.kill_switch:
        since = _pulled_since(known.records, now)
        yield from _row("KILL SWITCH", f"ON{since}: no write starts, whoever approved it", width, Tone.BAD)
    else:
        yield from _row("KILL SWITCH", "off: writes may start", width, Tone.GOOD)
    yield from _row("CEILING", _ceiling(known), width, _mode_tone(mode.ceiling.lowered_to(known.limit)))
    yield from _namespaces(mode, width)
    yield from _breakers(known, width, now)
    yield from _row("SET BY", _set_by(known, now), width)
    yield Line()
    yield line("WHAT IS LEFT OF THE RULES", Tone.SECTION)
    yield from _left(known, width)
    yield Line()
    yield line("LAST CHANGES", Tone.SECTION)
    yield from _history(known.records, width, now)


def _ceiling(known: Known) -> str:
    highest = known.mode.ceiling
    if highest.lowered_to(known.limit) is highest:
        return f"{highest}, of the whole process"
    return f"{known.limit}: the configuration allows no more, whatever is set here ({highest})"


def _mode_tone(mode: Mode) -> Tone:
    return Tone.PLAIN if mode is Mode.AUTONOMOUS else Tone.WAITS


def _namespaces(mode: ModeSettings, width: int) -> Iterator[Line]:
    if not mode.namespaces:
        yield from _row("NAMESPACES", "no ceiling of their own", width, Tone.DIM)
    for number, (name, highest) in enumerate(sorted(mode.namespaces.items())):
        yield from _row("" if number else "NAMESPACES", f"{name}: {highest}", width, _mode_tone(highest))


def _breakers(known: Known, width: int, now: datetime) -> Iterator[Line]:
    if not known.mode.breakers:
        yield from _row("BREAKERS", "none is open", width, Tone.DIM)
    for number, (scope, why) in enumerate(sorted(known.mode.breakers.items())):
        opened = [each.at for each in known.records if each.event == BREAKER_OPENED and each.subject == scope]
        since = f" since {_at(opened[0], now)}" if opened else ""
        told = f"{scope_told(scope)}: open{since}, autonomous is lowered to dry-run: {why}"
        yield from _row("" if number else "BREAKERS", told, width, Tone.BAD)


def _set_by(known: Known, now: datetime) -> str:
    if not known.mode.set_by:
        return "nobody yet: as configured"
    changes = [each.at for each in known.records if each.event == CHANGED]
    at = f", {_at(changes[0], now)}" if changes else ""
    return f"{known.mode.set_by}{at}: {known.mode.reason or 'no reason was given'}"


def _left(known: Known, width: int) -> Iterator[Line]:
    """Of the modes that rules name, where no namespace is lowered further."""
    counts = Counter(known.mode.effective(Mode(rule.mode), "").lowered_to(known.limit) for rule in known.rules)
    said = {
        Mode.AUTONOMOUS: "act by themselves where every check passes",
        Mode.DRY_RUN: "plan, and wait for a person",
        Mode.REPORT: "only report",
    }
    for mode, what in said.items():
        count = counts.get(mode, 0)
        yield from _row(f"{count:>4} {_rules_word(count)}", f"{what} ({mode})", width)


def _rules_word(count: int) -> str:
    return "rule" if count == 1 else "rules"


def _history(records: Sequence[AuditRecord], width: int, now: datetime) -> Iterator[Line]:
    if not records:
        yield line("none on record", Tone.DIM)
    changes = [record for record in records if record.event == CHANGED]
    complete = len(changes) < MOST_RECORDS  # else nobody knows what stood before the oldest
    for record in records if complete else records[: records.index(changes[-1])]:
        if record.event == BREAKER_OPENED:
            told = f"breaker opened for {scope_told(record.subject)}: {_text(record, 'reason')}"
        else:
            later = changes.index(record) + 1
            earlier = _settings(changes[later]) if later < len(changes) else ModeSettings()
            told = _change_told(earlier, record)
        first, *rest = wrap(told, width - 6)
        yield Line((Span(f"{age((now - record.at).total_seconds()):>4}  ", Tone.DIM), Span(first)))
        yield from (Line((Span(" " * 6), Span(piece))) for piece in rest)


def _change_told(earlier: ModeSettings, record: AuditRecord) -> str:
    now = _settings(record)
    reason = f": {now.reason}" if now.reason else ""
    told = ", ".join(f"{label} {was} → {becomes}" for label, was, becomes in differences(earlier, now))
    return f"{record.actor}: {told or 'nothing else than the reason'}{reason}"


def _settings(record: AuditRecord) -> ModeSettings:
    """As the record tells them; what it does not tell is as by default."""
    detail = _detail(record)
    namespaces, breakers = detail.get("namespaces"), detail.get("breakers")
    return ModeSettings(
        ceiling=Mode(str(detail.get("ceiling", Mode.AUTONOMOUS))),
        namespaces={str(k): Mode(str(v)) for k, v in namespaces.items()} if isinstance(namespaces, Mapping) else {},
        kill_switch=bool(detail.get("kill_switch")),
        breakers={str(k): str(v) for k, v in breakers.items()} if isinstance(breakers, Mapping) else {},
        reason=_text(record, "reason"),
    )


def _pulled_since(records: Sequence[AuditRecord], now: datetime) -> str:
    """From when on every change has left it so; '' where these records do not tell."""
    changes = (record for record in records if record.event == CHANGED)
    pulled = list(takewhile(lambda record: bool(_detail(record).get("kill_switch")), changes))
    return f" since {_at(pulled[-1].at, now)}" if pulled else ""


def _detail(record: AuditRecord) -> Mapping[str, object]:
    return record.detail if isinstance(record.detail, Mapping) else {}


def _text(record: AuditRecord, name: str) -> str:
    return str(_detail(record).get(name, ""))


def _at(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    return f"{clock(at) if seconds < 86_400 else moment(at)} ({age(seconds)} ago)"
