"""The parts of the sandbox that need no server: selectors, quantities, patches, ownership, pod security, the schema."""

from fractions import Fraction

import pytest

from responder.sandbox import ownership, patches, podsecurity, schema
from responder.sandbox.defaults import pull_policy
from responder.sandbox.failures import ApiFailure
from responder.sandbox.objects import HistoryLost, Store
from responder.sandbox.quantity import format_quantity, parse_quantity
from responder.sandbox.resources import KINDS, RESOURCES
from responder.sandbox.selectors import label_predicate, selector_predicate

LABELS = {"app": "web", "tier": "front"}
MAP = KINDS["ConfigMap"]


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app!=web", False),
        ("env!=prod", True),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("env notin (prod)", True),
        ("tier", True),
        ("!tier", False),
        ("!env,app in (web)", True),
    ],
)
def test_label_selectors(text, matches):
    assert label_predicate(text)(LABELS) is matches


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "web"]}]}, True),
    ],
)
def test_selectors_of_manifests(selector, matches):
    assert selector_predicate(selector)(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", Fraction(1, 2)),
        ("1Gi", Fraction(1024**3)),
        ("1.5k", Fraction(1500)),
        ("2e3", Fraction(2000)),
        ("2E", Fraction(2 * 10**18)),
        (3, Fraction(3)),
        ("-1", Fraction(-1)),
    ],
)
def test_quantities(text, number):
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "1x", "Mi", "1 Gi", "one"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="quantities must match"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("number", "like", "text"),
    [(Fraction(3, 2), "", "1500m"), (Fraction(2 * 1024**3), "1Gi", "2Gi"), (Fraction(7), "", "7")],
)
def test_sums_are_written_like_their_limit(number, like, text):
    assert format_quantity(number, like) == text


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image, policy):
    assert pull_policy(image) == policy


def pod_with(*containers):
    return {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": list(containers)}}


@pytest.mark.parametrize(
    ("patch", "containers"),
    [
        ([{"name": "a", "image": "2"}], [{"name": "a", "image": "2"}, {"name": "b", "image": "1"}]),
        ([{"name": "b", "$patch": "delete"}], [{"name": "a", "image": "1"}]),
        # The server puts a new item before the untouched ones.
        (
            [{"name": "c", "image": "1"}],
            [{"name": "c", "image": "1"}, {"name": "a", "image": "1"}, {"name": "b", "image": "1"}],
        ),
        ([{"$patch": "replace"}, {"name": "z", "image": "1"}], [{"name": "z", "image": "1"}]),
    ],
)
def test_strategic_merge_of_keyed_lists(patch, containers):
    before = pod_with({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    after = patches.strategic_merge_patch("Pod", before, {"spec": {"containers": patch}})
    assert after["spec"]["containers"] == containers


def test_strategic_merge_replaces_lists_without_a_key():
    before = pod_with({"name": "a", "args": ["x", "y"]})
    patch = {"spec": {"containers": [{"name": "a", "args": ["z"]}]}}
    assert patches.strategic_merge_patch("Pod", before, patch)["spec"]["containers"][0]["args"] == ["z"]


def test_a_patch_does_not_touch_what_it_was_given():
    before = pod_with({"name": "a", "image": "1"})
    patches.strategic_merge_patch("Pod", before, {"spec": {"containers": [{"name": "a", "image": "2"}]}})
    patches.json_patch(before, [{"op": "replace", "path": "/spec/containers/0/image", "value": "3"}])
    assert before == pod_with({"name": "a", "image": "1"})


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ],
)
def test_merge_patches_of_rfc_7386(target, patch, result):
    assert patches.merge_patch(target, patch) == result


def writer(manager, operation="Apply"):
    return ownership.Writer(
        manager=manager, operation=operation, api_version="v1", subresource="", time="2026-01-01T00:00:00Z"
    )


def test_an_apply_removes_what_it_no_longer_states():
    config = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1", "b": "2"}}
    live = ownership.apply("ConfigMap", None, config, writer("me"), force=False)
    without = {**config, "data": {"a": "1"}}
    assert ownership.apply("ConfigMap", live, without, writer("me"), force=False)["data"] == {"a": "1"}


def test_an_apply_leaves_what_others_own():
    theirs = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
    live = ownership.apply("ConfigMap", None, theirs, writer("they"), force=False)
    mine = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"b": "2"}}
    merged = ownership.apply("ConfigMap", live, mine, writer("me"), force=False)
    assert merged["data"] == {"a": "1", "b": "2"}


