"""The incident list as columns. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.formatting import Line, Span, Tone, age, fit, flat, line, short_key, state_tone, wrap
from responder.domain.incident import Incident

_WIDE = 120
"""From here on the outcome has a column of its own."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Widths in cells. Object and summary share what the others leave."""

    age: int = 4
    state: int = 17
    outcome: int = 0
    severity: int = 8
    mode: int = 10
    object: int
    summary: int


def columns(width: int) -> Columns:
    if width >= _WIDE:
        rest = width - (4 + 17 + 19 + 8 + 10) - 6
        return Columns(outcome=19, object=min(rest * 2 // 5, 56), summary=rest - min(rest * 2 // 5, 56))
    rest = max(width - (4 + 13 + 8 + 7) - 5, 20)
    wanted = max(rest * 3 // 5, 12)
    return Columns(state=13, mode=7, object=wanted, summary=rest - wanted)


def header(width: int) -> Line:
    sizes = columns(width)
    return line(_joined(sizes, ("AGE", "STATE", "OUTCOME", "SEVERITY", "MODE", "OBJECT", "SUMMARY")), Tone.SECTION)


def row(incident: Incident, *, width: int, now: datetime) -> Line:
    sizes = columns(width)
    state = incident.state.replace("_", " ")
    if sizes.outcome == 0:
        state = state.removesuffix(" approval")
    mode = incident.mode if sizes.outcome else incident.mode.replace("autonomous", "auto")
    before = fit(age((now - incident.opened_at).total_seconds()), sizes.age) + " "
    after = " " + _joined(
        sizes,
        (
            "",
            "",
            incident.outcome.replace("_", " "),
            flat(incident.severity),
            mode or "-",
            _object(incident),
            _summary(incident),
        ),
        skip=2,
    )
    tone = state_tone(incident.state)
    return Line((Span(before, Tone.DIM), Span(fit(state, sizes.state), tone), Span(after)), incident.id)


def preview(incident: Incident, width: int) -> str:
    """The row under the cursor, on two lines; dots where there is more."""
    ended = f" ({incident.outcome.replace('_', ' ')})" if incident.outcome else ""
    rule = f"rule {incident.rule or 'none'}"
    first, *rest = wrap(f"{flat(incident.key)}{ended}, {flat(rule)}: {_summary(incident)}", width)
    return "\n".join((first, fit(" ".join(rest), width).rstrip()))


def _object(incident: Incident) -> str:
    """With members, their number comes first: it must not be cut off."""
    counted = f"({incident.workloads}) " if incident.members else ""
    return counted + short_key(incident.key)


def _summary(incident: Incident) -> str:
    return flat(incident.summary) or "nothing is known yet"


def _joined(sizes: Columns, cells: tuple[str, ...], *, skip: int = 0) -> str:
    widths = (
        sizes.age,
        sizes.state,
        sizes.outcome,
        sizes.severity,
        sizes.mode,
        sizes.object,
        sizes.summary,
    )
    pairs = list(zip(cells, widths, strict=True))[skip:]
    return " ".join(fit(cell, width) for cell, width in pairs if width > 0)
