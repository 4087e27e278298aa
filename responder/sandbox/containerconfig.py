"""From a pod's spec and the objects it refers to, to the surroundings of each container's process.

Decides: which ConfigMaps and Secrets a pod needs, what is wrong with them in the kubelet's words, the environment,
the mounted files, the user and the argument list. Pure: the objects are fetched by `podworker`.

Source of the sentences: pkg/kubelet/kubelet_pods.go, pkg/kubelet/kuberuntime/security_context.go and
pkg/volume/{configmap,secret,projected} of Kubernetes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from responder.sandbox.container import Mount, Surroundings
from responder.sandbox.images import ImageModel
from responder.sandbox.quantity import parse_quantity

Json = dict[str, Any]
_VARIABLE: Final = re.compile(r"\$(\$|\(([^()]*)\))")
_WRITABLE_VOLUMES: Final = ("emptyDir", "persistentVolumeClaim", "ephemeral", "csi", "nfs")
_PUBLISHED: Final = "kube-root-ca.crt"
"""Written into every namespace by a controller that small clusters may not run; its absence stops nothing here."""


class ConfigProblem(Exception):
    """The container's configuration cannot be made; the text is the message of CreateContainerConfigError."""


@dataclass(frozen=True, kw_only=True)
class ObjectName:
    kind: str
    """`ConfigMap` or `Secret`."""
    name: str

    @property
    def missing(self) -> str:
        return f'{self.kind.lower()} "{self.name}" not found'


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The referenced objects' keys and texts as last read; an object that does not exist is absent."""

    found: Mapping[ObjectName, Mapping[str, str]] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> Mapping[str, str] | None:
        return self.found.get(ObjectName(kind=kind, name=name))


