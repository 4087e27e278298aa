"""Which fields an object may have, and of which JSON type: the decoder of the API server.

Unknown and duplicate fields are reported for the caller to act on (`fieldValidation`); a wrong JSON type is always
refused. The table is `fields.txt`. What the values may be is decided by `validation`.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from responder.sandbox.objects import Object
from responder.sandbox.quantity import parse_quantity

_INDEX = re.compile(r"\[\d+\]")
_SCALARS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "time": (str,),
    "quantity": (str, int, float),
    "intstr": (str, int),
}
_GO_TYPES = {"str": "string", "int": "int32", "bool": "bool", "float": "float64", "time": "Time"}

# The lists that are merged by key; every other list is replaced as a whole.
# Source: x-kubernetes-list-map-keys of the OpenAPI description.
LIST_KEYS: dict[str, tuple[str, ...]] = {
    "Container": ("name",),
    "EphemeralContainer": ("name",),
    "ContainerPort": ("containerPort", "protocol"),
    "ServicePort": ("port", "protocol"),
    "EnvVar": ("name",),
    "Volume": ("name",),
    "VolumeMount": ("mountPath",),
    "VolumeDevice": ("devicePath",),
    "LocalObjectReference": ("name",),
    "OwnerReference": ("uid",),
    "HostAlias": ("ip",),
    "HostIP": ("ip",),
    "PodIP": ("ip",),
    "TopologySpreadConstraint": ("topologyKey", "whenUnsatisfiable"),
    "PodCondition": ("type",),
    "DeploymentCondition": ("type",),
    "ReplicaSetCondition": ("type",),
    "StatefulSetCondition": ("type",),
    "DaemonSetCondition": ("type",),
    "JobCondition": ("type",),
    "NodeCondition": ("type",),
    "NodeAddress": ("type",),
    "NamespaceCondition": ("type",),
    "PersistentVolumeClaimCondition": ("type",),
    "HorizontalPodAutoscalerCondition": ("type",),
    "Condition": ("type",),
    "ResourceClaim": ("name",),
    "PodResourceClaim": ("name",),
}


# Objects that are replaced as a whole in an apply, and owned as one field.
ATOMIC_TYPES = frozenset(
    {
        "ConfigMapKeySelector",
        "LabelSelector",
        "LocalObjectReference",
        "NodeSelector",
        "NodeSelectorTerm",
        "ObjectFieldSelector",
        "ObjectReference",
        "ResourceFieldSelector",
        "ScopeSelector",
        "SecretKeySelector",
        "SecretReference",
        "TypedLocalObjectReference",
    }
)


@cache
def types() -> Mapping[str, Mapping[str, str]]:
    """Every type with its fields."""
    table: dict[str, dict[str, str]] = {}
    for line in files(__package__).joinpath("fields.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, *fields = line.split(" ")
        table[name] = dict(field.split(":", 1) for field in fields)
    return table


def item_type(type_name: str) -> str:
    """The type of a list's or map's items: `[Container]` -> `Container`; empty for anything else."""
    return type_name[1:-1] if type_name[:1] in ("[", "{") else ""


def field_type(type_name: str, field: str) -> str:
    """The type of one field; `any` where the table does not say."""
    if type_name.startswith("{"):
        return type_name[1:-1]
    return types().get(type_name, {}).get(field, "any")


def merge_keys(type_name: str) -> tuple[str, ...]:
    """The keys that identify an item of this list type; empty for a list that is replaced as a whole."""
    return LIST_KEYS.get(item_type(type_name), ()) if type_name.startswith("[") else ()


class WrongType(ValueError):
    """A JSON value of a type that the field cannot hold."""


def decode(kind: str, obj: Object) -> tuple[Object, tuple[str, ...]]:
    """The object without fields its type does not have, and the paths of those fields. Raises `WrongType`."""
    unknown: list[str] = []
    decoded = _decode(kind, obj, "", unknown)
    return decoded, tuple(unknown)


def _decode(type_name: str, value: Any, path: str, unknown: list[str], owner: str = "") -> Any:
    if value is None or type_name == "any":
        return value
    if type_name in _SCALARS:
        return _scalar(type_name, value, f"{owner}.{_INDEX.sub('', path)}")
    if type_name.startswith("["):
        _expect(value, list, path, type_name)
        return [_decode(type_name[1:-1], item, f"{path}[{i}]", unknown) for i, item in enumerate(value)]
    _expect(value, dict, path, type_name)
    if type_name.startswith("{"):
        return {key: _decode(type_name[1:-1], item, f"{path}.{key}", unknown) for key, item in value.items()}
    return _decode_fields(type_name, value, path, unknown)


def _decode_fields(type_name: str, value: Object, path: str, unknown: list[str]) -> Object:
    fields = types()[type_name]
    decoded: Object = {}
    for key, item in value.items():
        child = f"{path}.{key}" if path else key
        if key not in fields:
            unknown.append(child)
        elif item is not None:
            decoded[key] = _decode(fields[key], item, child, unknown, type_name)
    return decoded


def _scalar(type_name: str, value: Any, path: str) -> Any:
    wrong_bool = isinstance(value, bool) and type_name != "bool"
    if wrong_bool or not isinstance(value, _SCALARS[type_name]):
        raise WrongType(_wrong(value, path, _GO_TYPES.get(type_name, type_name)))
    return _quantity(value) if type_name == "quantity" else value


def _quantity(value: Any) -> str:
    try:
        parse_quantity(value)
    except ValueError as exc:
        raise WrongType(str(exc)) from exc
    return str(value)


def _expect(value: Any, wanted: type, path: str, type_name: str) -> None:
    if not isinstance(value, wanted):
        raise WrongType(_wrong(value, path, "[]" + type_name[1:-1] if wanted is list else type_name))


def _wrong(value: Any, path: str, go_type: str) -> str:
    json_type = {bool: "bool", str: "string", dict: "object", list: "array"}.get(type(value), "number")
    return f"json: cannot unmarshal {json_type} into Go struct field {path} of type {go_type}"
