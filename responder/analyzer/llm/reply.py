"""A model's answer made into findings and proposals, or refused with the one thing to change.

Nothing is mended, guessed or cut: a value has the exact type, form and bounds of `schema`, or the answer is invalid. A
target is the incident's object or one of its pods, by name; the uid comes from the snapshot, never from the model. What
the model cites and nobody recorded, is dropped with all that leans on it: the guard then leaves a proposal to a person.
Whether an action fits the object, and who may approve it, is the guard's question. Text for people stays as it came:
it is redacted by the caller and made visible where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from responder.analyzer.llm.schema import (
    CONCLUDE,
    CONCLUSIONS,
    LONGEST_FAULT,
    LONGEST_ID,
    LONGEST_NAME,
    LONGEST_SENTENCE,
    MOST_CITED,
    MOST_FINDINGS,
    MOST_PROPOSALS,
    MOST_RULED_OUT,
    MOST_UNCHECKED,
    SCALARS,
    Choice,
    Form,
    Whole,
    Word,
    target_kinds,
)
from responder.analyzer.llm.strict import Place, require_strict_json, shown
from responder.domain.action import ACTION_TYPES, Action, ReplaceConfigReference, SetPorts, SetProbe, SetResources
from responder.domain.investigation import (
    MODEL_PREFIX,
    Conclusion,
    Finding,
    Investigation,
    Proposal,
    RuledOut,
    Unchecked,
)
from responder.domain.manifest import Json, Manifest
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot

__all__ = ["CONCLUDE", "Concluded", "parse_conclusion"]

_SLUG = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_LONGEST_SLUG = 60


@dataclass(frozen=True, kw_only=True)
class Concluded:
    """What a model concluded. Untrusted, and within the union and the bounds."""

    conclusion: Conclusion
    summary: str
    findings: tuple[Finding, ...]
    """Most confident first."""
    ruled_out: tuple[RuledOut, ...]
    unchecked: tuple[Unchecked, ...]
    proposals: tuple[Proposal, ...]
    """Best first."""


def parse_conclusion(
    arguments: Manifest | None,
    raw: str,
    *,
    evidence: Collection[str],
    snapshot: Snapshot,
    detected: Investigation | None,
) -> Concluded:
    """What the arguments of `conclude` say. `raw` is their text; empty where a provider shows none.

    Raises:
        ReplyInvalid: one ASCII sentence, where and what to change, that may be sent back and shown once it is redacted.
    """
    if raw:
        require_strict_json(raw)
    if arguments is None:
        Place("$", None).refuse("the arguments must be one JSON object")
    known = _Known(snapshot=snapshot, evidence=frozenset(evidence), detected=detected.findings if detected else ())
    answer = Place("$", arguments).members("conclusion", "summary", "findings", "ruled_out", "unchecked", "proposals")
    conclusion = Conclusion(answer["conclusion"].one_of(tuple(c.value for c in CONCLUSIONS)))
    summary = answer["summary"].text(LONGEST_SENTENCE)
    claims = tuple(
        _claim(item, known, fixable=conclusion is not Conclusion.UNFIXABLE)
        for item in answer["findings"].items(MOST_FINDINGS)
    )
    _require_distinct(answer["findings"], claims)
    if conclusion is Conclusion.FAULT_FOUND and not claims:
        answer["findings"].refuse("fault_found needs at least one finding; without a cause conclude unexplained")
    return Concluded(
        conclusion=conclusion,
        summary=summary,
        findings=tuple(sorted((claim.finding for claim in claims), key=lambda finding: -finding.confidence)),
        ruled_out=tuple(_ruled_out(item, known) for item in answer["ruled_out"].items(MOST_RULED_OUT)),
        unchecked=tuple(_unchecked(item) for item in answer["unchecked"].items(MOST_UNCHECKED)),
        proposals=_proposals(answer["proposals"], conclusion, claims, known),
    )


@dataclass(frozen=True, kw_only=True)
class _Cited:
    """Ids that exist; none where one of them does not."""

    ids: tuple[str, ...]
    invented: bool


@dataclass(frozen=True, kw_only=True)
class _Claim:
    word: str
    """The model's own name of the fault, by which its proposals refer to it."""
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What an answer is held against."""

    snapshot: Snapshot
    evidence: frozenset[str]
    detected: tuple[Finding, ...]

    def cited(self, place: Place) -> _Cited:
        ids = tuple(dict.fromkeys(item.identifier(LONGEST_ID) for item in place.items(MOST_CITED)))
        invented = any(name not in self.evidence for name in ids)
        return _Cited(ids=() if invented else ids, invented=invented)

    def pod(self, place: Place) -> ObjectRef:
        name = place.identifier(LONGEST_NAME)
        found = next((pod.ref for pod in self.snapshot.pods if pod.ref.name == name), None)
        if found is None:
            place.refuse(
                f"{self.snapshot.root} has no pod {shown(name)}; left out, the finding is about the incident's object"
            )
        return found

    def container(self, place: Place) -> str:
        name = place.identifier(LONGEST_NAME)
        names = tuple(dict.fromkeys(self._containers()))
        if name not in names:
            place.refuse(f"there is no container {shown(name)}, only {', '.join(names) or 'none'}")
        return name

    def detectors_finding(self, fault: str, container: str) -> Finding | None:
        """The one that a detector named so, in the same container where several bear the name."""
        same = [finding for finding in self.detected if finding.fault == fault]
        return next((finding for finding in same if finding.container == container), same[0] if same else None)

    def target(self, place: Place, action_type: type[Action]) -> ObjectRef:
        """The object of that name as it was looked at, with its uid."""
        members = place.members("kind", "namespace", "name")
        kind = members["kind"].one_of(target_kinds(action_type))
        namespace, name = members["namespace"].identifier(LONGEST_NAME), members["name"].identifier(LONGEST_NAME)
        root, pods = self.snapshot.root, tuple(pod.ref for pod in self.snapshot.pods)
        named = ObjectRef(kind=kind, namespace=namespace, name=name)
        found = next((ref for ref in (root, *pods) if ref.same_name(named)), None)
        if found is None:
            place.refuse(f"{shown(named.key)} is neither {root} nor one of its pods; nothing else may be changed")
        if self.snapshot.gone or not found.uid:
            place.refuse(f"{found} was not found when it was looked at; leave the proposal out")
        return found

    def _containers(self) -> Iterable[str]:
        templates = [pod.template for pod in self.snapshot.pods]
        if self.snapshot.workload is not None:
            templates.insert(0, self.snapshot.workload.template)
        return (container.name for template in templates for container in template.containers)


def _claim(place: Place, known: _Known, *, fixable: bool) -> _Claim:
    members = place.members("fault", "cause", "confidence", "evidence", optional=("pod", "container"))
    subject = known.pod(members["pod"]) if "pod" in members else known.snapshot.root
    container = known.container(members["container"]) if "container" in members else ""
    word = members["fault"].text(LONGEST_FAULT)
    same = known.detectors_finding(word, container)
    cited = known.cited(members["evidence"])
    finding = Finding(
        signature=same.signature if same else _own_signature(members["fault"]),
        subject=same.subject if same else subject,
        container=same.container if same else container,
        about=same.about if same else "",
        cause=members["cause"].text(LONGEST_SENTENCE),
        confidence=members["confidence"].fraction(),
        evidence=cited.ids,
        fixable=fixable,
        unsupported=cited.invented,
    )
    return _Claim(word=word, finding=finding)


def _own_signature(place: Place) -> str:
    slug = place.identifier(LONGEST_FAULT).removeprefix(MODEL_PREFIX)
    if len(slug) > _LONGEST_SLUG or _SLUG.fullmatch(slug) is None:
        place.refuse(
            f"{shown(slug)} is no fault of the detectors; write at most {_LONGEST_SLUG} lower-case letters and digits, "
            "parted by single dots, underscores or hyphens"
        )
    return MODEL_PREFIX + slug


def _require_distinct(place: Place, claims: tuple[_Claim, ...]) -> None:
    seen: set[tuple[str, str, ObjectRef]] = set()
    for index, claim in enumerate(claims):
        finding = claim.finding
        key = (finding.fault, finding.container, finding.subject)
        if key in seen:
            Place(f"{place.path}[{index}]", None).refuse(
                "the same fault of the same container is given twice; give it once"
            )
        seen.add(key)


def _ruled_out(place: Place, known: _Known) -> RuledOut:
    members = place.members("hypothesis", "because", "evidence")
    return RuledOut(
        hypothesis=members["hypothesis"].text(LONGEST_SENTENCE),
        because=members["because"].text(LONGEST_SENTENCE),
        evidence=known.cited(members["evidence"]).ids,
    )


def _unchecked(place: Place) -> Unchecked:
    members = place.members("what", "why")
    return Unchecked(what=members["what"].text(LONGEST_SENTENCE), why=members["why"].text(LONGEST_SENTENCE))


def _proposals(place: Place, conclusion: Conclusion, claims: tuple[_Claim, ...], known: _Known) -> tuple[Proposal, ...]:
    found: list[Proposal] = []
    for item in place.items(MOST_PROPOSALS):
        if conclusion is not Conclusion.FAULT_FOUND:
            place.refuse(f"must be empty with {conclusion}; propose only with fault_found")
        proposal = _proposal(item, claims, known)
        if any(proposal.action == earlier.action for earlier in found):
            item.refuse("the same action is proposed twice; propose it once")
        found.append(proposal)
    return tuple(found)


def _proposal(place: Place, claims: tuple[_Claim, ...], known: _Known) -> Proposal:
    members = place.members("answers", "reason", "evidence", "action")
    word = members["answers"].text(LONGEST_FAULT)
    fault = next((claim.finding.fault for claim in claims if claim.word == word), None)
    if fault is None:
        members["answers"].refuse(f"{shown(word)} must be the fault of one of the findings, letter by letter")
    cited = known.cited(members["evidence"])
    supported = all(claim.finding.evidence for claim in claims if claim.finding.fault == fault)
    return Proposal(
        action=_action(members["action"], known),
        reason=members["reason"].text(LONGEST_SENTENCE),
        finding=fault,
        evidence=cited.ids if supported else (),
    )


def _action(place: Place, known: _Known) -> Action:
    kinds = {action_type.kind: action_type for action_type in ACTION_TYPES}
    if not isinstance(place.value, Mapping) or "kind" not in place.value:
        place.refuse(f"must be an object with a kind, one of {', '.join(kinds)}")
    action_type = kinds[Place(f"{place.path}.kind", place.value["kind"]).one_of(tuple(kinds))]
    scalars = SCALARS[action_type]
    required = tuple(name for name, scalar in scalars.items() if scalar.default is None)
    optional = tuple(name for name in scalars if name not in required)
    members = place.members("kind", "target", *required, optional=optional)
    target = known.target(members["target"], action_type)
    values: dict[str, str | int] = {}
    for name, scalar in scalars.items():
        if name not in members or _is_default(members[name].value, scalar.default):
            continue
        values[name] = _scalar(members[name], scalar.form)
        if name == "container":
            known.container(members[name])
    action = action_type(target=target, **values)  # type: ignore[arg-type] # each value is of its field's form
    if problem := _at_odds(action):
        place.refuse(problem)
    return action


def _scalar(place: Place, form: Form) -> str | int:
    match form:
        case Whole():
            return place.whole(form.least, form.most)
        case Choice():
            return form.of(place.one_of(tuple(member.value for member in form.of)))
        case Word():
            text = place.identifier(form.longest)
            if not form.fits(text):
                place.refuse(f"{shown(text)} must be {form.told}")
            return text


def _is_default(value: Json, default: str | int | None) -> bool:
    """Written out, it says the same as left out."""
    return default is not None and type(value) is type(default) and value == default


def _at_odds(action: Action) -> str:
    """What no single value shows; '' where they go together."""
    match action:
        case SetResources() if not (
            action.memory_limit or action.memory_request or action.cpu_limit or action.cpu_request
        ):
            return "it changes nothing; name at least one request or limit"
        case SetProbe() if action == SetProbe(target=action.target, container=action.container, probe=action.probe):
            return "it changes nothing; name at least one value of the probe"
        case SetPorts() if action.from_port == action.to_port:
            return "it changes nothing; from_port and to_port must differ"
        case ReplaceConfigReference() if bool(action.from_key) != bool(action.to_key):
            return "name both from_key and to_key, or neither"
        case ReplaceConfigReference() if (action.from_name, action.from_key) == (action.to_name, action.to_key):
            return "it changes nothing; the two references must differ"
        case _:
            return ""
