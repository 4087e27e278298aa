"""Writes over HTTP: codes, reasons and effects, as measured on kube-apiserver 1.37."""

import pytest

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
WEB = f"{DEPLOYMENTS}/web"
PODS = "/api/v1/namespaces/shop/pods"


def image_patch(image):
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


async def test_a_stored_deployment_carries_the_defaults_of_the_server(api, deployment):
    answer = await api.post(DEPLOYMENTS, deployment())
    spec = answer.body["spec"]
    assert answer.code == 201
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (600, 10)
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert spec["template"]["spec"]["containers"][0]["terminationMessagePath"] == "/dev/termination-log"


async def test_strict_validation_of_a_body_is_a_bad_request(api, deployment):
    answer = await api.post(f"{DEPLOYMENTS}?fieldValidation=Strict", deployment(replcas=3))
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")
    assert answer.body["message"] == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        'strict decoding error: unknown field "spec.replcas"'
    )


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", {"spec": {"replcas": 3}}),
        ("strategic", {"spec": {"replcas": 3}}),
        ("json", [{"op": "add", "path": "/spec/replcas", "value": 3}]),
    ],
)
async def test_strict_validation_of_a_patch_is_unprocessable(api, deployment, kind, patch):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(f"{WEB}?fieldValidation=Strict", patch, kind)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert 'strict decoding error: unknown field "spec.replcas"' in answer.body["message"]


