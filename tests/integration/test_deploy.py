"""Manifests, image and examples say what the code says, and the tools that read them agree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.analyzers import MODELS, configured, prices
from responder.rbac import manifest
from responder.rules.loader import load
from responder.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "base"
ALERTMANAGER_CONFIG = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"

WRITABLE = ("/data",)
MODEL_KEYS = "/etc/clopus/model"
CREDENTIALS = "/etc/clopus/credentials/"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((BASE / name).read_text()))


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    (deployment,) = documents("deployment.yaml")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


@pytest.mark.parametrize("file", sorted(BASE.parent.rglob("*.y*ml")), ids=lambda file: file.name)
def test_every_manifest_is_yaml_with_something_in_it(file: Path) -> None:
    assert all(yaml.safe_load_all(file.read_text()))


def test_every_resource_of_the_base_is_listed_and_exists() -> None:
    (kustomization,) = documents("kustomization.yaml")
    listed = {*kustomization["resources"], "kustomization.yaml", "clopus.yaml"}
    assert listed == {file.name for file in BASE.glob("*.yaml")}


@pytest.mark.inv(54)
def test_the_pod_meets_the_restricted_pod_security_standard(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {next(key for key in volume if key != "name") for volume in pod["volumes"]} <= {
        "configMap",
        "persistentVolumeClaim",
        "secret",
    }


@pytest.mark.inv(54)
def test_the_root_file_system_is_read_only_and_only_the_data_is_written(container: dict[str, Any]) -> None:
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = container["volumeMounts"]
    assert tuple(mount["mountPath"] for mount in mounts if not mount.get("readOnly")) == WRITABLE


def test_two_pods_never_share_the_database() -> None:
    (deployment,) = documents("deployment.yaml")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_the_probes_ask_the_two_open_paths(container: dict[str, Any]) -> None:
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_the_pod_outlives_the_shutdown_of_the_program(pod: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] > load_settings(BASE / "clopus.yaml", {}).server.shutdown_seconds


def test_every_file_that_the_settings_name_is_mounted(container: dict[str, Any]) -> None:
    settings = load_settings(BASE / "clopus.yaml", {})
    auth = settings.auth
    named = [auth.webhook_token_file, auth.viewer_tokens_file, auth.operator_tokens_file]
    assert all(str(file).startswith(CREDENTIALS) for file in named)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {CREDENTIALS.rstrip("/"), str(settings.rules.paths[0]), str(Path(settings.store.path).parent)} <= mounts


def without_comment_signs(name: str) -> str:
    """The file with what stands commented out in it. Prose has one space behind its `#`."""
    return re.sub(r"^( *)#(?=[^ #\n]|  )", r"\1", (BASE / name).read_text(), flags=re.MULTILINE)


@pytest.fixture
def with_models(tmp_path: Path) -> Settings:
    (tmp_path / "clopus.yaml").write_text(without_comment_signs("clopus.yaml"))
    return load_settings(tmp_path / "clopus.yaml", {})


def test_the_base_install_asks_no_model() -> None:
    assert configured(load_settings(BASE / "clopus.yaml", {})) == ()
    assert {name for rule in load([BASE / "rules"]).rules for name in rule.analyzers} == {"heuristic"}


def test_the_settings_that_stand_commented_out_set_up_both_kinds_of_model(with_models: Settings) -> None:
    assert configured(with_models) == MODELS
    assert [prices(with_models, name) for name in MODELS]


def test_the_limits_that_stand_commented_out_are_the_defaults(with_models: Settings) -> None:
    assert with_models.analysis.model_fields_set
    assert with_models.analysis.model_dump() == Settings().analysis.model_dump()


def test_a_model_s_key_is_a_mounted_file_that_may_be_absent(
    pod: dict[str, Any], container: dict[str, Any], with_models: Settings
) -> None:
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == MODEL_KEYS]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
    assert mount["readOnly"] is True
    assert volume["secret"]["optional"] is True
    assert str(with_models.claude.api_key_file).startswith(f"{MODEL_KEYS}/")
    assert "env" not in container
    assert "envFrom" not in container


def test_the_way_to_a_model_is_off_and_its_rules_are_ready_to_be_taken() -> None:
    (policy,) = documents("networkpolicy.yaml")
    (opened,) = yaml.safe_load_all(without_comment_signs("networkpolicy.yaml"))
    own = policy["spec"]["egress"]
    assert len(own) == 2
    assert opened["spec"]["egress"][:2] == own
    assert all(rule["to"] and rule["ports"] for rule in opened["spec"]["egress"][2:])
    assert len(opened["spec"]["egress"]) == 4


def test_the_image_has_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    wanted = {re.match(r"[a-z0-9-]+", item)[0] for items in extras.values() for item in items}
    assert wanted <= locked
    assert "COPY requirements.lock" in (ROOT / "Dockerfile").read_text()


@pytest.mark.inv(32)
def test_the_base_install_reports_and_cannot_write() -> None:
    assert load_settings(BASE / "clopus.yaml", {}).mode.ceiling == "report"
    verbs = {verb for role in documents("rbac.yaml") for rule in role.get("rules", []) for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch"}


@pytest.mark.inv(48)
def test_the_roles_are_what_the_program_prints() -> None:
    settings = load_settings(BASE / "clopus.yaml", {})
    assert documents("rbac.yaml") == manifest(
        kinds=(),
        namespaces=settings.cluster.namespaces,
        service_account="clopus",
        own_namespace="clopus",
        permissions=(),
    )


def test_the_rules_of_the_base_are_the_shipped_ones() -> None:
    (kustomization,) = documents("kustomization.yaml")
    (generator,) = [one for one in kustomization["configMapGenerator"] if one["name"] == "clopus-rules"]
    shipped = sorted((ROOT / "rules").glob("*.yaml"))
    assert generator["files"] == [f"rules/{file.name}" for file in shipped]
    assert [(BASE / "rules" / file.name).read_bytes() for file in shipped] == [file.read_bytes() for file in shipped]
    assert load([BASE / "rules"]).rules


@pytest.mark.inv(54)
def test_the_image_runs_as_a_user_and_installs_only_what_its_hash_names() -> None:
    text = (ROOT / "Dockerfile").read_text()
    instructions = re.sub(r"\\\n\s*", "", text).splitlines()
    assert [line for line in instructions if line.startswith("USER")] == ["USER 65532:0"]
    installs = [step for line in instructions for step in line.split("&&") if re.search(r"pip .*install", step)]
    assert installs
    assert all("--require-hashes" in step or "--no-index" in step for step in installs)
    assert all(re.match(r"FROM python:3\.11\.\d+-slim", line) for line in instructions if line.startswith("FROM"))
    assert 'ENTRYPOINT ["clopus"]' in instructions


def test_the_route_sends_whole_groups_and_their_end_to_the_webhook() -> None:
    (config,) = yaml.safe_load_all(ALERTMANAGER_CONFIG.read_text())
    (receiver,) = [one for one in config["receivers"] if one["name"] == "clopus"]
    (webhook,) = receiver["webhook_configs"]
    (service,) = documents("service.yaml")
    port = service["spec"]["ports"][0]["port"]
    assert webhook["url"] == f"http://clopus.clopus.svc:{port}/webhook/alertmanager"
    assert webhook["send_resolved"] is True
    assert webhook["max_alerts"] == 0
    assert "credentials_file" in webhook["http_config"]["authorization"]


def amtools() -> list[str]:
    newest = os.environ.get("ALERTMANAGER_ASSETS", "")
    found = [str(Path(newest) / "amtool")] if newest else []
    return found + [path for path in (shutil.which("amtool"),) if path]


@pytest.mark.alertmanager
def test_alertmanager_accepts_the_route() -> None:
    tools = amtools()
    if not tools and os.environ.get("CLOPUS_REQUIRE_CONTROL_PLANE") == "1":
        pytest.fail("no amtool: neither in ALERTMANAGER_ASSETS nor on the PATH")
    if not tools:
        pytest.skip("no amtool: neither in ALERTMANAGER_ASSETS nor on the PATH")
    for tool in tools:
        subprocess.run([tool, "check-config", str(ALERTMANAGER_CONFIG)], check=True, timeout=30, capture_output=True)
