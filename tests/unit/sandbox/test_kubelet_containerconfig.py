"""What a container's process finds: environment, files, user and arguments, from the spec and its references."""

import base64
from typing import Any

import pytest

from responder.sandbox.container import Denial
from responder.sandbox.containerconfig import (
    ConfigProblem,
    ObjectName,
    Objects,
    Place,
    environment,
    mount_problems,
    referenced,
    surroundings,
    texts,
)
from responder.sandbox.images import ImageModel

Json = dict[str, Any]
MODEL = ImageModel(entrypoint=("/app/server",), cmd=("--serve",))
CONFIG = ObjectName(kind="ConfigMap", name="conf")
SECRET = ObjectName(kind="Secret", name="keys")
OBJECTS = Objects(found={CONFIG: {"colour": "blue", "url": "http://db"}, SECRET: {"token": "t0p"}})


def pod(container: Json, **spec: Any) -> Json:
    meta = {"name": "web-1", "namespace": "shop", "uid": "u-1", "labels": {"app": "web"}}
    return {"metadata": meta, "spec": {"containers": [{"name": "app", "image": "i", **container}], **spec}}


def around(container: Json, *, model: ImageModel = MODEL, **spec: Any) -> Any:
    manifest = pod(container, **spec)
    return surroundings(manifest, manifest["spec"]["containers"][0], model, OBJECTS, Place(pod_ip="10.0.0.9"))


@pytest.mark.parametrize(
    ("container", "argv"),
    [
        ({}, ("/app/server", "--serve")),
        ({"args": ["--debug"]}, ("/app/server", "--debug")),
        ({"command": ["sh"]}, ("sh",)),
        ({"command": ["sh"], "args": ["-c", "true"]}, ("sh", "-c", "true")),
        ({"args": ["$(A)-$(B)-$$(A)"], "env": [{"name": "A", "value": "1"}]}, ("/app/server", "1-$(B)-$(A)")),
    ],
)
def test_command_and_args_replace_the_images_own(container: Json, argv: tuple[str, ...]) -> None:
    assert around(container).argv == argv


@pytest.mark.parametrize(
    ("container", "name", "value"),
    [
        ({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}]}, "B", "12"),
        ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "url"}}}]}, "A", "http://db"),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]}, "A", "t0p"),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]}, "A", "web"),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}, "A", "10.0.0.9"),
        ({"envFrom": [{"prefix": "C_", "configMapRef": {"name": "conf"}}]}, "C_colour", "blue"),
        (
            {
                "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}],
                "resources": {"limits": {"memory": "1Mi"}},
            },
            "A",
            "1048576",
        ),
    ],
)
def test_a_variable_comes_from_where_the_spec_says(container: Json, name: str, value: str) -> None:
    manifest = pod(container)
    env = environment(manifest, manifest["spec"]["containers"][0], OBJECTS, Place(pod_ip="10.0.0.9"))
    assert env[name] == value


def test_mounted_keys_become_files_that_cannot_be_written() -> None:
    mounts = [
        {"name": "all", "mountPath": "/etc/all"},
        {"name": "some", "mountPath": "/etc/some"},
        {"name": "all", "mountPath": "/etc/one", "subPath": "url"},
        {"name": "room", "mountPath": "/room"},
    ]
    volumes = [
        {"name": "all", "configMap": {"name": "conf"}},
        {"name": "some", "secret": {"secretName": "keys", "items": [{"key": "token", "path": "deep/t"}]}},
        {"name": "room", "emptyDir": {}},
    ]
    found = around({"volumeMounts": mounts}, volumes=volumes)
    assert found.files == {
        "/etc/all/colour": "blue",
        "/etc/all/url": "http://db",
        "/etc/some/deep/t": "t0p",
        "/etc/one": "http://db",
    }
    assert found.refuse_write("/etc/all/new") is Denial.READ_ONLY
    assert found.refuse_write("/room/new") is None


@pytest.mark.parametrize(
    ("pod_context", "own_context", "image_user", "uid"),
    [
        ({}, {}, "", 0),
        ({}, {}, "101:101", 101),
        ({"runAsUser": 5}, {}, "101", 5),
        ({"runAsUser": 5}, {"runAsUser": 6}, "101", 6),
        ({"runAsNonRoot": True}, {}, "101", 101),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, "", 0),
    ],
)
def test_the_container_decides_over_the_pod_and_the_pod_over_the_image(
    pod_context: Json, own_context: Json, image_user: str, uid: int
) -> None:
    found = around({"securityContext": own_context}, model=ImageModel(user=image_user), securityContext=pod_context)
    assert found.uid == uid


def test_a_user_name_cannot_be_verified_as_non_root() -> None:
    with pytest.raises(ConfigProblem) as refused:
        around({"securityContext": {"runAsNonRoot": True}}, model=ImageModel(user="nginx"))
    assert str(refused.value) == (
        "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root "
        '(pod: "web-1_shop(u-1)", container: app)'
    )


def volume(**source: Any) -> Json:
    return pod({}, volumes=[{"name": "v", **source}])


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (volume(configMap={"name": "conf"}), None),
        (volume(configMap={"name": "gone", "optional": True}), None),
        (volume(configMap={"name": "gone"}), 'configmap "gone" not found'),
        (volume(secret={"secretName": "gone"}), 'secret "gone" not found'),
        (volume(projected={"sources": [{"secret": {"name": "gone"}}]}), 'secret "gone" not found'),
        (volume(projected={"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}), None),
        (
            volume(configMap={"name": "conf", "items": [{"key": "color", "path": "c"}]}),
            "configmap references non-existent config key: color",
        ),
    ],
)
def test_a_volume_is_set_up_only_from_what_exists(manifest: Json, problem: str | None) -> None:
    expected = () if problem is None else (f'MountVolume.SetUp failed for volume "v" : {problem}',)
    assert mount_problems(manifest, OBJECTS) == expected


def test_every_object_that_a_pod_names_is_known_beforehand() -> None:
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}}]
    container = {"env": env, "envFrom": [{"configMapRef": {"name": "all"}}]}
    manifest = pod(container, volumes=[{"name": "v", "configMap": {"name": "conf"}}])
    assert referenced(manifest) == {SECRET, CONFIG, ObjectName(kind="ConfigMap", name="all")}


def test_secrets_are_decoded_and_config_maps_are_not() -> None:
    data = {"k": base64.b64encode(b"plain").decode()}
    assert texts("Secret", {"data": data}) == {"k": "plain"}
    assert texts("ConfigMap", {"data": data}) == data
