"""The documents a client reads before it asks for objects: versions, groups, resource types. Pure.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from responder.sandbox.objects import Object
from responder.sandbox.resources import RESOURCES, Resource

VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0+clopus-sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "platform": "linux/amd64",
}
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def document(path: str) -> Object | None:
    """The discovery document at a path, or None."""
    match [part for part in path.split("/") if part]:
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = sorted({(r.group, r.version) for r in RESOURCES if r.group})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*g) for g in groups]}
        case ["api", "v1"]:
            return _resource_list("", "v1")
        case ["apis", group, version]:
            return _resource_list(group, version)
        case _:
            return None


def _group(group: str, version: str) -> Object:
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def _resource_list(group: str, version: str) -> Object | None:
    served = [r for r in RESOURCES if (r.group, r.version) == (group, version)]
    if not served:
        return None
    entries = [entry for resource in served for entry in _entries(resource)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entries(resource: Resource) -> list[Object]:
    shared = {"singularName": resource.kind.lower(), "namespaced": resource.namespaced, "kind": resource.kind}
    entries: list[Object] = [{"name": resource.plural, **shared, "verbs": _VERBS}]
    for name, present in (("status", resource.has_status), ("scale", resource.has_scale)):
        if present:
            entries.append({"name": f"{resource.plural}/{name}", **shared, "verbs": ["get", "patch", "update"]})
    return entries
