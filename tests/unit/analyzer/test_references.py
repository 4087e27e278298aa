"""Missing ConfigMaps, Secrets and keys, and the near miss that was meant."""

from __future__ import annotations

import pytest

from responder.analyzer.heuristics.nearness import near_miss
from responder.domain.action import ReferenceKind, ReplaceConfigReference
from responder.domain.investigation import Conclusion


def missing(build, message, references, *, before=None, **fields):
    container = build.container(references=tuple(references))
    status = build.waiting("CreateContainerConfigError", message)
    return build.diagnose(build.broken(status, container=container, before=before, **fields))


def test_a_missing_config_map_becomes_the_one_near_it(build):
    reference = build.config_map("app-config", "URL")
    found = missing(
        build,
        'configmap "app-config" not found',
        [reference],
        config_maps={"app-configuration": ("URL",), "other": ("URL",), "kube-root-ca.crt": ()},
    )
    assert found.findings[0].signature == "references.missing_configmap"
    assert found.proposals[0].action == ReplaceConfigReference(
        target=build.root, reference=ReferenceKind.CONFIG_MAP, from_name="app-config", to_name="app-configuration"
    )


def test_a_candidate_without_the_needed_key_is_none(build):
    found = missing(
        build,
        'configmap "app-config" not found',
        [build.config_map("app-config", "URL")],
        config_maps={"app-configuration": ("OTHER",)},
    )
    assert found.proposals == ()


def test_two_candidates_are_reported_with_their_names(build):
    found = missing(
        build,
        'configmap "config" not found',
        [build.config_map("config", "URL")],
        config_maps={"app-config": ("URL",), "web-config": ("URL",)},
    )
    assert (found.conclusion, found.proposals) == (Conclusion.FAULT_FOUND, ())
    assert "app-config, web-config" in found.findings[0].cause


def test_config_maps_that_may_not_be_read_lead_to_no_guess(build):
    found = missing(
        build,
        'configmap "app-config" not found',
        [build.config_map("app-config")],
        config_maps=None,
        unchecked=(build.unread("ConfigMap objects of namespace shop"),),
    )
    assert found.proposals == ()
    assert any("ConfigMap" in item.what for item in found.unchecked)


def test_a_missing_secret_is_looked_for_among_those_that_ready_pods_use(build):
    reference = build.config_map("db-cred", "password", kind=ReferenceKind.SECRET)
    found = missing(
        build,
        'secret "db-cred" not found',
        [reference],
        secrets_in_use={"db-credentials": ("password",)},
        config_maps={"db-creds": ("password",)},
    )
    assert found.findings[0].signature == "references.missing_secret"
    assert found.proposals[0].action.to_name == "db-credentials"


def test_a_secret_that_others_take_as_a_whole_may_hold_the_key(build):
    reference = build.config_map("db-cred", "password", kind=ReferenceKind.SECRET)
    found = missing(build, 'secret "db-cred" not found', [reference], secrets_in_use={"db-credentials": ()})
    assert found.proposals[0].action.to_name == "db-credentials"
    assert any("Secrets" in item.what for item in found.unchecked)


def test_a_missing_key_becomes_the_one_near_it(build):
    found = missing(
        build,
        "couldn't find key DATABASE_URl in ConfigMap shop/app-config",
        [build.config_map("app-config", "DATABASE_URl")],
        config_maps={"app-config": ("DATABASE_URL", "LEVEL")},
    )
    action = found.proposals[0].action
    assert found.findings[0].signature == "references.missing_key"
    assert (action.from_name, action.to_name) == ("app-config", "app-config")
    assert (action.from_key, action.to_key) == ("DATABASE_URl", "DATABASE_URL")


def test_the_volume_of_a_waiting_pod_is_looked_at(build):
    reference = build.config_map("app-config")
    template = build.template(references=[reference], volumes={"config": "configMap/app-config"})
    pod = build.pod(build.waiting("ContainerCreating"), template=template, phase="Pending")
    message = 'MountVolume.SetUp failed for volume "config" : configmap "app-config" not found'
    snapshot = build.snapshot(pod, events=(build.event("FailedMount", message),), config_maps={"app-configuration": ()})
    found = build.diagnose(snapshot)
    assert [finding.signature for finding in found.findings] == ["references.missing_configmap"]
    assert found.proposals[0].action.to_name == "app-configuration"


