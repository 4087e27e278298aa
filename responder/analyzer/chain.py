"""Whom to ask about one snapshot, and what stands once several have answered. Pure.

The detectors always run: they are quick, cost nothing, and nobody can talk them into anything. What they find and
suggest always stands; another analyzer adds to it. So its words can lengthen the list that a person reads, and can
never take a fix away, close an incident, or have policy approve something that no detector suggests: the guard asks for
`HEURISTIC` among those who suggest an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from responder.domain.investigation import HEURISTIC, Conclusion, Finding, Investigation, Proposal

SURE = 0.7
"""Confidence from which the detectors need no second opinion: theirs are set per signature, below it they guess."""

CLOSE = 0.1
"""Two causes of one container whose confidence differs by less are a disagreement."""

_NOTHING_TO_ADD = frozenset({Conclusion.UNSETTLED, Conclusion.NOT_APPLICABLE})
"""Look again soon, or there is nothing to look at: no analyzer knows more."""

_LONGEST_OPINION = 400


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An analyzer that the rule wants asked, and why now."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A proposal with the investigation that a plan of it belongs to."""

    proposal: Proposal
    investigation_id: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the pipeline decides on."""

    conclusion: Conclusion
    summary: str
    findings: tuple[Finding, ...]
    suggestions: tuple[Suggestion, ...]
    """The detectors' first and in their order, whoever agrees with them; then the others'."""


def doubt(detected: Investigation) -> str:
    """Why the detectors' answer wants a second opinion; '' where it does not."""
    if detected.conclusion is Conclusion.UNEXPLAINED:
        return "the detectors do not explain it"
    if detected.conclusion not in (Conclusion.FAULT_FOUND, Conclusion.UNFIXABLE) or not detected.findings:
        return ""
    first, *others = detected.findings
    if first.confidence < SURE:
        return f"the detectors are unsure: {first.fault} at {first.confidence:.0%}"
    for other in others:
        same_place = (other.subject, other.container) == (first.subject, first.container)
        if same_place and first.confidence - other.confidence < CLOSE:
            told = (f"{one.fault} at {one.confidence:.0%}" for one in (first, other))
            return f"the detectors disagree: {', '.join(told)}"
    if detected.conclusion is Conclusion.FAULT_FOUND and not detected.proposals:
        return f"the detectors know the cause ({first.fault}) and nothing that mends it"
    return ""


def to_ask(analyzers: Sequence[str], detected: Investigation) -> tuple[Asked, ...]:
    """Besides the detectors, in turn until one answers.

    Names before `heuristic`, or without it, are asked always; names after it where the detectors are in doubt.
    """
    if detected.conclusion in _NOTHING_TO_ADD:
        return ()
    always = tuple(analyzers)
    in_doubt: tuple[str, ...] = ()
    if HEURISTIC in always:
        place = always.index(HEURISTIC)
        always, in_doubt = always[:place], always[place + 1 :]
    why = doubt(detected)
    wanted = [Asked(name=name, why="the rule asks it always") for name in always]
    if why and not wanted:
        wanted += [Asked(name=name, why=why) for name in in_doubt]
    return tuple(wanted)


def combined(detected: Investigation, other: Investigation | None) -> Answer:
    """What stands once `other` has answered too; None where nobody else did."""
    if other is None:
        return Answer(
            conclusion=detected.conclusion,
            summary=detected.summary,
            findings=detected.findings,
            suggestions=_suggestions(detected, None),
        )
    suggestions = _suggestions(detected, other)
    return Answer(
        conclusion=_conclusion(detected, other, has_suggestions=bool(suggestions)),
        summary=_summary(detected, other),
        findings=(
            *detected.findings,
            *(f for f in other.findings if f.fault not in {k.fault for k in detected.findings}),
        ),
        suggestions=suggestions,
    )


def _conclusion(detected: Investigation, other: Investigation, *, has_suggestions: bool) -> Conclusion:
    """A fault that either found is a fault; that all is well is for the detectors alone to say."""
    found = {detected.conclusion, other.conclusion}
    if Conclusion.FAULT_FOUND in found and (has_suggestions or detected.conclusion is not Conclusion.UNFIXABLE):
        return Conclusion.FAULT_FOUND
    if Conclusion.UNFIXABLE in found:
        return Conclusion.UNFIXABLE
    return detected.conclusion


def _summary(detected: Investigation, other: Investigation) -> str:
    if detected.conclusion is Conclusion.UNEXPLAINED and other.findings:
        return f"{other.analyzer}: {_short(other.summary)}"
    if not other.findings:
        return f"{detected.summary}; {other.analyzer} does not explain it either"
    agreed = {finding.fault for finding in detected.findings} & {finding.fault for finding in other.findings}
    verb = "agrees" if agreed else "says"
    return f"{detected.summary}; {other.analyzer} {verb}: {_short(other.summary)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_OPINION else f"{line[: _LONGEST_OPINION - 1]}…"


def _suggestions(detected: Investigation, other: Investigation | None) -> tuple[Suggestion, ...]:
    """Who suggests what is said here, from the runs themselves; what a proposal says of it counts for nothing."""
    own = {proposal.action: proposal for proposal in reversed(detected.proposals)}
    foreign = {proposal.action: proposal for proposal in reversed(other.proposals if other else ())}
    every = (*(p.action for p in detected.proposals), *(p.action for p in (other.proposals if other else ())))
    actions = tuple(dict.fromkeys(every))
    found = []
    for action in actions:
        names = ((detected.analyzer,) if action in own else ()) + (
            (other.analyzer,) if other is not None and action in foreign else ()
        )
        source = detected if action in own or other is None else other
        proposal = own.get(action) or foreign[action]
        found.append(Suggestion(proposal=replace(proposal, suggested_by=names), investigation_id=source.id))
    return tuple(found)