async def test_an_unknown_field_is_otherwise_dropped_with_a_warning(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(WEB, {"spec": {"replcas": 3}})
    assert answer.code == 200
    assert "replcas" not in answer.body["spec"]
    assert answer.warnings == ('299 - "unknown field \\"spec.replcas\\""',)


async def test_an_apply_patch_with_an_unknown_field_cannot_be_typed(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replcas": 4}}
    answer = await api.patch(f"{WEB}?fieldManager=me", config, "apply")
    assert answer.code == 500
    assert answer.body["message"].endswith(".spec.replcas: field not declared in schema")


@pytest.mark.parametrize(
    ("kind", "patch", "code", "reason"),
    [
        ("json", [{"op": "test", "path": "/spec/replicas", "value": 7}], 422, "Invalid"),
        ("json", [{"op": "remove", "path": "/spec/nothing"}], 422, "Invalid"),
        ("json", {"op": "remove"}, 400, "BadRequest"),
        ("json", [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], 409, "Conflict"),
        ("merge", {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 2}}, 409, "Conflict"),
        ("merge", {"metadata": {"uid": "other"}}, 422, "Invalid"),
        ("merge", {"spec": {"replicas": "two"}}, 422, "Invalid"),
        ("merge", {"spec": {"replicas": -1}}, 422, "Invalid"),
        ("merge", {"spec": {"selector": {"matchLabels": {"app": "other"}}}}, 422, "Invalid"),
        ("strategic", image_patch(""), 422, "Invalid"),
        ("none", {}, 415, "UnsupportedMediaType"),
    ],
)
async def test_a_patch_that_does_not_fit_is_refused(api, deployment, kind, patch, code, reason):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(WEB, patch, kind)
    assert (answer.code, answer.body["reason"]) == (code, reason)


async def test_validation_names_every_faulty_field(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(WEB, {"spec": {"replicas": -1, "minReadySeconds": -2}})
    fields = [cause["field"] for cause in answer.body["details"]["causes"]]
    assert fields == ["spec.replicas", "spec.minReadySeconds"]


async def test_a_dry_run_answers_like_a_write_and_stores_nothing(sandbox, api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    before = sandbox.store.version
    answer = await api.patch(f"{WEB}?dryRun=All", image_patch("nginx:2"), "strategic")
    assert answer.body["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    assert answer.body["metadata"]["generation"] == 2
    assert sandbox.store.version == before


async def test_a_dry_run_catches_what_a_write_would(api, deployment):
    answer = await api.post(f"{DEPLOYMENTS}?dryRun=All", deployment(replicas=-1))
    assert answer.code == 422


async def test_a_patch_without_effect_leaves_the_resource_version_alone(api, deployment):
    created = (await api.post(DEPLOYMENTS, deployment())).body
    again = await api.patch(WEB, {"spec": {"replicas": 1}})
    assert again.body["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


async def test_only_a_changed_spec_or_annotation_is_a_new_generation(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    labelled = await api.patch(WEB, {"metadata": {"labels": {"a": "b"}}})
    status = await api.patch(f"{WEB}/status", {"status": {"replicas": 1}})
    annotated = await api.patch(WEB, {"metadata": {"annotations": {"a": "b"}}})
    generations = [answer.body["metadata"]["generation"] for answer in (labelled, status, annotated)]
    assert generations == [1, 1, 2]


async def test_a_write_to_the_object_leaves_its_status_alone(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(WEB, {"status": {"replicas": 9}})
    assert "replicas" not in answer.body.get("status", {})


async def test_a_write_to_the_status_leaves_the_spec_alone(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(f"{WEB}/status", {"spec": {"replicas": 9}, "status": {"replicas": 1}})
    assert (answer.body["spec"]["replicas"], answer.body["status"]["replicas"]) == (1, 1)


async def test_replacing_with_a_stale_version_is_a_conflict(api, deployment):
    created = (await api.post(DEPLOYMENTS, deployment())).body
    await api.patch(WEB, {"spec": {"replicas": 2}})
    answer = await api.put(WEB, created)
    assert answer.code == 409
    assert answer.body["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


@pytest.mark.parametrize(
    ("preconditions", "code"),
    [({"uid": "other"}, 409), ({"resourceVersion": "1"}, 409), ({}, 200)],
)
async def test_a_deletion_holds_its_preconditions(api, deployment, preconditions, code):
    await api.post(DEPLOYMENTS, deployment())
    assert (await api.delete(WEB, {"preconditions": preconditions})).code == code


async def test_a_pod_on_a_node_is_given_time(api, pod):
    await api.post(PODS, pod(nodeName="n1"))
    marked = await api.delete(f"{PODS}/one")
    assert marked.body["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (await api.get(f"{PODS}/one")).code == 200
    await api.delete(f"{PODS}/one", {"gracePeriodSeconds": 0})
    assert (await api.get(f"{PODS}/one")).code == 404


async def test_an_apply_conflict_names_manager_and_field(api, deployment):
    await api.post(f"{DEPLOYMENTS}?fieldManager=helm", deployment())
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, **image_patch("nginx:2")}
    answer = await api.patch(f"{WEB}?fieldManager=clopus", config, "apply")
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["message"] == (
        'Apply failed with 1 conflict: conflict with "helm" using apps/v1: '
        '.spec.template.spec.containers[name="web"].image'
    )


async def test_a_forced_apply_takes_the_field(api, deployment):
    await api.post(f"{DEPLOYMENTS}?fieldManager=helm", deployment())
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 5}}
    answer = await api.patch(f"{WEB}?fieldManager=clopus&force=true", config, "apply")
    owners = [
        entry["manager"]
        for entry in answer.body["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert (answer.body["spec"]["replicas"], owners) == (5, ["clopus"])


async def test_a_change_of_a_value_changes_its_owner(api, deployment):
    await api.post(f"{DEPLOYMENTS}?fieldManager=helm", deployment())
    await api.patch(f"{WEB}?fieldManager=kubectl-set", image_patch("nginx:2"), "strategic")
    managed = (await api.get(WEB)).body["metadata"]["managedFields"]
    path = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"web"}')
    owners = []
    for entry in managed:
        node = entry["fieldsV1"]
        for part in path:
            node = node.get(part, {})
        owners += [entry["manager"]] if "f:image" in node else []
    assert owners == ["kubectl-set"]


async def test_scale_sets_the_replicas_of_the_workload(api, deployment):
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(f"{WEB}/scale", {"spec": {"replicas": 4}})
    assert (answer.body["kind"], answer.body["spec"]["replicas"]) == ("Scale", 4)
    assert (await api.get(WEB)).body["spec"]["replicas"] == 4


async def test_a_body_over_the_limit_is_too_large(api):
    body = {"metadata": {"name": "big"}, "data": {"x": "x" * 3_200_000}}
    answer = await api.post("/api/v1/namespaces/shop/configmaps", body)
    assert (answer.code, answer.body["reason"]) == (413, "RequestEntityTooLarge")


async def test_an_object_in_a_namespace_that_is_not_there_is_not_found(api, pod):
    manifest = pod()
    manifest["metadata"]["namespace"] = "nowhere"
    answer = await api.post("/api/v1/namespaces/nowhere/pods", manifest)
    assert (answer.code, answer.body["message"]) == (404, 'namespaces "nowhere" not found')


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy: Unsupported value"),
        ({"containers": [{"name": "c", "image": " nginx"}]}, "must not have leading or trailing whitespace"),
        ({"containers": [{"name": "C_", "image": "x"}]}, "a lowercase RFC 1123 label"),
        ({"containers": [{"name": "c", "image": "x"}] * 2}, 'spec.containers[1].name: Duplicate value: "c"'),
        (
            {"containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 70000}]}]},
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            {
                "containers": [
                    {
                        "name": "c",
                        "image": "x",
                        "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
                    }
                ]
            },
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
    ],
)
async def test_a_faulty_pod_is_refused_in_the_words_of_the_server(api, pod, spec, fault):
    answer = await api.post(PODS, pod(**spec))
    assert answer.code == 422
    assert fault in answer.body["message"]


async def test_a_malformed_quantity_is_a_bad_request(api, pod):
    limits = {"limits": {"cpu": "1x"}}
    answer = await api.post(PODS, pod(containers=[{"name": "c", "image": "x", "resources": limits}]))
    assert answer.code == 400
    assert "quantities must match the regular expression" in answer.body["message"]


async def test_a_running_pod_changes_only_its_image(api, pod):
    await api.post(PODS, pod())
    image = {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}
    command = {"spec": {"containers": [{"name": "c", "command": ["x"]}]}}
    assert (await api.patch(f"{PODS}/one", image, "strategic")).code == 200
    refused = await api.patch(f"{PODS}/one", command, "strategic")
    assert refused.code == 422
    assert "pod updates may not change fields other than" in refused.body["message"]
