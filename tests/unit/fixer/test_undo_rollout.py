"""An undo writes what differs between two pod templates and nothing else, and no change carries a secret."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import jsonpatch
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from responder.domain.action import RestartRollout, SetImage, UndoRollout
from responder.domain.errors import PlanInvalid
from responder.domain.plan import Change, PatchOp
from responder.domain.refs import ObjectRef
from responder.fixer.actions import handler_for
from responder.fixer.actions.template import change_of

TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="uid-web")
UNDO = UndoRollout(target=TARGET, to_revision=1)
SECRET = "correct-horse-battery"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"

CHECKSUM = {"annotations": {"checksum/secret": "ab12" * 16}}
OTHER_CHECKSUM = {"annotations": {"checksum/secret": "cd34" * 16}}

Template = dict[str, Any]


class Make(Protocol):
    now: Any
    revision: Callable[..., Any]
    deployment: Callable[..., dict[str, Any]]
    live: Callable[..., Any]
    change: Callable[..., Change]


def undo(make: Make, current: Template, earlier: Template) -> Change:
    stored = replace(make.revision(1, ready=2), raw_template=earlier)
    body = make.deployment(spec__template=copy.deepcopy(current))
    return make.change(UNDO, body, revisions=(make.revision(2, current=True, ready=0), stored))


def patched(body: Mapping[str, Any], ops: tuple[PatchOp, ...]) -> dict[str, Any]:
    raw = [
        {"op": op.op, "path": op.path} if op.op == "remove" else {"op": op.op, "path": op.path, "value": op.value}
        for op in ops
    ]
    result: dict[str, Any] = jsonpatch.JsonPatch(copy.deepcopy(raw)).apply(copy.deepcopy(dict(body)))
    return result


def template(*, metadata: Template | None = None, volumes: Any = None, **container: Any) -> Template:
    spec: Template = {"containers": [{"name": "web", "image": "a:1", **container}]}
    if volumes is not None:
        spec["volumes"] = volumes
    return {"spec": spec, **({"metadata": metadata} if metadata else {})}


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def writes(change: Change) -> list[tuple[str, str]]:
    return [(op.op, op.path) for op in change.patch if op.op != "test"]


def recorded(change: Change) -> str:
    return json.dumps([[op.op, op.path, op.value] for op in (*change.patch, *change.inverse)])


CONTAINER = "/spec/template/spec/containers/0"


@pytest.mark.inv(47)
def test_a_secret_that_both_revisions_have_is_not_in_the_change(make: Make) -> None:
    change = undo(
        make,
        template(image="a:2", env=env(API_TOKEN=SECRET), args=["--password", SECRET]),
        template(env=env(API_TOKEN=SECRET), args=["--password", SECRET]),
    )
    assert writes(change) == [("replace", f"{CONTAINER}/image")]
    assert SECRET not in recorded(change)


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    ("current", "earlier"),
    [
        pytest.param(env(A="1", API_TOKEN=SECRET, B="2"), env(API_TOKEN=SECRET, B="2"), id="one less before it"),
        pytest.param(env(API_TOKEN=SECRET), env(A="1", API_TOKEN=SECRET, B="2"), id="more around it"),
        pytest.param(env(A="1", API_TOKEN=SECRET), env(A="2", API_TOKEN=SECRET), id="another value beside it"),
    ],
)
def test_a_secret_that_moved_in_its_list_is_not_in_the_change(make: Make, current: Any, earlier: Any) -> None:
    change = undo(make, template(env=current), template(env=earlier))
    assert SECRET not in recorded(change)


@pytest.mark.inv(47)
def test_a_secret_of_a_container_that_moved_is_not_in_the_change(make: Make) -> None:
    earlier = template(env=env(API_TOKEN=SECRET))
    current = copy.deepcopy(earlier)
    current["spec"]["containers"].insert(0, {"name": "side", "image": "b:1"})
    current["spec"]["containers"][1]["image"] = "a:2"
    change = undo(make, current, earlier)
    assert writes(change) == [("remove", CONTAINER), ("replace", f"{CONTAINER}/image")]
    assert SECRET not in recorded(change)


@pytest.mark.inv(24)
def test_an_edit_of_a_list_item_holds_only_while_the_item_has_its_name(make: Make) -> None:
    change = undo(make, template(env=env(A="1", B="2")), template(env=env(A="1", B="3")))
    assert [(op.op, op.path, op.value) for op in change.patch] == [
        ("test", f"{CONTAINER}/name", "web"),
        ("test", f"{CONTAINER}/env/1/name", "B"),
        ("replace", f"{CONTAINER}/env/1/value", "3"),
    ]


def test_a_null_is_the_same_as_nothing(make: Make) -> None:
    labels = {"labels": {"app": "web"}}
    change = undo(
        make, template(image="a:2", metadata=labels), template(metadata={**labels, "creationTimestamp": None})
    )
    assert writes(change) == [("replace", f"{CONTAINER}/image")]


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    ("current", "earlier", "place"),
    [
        pytest.param({"env": env(A="1")}, {"env": env(DB_PASSWORD=SECRET)}, "env/0/value (DB_PASSWORD)", id="added"),
        pytest.param({"env": env(DB_PASSWORD=SECRET)}, {"env": []}, "env/0/value (DB_PASSWORD)", id="removed"),
        pytest.param(
            {"env": env(DB_PASSWORD="x" + SECRET)}, {"env": env(DB_PASSWORD=SECRET)}, "env/0/value", id="changed"
        ),
        pytest.param({"env": env(NOTE="x")}, {"env": env(NOTE=TOKEN)}, "env/0/value (NOTE)", id="form"),
        pytest.param({"args": ["serve"]}, {"args": [f"--token={SECRET}"]}, "args/0", id="option"),
        pytest.param({"args": ["--user", "x"]}, {"args": ["--password", SECRET]}, "args/1", id="after an option"),
        pytest.param({"args": ["--password", SECRET]}, {"args": ["--user", "x"]}, "args/1", id="option taken away"),
        pytest.param({"command": ["sh"]}, {"command": ["sh", "-c", f"PASSWORD={SECRET} web"]}, "command/2", id="shell"),
        pytest.param({}, {"env": env(DB_PASSWORD=SECRET)}, "env/0/value (DB_PASSWORD)", id="all variables"),
    ],
)  # fmt: skip
def test_a_change_that_would_put_a_secret_on_record_is_refused(
    make: Make, current: Template, earlier: Template, place: str
) -> None:
    with pytest.raises(PlanInvalid) as refused:
        undo(make, template(**current), template(**earlier))
    assert place in str(refused.value)
    assert "kubectl rollout undo" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert TOKEN not in str(refused.value)


@pytest.mark.inv(47)
def test_a_secret_in_an_annotation_is_refused(make: Make) -> None:
    with pytest.raises(PlanInvalid, match="api-token"):
        undo(make, template(metadata={"annotations": {"api-token": SECRET}}), template())


@pytest.mark.inv(47)
def test_a_secret_in_a_key_is_refused_and_not_told(make: Make) -> None:
    with pytest.raises(PlanInvalid) as refused:
        undo(make, template(metadata={"annotations": {TOKEN: "x"}}), template(metadata={"annotations": {"a": "b"}}))
    assert TOKEN not in str(refused.value)


@pytest.mark.inv(47)
@pytest.mark.parametrize("op", ["add", "replace", "test"])
def test_an_operation_of_any_action_is_looked_at(make: Make, op: str) -> None:
    live = make.live(make.deployment(spec__template=template(env=env(API_KEY=SECRET))))
    ops = (PatchOp(op=op, path=f"{CONTAINER}/env/0/value", value=SECRET),)
    with pytest.raises(PlanInvalid, match="API_KEY"):
        change_of(live, patch=ops, inverse=(), replicas_at_risk=0)


@pytest.mark.parametrize(
    ("current", "earlier"),
    [
        pytest.param({"image": "registry.local/shop/api-token:1.2"}, {"image": "b:1"}, id="image"),
        pytest.param({"image": "a@sha256:" + "0123456789abcdef" * 4}, {"image": "b:1"}, id="digest of an image"),
        pytest.param({"env": env(DB_PASSWORD="$(PW)")}, {"env": env(DB_PASSWORD="${PW}")}, id="variable"),
        pytest.param({"env": env(PASSWORD_FILE="/run/secrets/pw")}, {"env": []}, id="path of a file"),
        pytest.param({"args": ["--token-file", "/etc/web/token"]}, {"args": ["serve"]}, id="option with a path"),
        pytest.param({"args": ["--password=$(PW)"]}, {"args": ["--log-level=debug"]}, id="option with a variable"),
        pytest.param({"envFrom": [{"secretRef": {"name": "web-secret"}}]}, {}, id="name of a Secret"),
        pytest.param(
            {"env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db-secret", "key": "password"}}}]},
            {"env": []},
            id="reference to a Secret",
        ),
        pytest.param({"readinessProbe": {"httpGet": {"path": "/oauth/token", "port": 80}}}, {}, id="path of a probe"),
        pytest.param({"env": env(URL="postgres://db.shop:5432/web")}, {"env": env(URL="pg://db/web")}, id="link"),
        pytest.param({"volumes": [{"name": "tls-secret", "secret": {"secretName": "web-tls"}}]}, {}, id="volume"),
        pytest.param({"metadata": CHECKSUM}, {"metadata": OTHER_CHECKSUM}, id="checksum"),
        pytest.param({"metadata": CHECKSUM}, {}, id="first checksum"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret_is_changed(make: Make, current: Template, earlier: Template) -> None:
    assert writes(undo(make, template(**current), template(**earlier)))


def test_other_actions_pass_beside_secrets(make: Make) -> None:
    metadata = {"annotations": {"api-token": SECRET}}
    body = make.deployment(spec__template=template(env=env(API_TOKEN=SECRET), metadata=metadata))
    for action in (SetImage(target=TARGET, container="web", image="b:1"), RestartRollout(target=TARGET)):
        assert SECRET not in recorded(make.change(action, body))


@pytest.mark.parametrize(
    ("current", "earlier"),
    [
        pytest.param({"env": env(A="1", B="2")}, {"env": env(B="2")}, id="variable"),
        pytest.param({"command": ["false"]}, {}, id="field"),
        pytest.param({"args": ["a", "a", "b"]}, {"args": ["a", "b"]}, id="argument"),
        pytest.param({"env": [*env(A="1"), *env(A="1")]}, {"env": env(A="1")}, id="twice the same"),
    ],
)
def test_a_removal_that_someone_took_back_does_not_stand(make: Make, current: Template, earlier: Template) -> None:
    change = undo(make, template(**current), template(**earlier))
    before = make.deployment(spec__template=template(**current))
    handler = handler_for(UNDO)
    assert handler.in_place(UNDO, change, patched(before, change.patch))
    assert not handler.in_place(UNDO, change, before)


@pytest.mark.parametrize(
    ("current", "earlier"),
    [
        pytest.param({"env": env(A="1", B="2")}, {"env": env(B="2")}, id="variable"),
        pytest.param({"command": ["false"]}, {}, id="field"),
        pytest.param({"image": "a:2"}, {}, id="image"),
        pytest.param({"args": ["bad"]}, {"args": ["good"]}, id="argument"),
    ],
)
def test_a_change_is_told_from_its_opposite_whatever_else_changed(
    make: Make, current: Template, earlier: Template
) -> None:
    change = undo(make, template(**current), template(**earlier))
    before = make.deployment(spec__template=template(**current))
    after = patched(before, change.patch)
    for body in (before, after):
        body["metadata"]["labels"]["team"] = "shop"
        body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    handler = handler_for(UNDO)
    assert handler.in_place(UNDO, change, after)
    assert not handler.in_place(UNDO, change, before)


def test_defaults_that_the_server_adds_do_not_count(make: Make) -> None:
    change = undo(make, template(), template(volumes=[{"name": "v", "configMap": {"name": "c"}}]))
    after = patched(make.deployment(spec__template=template()), change.patch)
    after["spec"]["template"]["spec"]["volumes"][0]["configMap"]["defaultMode"] = 420
    assert handler_for(UNDO).in_place(UNDO, change, after)


def test_a_change_of_the_whole_template_from_an_older_record_still_stands(make: Make) -> None:
    before, after = (make.deployment(spec__template=template(image=name)) for name in ("a:2", "a:1"))
    whole = change_of(
        make.live(before),
        patch=(PatchOp(op="replace", path="/spec/template", value=template(image="a:1")),),
        inverse=(PatchOp(op="replace", path="/spec/template", value=template(image="a:2")),),
        replicas_at_risk=2,
    )
    assert handler_for(UNDO).in_place(UNDO, whole, after)
    assert not handler_for(UNDO).in_place(UNDO, whole, before)


# Property: whatever the two templates are, the outcome is the earlier one, and the undoing is exact.

NAMES = st.sampled_from(["web", "api", "side", "0", "a/b~c"])
WORDS = st.sampled_from(["", "a", "b", "--v", "1"])
ENV = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": NAMES, "value": WORDS}),
        st.fixed_dictionaries({"name": NAMES, "valueFrom": st.just({"fieldRef": {"fieldPath": "a"}})}),
    ),
    max_size=4,
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "image": st.sampled_from(["a:1", "b:2"])},
        optional={
            "args": st.lists(WORDS, max_size=4),
            "env": ENV,
            "volumeMounts": st.lists(
                st.fixed_dictionaries({"name": NAMES, "mountPath": st.sampled_from(["/a", "/b", "/c"])}), max_size=3
            ),
            "resources": st.dictionaries(st.sampled_from(["limits", "requests"]), st.dictionaries(NAMES, WORDS)),
            "unknown": st.recursive(
                st.sampled_from([None, 0, 1, 1.0, True, False, "1"]),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
            ),
        },
    ),
    min_size=1,
    max_size=3,
)
MAPS = st.dictionaries(NAMES, WORDS, max_size=3)
TEMPLATES = st.fixed_dictionaries(
    {
        "spec": st.fixed_dictionaries(
            {"containers": CONTAINERS},
            optional={
                "initContainers": CONTAINERS,
                "volumes": st.lists(st.fixed_dictionaries({"name": NAMES, "emptyDir": MAPS}), max_size=3),
            },
        )
    },
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": MAPS, "annotations": MAPS, "creationTimestamp": st.none()}
        )
    },
)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.mark.inv(33)
@settings(max_examples=500, deadline=None)
@given(current=TEMPLATES, earlier=TEMPLATES)
def test_the_outcome_is_the_earlier_template_and_the_inverse_is_exact(
    make: Make, current: Template, earlier: Template
) -> None:
    before = make.deployment(spec__template=current)
    try:
        change = undo(make, current, earlier)
    except PlanInvalid:
        assume(False)
    after = patched(before, change.patch)
    assert canonical(without_nulls(after["spec"]["template"])) == canonical(without_nulls(earlier))
    assert canonical(patched(after, change.inverse)) == canonical(before)
    assert {op.op for op in (*change.patch, *change.inverse)} <= {"add", "remove", "replace", "test"}


@settings(max_examples=300, deadline=None)
@given(current=TEMPLATES, earlier=TEMPLATES)
def test_a_change_stands_in_its_outcome_and_nowhere_before(make: Make, current: Template, earlier: Template) -> None:
    before = make.deployment(spec__template=current)
    try:
        change = undo(make, current, earlier)
    except PlanInvalid:
        assume(False)
    assert handler_for(UNDO).in_place(UNDO, change, patched(before, change.patch))
    assert not handler_for(UNDO).in_place(UNDO, change, before)
