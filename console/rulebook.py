"""Rules as an operator reads them: the table, one rule with its record, and the way of an alert through them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from console.lines import grid
from console.lines.formatting import Line, Span, Tone, age, flat, labelled, line, moment, state_tone, wrap
from console.lines.grid import Cell, Column
from responder.domain.incident import Incident, State
from responder.domain.mode import ModeSettings
from responder.domain.rule import Match, Mode, Rate
from responder.domain.views import Explanation, RuleAnswer, RuleRecord, RuleView

COLUMNS = (
    Column(title="RULE", weight=2),
    Column(title="MODE", width=14),
    Column(title="DAY", width=4, right=True),
    Column(title="HITS", width=6, right=True),
    Column(title="LAST", width=14),
    Column(title="DONE", width=5, right=True, from_columns=96),
    Column(title="OK", width=4, right=True),
    Column(title="BAD", width=3, right=True),
    Column(title="BACK", width=4, right=True),
    Column(title="TRUST", weight=5, from_columns=130),
)
_SHORT_MODES = {"autonomous": "auto", "dry-run": "dry"}
"""Beside the mode that is left of it."""
_NAME_CELLS = 18
"""Of what a rule says, before its value."""
_MAX_NAME = 32
"""Longer label names stand on a line as they are."""


def row(rule: RuleView, settings: ModeSettings | None, *, width: int, now: datetime) -> Line:
    record = rule.record
    cells = (
        rule.name,
        mode_cell(rule.mode, settings),
        _number(record.incidents_day),
        _number(record.incidents),
        _last(record, now),
        _number(record.applied),
        _number(record.passed),
        Cell(_number(record.failed), Tone.BAD if record.failed else Tone.PLAIN),
        Cell(_number(record.taken_back), Tone.WAITS if record.taken_back else Tone.PLAIN),
        rule.trust,
    )
    return grid.row(COLUMNS, cells, width, key=rule.name)


def mode_cell(says: str, settings: ModeSettings | None) -> Cell:
    """What is left of it, and what the rule says where that is more."""
    effective = _effective(says, settings)
    if effective == says:
        return Cell(says, Tone.BUSY if says == Mode.AUTONOMOUS else Tone.PLAIN)
    return Cell(f"{effective} ({_SHORT_MODES.get(says, says)})", Tone.WAITS)


def preview(rule: RuleView, settings: ModeSettings | None, width: int) -> str:
    """The rule under the cursor, on two lines: what its record is worth, and what holds its mode down."""
    effective = _effective(rule.mode, settings)
    mode = rule.mode if effective == rule.mode else f"{rule.mode}, lowered to {effective} by {_brake(settings)}"
    first, *rest = wrap(f"{flat(rule.trust) or 'nothing is known'}", width)
    second = " ".join(rest) or f"{flat(rule.name)}: {mode}; {place(rule.file, rule.line)}"
    return f"{first}\n{second}"


def place(file: str, number: int) -> str:
    return f"{flat(file)}:{number}" if file else "no file"


def tell(
    rule: RuleView, settings: ModeSettings | None, incidents: Sequence[Incident], *, width: int, now: datetime
) -> tuple[Line, ...]:
    """One rule whole. Lines of incidents carry their id as the key."""
    lines = [
        Line((Span(flat(rule.name), Tone.STRONG), Span(f"  {place(rule.file, rule.line)}", Tone.PLACE))),
        *_said("trust", rule.trust or "nothing is known", width),
        Line(),
        line("Mode", Tone.SECTION),
        *_mode_lines(rule, settings, width),
        Line(),
        line("Matches", Tone.SECTION),
        *_match_lines(rule, width),
        Line(),
        line("Permits", Tone.SECTION),
        *_permit_lines(rule, width),
        Line(),
        line("Record", Tone.SECTION),
        *_record_lines(rule.record, width=width, now=now),
        Line(),
        line("Newest incidents", Tone.SECTION),
        *(_incident(each, width=width, now=now) for each in incidents),
    ]
    if not incidents:
        lines.append(line("it has spoken for none", Tone.DIM))
    return tuple(lines)


def tell_explanation(answer: Explanation, labels: Sequence[tuple[str, str]], *, width: int) -> tuple[Line, ...]:
    """Which rule speaks, and the way of the alert to it. Lines of rules carry their name as the key."""
    return (
        line("Answer", Tone.SECTION),
        *_verdict(answer, width),
        Line(),
        line("Rules, in the order in which they are asked", Tone.SECTION),
        *(made for one in answer.asked for made in _asked(one, width)),
        Line(),
        line("Alert", Tone.SECTION),
        *(made for name, value in labels for made in _said(name, value or '""', width)),
    )


def _verdict(answer: Explanation, width: int) -> Iterator[Line]:
    if not answer.rule:
        yield from _said("rule", "none speaks for it: it is reported, and nothing is planned", width)
    else:
        yield from _said("rule", answer.rule, width, Tone.STRONG)
        yield from _said("because", "; ".join(answer.why), width)
    yield from _said("mode", answer.mode, width)
    lowered = answer.effective_mode != answer.mode
    told = f"{answer.effective_mode}, lowered by a ceiling or breaker" if lowered else answer.effective_mode
    yield from _said("in effect", told, width, Tone.WAITS if lowered else Tone.PLAIN)


def _asked(one: RuleAnswer, width: int) -> Iterator[Line]:
    word, tone = ("speaks", Tone.GOOD) if one.matches else ("no", Tone.DIM)
    name = Span(flat(one.rule), Tone.STRONG if one.matches else Tone.PLAIN)
    yield Line((Span(f"{word:<7}", tone), name, Span(f"  {place(one.file, one.line)}", Tone.PLACE)), one.rule)
    for part in wrap(one.reason, width - 9):
        yield Line((Span(" " * 9), Span(part, tone if not one.matches else Tone.PLAIN)), one.rule)


def _mode_lines(rule: RuleView, settings: ModeSettings | None, width: int) -> Iterator[Line]:
    yield from _said("says", rule.mode, width)
    if settings is None:
        return
    effective = _effective(rule.mode, settings)
    held = effective != rule.mode
    told = f"{effective}, held down by {_brake(settings)}" if held else effective
    yield from _said("in effect", told, width, Tone.WAITS if held else Tone.PLAIN)
    for namespace in sorted({*settings.namespaces, *settings.breakers} - {"*"}):
        there = settings.effective(Mode(rule.mode), namespace)
        if there.value != effective:
            why = "breaker" if settings.breaker(namespace) else "ceiling"
            yield from _said(f"in {namespace}", f"{there} ({why} of the namespace)", width, Tone.WAITS)
    if settings.kill_switch:
        yield from _said("kill switch", "pressed: nothing is written, whatever the mode", width, Tone.BAD)


def _match_lines(rule: RuleView, width: int) -> Iterator[Line]:
    yield from _said("alerts", ", ".join(rule.alerts) or "any", width)
    for matcher in rule.matchers:
        yield from _said("label", matcher, width)
    yield from _said("sources", ", ".join(rule.sources) or "any", width)
    if rule.exclude is not None:
        yield from _said("but not", _conditions(rule.exclude), width)


def _conditions(match: Match) -> str:
    parts = [f"alert in {', '.join(match.alerts)}"] if match.alerts else []
    parts += [f"source in {', '.join(match.sources)}"] if match.sources else []
    return " and ".join((*parts, *(str(matcher) for matcher in match.matchers))) or "anything"


def _permit_lines(rule: RuleView, width: int) -> Iterator[Line]:
    approval, budget, verify = rule.approval, rule.budget, rule.verify
    yield from _said("actions", ", ".join(rule.actions) or "all may be proposed, none taken alone", width)
    if rule.images:
        yield from _said("images", ", ".join(rule.images), width)
    yield from _said("risk up to", rule.max_risk, width)
    people = "1 person" if approval.approvers == 1 else f"{approval.approvers} different people"
    yield from _said("approval", f"by {people}, within {age(approval.expires_seconds)}", width)
    spent = (
        f"{_rate(budget.per_workload)} per workload, {_rate(budget.per_namespace)} per namespace, "
        f"{_rate(budget.per_cluster)} in all; {budget.concurrent} at a time"
    )
    yield from _said("changes", spent, width)
    looked = f"{', '.join(rule.analyzers) or 'heuristic'}, within {age(rule.deadline_seconds)}"
    yield from _said("analyzers", looked, width)
    judged = f"well for {age(verify.settle_seconds)}, within {age(verify.within_seconds)}"
    judged += ", the alert resolved" if verify.alert_resolved else ""
    judged += "; else taken back" if verify.rollback else "; else left to a person"
    yield from _said("verified when", judged, width)
    yield from _said("notifies", ", ".join(rule.notify) or "nobody by itself", width)


def _record_lines(record: RuleRecord, *, width: int, now: datetime) -> Iterator[Line]:
    day = f"{_number(record.incidents)}, {_number(record.incidents_day)} within the last day"
    yield from _said("incidents", f"{day}; a change was proposed for {_number(record.proposed)}", width)
    plans = f"{_number(record.plans)}: {_number(record.approved_by_people)} approved by people"
    yield from _said("plans", f"{plans}, {_number(record.rejected)} rejected", width)
    changes = f"{_number(record.applied)} written: {_number(record.passed)} passed, {_number(record.failed)} did not"
    yield from _said("changes", f"{changes}, {_number(record.taken_back)} taken back", width)
    row = f"the last {record.passed_in_a_row} of those judged passed" if record.passed_in_a_row else "none passed"
    yield from _said("in a row", row, width)
    if record.last_at is not None:
        ago = age((now - record.last_at).total_seconds())
        last = f"{moment(record.last_at)} ({ago} ago), {record.last_incident}: {_words(record.last_outcome)}"
        yield from _said("last decision", last, width)


def _incident(incident: Incident, *, width: int, now: datetime) -> Line:
    ended = f" ({incident.outcome})" if incident.outcome else ""
    state = f"{incident.state}{ended}".replace("_", " ")
    columns = (
        Column(title="AGE", width=4),
        Column(title="STATE", width=26),
        Column(title="OBJECT", weight=1),
        Column(title="SUMMARY", weight=1, from_columns=100),
    )
    cells = (
        Cell(age((now - incident.opened_at).total_seconds()), Tone.DIM),
        Cell(state, state_tone(State(incident.state))),
        incident.key,
        incident.summary,
    )
    return grid.row(columns, cells, width, key=incident.id)


def _said(name: str, value: str, width: int, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    """`name  value`, the value wrapped beside its name."""
    label = flat(name)
    indent = _NAME_CELLS if len(label) < _NAME_CELLS else min(len(label), _MAX_NAME) + 2
    return labelled(label, value, width, tone, cells=indent)


def _effective(says: str, settings: ModeSettings | None) -> str:
    """Where no namespace has a ceiling of its own."""
    return settings.effective(Mode(says), "").value if settings is not None else says


def _brake(settings: ModeSettings | None) -> str:
    if settings is None:
        return "nothing"
    why = settings.breakers.get("*", "")
    return f"a breaker ({flat(why)})" if why and settings.ceiling.rank > 1 else f"the ceiling, {settings.ceiling}"


def _last(record: RuleRecord, now: datetime) -> str:
    if record.last_at is None:
        return "never"
    outcome = _words(record.last_outcome.split(" ")[-1]).removesuffix(" approval")
    return f"{age((now - record.last_at).total_seconds())} {outcome}"


def _words(text: str) -> str:
    return flat(text).replace("_", " ")


def _rate(rate: Rate) -> str:
    return f"{rate.count}/{age(rate.seconds)}"


def _number(count: int) -> str:
    return f"{count:,}" if count < 100_000 else f"{count // 1000:,}k"
