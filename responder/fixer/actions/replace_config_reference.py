"""`replace_config_reference`: a ConfigMap or Secret that is there, in the place of one that is not.

Secrets are never read: that one exists is known from ready pods of the namespace that use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from responder.domain.action import Permission, ReferenceKind, ReplaceConfigReference
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, dig, items, mapping, text
from responder.domain.plan import Change, Check
from responder.domain.refs import is_object_name
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.domain.workload import ConfigReference, parse_template
from responder.fixer.actions.template import (
    PATCH_WORKLOADS,
    POD_SPEC,
    TEMPLATE,
    Path,
    TemplateEdit,
    check_workload,
    replicas_of,
)


@dataclass(frozen=True, kw_only=True)
class _Fields:
    """What the references to one kind are called, per place of the template."""

    env: str
    env_from: str
    volume: str
    volume_name: str
    projected: str


_FIELDS = {
    ReferenceKind.CONFIG_MAP: _Fields(
        env="configMapKeyRef", env_from="configMapRef", volume="configMap", volume_name="name", projected="configMap"
    ),
    ReferenceKind.SECRET: _Fields(
        env="secretKeyRef", env_from="secretRef", volume="secret", volume_name="secretName", projected="secret"
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One reference: where its name stands, and where its keys do."""

    name: Path
    keys: tuple[Path, ...] = ()
    guard: Path = ()
    """Name of the container or volume around it."""


class ReplaceConfigReferenceHandler:
    kind: ClassVar[str] = ReplaceConfigReference.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: ReplaceConfigReference, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: ReplaceConfigReference, snapshot: Snapshot) -> tuple[Check, ...]:
        return (
            *check_workload(snapshot),
            _well_formed(action),
            _in_use(action, snapshot),
            _target_exists(action, snapshot),
            _keys_exist(action, snapshot),
        )

    def change(self, action: ReplaceConfigReference, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        if not _well_formed(action).passed:
            raise PlanInvalid(_well_formed(action).detail)
        edit = TemplateEdit(live)
        for place in _places(live.body, action.reference):
            if text(live.body, *place.name) != action.from_name:
                continue
            hits = [path for path in place.keys if text(live.body, *path) == action.from_key]
            if action.from_key and not hits:
                continue
            if action.from_key and action.to_name != action.from_name and len(hits) < len(place.keys):
                raise PlanInvalid(f"one volume takes {action.from_key} and other keys from {action.from_name}")
            edit.guard(place.guard)
            edit.put(place.name, action.to_name)
            for path in hits:
                edit.put(path, action.to_key or action.from_key)
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: ReplaceConfigReference, snapshot: Snapshot) -> tuple[str, ...]:
        if action.reference is ReferenceKind.CONFIG_MAP:
            return ()
        return (f"the keys of Secret {action.to_name} are not read: that the wanted ones are in it is an inference",)

    def restores_not(self, action: ReplaceConfigReference, snapshot: Snapshot) -> tuple[str, ...]:
        return (f"the content of {action.reference} {action.to_name}",)

    def in_place(self, action: ReplaceConfigReference, change: Change, body: Manifest) -> bool:
        references = parse_template(mapping(body, *TEMPLATE)).references
        wanted_key = action.to_key or action.from_key
        there = any(
            r.kind is action.reference and r.name == action.to_name and (not wanted_key or r.key == wanted_key)
            for r in references
        )
        return there and not any(_concerns(action, reference) for reference in references)


def _concerns(action: ReplaceConfigReference, reference: ConfigReference) -> bool:
    return (
        reference.kind is action.reference
        and reference.name == action.from_name
        and (not action.from_key or reference.key == action.from_key)
    )


def _places(body: Manifest, kind: ReferenceKind) -> Iterator[_Place]:
    fields = _FIELDS[kind]
    for section in ("initContainers", "containers"):
        for index, container in enumerate(items(body, *POD_SPEC, section)):
            yield from _container_places(container, (*POD_SPEC, section, index), fields)
    for index, volume in enumerate(items(body, *POD_SPEC, "volumes")):
        yield from _volume_places(volume, (*POD_SPEC, "volumes", index), fields)