def test_a_missing_item_of_a_volume_is_traced_to_its_config_map(build):
    reference = build.config_map("app-config", "app.yml", place="volume config")
    template = build.template(references=[reference])
    pod = build.pod(build.waiting("ContainerCreating"), template=template, phase="Pending")
    message = 'MountVolume.SetUp failed for volume "config" : references non-existent config key: app.yml'
    snapshot = build.snapshot(
        pod, events=(build.event("FailedMount", message),), config_maps={"app-config": ("app.yaml",)}
    )
    assert build.diagnose(snapshot).proposals[0].action.to_key == "app.yaml"


def test_a_mount_that_has_worked_since_is_the_past(build):
    template = build.template(references=[build.config_map("app-config")])
    event = build.event("FailedMount", 'configmap "app-config" not found')
    pod = build.pod(build.crashing(), template=template)
    found = build.diagnose(build.snapshot(pod, events=(event,), logs=(build.log("panic: boom"),), config_maps={}))
    assert [finding.signature for finding in found.findings] == ["crash.unfixable"]


def test_an_optional_reference_never_counts(build):
    reference = build.config_map("app-config", "URL", optional=True)
    found = missing(build, 'configmap "app-config" not found', [reference], config_maps={"app-configuration": ("URL",)})
    assert found.proposals == ()


def test_a_name_that_the_template_does_not_refer_to_is_not_believed(build):
    found = missing(
        build,
        'configmap "evil" not found',
        [build.config_map("app-config")],
        config_maps={"evil-config": (), "app-config": ()},
    )
    assert found.proposals == ()


def test_what_the_ready_revision_refers_to_in_the_same_place_comes_first_then_the_undo(build):
    before = build.container(references=(build.config_map("settings", "URL"),))
    found = missing(
        build,
        'configmap "app-config" not found',
        [build.config_map("app-config", "URL")],
        before=before,
        config_maps={"settings": ("URL",), "app-configuration": ("URL",)},
    )
    assert found.proposals[0].action.to_name == "settings"
    assert found.proposals[1].action.kind == "undo_rollout"


def test_an_object_deleted_under_running_siblings_is_not_replaced(build):
    template = build.template(build.container(references=(build.config_map("app-config", "URL"),)))
    status = build.waiting("CreateContainerConfigError", 'configmap "app-config" not found')
    snapshot = build.snapshot(
        build.pod(status, template=template),
        build.pod(name="web-b-2", template=template),
        config_maps={"app-configuration": ("URL",)},
    )
    assert build.diagnose(snapshot).proposals == ()


def test_two_missing_objects_are_two_findings(build):
    references = [build.config_map("one", "A"), build.config_map("two", "B")]
    message = 'configmap "one" not found; configmap "two" not found'
    found = missing(build, message, references, config_maps={})
    assert len(found.findings) == 2


@pytest.mark.parametrize(
    ("written", "existing", "best"),
    [
        ("app-config", ["app-configuration"], "app-configuration"),
        ("app_config", ["app-config", "app-configs"], "app-config"),
        ("app-confg", ["app-config", "api-config"], "app-config"),
        ("config-v1", ["config-v2"], ""),
        ("db", ["db-credentials"], ""),
        ("config", ["nginx-config"], "nginx-config"),
        ("app-config", ["totally-else"], ""),
        ("apx", ["app", "api"], ""),
        ("app-config", [], ""),
    ],
)
def test_the_near_miss_is_one_name_or_none(written, existing, best):
    assert near_miss(written, existing).best == best


def test_a_name_in_use_elsewhere_is_not_meant_by_a_longer_form_of_it():
    assert near_miss("app-config", ["app-config-extra"], spoken_for=frozenset({"app-config-extra"})).best == ""
