"""Why: what was found and on what evidence; the alerts, what others changed, and the rule that spoke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from console.lines.formatting import Tone, clock, count, moment
from console.reasoning import Node, citations
from console.story.overview import rule_of
from console.story.parts import fact, facts, section, text_body
from console.story.terms import Known, by_whom, cause_of, conclusion_of, full_run, last_look, shortened, uninvestigated
from responder.domain.investigation import Evidence, Finding
from responder.domain.versions import ObjectVersion, difference_told, headline
from responder.domain.views import AlertView, DecisionView, IncidentDetail, InvestigationSummary, Reasoning

_BEFORE = 5
"""Changes by others that stand there from the start."""
_FEW_ALERTS = 5
"""So many alerts stand open."""


def why(known: Known, number: int) -> Node:
    runs = last_look(known.detail.investigations)
    children: list[Node] = []
    summary = known.detail.incident.summary
    if shortened(summary) != summary:
        children.append(fact("why:summary", "what", summary))
    for run in runs:
        if len(runs) > 1:
            children.append(
                fact(f"why:{run.id}", f"run {run.number}", f"{by_whom(run)}: {conclusion_of(run)}", Tone.BUSY)
            )
        children += _run(run, known.reasoning)
    children += _consulted(known.detail)
    return section(number, "WHY", _why_told(runs) or uninvestigated(known.detail.incident), children)


def _why_told(runs: Iterable[InvestigationSummary]) -> str:
    return "; ".join(f"run {run.number} by {by_whom(run)}: {conclusion_of(run)}" for run in runs)


def _run(run: InvestigationSummary, reasoning: Reasoning | None) -> Iterator[Node]:
    full = full_run(reasoning, run.id)
    for number, finding in enumerate(run.findings):
        yield _finding(f"why:{run.id}:{number}", finding, full.evidence if full else None)
    if not run.findings:
        yield fact(f"why:{run.id}:summary", "", run.summary)
    for number, ruled_out in enumerate(run.ruled_out):
        key = f"ruled-out:{run.id}:{number}"
        yield fact(key, "ruled out", f"{ruled_out.hypothesis}: {ruled_out.because}", Tone.DIM)
    for number, hole in enumerate(run.unchecked):
        yield fact(f"unchecked:{run.id}:{number}", "unchecked", f"{hole.what}: {hole.why}", Tone.WAITS)


def _finding(key: str, finding: Finding, evidence: tuple[Evidence, ...] | None) -> Node:
    """`evidence` is None until it has been read."""
    mendable = "" if finding.fixable else " (nothing outside the program mends it)"
    lead = "UNSUPPORTED, it cites what does not exist: " if finding.unsupported else ""
    cited: tuple[Node, ...] = ()
    if not finding.evidence:
        cited = (fact(f"{key}:none", "", "cites no evidence", Tone.WAITS),)
    elif evidence is None:
        cited = (fact(f"{key}:unread", "", f"{', '.join(finding.evidence)}: not read yet", Tone.DIM),)
    else:
        cited = citations(evidence, finding.evidence, key)
    return Node(
        key=key,
        label=f"{finding.confidence:<10.0%}",
        note=f"{lead}{cause_of(finding)}{mendable}",
        tone=Tone.BAD if finding.unsupported else Tone.STRONG,
        is_wrapped=True,
        is_open=True,
        children=cited,
        cites=tuple(item for item in evidence or () if item.id in finding.evidence),
    )


def _consulted(detail: IncidentDetail) -> Iterator[Node]:
    """Who was asked beside the detectors, and why others were not or did not answer."""
    for item in detail.decisions[-1].consulted if detail.decisions else ():
        told = f"{item.analyzer} {'answered' if item.answered else 'did not answer'}: {item.why}"
        yield fact(f"consulted:{item.analyzer}", "consulted", told, Tone.PLAIN if item.answered else Tone.WAITS)


def alerts(detail: IncidentDetail, number: int) -> Node:
    told = count(len(detail.alerts), "alert") if detail.alerts else "none"
    if detail.incident.truncated_alerts:
        told += f", and {detail.incident.truncated_alerts} that the sender left out"
    children = [_alert(place, view) for place, view in enumerate(detail.alerts)]
    return section(number, "ALERTS", told, children, is_open=len(children) <= _FEW_ALERTS)


def _alert(place: int, view: AlertView) -> Node:
    alert = view.alert
    ended = f", ended {clock(alert.ends_at)}" if alert.ends_at else ""
    summary = alert.annotations.get("summary") or alert.annotations.get("description", "")
    lines = [
        f"source {alert.source}, fingerprint {alert.fingerprint}, received {moment(view.received_at)}",
        *_pairs("label", alert.labels),
        *_pairs("annotation", alert.annotations),
        *([f"from {alert.generator_url}"] if alert.generator_url else []),
    ]
    return Node(
        key=f"alert:{alert.fingerprint}:{place}",
        label=f"{alert.status.value:<9}",
        note=f"{alert.name} since {clock(alert.starts_at)}{ended}",
        gist=summary,
        bodies=text_body(lines),
    )


def _pairs(kind: str, values: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(values.items()):
        yield f"{kind} {name} = {value}"


def others(detail: IncidentDetail, number: int) -> Node:
    """What others changed around it, the last before the alert first among them."""
    opened = detail.incident.opened_at
    before = [_version(item, detail) for item in detail.changes if item.at <= opened]
    after = [_version(item, detail) for item in detail.changes if item.at > opened]
    children = before[:_BEFORE]
    for key, label, rest in (("earlier", "earlier", before[_BEFORE:]), ("since", "since", after)):
        if rest:
            children.append(Node(key=f"others:{key}", label=f"{label} ", note=str(len(rest)), children=tuple(rest)))
    told = f"changed {len(before)} before it, {len(after)} since, newest first" if children else "changed nothing"
    return section(number, "OTHERS", told, children)


def _version(version: ObjectVersion, detail: IncidentDetail) -> Node:
    lines = [difference_told(item) for item in version.differences]
    if version.more_differences:
        lines.append(f"and {count(version.more_differences, 'more field')}")
    if version.lost:
        lines.append(f"cannot be restored: {version.lost}")
    return Node(
        key=f"version:{version.seq}",
        note=f"{version.ref} {headline(version, since=detail.incident.opened_at)}",
        gist="; ".join(lines),
        bodies=text_body(lines),
    )


def rule(detail: IncidentDetail, number: int) -> Node:
    children: list[Node] = []
    if detail.decisions:
        *earlier, last = detail.decisions
        children += _decision(last)
        children += [
            Node(
                key=f"decision:{place}",
                label="earlier   ",
                note=f"{clock(item.at)} {item.rule or 'none matched'}, mode {item.mode}",
                children=tuple(_decision(item, place=place)),
            )
            for place, item in reversed(list(enumerate(earlier)))
        ]
    return section(number, "RULE", rule_of(detail), children)


def _decision(item: DecisionView, place: int = -1) -> Iterator[Node]:
    key = f"rule:{place}"
    yield from facts(f"{key}:why", "why", item.why)
    lowered = f"the rule says {item.rule_mode or 'nothing'}, left of it under the ceilings: {item.mode}"
    yield fact(f"{key}:mode", "mode", lowered)
    yield fact(f"{key}:set", "decided", f"{moment(item.at)} with rule set {item.rule_set[:12]}", Tone.DIM)
