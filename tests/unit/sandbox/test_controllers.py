"""Controllers against the store: rollouts, refusals, scheduling, garbage, budgets. The tests are the kubelet."""

from datetime import UTC, datetime

import pytest

from responder.sandbox.resources import KINDS, POD

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
WEB = f"{DEPLOYMENTS}/web"
PODS = "/api/v1/namespaces/shop/pods"
NOW = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pods(cluster):
    return [p for p in cluster.store.list(POD, "shop") if not p["metadata"].get("deletionTimestamp")]


def images(cluster):
    return sorted(p["spec"]["containers"][0]["image"] for p in pods(cluster))


def events(cluster, reason):
    return [e["message"] for e in cluster.store.list(KINDS["Event"], "shop") if e["reason"] == reason]


def condition(obj, kind):
    return next((c for c in obj.get("status", {}).get("conditions", ()) if c["type"] == kind), {})


def web(cluster):
    return cluster.get("Deployment", "shop", "web", api_version="apps/v1")


async def make_ready(api, *found):
    ready = {"phase": "Running", "podIP": "10.0.0.9", "conditions": []}
    ready["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": NOW}]
    for pod in found:
        await api.patch(f"{PODS}/{pod['metadata']['name']}/status", {"status": ready})


async def add_node(api, name="n1", **spec):
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"},
    }
    await api.post("/api/v1/nodes", {"metadata": {"name": name}, "spec": spec, "status": status})


def new_image(image):
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


async def roll_to(cluster, api, eventually, image, count):
    """Change the image and play the kubelet until nothing old is left."""
    await api.patch(WEB, new_image(image), "strategic")
    for _ in range(20):
        found = pods(cluster)
        if images(cluster) == [image] * count and all(condition(p, "Ready") for p in found):
            return
        fresh = await eventually(
            cluster.store,
            lambda: [p for p in pods(cluster) if not condition(p, "Ready")] or images(cluster) == [image] * count,
        )
        if fresh is not True:
            await make_ready(api, *fresh)


async def test_a_deployment_becomes_available_through_a_replica_set(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment(replicas=2))
    await eventually(cluster.store, lambda: len(pods(cluster)) == 2)
    await make_ready(cluster_api, *pods(cluster))
    await eventually(cluster.store, lambda: web(cluster)["status"].get("availableReplicas") == 2)
    assert condition(web(cluster), "Available")["status"] == "True"
    assert condition(web(cluster), "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert web(cluster)["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    assert web(cluster)["metadata"]["generation"] == 1


async def test_a_rollout_that_never_gets_ready_keeps_the_old_pods(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment(replicas=4))
    await eventually(cluster.store, lambda: len(pods(cluster)) == 4)
    await make_ready(cluster_api, *pods(cluster))
    await eventually(cluster.store, lambda: web(cluster)["status"].get("availableReplicas") == 4)
    await cluster_api.patch(WEB, new_image("nignx:1"), "strategic")
    # 25 % of 4: one more than wanted, one less than wanted.
    await eventually(cluster.store, lambda: images(cluster) == ["nginx:1.27"] * 3 + ["nignx:1"] * 2)
    await eventually(cluster.store, lambda: web(cluster)["status"].get("updatedReplicas") == 2)
    assert web(cluster)["status"]["availableReplicas"] == 3


async def test_rolling_back_reuses_the_old_replica_set_under_a_new_revision(
    cluster, cluster_api, eventually, deployment
):
    await cluster_api.post(DEPLOYMENTS, deployment())
    await roll_to(cluster, cluster_api, eventually, "nginx:1.27", 1)
    await roll_to(cluster, cluster_api, eventually, "nginx:2", 1)
    await roll_to(cluster, cluster_api, eventually, "nginx:1.27", 1)
    revisions = {
        rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["metadata"]["annotations"][
            "deployment.kubernetes.io/revision"
        ]
        for rs in cluster.store.list(KINDS["ReplicaSet"], "shop")
    }
    assert revisions == {"nginx:1.27": "3", "nginx:2": "2"}


async def test_recreate_waits_for_the_end_of_the_old_pods(cluster, cluster_api, eventually, deployment):
    await add_node(cluster_api)
    await cluster_api.post(DEPLOYMENTS, deployment(strategy={"type": "Recreate"}))
    await eventually(cluster.store, lambda: pods(cluster) and pods(cluster)[0]["spec"].get("nodeName"))
    old = pods(cluster)[0]["metadata"]["name"]
    await cluster_api.patch(WEB, new_image("nginx:2"), "strategic")
    await eventually(cluster.store, lambda: not pods(cluster))
    await cluster_api.delete(f"{PODS}/{old}", {"gracePeriodSeconds": 0})
    await eventually(cluster.store, lambda: images(cluster) == ["nginx:2"])


async def test_a_rollout_past_its_deadline_says_so(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment(progressDeadlineSeconds=1))
    await eventually(
        cluster.store, lambda: condition(web(cluster), "Progressing").get("reason") == "ProgressDeadlineExceeded"
    )
    assert condition(web(cluster), "Progressing")["status"] == "False"


async def test_a_paused_deployment_does_not_roll(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment())
    await eventually(cluster.store, lambda: pods(cluster))
    await cluster_api.patch(WEB, {"spec": {"paused": True}})
    await cluster_api.patch(WEB, new_image("nginx:2"), "strategic")
    await eventually(
        cluster.store, lambda: web(cluster)["status"]["observedGeneration"] == web(cluster)["metadata"]["generation"]
    )
    assert images(cluster) == ["nginx:1.27"]
    await cluster_api.patch(WEB, {"spec": {"paused": None}})
    await eventually(cluster.store, lambda: "nginx:2" in images(cluster))


async def test_pods_that_violate_the_namespace_are_refused_and_the_replica_set_says_so(
    cluster, cluster_api, eventually, deployment
):
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await cluster_api.patch("/api/v1/namespaces/shop", {"metadata": {"labels": labels}})
    answer = await cluster_api.post(DEPLOYMENTS, deployment())
    assert answer.code == 201
    assert 'would violate PodSecurity \\"restricted:latest\\"' in answer.warnings[0]
    await eventually(cluster.store, lambda: condition(web(cluster), "ReplicaFailure"))
    failure = condition(web(cluster), "ReplicaFailure")
    assert failure["reason"] == "FailedCreate"
    assert 'is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation' in failure["message"]
    assert events(cluster, "FailedCreate")[0].startswith('Error creating: pods "web-')


async def test_a_full_quota_refuses_pods_until_there_is_room(cluster, cluster_api, eventually, deployment):
    quotas = "/api/v1/namespaces/shop/resourcequotas"
    await cluster_api.post(quotas, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}})
    await cluster_api.post(DEPLOYMENTS, deployment(replicas=2))
    await eventually(cluster.store, lambda: condition(web(cluster), "ReplicaFailure"))
    assert (
        "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        in (condition(web(cluster), "ReplicaFailure")["message"])
    )
    await cluster_api.patch(f"{quotas}/q", {"spec": {"hard": {"pods": "2"}}})
    await eventually(cluster.store, lambda: len(pods(cluster)) == 2)


