"""What is kept of each kind, and that no value of a variable ever is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from responder.cluster.resources import RESOURCES
from responder.cluster.trim import EVENT_MESSAGE, LAST_MESSAGE, MESSAGE, trim
from responder.domain.manifest import dig

METADATA = {
    "name": "web",
    "namespace": "shop",
    "uid": "0ab6e24b-5d3c-4f4e-8f0e-2f4f9d3f0001",
    "resourceVersion": "812345",
    "generation": 3,
    "creationTimestamp": "2026-10-01T08:00:00Z",
    "labels": {"app": "web"},
}
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Fine",
    "message": "all is well",
    "lastTransitionTime": "2026-10-01T08:00:10Z",
}


def made(kind: str, **parts: Any) -> Any:
    raw = {"apiVersion": "v1", "kind": kind, "metadata": {**METADATA, **parts.pop("metadata", {})}, **parts}
    return trim(kind, raw)


def kept(kind: str, part: str, **fields: Any) -> Any:
    return made(kind, **{part: fields})[part]


class TestMetadata:
    def test_identity_labels_and_times_are_kept(self) -> None:
        metadata = {"deletionTimestamp": "2026-10-02T08:00:00Z", "finalizers": ["example.com/hold"]}
        assert made("Pod", metadata=metadata)["metadata"] == {**METADATA, **metadata}

    def test_only_the_controlling_owner_is_kept(self) -> None:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": True}
        other = {"kind": "Node", "name": "n", "uid": "v"}
        references = [{"apiVersion": "v1", **other}, {"blockOwnerDeletion": True, **owner}]
        body = made("Pod", metadata={"ownerReferences": references})
        assert body["metadata"]["ownerReferences"] == [owner]

    def test_annotations_and_managed_fields_are_dropped_but_for_those_that_are_read(self) -> None:
        annotations = {"deployment.kubernetes.io/revision": "3", "example.com/password": "hunter2"}
        body = made("Deployment", metadata={"annotations": annotations, "managedFields": [{"manager": "kubectl"}]})
        assert body["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "3"}
        assert "managedFields" not in body["metadata"]

    @pytest.mark.parametrize("kind", sorted(RESOURCES))
    def test_an_object_without_anything_is_kept_as_it_is(self, kind: str) -> None:
        body = trim(kind, {"metadata": {"name": "a"}})
        assert (body["kind"], body["metadata"]) == (kind, {"name": "a"})

    def test_the_contents_of_a_config_map_are_not_kept(self) -> None:
        body = made("ConfigMap", data={"password": "hunter2"}, binaryData={"b": "aHVudGVyMg=="})
        assert set(body) == {"kind", "metadata"}


class TestPods:
    def test_of_variables_only_where_they_come_from_is_kept(self) -> None:
        env = [
            {"name": "PASSWORD", "value": "hunter2"},
            {"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "url", "optional": True}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tls", "key": "token"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ]
        env_from = [{"configMapRef": {"name": "more"}, "prefix": "X_"}, {"secretRef": {"name": "s", "optional": True}}]
        spec = kept("Pod", "spec", containers=[{"name": "web", "image": "i", "env": env, "envFrom": env_from}])
        assert spec["containers"] == [
            {
                "name": "web",
                "image": "i",
                "env": [env[1], env[2]],
                "envFrom": [{"configMapRef": {"name": "more"}}, {"secretRef": {"name": "s", "optional": True}}],
            }
        ]

    @pytest.mark.parametrize(
        "field", [{"command": ["sh", "-c", "echo hunter2"]}, {"args": ["--password=hunter2"]}, {"livenessProbe": {}}]
    )
    def test_nothing_else_of_a_container_is_kept(self, field: Any) -> None:
        spec = kept("Pod", "spec", initContainers=[{"name": "c", "image": "i", "restartPolicy": "Always", **field}])
        assert spec["initContainers"] == [{"name": "c", "image": "i", "restartPolicy": "Always"}]

    def test_of_volumes_only_what_they_mount_is_kept(self) -> None:
        sources = [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "kube-root-ca.crt"}}]
        volumes = [
            {"name": "a", "configMap": {"name": "app", "defaultMode": 420}},
            {"name": "b", "secret": {"secretName": "tls", "optional": True}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "d", "projected": {"sources": [*sources, {"secret": {"name": "s"}}]}},
            {"name": "e", "projected": {"sources": sources}},
            {"name": "f", "emptyDir": {}},
        ]
        assert kept("Pod", "spec", volumes=volumes)["volumes"] == [
            {"name": "a", "configMap": {"name": "app"}},
            {"name": "b", "secret": {"secretName": "tls", "optional": True}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "d", "projected": {"sources": [{"secret": {"name": "s"}}]}},
        ]

    def test_placement_is_kept(self) -> None:
        tolerations = [{"operator": "Exists"}]
        fields = {
            "nodeName": "n",
            "restartPolicy": "Always",
            "schedulingGates": [{"name": "g"}],
            "tolerations": tolerations,
        }
        assert kept("Pod", "spec", **fields, affinity={}) == fields

    def test_what_every_pod_tolerates_is_not_kept(self) -> None:
        every = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}]
        assert kept("Pod", "spec", nodeName="n", tolerations=every) == {"nodeName": "n"}

    @pytest.mark.parametrize("statuses", ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"])
    def test_container_states_are_kept_with_their_messages_cut(self, statuses: str) -> None:
        ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-10-01T08:00:00Z", "message": "m" * 999}
        status = {
            "name": "web",
            "ready": False,
            "started": False,
            "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "w" * 999}},
            "lastState": {"terminated": {"containerID": "containerd://x", "startedAt": "t", **ended}},
            "imageID": "sha256:abc",
        }
        (found,) = kept("Pod", "status", **{statuses: [status]})[statuses]
        assert found == {
            "name": "web",
            "ready": False,
            "started": False,
            "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "w" * MESSAGE + "…"}},
            "lastState": {"terminated": {**ended, "message": "m" * LAST_MESSAGE + "…"}},
        }

    def test_conditions_are_kept_without_probe_times(self) -> None:
        status = kept("Pod", "status", phase="Running", conditions=[{**CONDITION, "lastProbeTime": None}], podIP="1")
        assert status == {"phase": "Running", "conditions": [CONDITION]}

    def test_a_typical_pod_is_small(self) -> None:
        body = trim("Pod", typical_pod())
        assert len(orjson.dumps(body)) <= 1.6 * 1024

    def test_no_value_of_a_variable_is_left_anywhere(self) -> None:
        assert b"hunter2" not in orjson.dumps(trim("Pod", typical_pod()))


class TestOtherKinds:
    @pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
    def test_of_a_workload_shape_and_status_are_kept(self, kind: str) -> None:
        container = {"name": "web", "image": "nginx", "env": [{"name": "P", "value": "hunter2"}]}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container], "dnsPolicy": "x"}}
        fields = {"replicas": 3, "paused": True, "progressDeadlineSeconds": 600, "selector": {"matchLabels": {}}}
        body = made(kind, spec={**fields, "template": template}, status={"replicas": 3, "conditions": [CONDITION]})
        assert body["spec"] == {
            **fields,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        }
        assert body["status"] == {"replicas": 3, "conditions": [CONDITION]}

    @pytest.mark.parametrize(
        ("kind", "spec"),
        [
            ("Job", {"suspend": False, "backoffLimit": 0, "completions": 2, "parallelism": 1}),
            (
                "CronJob",
                {"schedule": "* * * * *", "suspend": True, "timeZone": "Etc/UTC", "concurrencyPolicy": "Allow"},
            ),
            ("PersistentVolumeClaim", {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}),
            ("HorizontalPodAutoscaler", {"scaleTargetRef": {"name": "web"}, "minReplicas": 1, "maxReplicas": 4}),
            ("PodDisruptionBudget", {"selector": {}, "minAvailable": 0}),
            ("ResourceQuota", {"hard": {"pods": "4"}}),
            ("Certificate", {"secretName": "tls", "dnsNames": ["shop.example"]}),
        ],
    )
    def test_the_spec_that_is_read_and_the_status_are_kept(self, kind: str, spec: Any) -> None:
        status = {"phase": "x", "conditions": [CONDITION], "count": 0}
        body = made(kind, spec={**spec, "template": {"spec": {}}, "unknown": 1}, status=status)
        assert (body["spec"], body["status"]) == (spec, status)

    def test_a_job_keeps_no_list_of_its_pods(self) -> None:
        assert kept("Job", "status", failed=1, uncountedTerminatedPods={"failed": ["u"] * 50}) == {"failed": 1}

    def test_of_a_service_its_selector_and_ports_are_kept(self) -> None:
        spec = {"type": "ClusterIP", "selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "10.0.0.1"}
        assert kept("Service", "spec", **spec, sessionAffinity="None") == spec

    def test_of_an_endpoint_slice_conditions_and_targets_are_kept(self) -> None:
        endpoint = {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "web-1"}}
        whole = {"addresses": ["10.0.0.1"], "conditions": {"ready": False}}
        whole["targetRef"] = {"kind": "Pod", "name": "web-1", "uid": "u", "namespace": "shop"}
        body = made("EndpointSlice", addressType="IPv4", endpoints=[whole], ports=[{"port": 80}])
        assert (body["addressType"], body["endpoints"]) == ("IPv4", [endpoint])
        assert "ports" not in body

    def test_of_a_node_taints_and_conditions_without_heartbeats_are_kept(self) -> None:
        status = {"conditions": [{**CONDITION, "lastHeartbeatTime": "t"}], "images": [{"names": ["x"]}], "nodeInfo": {}}
        body = made("Node", spec={"unschedulable": True, "taints": [{"key": "k"}], "podCIDR": "x"}, status=status)
        assert body["spec"] == {"unschedulable": True, "taints": [{"key": "k"}]}
        assert body["status"] == {"conditions": [CONDITION]}

    def test_an_event_is_kept_whole_with_its_message_cut(self) -> None:
        event = {
            "type": "Warning",
            "reason": "FailedMount",
            "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "u"},
            "count": 3,
            "series": {"count": 2, "lastObservedTime": "t"},
            "lastTimestamp": "t",
            "eventTime": "t",
            "source": {"component": "kubelet"},
        }
        body = made("Event", **event, firstTimestamp=None, message="m" * 2000)
        assert {key: body[key] for key in event} == event
        assert body["message"] == "m" * EVENT_MESSAGE + "…"
        assert "firstTimestamp" not in body

    def test_a_namespace_keeps_its_phase(self) -> None:
        assert dig(made("Namespace", status={"phase": "Terminating"}), "status", "phase") == "Terminating"


def typical_pod() -> Any:
    """As an API server sends one of a Deployment: two containers, one ConfigMap, one Secret, a claim."""
    types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ids = {"containerID": "containerd://" + "0" * 64, "imageID": "registry/shop/web@sha256:" + "0" * 64}
    env = [{"name": f"V{number}", "value": "hunter2"} for number in range(20)]
    env.append({"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "url"}}})  # type: ignore[dict-item]
    container = {"terminationMessagePath": "/dev/termination-log", "resources": {"limits": {"cpu": "1"}}}
    labels = {"app": "web", "app.kubernetes.io/instance": "shop", "pod-template-hash": "7c9f8d6b5d"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7c9f8d6b5d", "uid": METADATA["uid"]}
    return {
        "metadata": {
            **METADATA,
            "name": "web-7c9f8d6b5d-x2x9z",
            "labels": labels,
            "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-10-01T08:00:00Z"},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}] * 20,
        },
        "spec": {
            "nodeName": "node-17",
            "restartPolicy": "Always",
            "containers": [
                {"name": "web", "image": "registry.example/shop/web:1.9.3", "env": env, **container},
                {"name": "proxy", "image": "registry.example/mesh/proxy:2.1", **container},
            ],
            "volumes": [
                {"name": "tls", "secret": {"secretName": "web-tls", "defaultMode": 420}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}},
                {"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            ],
        },
        "status": {
            "phase": "Running",
            "startTime": "2026-10-01T08:00:00Z",
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": "2026-10-01T08:00:00Z", "lastProbeTime": None}
                for kind in types
            ],
            "containerStatuses": [
                {
                    "name": name,
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-10-01T08:00:05Z"}},
                    "lastState": {},
                    **ids,
                }
                for name in ("web", "proxy")
            ],
        },
    }