def test_the_same_value_has_two_owners():
    config = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
    live = ownership.apply("ConfigMap", None, config, writer("they"), force=False)
    merged = ownership.apply("ConfigMap", live, config, writer("me"), force=False)
    assert [entry["manager"] for entry in merged["metadata"]["managedFields"]] == ["they", "me"]


def test_an_update_takes_over_what_it_changes():
    old = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1", "b": "1"}}
    old["metadata"]["managedFields"] = ownership.record_update("ConfigMap", None, old, writer("they", "Update"))
    new = {**old, "data": {"a": "2", "b": "1"}}
    entries = ownership.record_update("ConfigMap", old, new, writer("me", "Update"))
    owned = {entry["manager"]: set(entry["fieldsV1"]["f:data"]) - {"."} for entry in entries}
    assert owned == {"they": {"f:b"}, "me": {"f:a"}}


GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("level", "context", "sentence"),
    [
        ("restricted", GOOD, ""),
        ("privileged", {"privileged": True}, ""),
        ("baseline", {}, ""),
        (
            "baseline",
            {"privileged": True},
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            "restricted",
            {**GOOD, "runAsUser": 0},
            'runAsUser=0 (container "c" must not set runAsUser=0)',
        ),
        (
            "restricted",
            {},
            'allowPrivilegeEscalation != false (container "c" must set '
            "securityContext.allowPrivilegeEscalation=false), "
            'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
            'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
            'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to '
            '"RuntimeDefault" or "Localhost")',
        ),
    ],
)
def test_pod_security_levels(level, context, sentence):
    assert podsecurity.violations({"containers": [{"name": "c", "securityContext": context}]}, level) == sentence


def test_the_schema_drops_and_names_unknown_fields():
    pod = pod_with({"name": "a", "imagee": "x", "ports": [{"contanerPort": 1}]})
    decoded, unknown = schema.decode("Pod", pod)
    assert unknown == ("spec.containers[0].imagee", "spec.containers[0].ports[0].contanerPort")
    assert decoded["spec"]["containers"] == [{"name": "a", "ports": [{}]}]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"replicas": "2"}, "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"paused": 1}, "cannot unmarshal number"),
        ({"replicas": True}, "cannot unmarshal bool"),
        ({"template": []}, "cannot unmarshal array"),
    ],
)
def test_a_wrong_json_type_is_refused(spec, words):
    with pytest.raises(schema.WrongType, match=words):
        schema.decode("Deployment", {"spec": spec})


def test_every_kind_and_every_referenced_type_is_in_the_schema():
    known = schema.types()
    scalars = {"str", "int", "bool", "float", "time", "quantity", "intstr", "any"}
    referenced = {t.strip("[]{}") for fields in known.values() for t in fields.values()}
    assert {resource.kind for resource in RESOURCES} | referenced <= set(known) | scalars


def test_the_schema_agrees_with_the_published_models():
    client = pytest.importorskip("kubernetes_asyncio.client")
    for name in ("Container", "PodSpec", "Probe", "DeploymentSpec", "ServiceSpec", "PodSecurityContext"):
        model = getattr(client, f"V1{name}")
        assert set(schema.types()[name]) == set(model.attribute_map.values())


def test_the_store_numbers_every_change_and_replays_what_came_after():
    store = Store()
    for value in ("1", "2"):
        store.put(MAP, {"metadata": {"name": "m", "namespace": "n"}, "data": {"k": value}})
    store.remove(MAP, "n", "m")
    assert [(event.version, event.type) for event in store.since(1)] == [(2, "MODIFIED"), (3, "DELETED")]


def test_the_store_says_when_its_history_is_too_short():
    store = Store(history=2)
    for value in range(4):
        store.put(MAP, {"metadata": {"name": "m", "namespace": "n"}, "data": {"k": str(value)}})
    assert [event.version for event in store.since(2)] == [3, 4]
    with pytest.raises(HistoryLost):
        store.since(1)


def test_a_patch_item_without_its_merge_key_is_refused():
    with pytest.raises(ApiFailure) as caught:
        patches.strategic_merge_patch("Pod", pod_with(), {"spec": {"containers": [{"image": "x"}]}})
    assert caught.value.code == 400
