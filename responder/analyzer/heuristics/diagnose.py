"""From a snapshot to a diagnosis: is the fault still there, what explains it, what blocks first, what would mend that.

The signatures claim; this module weighs. A precise explanation of a container displaces the general ones, claims of
several pods about one fault become one finding, and changes are proposed only for what stands first in the pod's life,
because nothing behind it can be seen to work before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from responder.analyzer.changes import Fault, culprit
from responder.analyzer.heuristics import (
    admission,
    crash,
    image,
    memory,
    permission,
    probes,
    references,
    rollout,
    scheduling,
    stated,
)
from responder.analyzer.heuristics.case import Case, Claim, Remedy
from responder.analyzer.heuristics.evidence import (
    Exhibit,
    number,
    of_change,
    of_pod,
    of_snapshot,
    of_status,
    of_workload,
)
from responder.analyzer.heuristics.steady import Steadiness, seconds_between, steadiness
from responder.analyzer.heuristics.undo import undo
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    Finding,
    Proposal,
    RuledOut,
    Unchecked,
)
from responder.domain.snapshot import Snapshot
from responder.domain.versions import ObjectVersion, VersionEvent, headline
from responder.domain.visible import visible
from responder.redact import redact

Detector = Callable[[Case], Iterator[Claim]]

DETECTORS: tuple[tuple[str, Detector], ...] = (
    ("admission", admission.detect),
    ("scheduling", scheduling.detect),
    ("references", references.detect),
    ("image", image.detect),
    ("permission", permission.detect),
    ("memory", memory.detect),
    ("probes", probes.detect),
    ("crash", crash.detect),
    ("rollout", rollout.detect),
    ("stated", stated.detect),
)

_MAX_CITED = 8
_LOOP = 2  # restarts from which a container that runs for a moment is taken for one that crashes in a loop

_BEYOND = (
    Unchecked(what="metrics and traces", why="the heuristics read none"),
    Unchecked(what="the program's own code and data", why="nothing is run inside a container"),
)


@dataclass(frozen=True, kw_only=True)
class SignatureVerdict:
    """What one group of signatures made of the case."""

    name: str
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    conclusion: Conclusion
    summary: str
    findings: tuple[Finding, ...] = ()
    """Most confident first."""
    ruled_out: tuple[RuledOut, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    """Best first; all of them answer one finding."""
    evidence: tuple[Evidence, ...] = ()
    verdicts: tuple[SignatureVerdict, ...] = ()


def diagnose(snapshot: Snapshot, *, alert_labels: Mapping[str, str], opened_at: datetime | None = None) -> Diagnosis:
    """Pure: the same snapshot gives the same diagnosis, evidence ids included.

    `opened_at` is when the incident was opened: changes are told and weighed by their distance from it.
    """
    case = Case(snapshot=snapshot, alert_labels=alert_labels, opened_at=opened_at)
    if snapshot.gone:
        gone = f"{snapshot.root} does not exist any more{_deletion(case)}"
        return _without_claims(case, Conclusion.NOT_APPLICABLE, gone)
    state = steadiness(snapshot)
    if stated.is_settled_by_status(snapshot, alert_labels) and not stated.stated(snapshot):
        return _without_claims(case, Conclusion.RECOVERED, f"{snapshot.root} shows nothing wrong any more")
    if state.steady:
        return _without_claims(case, Conclusion.RECOVERED, f"well and steady now: {state.why}")
    claimed = {name: tuple(detect(case)) for name, detect in DETECTORS}
    claims = _weighed(claim for found in claimed.values() for claim in found)
    first, remedies = _answer(case, claims, state)
    return _composed(case, state, claimed, claims, first, remedies)


def _without_claims(case: Case, conclusion: Conclusion, summary: str) -> Diagnosis:
    snapshot = case.snapshot
    evidence, ids = number(of_snapshot(snapshot, case.alert_labels, case.opened_at), snapshot.taken_at)
    cited = _cited_for_steadiness(snapshot, ids)
    return Diagnosis(
        conclusion=conclusion,
        summary=summary,
        unchecked=snapshot.unchecked,
        evidence=evidence,
        verdicts=(SignatureVerdict(name="steady", text=summary, evidence=cited),),
    )


def _cited_for_steadiness(snapshot: Snapshot, ids: Mapping[Exhibit, str]) -> tuple[str, ...]:
    exhibits = [of_workload(snapshot.workload)] if snapshot.workload is not None else []
    exhibits += [of_pod(pod) for pod in snapshot.current_pods]
    return tuple(ids[item] for item in exhibits if item in ids)[:_MAX_CITED]


def _weighed(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """One claim per fault, in the order in which they block."""
    merged: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        key = (claim.signature, claim.container, claim.about)
        merged[key] = _merged(merged[key], claim) if key in merged else claim
    explained = {claim.container for claim in merged.values() if not claim.general and not claim.symptom}
    kept = [claim for claim in merged.values() if not (claim.general and claim.container in explained)]
    causes = {claim.container for claim in kept if not claim.symptom}
    kept = [claim for claim in kept if not (claim.general and claim.symptom and claim.container in causes)]
    return tuple(sorted(kept, key=lambda claim: (claim.symptom, claim.position, -claim.confidence, claim.about)))


def _merged(one: Claim, other: Claim) -> Claim:
    best, rest = (other, one) if other.confidence > one.confidence else (one, other)
    exhibits = tuple(dict.fromkeys((*best.exhibits, *rest.exhibits)))[:_MAX_CITED]
    return replace(
        best,
        exhibits=exhibits,
        remedies=best.remedies or rest.remedies,
        undo=best.undo and rest.undo,
    )


def _answer(case: Case, claims: tuple[Claim, ...], state: Steadiness) -> tuple[Claim | None, tuple[Remedy, ...]]:
    """The claim that blocks first, and what would mend it, best first."""
    if not claims:
        return None, ()
    first = claims[0]
    if state.well and _outlived(case):
        return first, ()
    back = undo(case) if first.undo else None
    if back is None:
        return first, first.remedies
    return first, (back, *first.remedies) if first.undo_first else (*first.remedies, back)


def _outlived(case: Case) -> bool:
    """One restart, all is well since, and the new instance already lives longer than the one before: wait and see."""
    for trouble in case.troubles:
        ended, since = trouble.status.last_terminated, trouble.status.running_since
        if trouble.status.restarts >= _LOOP or ended is None or since is None:
            return False
        if ended.started_at is None or ended.finished_at is None:
            continue
        if seconds_between(since, case.now) <= seconds_between(ended.started_at, ended.finished_at):
            return False
    return True


def _composed(
    case: Case,
    state: Steadiness,
    claimed: Mapping[str, tuple[Claim, ...]],
    claims: tuple[Claim, ...],
    first: Claim | None,
    remedies: tuple[Remedy, ...],
) -> Diagnosis:
    claims = tuple(_mended_by_undo(claim) if claim is first and remedies else claim for claim in claims)
    claims = tuple(_with_change(case, claim) for claim in claims)
    first = claims[0] if claims else None
    conclusion = _conclusion(claims, remedies, state, outlived=_outlived(case))
    exhibits = [
        *of_snapshot(case.snapshot, case.alert_labels, case.opened_at),
        *(item for claim in claims for item in claim.exhibits),
        *(item for remedy in remedies for item in remedy.exhibits),
    ]
    evidence, ids = number(exhibits, case.now)
    return Diagnosis(
        conclusion=conclusion,
        summary=_summary(case, state, conclusion, claims, remedies),
        findings=tuple(sorted((_finding(claim, ids) for claim in claims), key=lambda finding: -finding.confidence)),
        ruled_out=tuple(_ruled_out(case, claims, ids)),
        unchecked=(*case.snapshot.unchecked, *_unseen(claims), *_BEYOND),
        proposals=tuple(_proposal(first, remedy, ids) for remedy in remedies if first is not None),
        evidence=evidence,
        verdicts=tuple(_verdicts(state, claimed, ids)),
    )


def _mended_by_undo(claim: Claim) -> Claim:
    """A fault inside the program that came with a new revision has an answer outside of it after all."""
    if claim.fixable:
        return claim
    return replace(
        claim,
        signature="crash.new_revision",
        cause=f"{claim.cause}; it began with the current revision, and the one before was well",
        fixable=True,
        confidence=max(claim.confidence, 0.85),
    )


def _conclusion(
    claims: tuple[Claim, ...], remedies: tuple[Remedy, ...], state: Steadiness, *, outlived: bool
) -> Conclusion:
    causes = [claim for claim in claims if not claim.symptom]
    if remedies:
        return Conclusion.FAULT_FOUND
    fixable = any(claim.fixable for claim in causes)
    if state.well and (not causes or (fixable and outlived)):
        return Conclusion.UNSETTLED
    if not causes:
        return Conclusion.UNEXPLAINED
    return Conclusion.FAULT_FOUND if fixable else Conclusion.UNFIXABLE


def _summary(
    case: Case, state: Steadiness, conclusion: Conclusion, claims: tuple[Claim, ...], remedies: tuple[Remedy, ...]
) -> str:
    if not claims:
        return f"not explained: {state.why}" if not state.well else f"well now, but not for long enough: {state.why}"
    first = claims[0]
    where = f"container {first.container}: " if first.container else ""
    lead = {Conclusion.UNFIXABLE: "unfixable here: ", Conclusion.UNEXPLAINED: "not explained: "}.get(conclusion, "")
    noticed = case.alert_labels.get("container", "")
    template = case.template
    elsewhere = (
        f" (the alert names container {noticed}, where it was noticed)"
        if first.container
        and noticed not in ("", first.container)
        and template is not None
        and template.container(noticed) is not None
        else ""
    )
    calm = "; all is ready at this moment, so nothing is proposed yet" if state.well and not remedies else ""
    return f"{lead}{where}{first.cause}{elsewhere}{_blame(case, first)}{calm}"


def _change_behind(case: Case, claim: Claim) -> ObjectVersion | None:
    if not case.snapshot.changes:
        return None
    fault = Fault(signature=claim.signature, subject=claim.subject, container=claim.container, about=claim.about)
    return culprit(case.snapshot, fault, opened_at=case.opened_at or case.now)


def _with_change(case: Case, claim: Claim) -> Claim:
    """The claim, citing the change that can have brought it about."""
    version = _change_behind(case, claim)
    if version is None:
        return claim
    return replace(claim, exhibits=(*claim.exhibits, of_change(version, case.opened_at)))


def _blame(case: Case, claim: Claim) -> str:
    version = _change_behind(case, claim)
    if version is None:
        return ""
    what = "" if version.ref.same_name(case.root) else f"{version.ref} "
    return f"; {visible(redact(f'{what}{headline(version, since=case.opened_at)}'))}"


def _deletion(case: Case) -> str:
    own = [version for version in case.snapshot.changes if version.ref.same_name(case.root)]
    if not own or own[0].event is not VersionEvent.DELETED:
        return ""
    return f"; {visible(redact(headline(own[0], since=case.opened_at)))}"


def _finding(claim: Claim, ids: Mapping[Exhibit, str]) -> Finding:
    return Finding(
        signature=claim.signature,
        subject=claim.subject,
        container=claim.container,
        about=claim.about,
        cause=claim.cause,
        confidence=claim.confidence,
        evidence=_ids(claim.exhibits, ids),
        fixable=claim.fixable,
    )


def _proposal(claim: Claim, remedy: Remedy, ids: Mapping[Exhibit, str]) -> Proposal:
    return Proposal(
        action=remedy.action,
        reason=remedy.reason,
        finding=claim.fault,
        evidence=_ids((*claim.exhibits, *remedy.exhibits), ids),
    )


def _ids(exhibits: Iterable[Exhibit], ids: Mapping[Exhibit, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids[item] for item in exhibits))


def _ruled_out(case: Case, claims: tuple[Claim, ...], ids: Mapping[Exhibit, str]) -> Iterator[RuledOut]:
    """What was looked for and found fine. Where no pod is seen, nothing about pods is ruled out."""
    families = {claim.signature.partition(".")[0] for claim in claims}
    seen = _ids((of_status(pod, status) for pod in case.pods[:3] for status in pod.statuses), ids)
    if not seen:
        return
    if "memory" not in families:
        yield RuledOut(hypothesis="out of memory", because="no container ended as OOMKilled", evidence=seen)
    if "image" not in families:
        yield RuledOut(hypothesis="image pull", because="no container waits for its image", evidence=seen)
    if "references" not in families:
        because = "no container or volume waits for a ConfigMap or Secret"
        yield RuledOut(hypothesis="missing reference", because=because, evidence=seen)
    if "scheduling" not in families and all(pod.node for pod in case.pods):
        pods = _ids((of_pod(pod) for pod in case.pods[:3]), ids)
        yield RuledOut(hypothesis="scheduling", because="every pod has a node", evidence=pods)
    if case.earlier and undo(case) is None and case.snapshot.workload is not None:
        because = (
            "no earlier revision is known to have served, or a pod of the current one is well, or both are of one spec"
        )
        yield RuledOut(hypothesis="a bad new revision", because=because)


def _unseen(claims: tuple[Claim, ...]) -> Iterator[Unchecked]:
    if any(claim.signature == "references.missing_secret" for claim in claims):
        yield Unchecked(what="Secrets that no ready pod uses", why="Secrets are never read")


def _verdicts(
    state: Steadiness, claimed: Mapping[str, tuple[Claim, ...]], ids: Mapping[Exhibit, str]
) -> Iterator[SignatureVerdict]:
    yield SignatureVerdict(name="steady", text=f"not recovered: {state.why}")
    for name, claims in claimed.items():
        said = "; ".join(dict.fromkeys(f"{claim.signature}: {claim.cause}" for claim in claims))
        cited = tuple(dict.fromkeys(ids[item] for claim in claims for item in claim.exhibits if item in ids))
        yield SignatureVerdict(name=name, text=said or "nothing found", evidence=cited[:_MAX_CITED])
