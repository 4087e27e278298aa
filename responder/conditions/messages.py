"""What the words of a Kubernetes message name: the things that other workloads may suffer from as well.

Messages are free text, and some of it is written by whoever may create events. Nothing but keys for grouping is read
from them; whether a thing by that name exists is not decided here.

Sources: pkg/kubelet/kubelet_pods.go (references), pkg/volume (mounts),
pkg/controller/volume/persistentvolume (classes), pkg/scheduler/framework/plugins/volumebinding and
staging/src/k8s.io/apiserver/pkg/admission (quota, service account, webhooks).
What else refuses a pod is read by `refusals`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from responder.domain.manifest import Json, text
from responder.domain.refs import is_object_name
from responder.domain.timestamps import parse_time
from responder.redact import redact

MESSAGE_CHARACTERS = 300
"""As much of the server's words as a summary takes in."""

_NAME = r"([a-z0-9][a-z0-9.-]{0,252})"
_MISSING = re.compile(rf'\b(configmap|secret|serviceaccount)s? "{_NAME}" not found')
_KEY = re.compile(rf"couldn't find key \S{{1,253}} in (ConfigMap|Secret) {_NAME}/{_NAME}")
_CLAIM = re.compile(rf'\bpersistentvolumeclaims? "{_NAME}"')
_CLASS = re.compile(rf'\bstorageclass(?:\.storage\.k8s\.io)? "{_NAME}" not found')
_VOLUME = re.compile(rf'(?:Multi-Attach error|Attach failed) for volume "{_NAME}"')
_QUOTA = re.compile(rf"\b(?:exceeded|failed) quota: {_NAME}")
_WEBHOOK = re.compile(rf'failed calling webhook "{_NAME}"')
_PULL_SECRETS = re.compile(r"Unable to retrieve some image pull secrets \(([^)]{1,1000})\)")

_KINDS = {"configmap": "ConfigMap", "secret": "Secret", "serviceaccount": "ServiceAccount"}


def one_line(message: str, limit: int = MESSAGE_CHARACTERS) -> str:
    """The message without line breaks, cut to `limit` characters."""
    flat = " ".join(message[: limit * 4].split())
    # A secret that the cut would halve has lost the form by which it is known.
    return flat if len(flat) <= limit else f"{redact(flat)[: limit - 1]}…"


def moment(body: Json, *path: str | int) -> datetime | None:
    """The time at `path` in UTC; None where there is none, or none that can be one."""
    try:
        return parse_time(text(body, *path))
    except ValueError:
        return None


def keys(candidates: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order. Keys travel as one text with spaces between: what has a space inside is no key."""
    return tuple(dict.fromkeys(key for key in candidates if key and not any(c.isspace() for c in key)))


def image_key(image: str) -> str:
    """Of an image as the pod spec writes it; '' where it is not known."""
    return f"image/{image}" if image else ""


def node_key(node: str) -> str:
    """Only for what a node does to any pod: whatever blames a node becomes part of that node's incident."""
    return f"Node/{node}" if node else ""


def causes_in(message: str, namespace: str) -> tuple[str, ...]:
    """Keys of the objects that the message blames, most telling first. `namespace`: of whatever it is about; nothing
    there refers to the objects of another."""
    found = [f"{kind}/{where}/{name}" for kind, where, name in _KEY.findall(message) if where == namespace]
    found += [f"{_KINDS[kind]}/{namespace}/{name}" for kind, name in _MISSING.findall(message)]
    found += [f"PersistentVolumeClaim/{namespace}/{name}" for name in _CLAIM.findall(message)]
    found += [f"StorageClass/{name}" for name in _CLASS.findall(message)]
    found += [f"PersistentVolume/{name}" for name in _VOLUME.findall(message)]
    found += [f"ResourceQuota/{namespace}/{name}" for name in _QUOTA.findall(message)]
    found += [f"webhook/{name}" for name in _WEBHOOK.findall(message)]
    for names in _PULL_SECRETS.findall(message):
        found += [f"Secret/{namespace}/{name}" for name in re.split(r"[,\s]+", names) if is_object_name(name)]
    return keys(found)
