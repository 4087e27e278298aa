"""ConfigMaps, Secrets and keys that the pod template refers to and that do not exist, and which one was meant.

The kubelet says so: as the waiting message of a container (`CreateContainerConfigError`) for variables, as
`FailedMount` events for volumes. The names in its sentences are used only where the template refers to them. Secrets
are never read: a Secret is known to exist when a ready pod uses it. Optional references never keep a pod from
starting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from responder.analyzer.heuristics.case import Case, Claim, Remedy, Stage, Step, Trouble
from responder.analyzer.heuristics.evidence import Exhibit, of_event, of_names, of_pod, of_revision, of_status
from responder.analyzer.heuristics.nearness import NearMiss, near_miss
from responder.domain.action import ReferenceKind, ReplaceConfigReference
from responder.domain.workload import Pod, PodTemplate
from responder.patterns import Pattern

_MISSING_OBJECT = Pattern(
    r"(?i)\b(configmap|secret)s? \"([^\"]{1,253})\" not found|\b(configmap|secret) ([a-z0-9.\-]{1,253}) not found"
)
_MISSING_KEY = Pattern(
    r"(?i)couldn'?t find key ([^\s]{1,253}) in (ConfigMap|Secret) (?:[a-z0-9\-]{1,63}/)?([a-z0-9.\-]{1,253})"
)
_MISSING_ITEM = Pattern(r"(?i)references non-existent (config|secret) key: ([^\s\",]{1,253})")
_VOLUME = Pattern(r"volume \"([^\"]{1,253})\"")
_ALWAYS_THERE = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"})


@dataclass(frozen=True, kw_only=True)
class _Missing:
    kind: ReferenceKind
    name: str
    key: str = ""
    container: str = ""
    """Empty for volumes."""
    stage: Stage = Stage.VOLUMES
    index: int = 0
    pod: Pod
    seen: tuple[Exhibit, ...]


def detect(case: Case) -> Iterator[Claim]:
    told: dict[tuple[ReferenceKind, str, str, str], _Missing] = {}
    for missing in (*_of_containers(case), *_of_volumes(case)):
        if _is_required(missing):
            told.setdefault((missing.kind, missing.name, missing.key, missing.container), missing)
    for missing in told.values():
        yield _claim(case, missing)


def _of_containers(case: Case) -> Iterator[_Missing]:
    for trouble in case.troubles:
        if trouble.status.waiting_reason == "CreateContainerConfigError":
            yield from _in_message(trouble)


def _in_message(trouble: Trouble) -> Iterator[_Missing]:
    message = trouble.status.waiting_message
    seen = (of_status(trouble.pod, trouble.status),)
    for kind, name, key in _named_in(message):
        yield _Missing(
            kind=kind,
            name=name,
            key=key,
            container=trouble.container.name,
            stage=trouble.stage,
            index=trouble.index,
            pod=trouble.pod,
            seen=seen,
        )


def _of_volumes(case: Case) -> Iterator[_Missing]:
    """Only of pods that still wait: an event about a volume that has been mounted since is the past."""
    for pod in case.pods:
        if pod.phase != "Pending" or not _waits_for_volumes(pod):
            continue
        for event in case.events_of(pod, "FailedMount"):
            seen = (of_event(event), of_pod(pod))
            for kind, name, key in (*_named_in(event.message), *_items_in(event.message, pod.template)):
                yield _Missing(kind=kind, name=name, key=key, pod=pod, seen=seen)


def _waits_for_volumes(pod: Pod) -> bool:
    return all(
        status.waiting_reason in ("", "ContainerCreating", "PodInitializing")
        and status.running_since is None
        and status.terminated is None
        for status in pod.statuses
    )


def _named_in(message: str) -> Iterator[tuple[ReferenceKind, str, str]]:
    for hit in _MISSING_OBJECT.each(message):
        yield _kind(hit[1] or hit[3]), hit[2] or hit[4], ""
    for hit in _MISSING_KEY.each(message):
        yield _kind(hit[2]), hit[3], hit[1].strip("\"'")


def _items_in(message: str, template: PodTemplate) -> Iterator[tuple[ReferenceKind, str, str]]:
    """The sentence names the volume and the key; the template knows which object the volume takes it from."""
    hit, volume = _MISSING_ITEM.first(message), _VOLUME.first(message)
    if hit is None or volume is None:
        return
    kind = ReferenceKind.SECRET if hit[1].lower() == "secret" else ReferenceKind.CONFIG_MAP
    for reference in template.references:
        if reference.place == f"volume {volume[1]}" and reference.kind is kind and reference.key == hit[2]:
            yield kind, reference.name, reference.key


def _kind(word: str) -> ReferenceKind:
    return ReferenceKind.SECRET if word.lower() == "secret" else ReferenceKind.CONFIG_MAP


def _is_required(missing: _Missing) -> bool:
    """The template itself must refer to it, and not as optional: a sentence alone is not believed."""
    return any(
        reference.kind is missing.kind
        and reference.name == missing.name
        and not reference.optional
        and (not missing.key or reference.key == missing.key)
        for reference in missing.pod.template.references
    )


def _claim(case: Case, missing: _Missing) -> Claim:
    known, source = _known(case, missing)
    near = _near(case, missing, known)
    what = f"key {missing.key} of {missing.kind} {missing.name}" if missing.key else f"{missing.kind} {missing.name}"
    remedies = tuple(_remedies(case, missing, near, source))
    return Claim(
        signature=_signature(missing),
        stage=missing.stage,
        index=missing.index,
        step=Step.CONFIGURE,
        subject=case.root,
        container=missing.container,
        about=f"{missing.name}/{missing.key}",
        cause=f"the pod refers to {what}, which does not exist{_hint(near)}",
        confidence=0.93 if remedies else 0.9,
        exhibits=(*missing.seen, *source),
        remedies=remedies,
    )


def _signature(missing: _Missing) -> str:
    if missing.key:
        return "references.missing_key"
    return "references.missing_secret" if missing.kind is ReferenceKind.SECRET else "references.missing_configmap"


def _known(case: Case, missing: _Missing) -> tuple[Mapping[str, tuple[str, ...]], tuple[Exhibit, ...]]:
    """What exists of the kind, and the exhibit that says so; nothing where it may not be read."""
    namespace = case.root.namespace
    if missing.kind is ReferenceKind.SECRET:
        secrets = case.snapshot.secrets_in_use
        return secrets, (of_names(f"Secrets that ready pods of {namespace} use", _described(secrets, missing)),)
    maps = case.snapshot.config_maps
    if maps is None:
        return {}, ()
    return maps, (of_names(f"ConfigMaps of {namespace}", _described(maps, missing)),)


def _described(known: Mapping[str, tuple[str, ...]], missing: _Missing) -> tuple[str, ...]:
    if missing.key:
        return tuple(f"{missing.name}/{key}" for key in known.get(missing.name, ()))
    return tuple(known)


def _near(case: Case, missing: _Missing, known: Mapping[str, tuple[str, ...]]) -> NearMiss:
    template = missing.pod.template
    if missing.key:
        used = frozenset(r.key for r in template.references if r.name == missing.name and r.key)
        return near_miss(missing.key, known.get(missing.name, ()), spoken_for=used)
    if missing.name in known:
        return NearMiss()
    wanted = {r.key for r in template.references if r.name == missing.name and r.kind is missing.kind and r.key}
    fitting = [name for name, keys in known.items() if name not in _ALWAYS_THERE and _may_hold(missing, keys, wanted)]
    used = frozenset(r.name for r in template.references if r.kind is missing.kind)
    before = _name_before(case, missing)
    if before and before in fitting:
        return NearMiss(best=before, rivals=(before,), how="what the last ready revision refers to in the same place")
    return near_miss(missing.name, fitting, spoken_for=used)


def _may_hold(missing: _Missing, keys: tuple[str, ...], wanted: set[str]) -> bool:
    """Of a Secret that others take as a whole no key is known; nothing speaks against it then."""
    return wanted <= set(keys) or (missing.kind is ReferenceKind.SECRET and not keys)


def _name_before(case: Case, missing: _Missing) -> str:
    """What stood in the same place of the last ready revision."""
    revision = case.ready_before
    if revision is None:
        return ""
    places = {
        (r.place, r.container)
        for r in missing.pod.template.references
        if r.kind is missing.kind and r.name == missing.name
    }
    names = {
        r.name for r in revision.template.references if r.kind is missing.kind and (r.place, r.container) in places
    }
    return names.pop() if len(names) == 1 else ""


def _remedies(case: Case, missing: _Missing, near: NearMiss, source: tuple[Exhibit, ...]) -> Iterator[Remedy]:
    if case.target is None or not near.best or _served_before(case, missing):
        return
    if missing.key:
        names = {"to_name": missing.name, "from_key": missing.key, "to_key": near.best}
    else:
        names = {"to_name": near.best}
    revision = case.ready_before
    vouched = (of_revision(revision),) if revision is not None and near.how.startswith("what the last") else ()
    yield Remedy(
        action=ReplaceConfigReference(target=case.target, reference=missing.kind, from_name=missing.name, **names),
        reason=f"{near.best} exists and is the only one that can be meant: {near.how}",
        exhibits=(*source, *vouched),
    )


def _served_before(case: Case, missing: _Missing) -> bool:
    """A ready pod of the same revision started with this very reference: the object was there and has been deleted."""
    return any(pod.ready and pod.ref != missing.pod.ref for pod in case.pods)


def _hint(near: NearMiss) -> str:
    if near.best:
        return f"; {near.best} exists and is {near.how}"
    if len(near.rivals) > 1:
        return f"; it could mean any of {', '.join(near.rivals[:5])}"
    return ""
