"""`set_image`: another image for one container. Whether the image is vouched for is the guard's question, not ours."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from responder.domain.action import Permission, SetImage
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, text
from responder.domain.plan import Change, Check
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.fixer.actions.template import (
    PATCH_WORKLOADS,
    TemplateEdit,
    check_container,
    check_workload,
    raw_container,
    replicas_of,
)

# [host[:port]/]path[:tag][@digest], ASCII only, so that no letter passes for another.
# https://github.com/distribution/reference/blob/main/reference.go
_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-{1,8})[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-{1,8})[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@sha256:[a-f0-9]{64})?\Z"
)
_LONGEST_REFERENCE = 512


def is_image_reference(image: str) -> bool:
    return len(image) <= _LONGEST_REFERENCE and _REFERENCE.match(image) is not None


class SetImageHandler:
    kind: ClassVar[str] = SetImage.kind
    reversible: ClassVar[bool] = True
    permissions: ClassVar[tuple[Permission, ...]] = PATCH_WORKLOADS

    def risk(self, action: SetImage, snapshot: Snapshot) -> Risk:
        return Risk.MEDIUM

    def check(self, action: SetImage, snapshot: Snapshot) -> tuple[Check, ...]:
        formed = is_image_reference(action.image)
        return (
            *check_workload(snapshot),
            check_container(snapshot, action.container),
            Check(
                name="image_well_formed",
                passed=formed,
                detail=action.image if formed else f"{action.image[:_LONGEST_REFERENCE]!a} is no image reference",
            ),
        )

    def change(self, action: SetImage, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        if not is_image_reference(action.image):
            raise PlanInvalid(f"{action.image[:_LONGEST_REFERENCE]!a} is no image reference")
        edit = TemplateEdit(live)
        edit.put((*edit.container(action.container), "image"), action.image)
        return edit.change(replicas_at_risk=replicas_of(snapshot))

    def warnings(self, action: SetImage, snapshot: Snapshot) -> tuple[str, ...]:
        if "@" in action.image or ":" in action.image.rpartition("/")[2]:
            return ()
        return (f"{action.image} names no tag or digest: what it means can change at any time",)

    def restores_not(self, action: SetImage, snapshot: Snapshot) -> tuple[str, ...]:
        return ("what the other image wrote to volumes or services while it ran",)

    def in_place(self, action: SetImage, change: Change, body: Manifest) -> bool:
        return text(raw_container(body, action.container), "image") == action.image
