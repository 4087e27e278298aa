"""Who else writes to an object, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from responder.domain.action import RestartRollout, SetImage
from responder.domain.manifest import FieldOwner, LiveObject
from responder.domain.refs import ObjectRef
from responder.fixer.ownership import field_path, last_other_writer, last_writer_of, ownership_warnings

TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="uid-web")
SET_IMAGE = SetImage(target=TARGET, container="web", image="registry.local/web:1")
IMAGE = "/spec/template/spec/containers[web]/image"


def owner(make: Any, manager: str, *paths: str, seconds: int = 0, **changes: Any) -> FieldOwner:
    return FieldOwner(
        manager=manager,
        **{"operation": "Update", "at": make.now + timedelta(seconds=seconds), "paths": frozenset(paths), **changes},
    )


def owned(make: Any, *owners: FieldOwner, **metadata: Any) -> LiveObject:
    live: LiveObject = make.live(make.deployment(**metadata))
    return replace(live, owners=owners)


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("/spec/template/spec/containers/0/image", IMAGE),
        ("/spec/template/spec/containers/1/image", "/spec/template/spec/containers[metrics]/image"),
        ("/spec/template/spec/initContainers/0/image", "/spec/template/spec/initContainers[migrate]/image"),
        ("/spec/template/spec/containers/0/ports/0/containerPort",
         "/spec/template/spec/containers[web]/ports[8080,TCP]/containerPort"),
        ("/spec/template/spec/containers/0/volumeMounts/0",
         "/spec/template/spec/containers[web]/volumeMounts[/config]"),
        ("/spec/template/spec/volumes/7", "/spec/template/spec/volumes[7]"),
        ("/spec/template/metadata/annotations/a.b~1c", "/spec/template/metadata/annotations/a.b~1c"),
    ],
)  # fmt: skip
def test_a_pointer_is_spelt_as_managed_fields_spell_it(make: Any, pointer: str, path: str) -> None:
    assert field_path(make.deployment(), pointer) == path


@pytest.mark.inv(30)
@pytest.mark.parametrize(
    ("metadata", "owners", "words"),
    [
        pytest.param({}, [], [], id="nobody"),
        pytest.param({"metadata__labels": {"argocd.argoproj.io/instance": "x"}}, [], ["Argo CD"], id="Argo CD"),
        pytest.param({"metadata__labels": {"helm.toolkit.fluxcd.io/name": "x"}}, [], ["Flux"], id="Flux"),
        pytest.param({"metadata__labels": {"app.kubernetes.io/managed-by": "Helm"}}, [], ["Helm"], id="Helm by label"),
        pytest.param({}, [("helm", (IMAGE,), {})], ["Helm"], id="Helm by field"),
        pytest.param({}, [("sync", (IMAGE,), {"operation": "Apply"})], ["sync"], id="applied by someone"),
        pytest.param(
            {},
            [("kube-controller-manager", ("/spec/replicas",), {"subresource": "scale"})],
            ["autoscaler"],
            id="autoscaler",
        ),
        pytest.param({}, [("kubectl-create", (IMAGE,), {})], [], id="created by hand"),
    ],
)
def test_a_person_is_told_who_will_set_it_back(
    make: Any, metadata: dict[str, Any], owners: list[Any], words: list[str]
) -> None:
    live = owned(make, *(owner(make, name, *paths, **more) for name, paths, more in owners), **metadata)
    warnings = ownership_warnings(live, make.change(SET_IMAGE))
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_the_last_writer_of_the_field_goes_before_the_last_writer_of_the_object(make: Any) -> None:
    live = owned(make, owner(make, "a", IMAGE, seconds=1), owner(make, "b", "/spec/replicas", seconds=2))
    change = make.change(SET_IMAGE)
    assert last_writer_of(live, change) == "a"
    assert last_other_writer(live) == "b"
    assert last_writer_of(live, make.change(RestartRollout(target=TARGET))) == "b"


def test_our_own_writes_status_reports_and_revision_notes_are_nobody_elses(make: Any) -> None:
    live = owned(
        make,
        owner(make, "clopus", IMAGE, seconds=9),
        owner(make, "kube-controller-manager", "/status", seconds=9, subresource="status"),
        owner(make, "kube-controller-manager", "/metadata/annotations/deployment.kubernetes.io~1revision", seconds=9),
    )
    assert last_other_writer(live) == ""
    assert last_writer_of(live, make.change(SET_IMAGE)) == ""
