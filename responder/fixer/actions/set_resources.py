"""`set_resources`: requests and limits of one container, within bounds that no proposal can widen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import ClassVar

from responder.domain.action import Permission, SetResources
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, dig
from responder.domain.plan import Change, Check
from responder.domain.quantity import parse_quantity, same_quantity
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Container
from responder.fixer.actions.template import (
    PATCH_WORKLOADS,
    TemplateEdit,
    check_container,
    check_workload,
    container_of,
    raw_container,
    replicas_of,
)

LARGEST_RAISE = 4
"""A limit or request becomes at most this many times what it was, or what an earlier revision had."""

_FLOOR = {"memory": "4Mi", "cpu": "1m"}
_CAP = {"memory": "16Gi", "cpu": "8"}


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """One of the four values: what it is, and what it shall be ('' leaves it)."""

    section: str
    resource: str
    now: str
    wanted: str
    before: tuple[str, ...] = ()
    """What earlier revisions had."""

    @property
    def label(self) -> str:
        return f"{self.resource} {self.section[:-1]}"

    @property
    def after(self) -> str:
        return self.wanted or self.now


class SetResourcesHandler:
    kind: ClassVar[str] = SetResources.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: SetResources, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: SetResources, snapshot: Snapshot) -> tuple[Check, ...]:
        checks = [*check_workload(snapshot), check_container(snapshot, action.container)]
        container = container_of(snapshot, action.container)
        if container is not None:
            settings = _settings(action, container, snapshot)
            checks += [_bounds(settings), _limit_not_lowered(settings), _request_within_limit(settings)]
            checks.append(_room_in_quota(settings, snapshot))
        return tuple(checks)

    def change(self, action: SetResources, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        edit = TemplateEdit(live)
        container = edit.container(action.container)
        for section, resource, wanted in _wanted(action):
            place = (*container, "resources", section, resource)
            if same_quantity(str(edit.value(place)), wanted):
                continue
            if parse_quantity(wanted) is None:
                raise PlanInvalid(f"{wanted!a} is no quantity")
            edit.put(place, wanted)
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: SetResources, snapshot: Snapshot) -> tuple[str, ...]:
        return ()

    def restores_not(self, action: SetResources, snapshot: Snapshot) -> tuple[str, ...]:
        return ()

    def in_place(self, action: SetResources, change: Change, body: Manifest) -> bool:
        container = raw_container(body, action.container)
        return all(
            same_quantity(str(dig(container, "resources", section, resource)), wanted)
            for section, resource, wanted in _wanted(action)
        )


def _wanted(action: SetResources) -> Iterator[tuple[str, str, str]]:
    for section, resource, wanted in (
        ("limits", "memory", action.memory_limit),
        ("requests", "memory", action.memory_request),
        ("limits", "cpu", action.cpu_limit),
        ("requests", "cpu", action.cpu_request),
    ):
        if wanted:
            yield section, resource, wanted


def _settings(action: SetResources, container: Container, snapshot: Snapshot) -> tuple[_Setting, ...]:
    earlier = tuple(
        before
        for revision in snapshot.revisions
        if not revision.current and (before := revision.template.container(container.name)) is not None
    )

    def setting(section: str, resource: str, read: Callable[[Container], str], wanted: str) -> _Setting:
        before = tuple(read(container) for container in earlier)
        return _Setting(section=section, resource=resource, now=read(container), wanted=wanted, before=before)

    return (
        setting("limits", "memory", lambda c: c.memory_limit, action.memory_limit),
        setting("requests", "memory", lambda c: c.memory_request, action.memory_request),
        setting("limits", "cpu", lambda c: c.cpu_limit, action.cpu_limit),
        setting("requests", "cpu", lambda c: c.cpu_request, action.cpu_request),
    )


def _bounds(settings: tuple[_Setting, ...]) -> Check:
    wanted = [setting for setting in settings if setting.wanted]
    problems = [problem for setting in wanted if (problem := _out_of_bounds(setting))]
    if not wanted:
        problems = ["it names no value"]
    told = ", ".join(f"{s.label} {s.now or 'unset'} -> {s.wanted}" for s in wanted)
    return Check(name="resources_in_bounds", passed=not problems, detail="; ".join(problems) or told)


def _out_of_bounds(setting: _Setting) -> str:
    wanted, now = parse_quantity(setting.wanted), parse_quantity(setting.now)
    if wanted is None:
        return f"{setting.label} {setting.wanted!a} is no quantity"
    floor, cap = _FLOOR[setting.resource], _CAP[setting.resource]
    if wanted < _number(floor):
        return f"{setting.label} {setting.wanted} is under {floor}"
    if wanted > _number(cap):
        return f"{setting.label} {setting.wanted} is over {cap}"
    known = any(same_quantity(setting.wanted, before) for before in setting.before)
    if now and wanted > LARGEST_RAISE * now and not known:
        return f"{setting.label} {setting.wanted} is over {LARGEST_RAISE} times {setting.now}"
    return ""


def _limit_not_lowered(settings: tuple[_Setting, ...]) -> Check:
    lowered = [
        f"{setting.label} {setting.now} -> {setting.wanted}"
        for setting in settings
        if setting.section == "limits" and setting.wanted and _number(setting.wanted) < _number(setting.now)
    ]
    return Check(name="limit_not_lowered", passed=not lowered, detail="; ".join(lowered) or "no limit becomes smaller")


def _request_within_limit(settings: tuple[_Setting, ...]) -> Check:
    problems = []
    for resource in _CAP:
        after = {setting.section: setting.after for setting in settings if setting.resource == resource}
        if after["limits"] and _number(after["requests"]) > _number(after["limits"]):
            problems.append(f"{resource} request {after['requests']} is over the limit {after['limits']}")
    return Check(
        name="request_within_limit", passed=not problems, detail="; ".join(problems) or "requests fit their limits"
    )


def _room_in_quota(settings: tuple[_Setting, ...], snapshot: Snapshot) -> Check:
    """A quota that already refuses pods refuses larger ones the more."""
    raised = any(setting.wanted and _number(setting.wanted) > _number(setting.now) for setting in settings)
    refusal = next(
        (e.message for e in snapshot.events if e.reason == "FailedCreate" and "exceeded quota" in e.message), ""
    )
    return Check(
        name="quota_has_room",
        passed=not (raised and refusal),
        detail=refusal or "no quota has refused a pod of the workload",
    )


def _number(quantity: str) -> Fraction:
    """0 for what is unset or no quantity: `_bounds` has refused that by then."""
    return parse_quantity(quantity) or Fraction(0)
