"""Each action's patch does what it says, its inverse undoes it to the byte, and its preconditions hold."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import jsonpatch
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from responder.cluster.owners import live_object
from responder.domain.action import (
    ACTION_KINDS,
    Action,
    AddScratchVolume,
    DeletePod,
    ProbeKind,
    ReferenceKind,
    ReplaceConfigReference,
    RestartRollout,
    SetImage,
    SetPorts,
    SetProbe,
    SetResources,
    UndoRollout,
)
from responder.domain.errors import PermanentError, PlanInvalid
from responder.domain.plan import PatchOp, Verb
from responder.domain.refs import ObjectRef
from responder.domain.workload import Terminated
from responder.fixer.actions import HANDLERS, handler_for, permissions_of
from responder.fixer.actions.add_scratch_volume import path_problem, volume_name
from responder.fixer.actions.set_image import is_image_reference

TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="uid-web")
POD = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="uid-web-1")

SET_IMAGE = SetImage(target=TARGET, container="web", image="registry.local/web:1")
UNDO = UndoRollout(target=TARGET, to_revision=1)
RESTART = RestartRollout(target=TARGET)
RESOURCES = SetResources(target=TARGET, container="web", memory_limit="256Mi", memory_request="128Mi")
REFERENCE = ReplaceConfigReference(
    target=TARGET, reference=ReferenceKind.CONFIG_MAP, from_name="web-config", to_name="web-config-2"
)
SECRET = ReplaceConfigReference(
    target=TARGET, reference=ReferenceKind.SECRET, from_name="web-secret", to_name="web-secret-2"
)
KEY = ReplaceConfigReference(
    target=TARGET,
    reference=ReferenceKind.CONFIG_MAP,
    from_name="web-config",
    to_name="web-config-2",
    from_key="url",
    to_key="address",
)
PROBE = SetProbe(target=TARGET, container="web", probe=ProbeKind.READINESS, path="/healthz", port=8081)
PORTS = SetPorts(target=TARGET, container="web", from_port=8080, to_port=8081)
SCRATCH = AddScratchVolume(target=TARGET, container="web", path="/var/cache/nginx")
PATCHING = (SET_IMAGE, UNDO, RESTART, RESOURCES, REFERENCE, SECRET, KEY, PROBE, PORTS, SCRATCH)


class Make(Protocol):
    now: Any
    snapshot: Callable[..., Any]
    deployment: Callable[..., dict[str, Any]]
    live: Callable[..., Any]
    change: Callable[..., Any]
    pod: Callable[..., Any]
    container: Callable[..., Any]
    revision: Callable[..., Any]


def patched(body: Mapping[str, Any], ops: tuple[PatchOp, ...]) -> dict[str, Any]:
    raw = [
        {"op": op.op, "path": op.path} if op.op == "remove" else {"op": op.op, "path": op.path, "value": op.value}
        for op in ops
    ]
    result: dict[str, Any] = jsonpatch.JsonPatch(raw).apply(copy.deepcopy(dict(body)))
    return result


def canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True)


def failed(make: Make, action: Action, **snapshot: Any) -> set[str]:
    checks = handler_for(action).check(action, make.snapshot(**snapshot))
    return {check.name for check in checks if not check.passed}


def test_every_action_of_the_union_has_exactly_one_handler() -> None:
    assert set(HANDLERS) == set(ACTION_KINDS)
    assert all(handler.kind == kind for kind, handler in HANDLERS.items())


@pytest.mark.inv(26, 48)
def test_no_action_asks_for_a_right_beyond_patching_workloads_and_evicting() -> None:
    rights = {(p.group, p.resource, p.verbs) for p in permissions_of(ACTION_KINDS)}
    assert rights == {
        ("apps", "deployments", ("patch",)),
        ("apps", "statefulsets", ("patch",)),
        ("apps", "daemonsets", ("patch",)),
        ("", "pods/eviction", ("create",)),
    }


@pytest.mark.parametrize("action", PATCHING, ids=lambda action: action.kind)
def test_a_fitting_action_meets_its_preconditions(make: Make, action: Action) -> None:
    assert failed(make, action) == set()


@pytest.mark.inv(33)
@pytest.mark.parametrize("action", PATCHING, ids=lambda action: action.kind)
def test_the_inverse_brings_back_every_byte(make: Make, action: Action) -> None:
    body = make.deployment()
    change = make.change(action)
    after = patched(body, change.patch)
    assert canonical(after) != canonical(body)
    assert canonical(patched(after, change.inverse)) == canonical(body)


@pytest.mark.parametrize("action", PATCHING, ids=lambda action: action.kind)
def test_a_change_stands_until_it_is_taken_back(make: Make, action: Action) -> None:
    body, change = make.deployment(), make.change(action)
    handler = handler_for(action)
    assert handler.in_place(action, change, patched(body, change.patch))
    assert not handler.in_place(action, change, body)


@pytest.mark.parametrize("action", PATCHING, ids=lambda action: action.kind)
def test_what_is_already_so_is_no_plan(make: Make, action: Action) -> None:
    live = make.live(patched(make.deployment(), make.change(action).patch))
    with pytest.raises(PlanInvalid):
        handler_for(action).change(action, live, make.snapshot(), now=make.now)


@pytest.mark.inv(24)
@pytest.mark.parametrize("action", [SET_IMAGE, RESOURCES, PROBE, PORTS, SCRATCH], ids=lambda action: action.kind)
def test_a_patch_by_position_fails_when_another_container_moved_there(make: Make, action: Action) -> None:
    body, change = make.deployment(), make.change(action)
    body["spec"]["template"]["spec"]["containers"].reverse()
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        patched(body, change.patch)


@pytest.mark.inv(14)
def test_the_same_action_on_the_same_object_is_byte_for_byte_the_same_change(make: Make) -> None:
    for action in PATCHING:
        assert make.change(action) == make.change(action)


def test_an_image_is_set_on_an_init_container_too(make: Make) -> None:
    action = SetImage(target=TARGET, container="migrate", image="registry.local/migrate:2")
    after = patched(make.deployment(), make.change(action).patch)
    assert after["spec"]["template"]["spec"]["initContainers"][0]["image"] == "registry.local/migrate:2"


@pytest.mark.parametrize(
    ("image", "good"),
    [
        ("nginx", True),
        ("nginx:1.25", True),
        ("registry.local:5000/team/web:v1.2-rc_1", True),
        ("registry.local/web@sha256:" + "a" * 64, True),
        ("Registry.Local/web:1", True),
        ("my__app/x--y:1", True),
        ("", False),
        ("nginx:", False),
        ("nginx: 1", False),
        ("nginx:1\n", False),
        ("nginx:1;rm", False),
        ("ngіnx:1", False),  # Cyrillic i
        ("nginx\u200b:1", False),
        ("nginx\u202e:1", False),
        ("nginx@sha256:abc", False),
        ("http://registry/web:1", False),
        ("../web:1", False),
        ("Web:1", False),
        ("a" * 600, False),
    ],
)
def test_only_a_well_formed_ascii_reference_is_an_image(image: str, good: bool) -> None:
    assert is_image_reference(image) is good


def test_a_hostile_image_reference_is_judged_in_no_time() -> None:
    assert not is_image_reference("a-" * 200 + "!")
    assert not is_image_reference("a." * 240 + "!")


@pytest.mark.parametrize(
    ("action", "check"),
    [
        pytest.param(replace(SET_IMAGE, container="wob"), "container_exists", id="container"),
        pytest.param(replace(SET_IMAGE, image="web 1"), "image_well_formed", id="image"),
        pytest.param(replace(UNDO, to_revision=9), "revision_exists", id="unknown revision"),
        pytest.param(replace(UNDO, to_revision=2), "revision_exists", id="undo to the current revision"),
        pytest.param(replace(RESOURCES, container="wob"), "container_exists", id="container of resources"),
        pytest.param(replace(RESOURCES, memory_limit="96Mi"), "limit_not_lowered", id="lower limit"),
        pytest.param(replace(RESOURCES, memory_limit="1Ki"), "resources_in_bounds", id="tiny limit"),
        pytest.param(replace(RESOURCES, memory_limit="1Gi"), "resources_in_bounds", id="eight times the limit"),
        pytest.param(replace(RESOURCES, memory_limit="999Ti"), "resources_in_bounds", id="over the cap"),
        pytest.param(replace(RESOURCES, memory_limit="-1"), "resources_in_bounds", id="negative"),
        pytest.param(replace(RESOURCES, memory_limit="much"), "resources_in_bounds", id="no quantity"),
        pytest.param(replace(RESOURCES, memory_request="200Mi", memory_limit=""), "request_within_limit", id="request"),
        pytest.param(replace(RESOURCES, cpu_limit="9"), "resources_in_bounds", id="nine cores"),
        pytest.param(replace(RESOURCES, memory_limit="", memory_request=""), "resources_in_bounds", id="no value"),
        pytest.param(replace(REFERENCE, to_name="nowhere"), "reference_target_exists", id="unknown ConfigMap"),
        pytest.param(replace(REFERENCE, from_name="other"), "reference_in_use", id="reference not in the template"),
        pytest.param(replace(REFERENCE, to_name="web-config"), "reference_well_formed", id="same name"),
        pytest.param(replace(REFERENCE, to_name="a/../b"), "reference_well_formed", id="path as a name"),
        pytest.param(replace(REFERENCE, from_key="url"), "reference_well_formed", id="one key only"),
        pytest.param(replace(KEY, to_key="nope"), "reference_keys_exist", id="key not in the ConfigMap"),
        pytest.param(replace(SECRET, to_name="web-secret-9"), "reference_target_exists", id="unknown Secret"),
        pytest.param(replace(SECRET, from_key="password", to_key="x"), "reference_keys_exist", id="unknown Secret key"),
        pytest.param(replace(PROBE, probe=ProbeKind.STARTUP), "probe_exists", id="no such probe"),
        pytest.param(replace(PROBE, path="healthz"), "probe_values_valid", id="relative path"),
        pytest.param(replace(PROBE, path="/a b"), "probe_values_valid", id="blank in the path"),
        pytest.param(replace(PROBE, path="/\u202e"), "probe_values_valid", id="bidi in the path"),
        pytest.param(replace(PROBE, port=70000), "probe_values_valid", id="no port"),
        pytest.param(replace(PROBE, probe=ProbeKind.LIVENESS), "probe_values_valid", id="path of a TCP probe"),
        pytest.param(replace(PROBE, failure_threshold=10**9), "probe_values_valid", id="probe that never fails"),
        pytest.param(replace(PROBE, timeout_seconds=0), "probe_values_valid", id="no timeout"),
        pytest.param(replace(PROBE, path="", port=0), "probe_values_valid", id="no value of the probe"),
        pytest.param(replace(PORTS, from_port=81), "port_declared", id="port not declared"),
        pytest.param(replace(PORTS, to_port=9090), "port_free", id="port of another container"),
        pytest.param(replace(PORTS, to_port=0), "port_valid", id="port 0"),
        pytest.param(replace(PORTS, to_port=8080), "port_valid", id="port as it is"),
        pytest.param(replace(SCRATCH, path="/etc/nginx"), "path_allowed", id="under /etc"),
        pytest.param(replace(SCRATCH, path="/config/x"), "path_free", id="below a mount"),
        pytest.param(replace(SCRATCH, path="/config"), "path_free", id="at a mount"),
        pytest.param(replace(SCRATCH, size_limit="100Gi"), "size_in_bounds", id="size"),
        pytest.param(replace(SCRATCH, size_limit="0"), "size_in_bounds", id="size nothing"),
        pytest.param(replace(SCRATCH, size_limit="lots"), "size_in_bounds", id="size no quantity"),
        pytest.param(DeletePod(target=replace(POD, uid="other")), "pod_present", id="pod by name only"),
    ],
)
def test_an_action_that_does_not_fit_fails_the_check_of_its_name(make: Make, action: Action, check: str) -> None:
    assert check in failed(make, action)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"spec__paused": True}, "workload_rolls_out"),
        ({"spec__strategy": {"type": "OnDelete"}}, "workload_rolls_out"),
        ({"spec__updateStrategy": {"rollingUpdate": {"partition": 1}}}, "workload_rolls_out"),
        ({"spec__replicas": 0}, "workload_scaled_up"),
        ({"metadata__deletionTimestamp": "2026-11-23T12:00:00Z"}, "workload_not_terminating"),
    ],
)
def test_a_workload_that_would_not_roll_out_is_refused(make: Make, changes: dict[str, Any], check: str) -> None:
    assert failed(make, SET_IMAGE, body=make.deployment(**changes)) == {check}


@pytest.mark.parametrize("action", [a for a in PATCHING if a is not RESTART], ids=lambda action: action.kind)
def test_without_a_workload_nothing_is_admitted(make: Make, action: Action) -> None:
    assert "workload_present" in failed(make, action, workload=None)


@pytest.mark.parametrize(
    ("pod", "check"),
    [
        ({"controller": "Job"}, "pod_recreated"),
        ({"controller": ""}, "pod_recreated"),
        ({"mirror": True}, "pod_not_static"),
        ({"deleting": True}, "pod_not_terminating"),
    ],
)
def test_a_pod_that_nobody_makes_anew_is_not_deleted(make: Make, pod: dict[str, Any], check: str) -> None:
    assert failed(make, DeletePod(target=POD), pods=(make.pod(**pod),)) == {check}


def test_deleting_a_pod_is_an_eviction_without_an_inverse(make: Make) -> None:
    given: dict[str, Any] = {
        "ready": True, "waiting": "", "restarts": 0, "hash": "h2", "age": 5.0, "deleting": False,
        "exit_code": None, "phase": "Running", "controller": "ReplicaSet", "mirror": False,
    }  # fmt: skip
    live = live_object(make.pod_body("web-1", given))  # type: ignore[attr-defined]
    change = handler_for(DeletePod(target=POD)).change(DeletePod(target=POD), live, make.snapshot(), now=make.now)
    assert (change.verb, change.patch, change.inverse) == (Verb.EVICT, (), ())
    assert change.target.uid == "uid-web-1"
    assert not HANDLERS["delete_pod"].reversible


def test_an_undo_takes_only_a_revision_that_has_ready_pods(make: Make) -> None:
    revisions = (make.revision(2, current=True, ready=0), make.revision(1, ready=0))
    assert failed(make, UNDO, revisions=revisions) == {"revision_ready"}


def test_an_undo_takes_a_revision_whose_pods_were_well_until_they_were_replaced(make: Make) -> None:
    before = replace(make.revision(1, ready=0), served_until=make.now)
    assert failed(make, UNDO, revisions=(make.revision(2, current=True, ready=0), before)) == set()


def test_an_undo_is_refused_where_the_current_revision_is_well(make: Make) -> None:
    revisions = (make.revision(2, current=True, ready=2), make.revision(1, ready=2))
    assert failed(make, UNDO, revisions=revisions) == {"current_revision_broken"}


def test_a_pod_that_crashed_a_moment_ago_is_not_well_because_it_is_ready_now(make: Make) -> None:
    revisions = (make.revision(2, current=True, ready=2), make.revision(1, ready=2))
    ended = Terminated(exit_code=1, finished_at=make.now - timedelta(seconds=90))
    pods = tuple(
        replace(pod, statuses=tuple(replace(status, restarts=3, last_terminated=ended) for status in pod.statuses))
        for pod in (make.pod("web-1"), make.pod("web-2"))
    )
    assert failed(make, UNDO, revisions=revisions, pods=pods) == set()


def test_an_undo_leaves_the_marks_of_the_revision_behind(make: Make) -> None:
    after = patched(make.deployment(), make.change(UNDO).patch)
    assert after["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    assert make.container(after)["image"] == "registry.local/web:1"


def test_an_undo_of_a_stored_controller_revision_drops_its_patch_directive(make: Make) -> None:
    stored = make.revision(1)
    stored = replace(stored, raw_template={**stored.raw_template, "$patch": "replace"})
    change = make.change(UNDO, revisions=(make.revision(2, current=True, ready=0), stored))
    assert "$patch" not in patched(make.deployment(), change.patch)["spec"]["template"]


def test_a_restart_writes_the_time_of_the_plan(make: Make) -> None:
    after = patched(make.deployment(), make.change(RESTART).patch)
    annotations = after["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"kubectl.kubernetes.io/restartedAt": "2026-11-23T12:00:00Z"}


def test_values_that_are_not_named_stay_as_they_are(make: Make) -> None:
    after = patched(make.deployment(), make.change(RESOURCES).patch)
    resources = make.container(after)["resources"]
    assert resources == {"limits": {"memory": "256Mi", "cpu": "500m"}, "requests": {"memory": "128Mi", "cpu": "100m"}}


def test_a_limit_may_be_spelt_otherwise_by_the_server(make: Make) -> None:
    change = make.change(replace(RESOURCES, memory_limit="0.25Gi"))
    after = patched(make.deployment(), make.change(RESOURCES).patch)
    action = replace(RESOURCES, memory_limit="262144Ki")
    assert handler_for(action).in_place(action, change, after)


def test_a_limit_that_an_earlier_revision_had_may_be_far_from_the_one_of_now(make: Make) -> None:
    body = make.deployment()
    make.container(body)["resources"]["limits"]["memory"] = "64Mi"
    earlier = make.revision(1)
    earlier_container = replace(earlier.template.container("web"), memory_limit="2Gi")
    earlier = replace(earlier, template=replace(earlier.template, containers=(earlier_container,)))
    action = replace(RESOURCES, memory_limit="2048Mi", memory_request="")
    assert failed(make, action, body=body) == {"resources_in_bounds"}
    assert failed(make, action, body=body, revisions=(make.revision(2, current=True), earlier)) == set()


def test_a_quota_that_refuses_pods_refuses_larger_ones(make: Make) -> None:
    from responder.domain.workload import EventRecord

    event = EventRecord(
        type="Warning", reason="FailedCreate", message="pods is forbidden: exceeded quota: q", subject=TARGET
    )
    assert failed(make, RESOURCES, events=(event,)) == {"quota_has_room"}


def test_every_reference_of_the_template_is_replaced(make: Make) -> None:
    spec = patched(make.deployment(), make.change(REFERENCE).patch)["spec"]["template"]["spec"]
    assert spec["containers"][0]["env"][1]["valueFrom"]["configMapKeyRef"]["name"] == "web-config-2"
    assert spec["containers"][0]["envFrom"][0]["configMapRef"]["name"] == "web-config-2"
    assert spec["volumes"][0]["configMap"]["name"] == "web-config-2"
    assert spec["volumes"][1]["projected"]["sources"][0]["configMap"]["name"] == "web-config-2"
    assert spec["volumes"][2]["secret"]["secretName"] == "web-secret"


def test_a_secret_of_the_same_name_is_another_object(make: Make) -> None:
    spec = patched(make.deployment(), make.change(SECRET).patch)["spec"]["template"]["spec"]
    assert spec["containers"][0]["env"][2]["valueFrom"]["secretKeyRef"]["name"] == "web-secret-2"
    assert spec["volumes"][1]["projected"]["sources"][1]["secret"]["name"] == "web-secret-2"
    assert spec["volumes"][2]["secret"]["secretName"] == "web-secret-2"
    assert spec["containers"][0]["envFrom"][0]["configMapRef"]["name"] == "web-config"


def test_with_keys_only_references_to_the_key_change(make: Make) -> None:
    spec = patched(make.deployment(), make.change(KEY).patch)["spec"]["template"]["spec"]
    assert spec["containers"][0]["env"][1]["valueFrom"]["configMapKeyRef"] == {
        "name": "web-config-2",
        "key": "address",
    }
    assert spec["volumes"][0]["configMap"]["items"][0]["key"] == "address"
    assert spec["containers"][0]["envFrom"][0]["configMapRef"]["name"] == "web-config"


def test_config_maps_that_may_not_be_read_are_not_known_to_exist(make: Make) -> None:
    assert "reference_target_exists" in failed(make, REFERENCE, config_maps=None)


def test_a_probe_keeps_what_is_not_named(make: Make) -> None:
    after = patched(make.deployment(), make.change(PROBE).patch)
    assert make.container(after)["readinessProbe"] == {
        "httpGet": {"path": "/healthz", "port": 8081, "scheme": "HTTP"},
        "periodSeconds": 10,
    }


def test_probes_by_number_move_with_their_port_and_those_by_name_stay(make: Make) -> None:
    container = make.container(patched(make.deployment(), make.change(PORTS).patch))
    assert container["ports"][0] == {"name": "http", "containerPort": 8081, "protocol": "TCP"}
    assert container["readinessProbe"]["httpGet"]["port"] == 8081
    assert container["livenessProbe"]["tcpSocket"]["port"] == "http"


def test_a_port_that_is_bound_on_the_node_is_not_moved(make: Make) -> None:
    body = make.deployment()
    make.container(body)["ports"][0]["hostPort"] = 8080
    with pytest.raises(PlanInvalid):
        make.change(PORTS, body)


def test_a_service_that_names_the_port_by_number_is_pointed_out(make: Make) -> None:
    from responder.domain.snapshot import ServiceView

    service = ServiceView(ref=ObjectRef(kind="Service", namespace="shop", name="web"), ports={80: 8080, 81: "http"})
    warnings = handler_for(PORTS).warnings(PORTS, make.snapshot(services=(service,)))
    assert len(warnings) == 1
    assert "Service/shop/web" in warnings[0]


@pytest.mark.parametrize(
    "path",
    [
        "/", "/etc", "/etc/x", "/usr/local", "/proc", "/dev/shm", "/sys", "/bin", "/lib", "/var/run/secrets/x",
        "/var",
        "/run/secrets", "/home", "/app", "relative", "",
        "/a/../b", "/a//b", "/a/", "/a/.", "/..", "/a b", "/a:b", "/a\n", "/ä",
        "/" + "a" * 300,
    ],
)  # fmt: skip
def test_nothing_is_mounted_over_the_system(path: str) -> None:
    assert path_problem(path)


@pytest.mark.parametrize(
    "path", ["/tmp", "/var/cache/nginx", "/var/run/nginx", "/var/run", "/run", "/app/.cache", "/data_1/x-y"]
)
def test_an_ordinary_directory_can_be_scratch_space(path: str) -> None:
    assert path_problem(path) == ""


@pytest.mark.parametrize(
    ("path", "taken", "name"),
    [
        ("/var/cache/nginx", set(), "scratch-var-cache-nginx"),
        ("/TMP/.x_y", set(), "scratch-tmp-x-y"),
    ],
)
def test_a_scratch_volume_is_named_after_its_path(path: str, taken: set[str], name: str) -> None:
    assert volume_name(path, taken) == name


def test_a_taken_or_long_volume_name_gets_a_mark() -> None:
    marked = volume_name("/tmp", {"scratch-tmp"})
    assert marked.startswith("scratch-tmp-")
    assert marked == volume_name("/tmp", {"scratch-tmp"})
    assert len(volume_name("/" + "a" * 200, set())) <= 63


def test_a_scratch_volume_is_added_where_there_was_no_list(make: Make) -> None:
    action = replace(SCRATCH, container="metrics", path="/tmp")
    body = make.deployment()
    del body["spec"]["template"]["spec"]["volumes"]
    make.container(body)["volumeMounts"] = []
    change = make.change(action, body)
    after = patched(body, change.patch)
    assert after["spec"]["template"]["spec"]["volumes"] == [{"name": "scratch-tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    assert make.container(after, 1)["volumeMounts"] == [{"name": "scratch-tmp", "mountPath": "/tmp"}]
    assert canonical(patched(after, change.inverse)) == canonical(body)


# Property: whatever the pod template looks like, patch and inverse are each other's undoing.

NAMES = st.sampled_from(["web", "api", "side"])
QUANTITIES = st.sampled_from(["64Mi", "128Mi", "100m", "1", "0.5", "2Gi"])
PORTS_IN_USE = st.sampled_from([80, 8080, 8081, 9090])
RESOURCE_LIST = st.dictionaries(st.sampled_from(["memory", "cpu", "nvidia.com/gpu"]), QUANTITIES)
PROBES = st.one_of(
    st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"path": st.just("/"), "port": PORTS_IN_USE})}),
    st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": PORTS_IN_USE | st.just("http")})}),
    st.fixed_dictionaries({"exec": st.fixed_dictionaries({"command": st.just(["true"])})}),
)
ENV = st.one_of(
    st.fixed_dictionaries({"name": NAMES, "value": st.text(max_size=5)}),
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "valueFrom": st.fixed_dictionaries(
                {
                    "configMapKeyRef": st.fixed_dictionaries(
                        {"name": st.sampled_from(["web-config", "other"]), "key": st.sampled_from(["url", "k"])}
                    )
                }
            ),
        }
    ),
)
CONTAINERS = st.fixed_dictionaries(
    {"image": st.sampled_from(["a:1", "b:2"])},
    optional={
        "resources": st.fixed_dictionaries({}, optional={"limits": RESOURCE_LIST, "requests": RESOURCE_LIST}),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": PORTS_IN_USE}), max_size=2),
        "env": st.lists(ENV, max_size=3),
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": NAMES, "mountPath": st.sampled_from(["/a", "/b/c"])}), max_size=2
        ),
        "readinessProbe": PROBES,
        "livenessProbe": PROBES,
        "unknownField": st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner, max_size=2)),
    },
)


@st.composite
def templates(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.permutations(["web", "api", "side"]))[: draw(st.integers(1, 3))]
    spec: dict[str, Any] = {"containers": [{"name": name, **draw(CONTAINERS)} for name in names]}
    if draw(st.booleans()):
        spec["initContainers"] = [{"name": "init", **draw(CONTAINERS)}]
    if draw(st.booleans()):
        spec["volumes"] = draw(
            st.lists(st.fixed_dictionaries({"name": NAMES, "configMap": st.just({"name": "web-config"})}), max_size=2)
        )
    template: dict[str, Any] = {"spec": spec}
    if draw(st.booleans()):
        template["metadata"] = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "labels": st.just({"app": "web"}),
                    "annotations": st.dictionaries(
                        st.sampled_from(["kubectl.kubernetes.io/restartedAt", "a/b~c"]), st.text(max_size=4)
                    ),
                },
            )
        )
    return template


ACTIONS = st.one_of(
    st.builds(SetImage, target=st.just(TARGET), container=NAMES | st.just("init"), image=st.just("c:3")),
    st.just(UNDO),
    st.just(RESTART),
    st.builds(
        SetResources,
        target=st.just(TARGET),
        container=NAMES,
        memory_limit=QUANTITIES | st.just(""),
        memory_request=QUANTITIES | st.just(""),
        cpu_limit=QUANTITIES | st.just(""),
    ),
    st.just(REFERENCE),
    st.just(KEY),
    st.builds(
        SetProbe,
        target=st.just(TARGET),
        container=NAMES,
        probe=st.sampled_from(ProbeKind),
        port=st.sampled_from([0, 8081]),
        failure_threshold=st.sampled_from([-1, 5]),
        initial_delay_seconds=st.sampled_from([-1, 0, 7]),
    ),
    st.builds(SetPorts, target=st.just(TARGET), container=NAMES, from_port=PORTS_IN_USE, to_port=PORTS_IN_USE),
    st.builds(AddScratchVolume, target=st.just(TARGET), container=NAMES, path=st.sampled_from(["/tmp", "/a/x", "/d"])),
)


@pytest.mark.inv(33)
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(template=templates(), action=ACTIONS)
def test_patch_then_inverse_is_the_object_as_it_was(make: Make, template: dict[str, Any], action: Action) -> None:
    body = make.deployment(spec__template=template)
    try:
        change = make.change(action, body)
    except PermanentError:
        assume(False)
    after = patched(body, change.patch)
    assert handler_for(action).in_place(action, change, after)
    assert canonical(patched(after, change.inverse)) == canonical(body)


@pytest.mark.inv(22)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(template=templates(), action=ACTIONS)
def test_a_patch_touches_nothing_outside_the_pod_template(make: Make, template: dict[str, Any], action: Action) -> None:
    body = make.deployment(spec__template=template)
    try:
        change = make.change(action, body)
    except PermanentError:
        assume(False)
    assert all(op.path.startswith("/spec/template") for op in (*change.patch, *change.inverse))