def _container_places(container: Manifest, at: Path, fields: _Fields) -> Iterator[_Place]:
    guard = (*at, "name")
    for index, env in enumerate(items(container, "env")):
        if dig(env, "valueFrom", fields.env) is not None:
            source = (*at, "env", index, "valueFrom", fields.env)
            yield _Place(name=(*source, "name"), keys=((*source, "key"),), guard=guard)
    for index, source_of_all in enumerate(items(container, "envFrom")):
        if dig(source_of_all, fields.env_from) is not None:
            yield _Place(name=(*at, "envFrom", index, fields.env_from, "name"), guard=guard)


def _volume_places(volume: Manifest, at: Path, fields: _Fields) -> Iterator[_Place]:
    guard = (*at, "name")
    if dig(volume, fields.volume) is not None:
        source = (*at, fields.volume)
        yield _Place(name=(*source, fields.volume_name), keys=_item_keys(volume, at, (fields.volume,)), guard=guard)
    for index, projected in enumerate(items(volume, "projected", "sources")):
        if dig(projected, fields.projected) is not None:
            below: Path = ("projected", "sources", index, fields.projected)
            yield _Place(name=(*at, *below, "name"), keys=_item_keys(volume, at, below), guard=guard)


def _item_keys(volume: Manifest, at: Path, below: Path) -> tuple[Path, ...]:
    return tuple((*at, *below, "items", index, "key") for index, _ in enumerate(items(volume, *below, "items")))


def _well_formed(action: ReplaceConfigReference) -> Check:
    problem = ""
    if not is_object_name(action.from_name) or not is_object_name(action.to_name):
        problem = f"{action.from_name[:253]!a} -> {action.to_name[:253]!a}: not both are object names"
    elif bool(action.from_key) != bool(action.to_key):
        problem = "one key is named, the other is not"
    elif (action.from_name, action.from_key) == (action.to_name, action.to_key):
        problem = "both names are the same"
    return Check(name="reference_well_formed", passed=not problem, detail=problem or _told(action))


def _told(action: ReplaceConfigReference) -> str:
    old, new = (
        f"{n}/{k}" if k else n for n, k in ((action.from_name, action.from_key), (action.to_name, action.to_key))
    )
    return f"{action.reference} {old} -> {new}"


def _in_use(action: ReplaceConfigReference, snapshot: Snapshot) -> Check:
    count = len(_concerned(action, snapshot))
    return Check(name="reference_in_use", passed=count > 0, detail=f"{count} places of the template name it")


def _concerned(action: ReplaceConfigReference, snapshot: Snapshot) -> tuple[ConfigReference, ...]:
    references = snapshot.workload.template.references if snapshot.workload else ()
    return tuple(reference for reference in references if _concerns(action, reference))


def _known(action: ReplaceConfigReference, snapshot: Snapshot) -> tuple[str, ...] | None:
    """Keys of the wanted object; None where it is not known to exist."""
    if action.reference is ReferenceKind.SECRET:
        return snapshot.secrets_in_use.get(action.to_name)
    return None if snapshot.config_maps is None else snapshot.config_maps.get(action.to_name)


def _target_exists(action: ReplaceConfigReference, snapshot: Snapshot) -> Check:
    known = _known(action, snapshot) is not None
    detail = f"{action.reference} {action.to_name[:253]!a} is {'there' if known else 'not known to exist'}"
    return Check(name="reference_target_exists", passed=known, detail=detail)


def _keys_exist(action: ReplaceConfigReference, snapshot: Snapshot) -> Check:
    known = _known(action, snapshot) or ()
    if action.to_key:
        wanted = {action.to_key}
    elif action.reference is ReferenceKind.CONFIG_MAP:
        wanted = {r.key for r in _concerned(action, snapshot) if r.key and not r.optional}
    else:
        wanted = set()
    missing = sorted(wanted - set(known))
    return Check(
        name="reference_keys_exist",
        passed=not missing,
        detail=f"not known to be in {action.to_name}: {', '.join(missing)}" if missing else "no key is known to lack",
    )