def texts(kind: str, manifest: Json) -> dict[str, str]:
    """The keys of a ConfigMap or Secret with their decoded values."""
    data: dict[str, str] = manifest.get("data") or {}
    if kind == "ConfigMap":
        return dict(data)
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def pod_title(pod: Json) -> str:
    """How the kubelet names a pod in its messages: `name_namespace(uid)`."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta['namespace']}({meta.get('uid', '')})"


def referenced(pod: Json) -> frozenset[ObjectName]:
    """Every ConfigMap and Secret that the pod's containers and volumes name."""
    names: set[ObjectName] = set()
    spec = pod["spec"]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        for entry in container.get("env") or ():
            source = entry.get("valueFrom") or {}
            names |= _named(source, ("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
        for entry in container.get("envFrom") or ():
            names |= _named(entry, ("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
    for volume in spec.get("volumes") or ():
        names |= {name for name, _ in _sources(volume)}
    return frozenset(names)


def _named(source: Json, *keys: tuple[str, str]) -> set[ObjectName]:
    return {ObjectName(kind=kind, name=source[key].get("name", "")) for key, kind in keys if key in source}


def _sources(volume: Json) -> Iterator[tuple[ObjectName, Json]]:
    """The objects that a volume is filled from, with the part of the spec that names items and `optional`."""
    for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
        if (config := source.get("configMap")) and config.get("name") != _PUBLISHED:
            yield ObjectName(kind="ConfigMap", name=config.get("name", "")), config
        if secret := source.get("secret"):
            yield ObjectName(kind="Secret", name=secret.get("secretName") or secret.get("name", "")), secret


def mount_problems(pod: Json, objects: Objects) -> tuple[str, ...]:
    """The messages of FailedMount; empty when every volume can be set up."""
    problems: list[str] = []
    for volume in pod["spec"].get("volumes") or ():
        for name, source in _sources(volume):
            problem = _source_problem(name, source, objects)
            if problem:
                problems.append(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {problem}')
                break
    return tuple(problems)


def _source_problem(name: ObjectName, source: Json, objects: Objects) -> str:
    if source.get("optional"):
        return ""
    keys = objects.found.get(name)
    if keys is None:
        return name.missing
    missing = next((item["key"] for item in source.get("items") or () if item["key"] not in keys), None)
    kind = name.kind.lower()
    return "" if missing is None else f"{kind} references non-existent {_key_word(kind)} key: {missing}"


def _key_word(kind: str) -> str:
    return "config" if kind == "configmap" else kind


def _volume_files(volume: Json, objects: Objects) -> dict[str, str]:
    """Relative path -> content."""
    files: dict[str, str] = {}
    for name, source in _sources(volume):
        keys = objects.found.get(name) or {}
        items = source.get("items")
        chosen = {item["key"]: item["path"] for item in items} if items else {key: key for key in keys}
        files |= {path: keys[key] for key, path in chosen.items() if key in keys}
    return files


def _mounted(pod: Json, container: Json, objects: Objects) -> tuple[tuple[Mount, ...], dict[str, str]]:
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    mounts: list[Mount] = []
    files: dict[str, str] = {}
    for entry in container.get("volumeMounts") or ():
        volume = volumes.get(entry["name"], {})
        writable = any(kind in volume for kind in _WRITABLE_VOLUMES) and not entry.get("readOnly")
        path = entry["mountPath"].rstrip("/") or "/"
        mounts.append(Mount(path=path, writable=writable))
        content = _volume_files(volume, objects)
        if part := entry.get("subPath"):
            files |= {path: content[part]} if part in content else {}
        else:
            files |= {f"{path.rstrip('/')}/{name}": text for name, text in content.items()}
    return tuple(mounts), files


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the pod runs: what fieldRefs can ask for and the spec does not say."""

    pod_ip: str = "10.244.0.2"
    host_ip: str = "127.0.0.1"


def surroundings(pod: Json, container: Json, model: ImageModel, objects: Objects, place: Place) -> Surroundings:
    """Raises ConfigProblem."""
    env = environment(pod, container, objects, place)
    uid = _user(pod, container, model)
    mounts, files = _mounted(pod, container, objects)
    context = container.get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return Surroundings(
        image=model,
        argv=_arguments(container, model, env),
        env=env,
        files=files,
        mounts=mounts,
        uid=uid,
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        added_capabilities=_capabilities(capabilities.get("add")),
        dropped_capabilities=_capabilities(capabilities.get("drop")),
        unprivileged_port_start=_port_start(pod),
        declared_ports=tuple(
            port["containerPort"] for port in container.get("ports") or () if port.get("protocol", "TCP") == "TCP"
        ),
        memory_limit=None if limit is None else int(parse_quantity(limit)),
        hostname=pod["spec"].get("hostname") or pod["metadata"]["name"],
        working_dir=container.get("workingDir") or "/",
    )


def _capabilities(names: list[str] | None) -> frozenset[str]:
    return frozenset(name.upper().removeprefix("CAP_") for name in names or ())


def _port_start(pod: Json) -> int:
    sysctls = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return next((int(s["value"]) for s in sysctls if s["name"] == "net.ipv4.ip_unprivileged_port_start"), 1024)


def _arguments(container: Json, model: ImageModel, env: Mapping[str, str]) -> tuple[str, ...]:
    """`command` replaces the image's entrypoint and drops its default arguments; `args` replaces those only."""
    command, args = container.get("command"), container.get("args")
    own = command or model.entrypoint
    rest = args or (() if command else model.cmd)
    return tuple(expand(word, env) for word in (*own, *rest))


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` in commands and values; an unknown name stays as it is and `$$` is a dollar."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else env.get(found[2], found[0])

    return _VARIABLE.sub(value, text)


def environment(pod: Json, container: Json, objects: Objects, place: Place) -> dict[str, str]:
    """Raises ConfigProblem."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": pod["metadata"]["name"]}
    for entry in container.get("envFrom") or ():
        prefix = entry.get("prefix", "")
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in entry:
                env |= {prefix + name: text for name, text in _all_keys(kind, entry[key], objects).items()}
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            env[entry["name"]] = expand(entry.get("value", ""), env)
        elif (value := _value_from(pod, container, entry["valueFrom"], objects, place)) is not None:
            env[entry["name"]] = value
    return env


def _all_keys(kind: str, reference: Json, objects: Objects) -> Mapping[str, str]:
    keys = objects.get(kind, reference.get("name", ""))
    if keys is None and not reference.get("optional"):
        raise ConfigProblem(ObjectName(kind=kind, name=reference.get("name", "")).missing)
    return keys or {}


def _value_from(pod: Json, container: Json, source: Json, objects: Objects, place: Place) -> str | None:
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if key in source:
            return _one_key(pod, kind, source[key], objects)
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], place)
    if "resourceFieldRef" in source:
        group, _, name = source["resourceFieldRef"]["resource"].partition(".")
        amount = ((container.get("resources") or {}).get(group) or {}).get(name, "0")
        return str(int(parse_quantity(amount)))
    return None


def _one_key(pod: Json, kind: str, reference: Json, objects: Objects) -> str | None:
    keys = objects.get(kind, reference.get("name", ""))
    if keys is not None and reference["key"] in keys:
        return keys[reference["key"]]
    if reference.get("optional"):
        return None
    name = ObjectName(kind=kind, name=reference.get("name", ""))
    if keys is None:
        raise ConfigProblem(name.missing)
    where = f"{pod['metadata']['namespace']}/{name.name}"
    raise ConfigProblem(f"couldn't find key {reference['key']} in {kind} {where}")


def field_value(pod: Json, path: str, place: Place) -> str:
    meta, spec = pod["metadata"], pod["spec"]
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path):
        return str((meta.get(found[1]) or {}).get(found[2], ""))
    plain = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": place.pod_ip,
        "status.podIPs": place.pod_ip,
        "status.hostIP": place.host_ip,
        "status.hostIPs": place.host_ip,
    }
    return str(plain.get(path, ""))


def _user(pod: Json, container: Json, model: ImageModel) -> int:
    """The process's user id. Raises ConfigProblem when runAsNonRoot forbids it."""
    context = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    where = f'(pod: "{pod_title(pod)}", container: {container["name"]})'
    chosen = context.get("runAsUser")
    image_user = model.user.partition(":")[0]
    if context.get("runAsNonRoot"):
        if chosen == 0:
            raise ConfigProblem(f"container's runAsUser breaks non-root policy {where}")
        if chosen is None and image_user in ("", "0"):
            raise ConfigProblem(f"container has runAsNonRoot and image will run as root {where}")
        if chosen is None and not image_user.isdecimal():
            raise ConfigProblem(
                f"container has runAsNonRoot and image has non-numeric user ({image_user}), "
                f"cannot verify user is non-root {where}"
            )
    if chosen is not None:
        return int(chosen)
    return int(image_user) if image_user.isdecimal() else 0 if image_user in ("", "root") else 101
