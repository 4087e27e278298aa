"""What of an object is kept, and that no secret is."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.detector.record import RECORDED_KINDS, Author, author, digest_of, kept, recorded_part

SECRETS = {
    "plain behind a name": ("DB_PASSWORD", "hunter2"),
    "aws": ("AWS", "AKIAIOSFODNN7EXAMPLE"),
    "github": ("GH", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    "gitlab": ("GL", "glpat-abcdefghij0123456789"),
    "slack": ("SL", "xoxb-123456789012-abcdefghijkl"),
    "stripe": ("PAY", "sk_live_abcdefghijklmnop0123"),
    "jwt": ("J", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"),
    "url": ("DATABASE_URL", "postgres://app:s3cr3tpw@db:5432/app"),
    "private key": ("PEM", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"),
    "bearer": ("HEADER", "Authorization: Bearer abcdef0123456789abcdef"),
    "google": ("G", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
    "npm": ("N", "npm_abcdefghijklmnopqrstuvwxyz0123456789"),
    "two words behind a name": ("API_TOKEN", "correct horse battery"),
    "vault": ("V", "hvs.CAESIJabcdefghijklmnopqrst"),
}

NEEDLES = {name: value.split("\n")[1] if "\n" in value else value for name, (_, value) in SECRETS.items()}
NEEDLES |= {"url": "s3cr3tpw", "bearer": "abcdef0123456789abcdef", "two words behind a name": "battery"}


def config_map(data: dict[str, str], **more: Any) -> Any:
    return {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop", "uid": "u"}, "data": data, **more}


def workload(**container: Any) -> Any:
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx", **container}]}}},
    }


def placed(where: str, name: str, value: str) -> tuple[str, Any]:
    match where:
        case "env":
            return "Deployment", workload(env=[{"name": name, "value": value}])
        case "argument":
            return "Deployment", workload(args=[f"--{name.lower()}={value}"])
        case "two arguments":
            return "Deployment", workload(command=["app", f"--{name.lower().replace('_', '-')}", value])
        case "key of a ConfigMap":
            return "ConfigMap", config_map({name: value})
        case "properties":
            return "ConfigMap", config_map({"app.properties": f"a=1\n{name}={value}\nb=2"})
        case "JSON":
            return "ConfigMap", config_map({"app.json": json.dumps({"x": {name: value}})})
        case _:
            raw = workload()
            raw["metadata"]["annotations"] = {f"example.org/{name}": value}
            return "Deployment", raw


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "where", ["env", "argument", "two arguments", "key of a ConfigMap", "properties", "JSON", "annotation"]
)
def test_a_secret_is_not_kept_wherever_it_stands(where: str, secret: str) -> None:
    name, value = SECRETS[secret]
    found = kept(*placed(where, name, value))
    assert NEEDLES[secret] not in repr(found)
    assert found.redacted
    assert found.lost.startswith("redacted: ")


@pytest.mark.parametrize(
    ("form", "needle"),
    [
        ("database:\n  password: hunter2\n", "hunter2"),
        ("database:\n  password:\n    hunter2\n", "hunter2"),
        ("a: 1\npassword: |\n  hunter2\n  hunter3\nb: 2\n", "hunter3"),
        ("secret_key: >-\n  hunter2\n", "hunter2"),
        ("<db><user>a</user><password>hunter2</password></db>", "hunter2"),
        ('<add key="Password" value="hunter2" />', "hunter2"),
        ('[{"name": "DB_PASSWORD", "value": "hunter2"}]', "hunter2"),
        ("- name: DB_PASSWORD\n  value: hunter2\n", "hunter2"),
        ("requirepass hunter2\n", "hunter2"),
        ("masterauth hunter2\r\n", "hunter2"),
        ("machine db login app password hunter2\n", "hunter2"),
        ("export PGPASSWORD='hunter2'\n", "hunter2"),
    ],
)
def test_the_ways_of_configuration_files_are_known(form: str, needle: str) -> None:
    found = kept("ConfigMap", config_map({"app.conf": form}))
    assert needle not in repr(found)
    assert found.redacted == ("data[app.conf]",)


@pytest.mark.parametrize(
    "raw",
    [
        config_map({"app.conf": "# the token is refreshed\nworkers 4\nlevel: info\n", "index.html": "<h1>hi</h1>"}),
        workload(image="shop/api-token:1.2"),
        workload(env=[{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]),
        workload(env=[{"name": "TOKEN_FILE", "value": "/var/run/secrets/token"}, {"name": "A", "value": "$(B)"}]),
        workload(args=["--token-file", "/etc/tokens/a", "--verbose"]),
    ],
)
def test_what_is_no_secret_is_kept_whole(raw: Any) -> None:
    found = kept(raw["kind"], raw)
    assert found.lost == ""
    assert found.body == recorded_part(raw["kind"], raw)


def test_secrets_are_no_recorded_kind() -> None:
    assert "Secret" not in RECORDED_KINDS


def test_the_digest_tells_redacted_versions_apart() -> None:
    one, other = (kept("ConfigMap", config_map({"PASSWORD": word})) for word in ("hunter2", "hunter3"))
    assert one.body == other.body
    assert one.digest != other.digest
    assert one.hidden != other.hidden


def test_equal_secrets_of_two_objects_do_not_look_equal() -> None:
    one = config_map({"PASSWORD": "hunter2"})
    other = {**one, "metadata": {**one["metadata"], "uid": "u-2"}}
    assert set(kept("ConfigMap", one).hidden.values()).isdisjoint(kept("ConfigMap", other).hidden.values())


@pytest.mark.parametrize(
    "annotation",
    [
        "kubectl.kubernetes.io/last-applied-configuration",
        "control-plane.alpha.kubernetes.io/leader",
        "deployment.kubernetes.io/revision",
        "clopus.dev/execution",
    ],
)
def test_bookkeeping_is_no_decision(annotation: str) -> None:
    raw = workload()
    before = digest_of(recorded_part("Deployment", raw))
    raw["metadata"]["annotations"] = {annotation: "PASSWORD=hunter2"}
    raw["status"] = {"replicas": 1}
    raw["metadata"] |= {"resourceVersion": "9", "generation": 4, "managedFields": [{"manager": "a"}]}
    assert digest_of(recorded_part("Deployment", raw)) == before
    assert "annotations" not in kept("Deployment", raw).body["metadata"]


def test_of_a_node_only_what_explains_failures_is_kept() -> None:
    raw = {
        "kind": "Node",
        "metadata": {"name": "n1", "uid": "u", "labels": {"zone": "a"}, "annotations": {"x": "1"}},
        "spec": {
            "podCIDR": "10.0.0.0/24",
            "unschedulable": True,
            "taints": [{"key": "k", "effect": "NoSchedule", "timeAdded": "t"}],
        },
        "status": {
            "images": [{}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "R", "lastHeartbeatTime": "t"}],
        },
    }
    found = kept("Node", raw)
    assert found.body == {
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": {"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "R"}]},
    }
    assert found.lost


def test_binary_data_is_kept_by_size_only_and_its_changes_are_noticed() -> None:
    def found(content: bytes) -> Any:
        return kept("ConfigMap", config_map({}, binaryData={"a.bin": base64.b64encode(content).decode()}))

    one, other = found(b"12345"), found(b"54321")
    assert one.body["binaryData"] == {"a.bin": "5 bytes"}
    assert (one.digest != other.digest, one.hidden != other.hidden) == (True, True)
    assert one.lost == "binaryData is not kept"


def test_the_author_is_whoever_wrote_last_and_no_status() -> None:
    def entry(manager: str, at: str, subresource: str = "") -> Any:
        return {"manager": manager, "time": at, "subresource": subresource}

    raw = {
        "metadata": {
            "managedFields": [
                entry("helm", "2026-01-01T00:00:00Z"),
                entry("kubectl-edit", "2026-02-01T00:00:00Z"),
                entry("argocd", "2026-01-05T00:00:00Z"),
                entry("kube-controller-manager", "2026-03-01T00:00:00Z", "status"),
            ]
        }
    }
    assert author(raw) == Author(manager="kubectl-edit", at=datetime(2026, 2, 1, tzinfo=UTC))
    assert author(raw, of_status=True).manager == "kube-controller-manager"
    assert author({"metadata": {}}) == Author()


def test_a_large_body_is_told() -> None:
    assert kept("ConfigMap", config_map({"a": "x" * 2000}), max_bytes=1000).too_large
