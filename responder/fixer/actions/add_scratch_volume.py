"""`add_scratch_volume`: an emptyDir at a directory that the program must write to and may not."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from fractions import Fraction
from typing import ClassVar

from responder.domain.action import AddScratchVolume, Permission
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, dig, items, text
from responder.domain.plan import Change, Check
from responder.domain.quantity import parse_quantity
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.fixer.actions.template import (
    PATCH_WORKLOADS,
    POD_SPEC,
    TemplateEdit,
    check_container,
    check_workload,
    container_of,
    raw_container,
    replicas_of,
)

_PATH = re.compile(r"(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*|/\.[A-Za-z0-9_][A-Za-z0-9_.-]*)+\Z")
_LONGEST_PATH = 255
_LONGEST_NAME = 63  # a volume's name is a DNS label

_NOT_UNDER = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/sbin", "/sys", "/usr",
)  # fmt: skip
"""Hiding what the image has there breaks or disarms the program."""

_CREDENTIALS = ("/run/secrets", "/var/run/secrets")
"""Mounted by the kubelet. A volume at `/var/run` leaves them in place, because deeper mounts are made later."""

_TOO_WIDE = frozenset({"/var", "/var/lib", "/home", "/opt", "/srv", "/app"})
"""They hold much more than scratch files."""

_LARGEST = "2Gi"


class AddScratchVolumeHandler:
    kind: ClassVar[str] = AddScratchVolume.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: AddScratchVolume, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: AddScratchVolume, snapshot: Snapshot) -> tuple[Check, ...]:
        problem = path_problem(action.path)
        return (
            *check_workload(snapshot),
            check_container(snapshot, action.container),
            Check(name="path_allowed", passed=not problem, detail=problem or action.path),
            _path_free(action, snapshot),
            _size(action),
        )

    def change(self, action: AddScratchVolume, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        problem = path_problem(action.path)
        if problem:
            raise PlanInvalid(problem)
        edit = TemplateEdit(live)
        container = edit.container(action.container)
        mounts = tuple(text(m, "mountPath") for m in items(live.body, *container, "volumeMounts"))
        if conflict := _conflict(action.path, mounts):
            raise PlanInvalid(f"{action.container} has {conflict} mounted already")
        taken = {text(volume, "name") for volume in items(live.body, *POD_SPEC, "volumes")}
        name = volume_name(action.path, taken)
        volume = {"name": name, "emptyDir": {"sizeLimit": action.size_limit}}
        edit.append((*POD_SPEC, "volumes"), volume, key="name")
        edit.append((*container, "volumeMounts"), {"name": name, "mountPath": action.path}, key="mountPath")
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: AddScratchVolume, snapshot: Snapshot) -> tuple[str, ...]:
        return (f"whatever the image has under {action.path} is hidden by the empty volume",)

    def restores_not(self, action: AddScratchVolume, snapshot: Snapshot) -> tuple[str, ...]:
        return (f"files that the program wrote to {action.path}: they end with their pod",)

    def in_place(self, action: AddScratchVolume, change: Change, body: Manifest) -> bool:
        mount = next(
            (
                text(mount, "name")
                for mount in items(raw_container(body, action.container), "volumeMounts")
                if text(mount, "mountPath") == action.path
            ),
            "",
        )
        return any(
            text(volume, "name") == mount and dig(volume, "emptyDir") is not None
            for volume in items(body, *POD_SPEC, "volumes")
        )


def path_problem(path: str) -> str:
    """Why nothing may be mounted at `path`; '' where it may."""
    if len(path) > _LONGEST_PATH or _PATH.match(path) is None:
        return f"{path[:_LONGEST_PATH]!a} is no clean absolute path below /"
    forbidden = next((top for top in _NOT_UNDER if _overlap(path, top)), None)
    if forbidden is None:
        forbidden = next((top for top in _CREDENTIALS if path == top or path.startswith(f"{top}/")), None)
    if forbidden is None and path in _TOO_WIDE:
        forbidden = f"everything below {path}"
    return f"{path} must not hide {forbidden}" if forbidden else ""


def volume_name(path: str, taken: set[str]) -> str:
    """`scratch-var-cache-nginx`: the same path gives the same name, and never one that is taken."""
    name = "scratch-" + re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")
    if len(name) <= _LONGEST_NAME and name not in taken:
        return name
    for attempt in range(len(taken) + 1):
        mark = hashlib.sha256(f"{path}#{attempt}".encode()).hexdigest()[:8]
        candidate = f"{name[: _LONGEST_NAME - 9].rstrip('-')}-{mark}"
        if candidate not in taken:
            return candidate
    raise PlanInvalid(f"no name is free for a volume at {path}")


def _overlap(one: str, other: str) -> bool:
    """True when one path is the other, or lies under it."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _conflict(path: str, mounts: tuple[str, ...]) -> str:
    return next((mount for mount in mounts if _overlap(path, mount.rstrip("/") or "/")), "")


def _path_free(action: AddScratchVolume, snapshot: Snapshot) -> Check:
    container = container_of(snapshot, action.container)
    conflict = _conflict(action.path, tuple(container.mounts)) if container else ""
    return Check(
        name="path_free",
        passed=not conflict,
        detail=f"{conflict} is mounted already" if conflict else f"nothing is mounted at, above or below {action.path}",
    )


def _size(action: AddScratchVolume) -> Check:
    size, cap = parse_quantity(action.size_limit), parse_quantity(_LARGEST) or Fraction(0)
    return Check(
        name="size_in_bounds",
        passed=size is not None and 0 < size <= cap,
        detail=f"size limit {action.size_limit[:32]!a}, at most {_LARGEST}",
    )
