"""Changes of a pod template: JSON patch operations on the raw object, each with its exact undoing.

The raw object is patched, never a parsed one written back: fields that Clopus does not understand survive untouched.
A list item is addressed by position, so a `test` of its name guards every such path. Source: RFC 6902.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from contextlib import contextmanager

from responder.domain.action import Permission
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import Json, LiveObject, Manifest, base_hash, dig, items, mapping, number, text
from responder.domain.plan import Change, Check, PatchOp
from responder.domain.refs import WORKLOAD_KINDS
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Container, Workload
from responder.fixer.actions.operations import Path as Path
from responder.fixer.actions.operations import pointer
from responder.fixer.actions.plaintext import require_no_plain_secrets

TEMPLATE: Path = ("spec", "template")
POD_SPEC: Path = (*TEMPLATE, "spec")

PATCH_WORKLOADS = tuple(
    Permission(group="apps", resource=resource, verbs=("patch",))
    for resource in ("deployments", "statefulsets", "daemonsets")
)


def container_path(body: Manifest, name: str) -> Path | None:
    """Where the container or init container stands; None where there is none of the name."""
    for section in ("containers", "initContainers"):
        for index, container in enumerate(items(body, *POD_SPEC, section)):
            if text(container, "name") == name:
                return (*POD_SPEC, section, index)
    return None


def raw_container(body: Manifest, name: str) -> Manifest:
    """The container as stored; empty where there is none of the name."""
    path = container_path(body, name)
    return mapping(body, *path) if path else {}


class TemplateEdit:
    """Collects operations on one live object. Each is computed against the outcome of those before it."""

    def __init__(self, live: LiveObject) -> None:
        self._live = live
        self._body: Json = copy.deepcopy(live.body)
        self._guards: dict[str, PatchOp] = {}
        self._forward: list[PatchOp] = []
        self._backward: list[tuple[PatchOp, ...]] = []

    def container(self, name: str) -> Path:
        """The container's path, guarded by a `test` of its name.

        Raises:
            PlanInvalid: the live object has no such container.
        """
        path = container_path(self._live.body, name)
        if path is None:
            raise PlanInvalid(f"{self._live.ref} has no container {name!r}")
        self.guard((*path, "name"))
        return path

    def guard(self, path: Path) -> None:
        """Refuse the write, and the undoing, when the value at `path` is another one by then."""
        self._guards.setdefault(
            pointer(path), PatchOp(op="test", path=pointer(path), value=dig(self._live.body, *path))
        )

    def value(self, path: Path) -> Json:
        return dig(self._body, *path)

    def put(self, path: Path, value: Json) -> None:
        """Set the value at `path`, with the maps above it where they are missing. The same value changes nothing."""
        depth = self._existing(path)
        parent = dig(self._body, *path[:depth])
        token = path[depth]
        for missing in reversed(path[depth + 1 :]):
            value = {str(missing): value}
        at = pointer(path[: depth + 1])
        if isinstance(parent, Mapping) and token not in parent:
            self._record(PatchOp(op="add", path=at, value=value), (PatchOp(op="remove", path=at),))
        else:
            old = dig(parent, token)
            if old == value and type(old) is type(value):
                return
            self._record(
                PatchOp(op="replace", path=at, value=value),
                (PatchOp(op="replace", path=at, value=copy.deepcopy(old)),),
            )
        self._assign(path[:depth], token, value)

    def append(self, path: Path, item: Manifest, *, key: str) -> None:
        """Add `item` at the end of the list at `path`. `key` is the field that tells its items apart."""
        present = dig(self._body, *path)
        if not isinstance(present, MutableSequence) or not present:
            self.put(path, [dict(item)])
            return
        at = pointer((*path, len(present)))
        undo = (PatchOp(op="test", path=f"{at}/{key}", value=item[key]), PatchOp(op="remove", path=at))
        self._record(PatchOp(op="add", path=at, value=dict(item)), undo)
        present.append(dict(item))

    def insert(self, path: Path, item: Json) -> None:
        """Put `item` into a list, in front of what stands at `path` now."""
        above = self._list_above(path)
        at = pointer(path)
        undo = (*self._name_tests(path, item), PatchOp(op="remove", path=at))
        self._record(PatchOp(op="add", path=at, value=copy.deepcopy(item)), undo)
        above.insert(int(path[-1]), copy.deepcopy(item))

    def remove(self, path: Path) -> None:
        """Take away the key or list item at `path`."""
        old = copy.deepcopy(dig(self._body, *path))
        above = dig(self._body, *path[:-1])
        if isinstance(above, MutableSequence):
            self._forward.extend(self._name_tests(path, old))
        self._record(PatchOp(op="remove", path=pointer(path)), (PatchOp(op="add", path=pointer(path), value=old),))
        del above[path[-1]]

    @contextmanager
    def named(self, path: Path) -> Iterator[None]:
        """Guard what is recorded within by `test`s of the name of the list item at `path`: where the item stands by
        then, which may be another place than in the live object."""
        start, before = len(self._forward), self._name_tests(path, dig(self._body, *path))
        yield
        if len(self._forward) > start:
            self._forward[start:start] = before
            self._backward.append(self._name_tests(path, dig(self._body, *path)))

    def change(self, *, replicas_at_risk: int) -> Change:
        """
        Raises:
            PlanInvalid: nothing was asked that is not so already, or a secret would stand in the change.
        """
        if not self._forward:
            raise PlanInvalid(f"{self._live.ref} is already as the action wants it: there is nothing to change")
        guards = tuple(self._guards.values())
        undo = tuple(op for ops in reversed(self._backward) for op in ops)
        return change_of(
            self._live,
            patch=(*guards, *self._forward),
            inverse=(*guards, *undo),
            replicas_at_risk=replicas_at_risk,
        )

    def _existing(self, path: Path) -> int:
        """How many tokens lead to something that can hold the next one; the last token always counts as missing."""
        node: Json = self._body
        for depth, token in enumerate(path[:-1]):
            below = dig(node, token)
            if not isinstance(below, Mapping | list):
                return depth
            node = below
        return len(path) - 1

    def _list_above(self, path: Path) -> MutableSequence[Json]:
        found = dig(self._body, *path[:-1])
        if not isinstance(found, MutableSequence):
            raise TypeError(f"{pointer(path[:-1])} is no list")
        return found

    @staticmethod
    def _name_tests(path: Path, item: Json) -> tuple[PatchOp, ...]:
        name = text(item, "name")
        return (PatchOp(op="test", path=pointer((*path, "name")), value=name),) if name else ()

    def _record(self, forward: PatchOp, backward: tuple[PatchOp, ...]) -> None:
        self._forward.append(forward)
        self._backward.append(backward)

    def _assign(self, parent: Path, token: str | int, value: Json) -> None:
        holder = dig(self._body, *parent)
        if isinstance(holder, MutableMapping | MutableSequence):
            holder[token] = copy.deepcopy(value)  # type: ignore[index]


def change_of(
    live: LiveObject, *, patch: tuple[PatchOp, ...], inverse: tuple[PatchOp, ...], replicas_at_risk: int
) -> Change:
    """
    Raises:
        PlanInvalid: the change, or its undoing, would write a secret in plain text.
    """
    require_no_plain_secrets(live, patch, inverse)
    return Change(
        target=live.ref,
        resource_version=live.resource_version,
        base_hash=base_hash(live.body),
        patch=patch,
        inverse=inverse,
        replicas_at_risk=replicas_at_risk,
    )


def replicas_of(snapshot: Snapshot) -> int:
    """Pods that a new revision replaces."""
    return snapshot.workload.desired if snapshot.workload else 0


def check_workload(snapshot: Snapshot) -> tuple[Check, ...]:
    """Preconditions of every change that rolls out a new revision."""
    workload = snapshot.workload
    if workload is None or snapshot.live is None or workload.ref.kind not in WORKLOAD_KINDS:
        return (Check(name="workload_present", passed=False, detail="there is no workload with a pod template"),)
    terminating = text(snapshot.live.body, "metadata", "deletionTimestamp")
    return (
        Check(name="workload_present", passed=True, detail=workload.ref.key),
        Check(
            name="workload_not_terminating",
            passed=not terminating,
            detail=f"deleted at {terminating}" if terminating else "it is not being deleted",
        ),
        Check(
            name="workload_scaled_up",
            passed=workload.desired > 0,
            detail=f"{workload.desired} replicas are asked for",
        ),
        _rolls_out(workload, snapshot.live),
    )


def _rolls_out(workload: Workload, live: LiveObject) -> Check:
    partition = number(live.body, "spec", "updateStrategy", "rollingUpdate", "partition")
    if workload.paused:
        problem = "its rollout is paused: a change would wait for someone to resume it"
    elif workload.strategy == "OnDelete":
        problem = "its strategy is OnDelete: a change would replace no pod"
    elif partition > 0:
        problem = f"its partition is {partition}: a change would leave the pods below it as they are"
    else:
        problem = ""
    return Check(
        name="workload_rolls_out", passed=not problem, detail=problem or f"strategy {workload.strategy or 'default'}"
    )


def container_of(snapshot: Snapshot, name: str) -> Container | None:
    return snapshot.workload.template.container(name) if snapshot.workload else None


def check_container(snapshot: Snapshot, name: str) -> Check:
    present = container_of(snapshot, name) is not None
    return Check(
        name="container_exists",
        passed=present,
        detail=f"container {name}" if present else f"the pod template has no container {name!r}",
    )


def covers(live: Json, wanted: Json) -> bool:
    """True when `live` holds everything of `wanted`; the API server may have added defaults beside it."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(key in live and covers(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(covers(one, other) for one, other in zip(live, wanted, strict=True))
        )
    return bool(live == wanted)
