"""What controllers say when something is wrong: silent nodes, lost volumes, refused pods, deadlines, no metrics."""

from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox.resources import KINDS, POD

SHOP = "/api/v1/namespaces/shop"
PODS = f"{SHOP}/pods"
CLAIMS = f"{SHOP}/persistentvolumeclaims"
JOBS = "/apis/batch/v1/namespaces/shop/jobs"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def condition(obj, kind):
    return next((c for c in (obj or {}).get("status", {}).get("conditions", ()) if c["type"] == kind), {})


def events(cluster, reason):
    return [e["message"] for e in cluster.store.list(KINDS["Event"], "shop") if e["reason"] == reason]


def taints(cluster, name="n1"):
    return [(t["key"], t["effect"]) for t in cluster.get("Node", "", name)["spec"].get("taints") or ()]


async def add_node(api, *, heard_seconds_ago, **status):
    conditions = [{"type": kind, "status": word} for kind, word in {"Ready": "True", **status}.items()]
    await api.post("/api/v1/nodes", {"metadata": {"name": "n1"}, "status": {"conditions": conditions}})
    heard = (datetime.now(UTC) - timedelta(seconds=heard_seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    await api.post(LEASES, {"metadata": {"name": "n1"}, "spec": {"renewTime": heard}})


async def test_a_silent_node_is_unknown_and_its_pods_are_not_ready(cluster, cluster_api, eventually, pod):
    await add_node(cluster_api, heard_seconds_ago=60)
    await cluster_api.post(PODS, pod(nodeName="n1"))
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await cluster_api.patch(f"{PODS}/one/status", {"status": ready})
    node = await eventually(
        cluster.store, lambda: (n := cluster.get("Node", "", "n1")) and condition(n, "Ready").get("reason") and n
    )
    assert (condition(node, "Ready")["status"], condition(node, "Ready")["reason"]) == ("Unknown", "NodeStatusUnknown")
    lost = await eventually(
        cluster.store,
        lambda: (p := cluster.get("Pod", "shop", "one")) and condition(p, "Ready")["status"] == "False" and p,
    )
    assert condition(lost, "Ready")["status"] == "False"
    assert events(cluster, "NodeNotReady") == ["Node is not ready"]
    assert ("node.kubernetes.io/unreachable", "NoExecute") in taints(cluster)


async def test_a_node_that_reports_has_the_taints_of_its_conditions_and_keeps_those_of_people(
    cluster, cluster_api, eventually
):
    await add_node(cluster_api, heard_seconds_ago=0, MemoryPressure="True")
    await eventually(cluster.store, lambda: taints(cluster))
    own = {"key": "team", "value": "shop", "effect": "NoSchedule"}
    present = cluster.get("Node", "", "n1")["spec"]["taints"]
    spec = {"taints": [own, *present], "unschedulable": True}
    await cluster_api.patch("/api/v1/nodes/n1", {"spec": spec})
    await eventually(cluster.store, lambda: len(taints(cluster)) == 3)
    assert taints(cluster) == [
        ("team", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ]


async def test_a_claim_is_lost_with_the_volume_that_it_names(cluster, cluster_api, eventually):
    asks = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "disk"}
    await cluster_api.post(CLAIMS, {"metadata": {"name": "data"}, "spec": asks})

    def phase():
        return cluster.get("PersistentVolumeClaim", "shop", "data")["status"]["phase"]

    assert phase() == "Pending"
    await cluster_api.post("/api/v1/persistentvolumes", {"metadata": {"name": "disk"}, "spec": {}})
    await eventually(cluster.store, lambda: phase() == "Bound")
    await cluster_api.delete("/api/v1/persistentvolumes/disk")
    await eventually(cluster.store, lambda: phase() == "Lost" and events(cluster, "ClaimLost"))


async def test_a_namespace_says_which_finalizers_keep_it(cluster, cluster_api, eventually):
    held = {"metadata": {"name": "kept", "finalizers": ["example.com/hold"]}}
    await cluster_api.post(f"{SHOP}/configmaps", held)
    await cluster_api.delete(SHOP)
    namespace = await eventually(
        cluster.store,
        lambda: (n := cluster.get("Namespace", "", "shop")) and condition(n, "NamespaceFinalizersRemaining") and n,
    )
    assert condition(namespace, "NamespaceFinalizersRemaining")["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )


async def test_a_job_past_its_deadline_fails(cluster, cluster_api, eventually):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
    spec = {"activeDeadlineSeconds": 1, "template": template}
    await cluster_api.post(JOBS, {"metadata": {"name": "j"}, "spec": spec})
    failed = await eventually(
        cluster.store, lambda: condition(cluster.store.get(KINDS["Job"], "shop", "j"), "Failed") or None
    )
    assert (failed["status"], failed["reason"]) == ("True", "DeadlineExceeded")
    assert events(cluster, "DeadlineExceeded")


@pytest.mark.parametrize(
    ("group", "plural", "extra"),
    [("apps", "statefulsets", {"serviceName": "web"}), ("apps", "daemonsets", {}), ("batch", "jobs", None)],
)
async def test_every_maker_of_pods_says_that_they_are_refused(
    cluster, cluster_api, eventually, deployment, group, plural, extra
):
    await add_node(cluster_api, heard_seconds_ago=0)
    body = deployment()
    template = body["spec"]["template"]
    template["spec"] |= {"serviceAccountName": "ghost"}
    if extra is None:
        template["spec"]["restartPolicy"] = "Never"
        spec = {"template": template}
    else:
        spec = {"selector": body["spec"]["selector"], "template": template, **extra}
    answer = await cluster_api.post(
        f"/apis/{group}/v1/namespaces/shop/{plural}", {"metadata": {"name": "web"}, "spec": spec}
    )
    assert answer.code == 201, answer.body
    found = await eventually(cluster.store, lambda: events(cluster, "FailedCreate"))
    assert 'serviceaccount "ghost" not found' in found[0]


async def test_a_limit_range_refuses_what_is_above_it(cluster, cluster_api, pod):
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    await cluster_api.post(f"{SHOP}/limitranges", {"metadata": {"name": "ceiling"}, "spec": {"limits": limits}})
    greedy = [{"name": "c", "image": "nginx:1", "resources": {"limits": {"memory": "128Mi"}}}]
    answer = await cluster_api.post(PODS, pod(containers=greedy))
    assert answer.code == 403
    assert answer.body["message"] == (
        'pods "one" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi'
    )


async def test_a_limit_range_fills_in_what_a_container_does_not_state(cluster, cluster_api, pod):
    limits = [{"type": "Container", "default": {"memory": "64Mi"}, "defaultRequest": {"memory": "32Mi"}}]
    await cluster_api.post(f"{SHOP}/limitranges", {"metadata": {"name": "usual"}, "spec": {"limits": limits}})
    answer = await cluster_api.post(PODS, pod())
    resources = answer.body["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}


async def test_an_autoscaler_says_that_there_are_no_metrics(cluster, cluster_api, eventually, deployment):
    await cluster_api.post("/apis/apps/v1/namespaces/shop/deployments", deployment())
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    await cluster_api.post(
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": target, "maxReplicas": 3}},
    )
    found = await eventually(
        cluster.store,
        lambda: condition(cluster.store.get(KINDS["HorizontalPodAutoscaler"], "shop", "web"), "ScalingActive") or None,
    )
    assert (found["status"], found["reason"]) == ("False", "FailedGetResourceMetric")


async def test_a_gated_pod_says_so_and_is_not_bound(cluster, cluster_api, pod):
    await add_node(cluster_api, heard_seconds_ago=0)
    await cluster_api.post(PODS, pod(schedulingGates=[{"name": "example.com/approval"}]))
    (gated,) = cluster.store.list(POD, "shop")
    assert condition(gated, "PodScheduled")["reason"] == "SchedulingGated"
    assert "nodeName" not in gated["spec"]


async def test_a_stateful_set_may_mount_what_it_claims(cluster, cluster_api, eventually, deployment):
    body = deployment()
    template = body["spec"]["template"]
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    asks = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec = {
        "selector": body["spec"]["selector"],
        "template": template,
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": asks}],
    }
    path = "/apis/apps/v1/namespaces/shop/statefulsets"
    answer = await cluster_api.post(path, {"metadata": {"name": "web"}, "spec": spec})
    assert answer.code == 201, answer.body
    await eventually(cluster.store, lambda: cluster.get("PersistentVolumeClaim", "shop", "data-web-0"))
