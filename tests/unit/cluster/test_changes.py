"""What is sent for a change: its own bytes, the preconditions before them, the execution's mark after them."""

from typing import Any

import jsonpatch
import pytest

from responder.cluster.changes import eviction_body, patch_body, write_parameters
from responder.cluster.owners import live_object
from responder.domain.plan import Change, PatchOp, Verb
from responder.domain.refs import ObjectRef

TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
IMAGE = PatchOp(op="replace", path="/spec/image", value="nginx:1.27")
MARK = "clopus.dev/execution"


def change(*patch: PatchOp) -> Change:
    return Change(target=TARGET, resource_version="42", base_hash="h", patch=patch)


def body(annotations: dict[str, str] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "web", "uid": "u-1", "resourceVersion": "42"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"image": "nignx:1.27"}}


def test_the_patch_is_sent_between_preconditions_and_mark() -> None:
    sent = patch_body(change(IMAGE), live_object(body({"a": "b"})), execution_id="exe-1")
    assert sent == [
        {"op": "replace", "path": "/metadata/uid", "value": "u-1"},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "42"},
        {"op": "replace", "path": "/spec/image", "value": "nginx:1.27"},
        {"op": "add", "path": "/metadata/annotations/clopus.dev~1execution", "value": "exe-1"},
    ]


ADD_MAP = PatchOp(op="add", path="/metadata/annotations", value={"new": "1"})
REMOVE_MAP = PatchOp(op="remove", path="/metadata/annotations")


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        pytest.param({"a": "b"}, (IMAGE,), {"a": "b", MARK: "exe-1"}, id="kept"),
        pytest.param({}, (IMAGE,), {MARK: "exe-1"}, id="empty map"),
        pytest.param(None, (IMAGE,), {MARK: "exe-1"}, id="no map"),
        pytest.param(None, (ADD_MAP,), {"new": "1", MARK: "exe-1"}, id="the patch adds the map"),
        pytest.param({"a": "b"}, (REMOVE_MAP,), {MARK: "exe-1"}, id="the patch removes the map"),
        pytest.param({MARK: "exe-0"}, (IMAGE,), {MARK: "exe-1"}, id="an earlier execution's mark"),
    ],
)
def test_the_mark_joins_the_annotations_that_are_there_after_the_patch(
    before: dict[str, str] | None, patch: tuple[PatchOp, ...], after: dict[str, str]
) -> None:
    sent = patch_body(change(*patch), live_object(body(before)), execution_id="exe-1")
    assert jsonpatch.apply_patch(body(before), sent)["metadata"]["annotations"] == after


def test_a_removal_carries_no_value() -> None:
    sent = patch_body(change(PatchOp(op="remove", path="/spec/image")), live_object(body({})), execution_id="exe-1")
    assert {"op": "remove", "path": "/spec/image"} in sent


def test_setting_a_field_to_null_carries_the_null() -> None:
    patch = PatchOp(op="add", path="/spec/paused", value=None)
    sent = patch_body(change(patch), live_object(body({})), execution_id="exe-1")
    assert {"op": "add", "path": "/spec/paused", "value": None} in sent


def test_an_eviction_names_uid_and_version() -> None:
    pod = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="u-2")
    sent = eviction_body(Change(target=pod, verb=Verb.EVICT, resource_version="7", base_hash="h"))
    assert sent["metadata"] == {"name": "web-1", "namespace": "shop"}
    assert sent["deleteOptions"] == {"preconditions": {"uid": "u-2", "resourceVersion": "7"}}


@pytest.mark.parametrize("dry_run", [True, False])
def test_every_write_is_strict_and_signed(dry_run: bool) -> None:
    parameters = write_parameters(dry_run=dry_run)
    assert parameters["fieldManager"] == "clopus"
    assert parameters["fieldValidation"] == "Strict"
    assert parameters.get("dryRun") == ("All" if dry_run else None)
