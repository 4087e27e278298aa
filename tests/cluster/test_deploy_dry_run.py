"""The manifests of deploy/ against a real API server: it must accept each, and the rights must be what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rig.controlplane import ControlPlane

from responder.domain.action import Permission
from responder.rbac import READ_PERMISSIONS, manifest, to_yaml

pytestmark = pytest.mark.cluster

BASE = Path(__file__).parents[2] / "deploy" / "base"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
PATCH = Permission(group="apps", resource="deployments", verbs=("patch",))


def test_the_server_accepts_every_manifest_of_the_base(control_plane: ControlPlane) -> None:
    """A dry run keeps nothing, not even a namespace for the objects after it: the two must exist before."""
    built = control_plane.kubectl("kustomize", str(BASE))
    for name in ("clopus", "shop"):
        control_plane.expect("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    answer = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=built)
    assert len(answer.splitlines()) == len([one for one in yaml.safe_load_all(built) if one])
    assert all(line.endswith("(server dry run)") for line in answer.splitlines())


def test_a_namespace_that_admits_only_restricted_pods_admits_the_pod(control_plane: ControlPlane) -> None:
    namespace = control_plane.create_namespace("restricted", labels=RESTRICTED)
    (deployment,) = yaml.safe_load_all((BASE / "deployment.yaml").read_text())
    control_plane.service_account_token(namespace, "clopus")
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "clopus"}, "spec": template["spec"]}
    control_plane.expect("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)


@pytest.mark.inv(48)
def test_the_printed_roles_grant_reading_and_the_actions_and_no_secret(
    control_plane: ControlPlane, namespace: str
) -> None:
    roles = manifest(
        kinds=("set_image",),
        namespaces=(namespace,),
        service_account="clopus",
        own_namespace=namespace,
        permissions=(PATCH,),
    )
    control_plane.kubectl("apply", "--filename=-", stdin=to_yaml(roles))
    token = control_plane.service_account_token(namespace, "clopus")

    def allowed(permission: Permission, verb: str) -> bool:
        resource, _, subresource = permission.resource.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": permission.group, "resource": resource}
        body = {"spec": {"resourceAttributes": attributes | {"subresource": subresource}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        status, answer = control_plane.request("POST", path, body, token=token)
        assert status == 201, answer
        return bool(answer["status"]["allowed"])

    refused = [(one, verb) for one in (*READ_PERMISSIONS, PATCH) for verb in one.verbs if not allowed(one, verb)]
    assert refused == []
    assert control_plane.request("GET", f"/api/v1/namespaces/{namespace}", token=token)[0] == 200
    assert control_plane.request("GET", "/api/v1/namespaces/default", token=token)[0] == 403
    assert control_plane.request("GET", f"/api/v1/namespaces/{namespace}/secrets", token=token)[0] == 403
    assert not allowed(Permission(resource="pods/exec"), "create")