async def test_a_deleted_deployment_takes_everything_along(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment())
    await eventually(cluster.store, lambda: pods(cluster))
    await cluster_api.delete(WEB)
    await eventually(cluster.store, lambda: not list(cluster.store.list(POD, "shop")))
    assert not list(cluster.store.list(KINDS["ReplicaSet"], "shop"))


async def test_an_orphaning_deletion_leaves_the_replica_set(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment())
    await eventually(cluster.store, lambda: pods(cluster))
    await cluster_api.delete(WEB, {"propagationPolicy": "Orphan"})
    await eventually(cluster.store, lambda: web(cluster) is None)
    (left,) = cluster.store.list(KINDS["ReplicaSet"], "shop")
    assert "ownerReferences" not in left["metadata"]


async def test_a_deleted_namespace_goes_with_all_it_holds(cluster, cluster_api, eventually, deployment):
    await cluster_api.post(DEPLOYMENTS, deployment())
    await cluster_api.delete("/api/v1/namespaces/shop")
    await eventually(cluster.store, lambda: cluster.get("Namespace", "", "shop") is None)
    assert not list(cluster.store.list(KINDS["Deployment"], "shop"))


@pytest.mark.parametrize(
    ("node", "spec", "message"),
    [
        (None, {}, "no nodes available to schedule pods"),
        (
            {},
            {"nodeSelector": {"disk": "ssd"}},
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
        (
            {"unschedulable": True},
            {},
            "0/1 nodes are available: 1 node(s) were unschedulable. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
        (
            {},
            {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "8"}}}]},
            "0/1 nodes are available: 1 Insufficient cpu. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
        (
            {},
            {"containers": [{"name": "c", "image": "x", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
    ],
)
async def test_a_pod_that_fits_nowhere_says_why(cluster, cluster_api, eventually, pod, node, spec, message):
    if node is not None:
        await add_node(cluster_api, **node)
    await cluster_api.post(PODS, pod(**spec))
    await eventually(cluster.store, lambda: events(cluster, "FailedScheduling"))
    assert events(cluster, "FailedScheduling") == [message]
    assert condition(pods(cluster)[0], "PodScheduled")["reason"] == "Unschedulable"


async def test_a_waiting_pod_is_bound_once_a_node_takes_it(cluster, cluster_api, eventually, pod):
    await add_node(cluster_api, unschedulable=True)
    await cluster_api.post(PODS, pod())
    await eventually(cluster.store, lambda: events(cluster, "FailedScheduling"))
    await cluster_api.patch("/api/v1/nodes/n1", {"spec": {"unschedulable": None}})
    await eventually(cluster.store, lambda: pods(cluster)[0]["spec"].get("nodeName") == "n1")


async def test_an_eviction_respects_the_disruption_budget(cluster, cluster_api, eventually, pod):
    budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
    await cluster_api.post(budgets, {"metadata": {"name": "b"}, "spec": spec})
    for name in ("one", "two"):
        await cluster_api.post(PODS, pod(name, {"app": "x"}))
    await make_ready(cluster_api, *pods(cluster))
    budget = KINDS["PodDisruptionBudget"]
    await eventually(
        cluster.store, lambda: cluster.store.get(budget, "shop", "b")["status"].get("disruptionsAllowed") == 1
    )
    eviction = {"metadata": {"name": "one"}}
    assert (await cluster_api.post(f"{PODS}/one/eviction", eviction)).code == 201
    refused = await cluster_api.post(f"{PODS}/two/eviction", {"metadata": {"name": "two"}})
    assert (refused.code, refused.body["reason"]) == (429, "TooManyRequests")
    assert refused.body["details"]["causes"][0]["reason"] == "DisruptionBudget"


async def test_a_service_has_the_addresses_of_its_ready_pods(cluster, cluster_api, eventually, pod):
    service = {
        "metadata": {"name": "s"},
        "spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    await cluster_api.post("/api/v1/namespaces/shop/services", service)
    await cluster_api.post(PODS, pod("one", {"app": "x"}))
    await make_ready(cluster_api, *pods(cluster))

    def endpoints():
        return [e for s in cluster.store.list(KINDS["EndpointSlice"], "shop") for e in s["endpoints"]]

    await eventually(cluster.store, endpoints)
    assert endpoints()[0]["addresses"] == ["10.0.0.9"]
    assert endpoints()[0]["conditions"]["ready"] is True


async def test_a_stateful_set_starts_and_updates_in_order(cluster, cluster_api, eventually, deployment):
    path = "/apis/apps/v1/namespaces/shop/statefulsets"
    body = {**deployment(replicas=2), "kind": "StatefulSet"}
    await cluster_api.post(path, body)
    await eventually(cluster.store, lambda: pods(cluster))
    assert [p["metadata"]["name"] for p in pods(cluster)] == ["web-0"]
    await make_ready(cluster_api, *pods(cluster))
    await eventually(cluster.store, lambda: len(pods(cluster)) == 2)
    await make_ready(cluster_api, *pods(cluster))
    await cluster_api.patch(f"{path}/web", new_image("nginx:2"), "strategic")
    await eventually(cluster.store, lambda: images(cluster) == ["nginx:1.27", "nginx:2"])
    updated = {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in pods(cluster)}
    assert updated == {"web-0": "nginx:1.27", "web-1": "nginx:2"}
    status = (await cluster_api.get(f"{path}/web")).body["status"]
    carried = [p["metadata"]["labels"]["controller-revision-hash"] for p in pods(cluster)]
    assert sorted(carried) == sorted([status["currentRevision"], status["updateRevision"]])


async def test_a_daemon_set_has_one_pod_on_each_node(cluster, cluster_api, eventually, deployment):
    await add_node(cluster_api, "n1")
    await add_node(cluster_api, "n2")
    body = {**deployment(), "kind": "DaemonSet"}
    del body["spec"]["replicas"]
    await cluster_api.post("/apis/apps/v1/namespaces/shop/daemonsets", body)
    await eventually(cluster.store, lambda: {p["spec"].get("nodeName") for p in pods(cluster)} == {"n1", "n2"})


@pytest.mark.parametrize(("phase", "verdict"), [("Succeeded", "Complete"), ("Failed", "Failed")])
async def test_a_job_ends_as_its_pod_does(cluster, cluster_api, eventually, phase, verdict):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
    path = "/apis/batch/v1/namespaces/shop/jobs"
    await cluster_api.post(path, {"metadata": {"name": "j"}, "spec": {"backoffLimit": 0, "template": template}})
    (found,) = await eventually(cluster.store, lambda: pods(cluster))
    await cluster_api.patch(f"{PODS}/{found['metadata']['name']}/status", {"status": {"phase": phase}})
    job = await eventually(
        cluster.store,
        lambda: (j := cluster.store.get(KINDS["Job"], "shop", "j")) and condition(j, verdict) and j,
    )
    assert condition(job, verdict)["status"] == "True"


async def test_a_pod_waits_for_its_claim_and_the_claim_for_its_class(cluster, cluster_api, eventually, pod):
    await add_node(cluster_api)
    spec = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await cluster_api.post(
        "/api/v1/namespaces/shop/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": spec}
    )
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    await cluster_api.post(PODS, pod(volumes=volumes))
    await eventually(cluster.store, lambda: events(cluster, "FailedScheduling"))
    assert events(cluster, "FailedScheduling") == [
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    ]
    assert events(cluster, "ProvisioningFailed") == ['storageclass.storage.k8s.io "fast" not found']
    await cluster_api.post("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": "fast"}, "provisioner": "x"})
    await eventually(cluster.store, lambda: pods(cluster)[0]["spec"].get("nodeName") == "n1")
