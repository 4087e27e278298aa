"""Every write to the store, in the order of a real server: decode, default, admit, validate, record ownership, store.

The HTTP server and the controllers write through here and nowhere else. A dry run takes the same way and stops before
the store. All functions are synchronous, so a write is atomic on the event loop.
Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-control/ and .../using-api/api-concepts/
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from responder.sandbox import admission, defaults, ownership, patches, schema, strategies, validation
from responder.sandbox.access import User
from responder.sandbox.failures import (
    Cause,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
    stale,
    untyped_apply,
)
from responder.sandbox.faults import invalid_value, required
from responder.sandbox.objects import Object, Store, clone
from responder.sandbox.resources import NAMESPACE, POD, Resource


class FieldValidation(StrEnum):
    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


class PatchType(StrEnum):
    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, kw_only=True)
class Write:
    """How a write was asked for."""

    user: User
    manager: str = ""
    dry_run: bool = False
    validation: FieldValidation = FieldValidation.WARN
    force: bool = False
    subresource: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a write did."""

    obj: Object
    changed: bool
    """Something was stored or removed."""
    created: bool = False
    warnings: tuple[str, ...] = ()


CONTROLLER = Write(user=User(name="system:kube-controller-manager"), manager="kube-controller-manager")


def timestamp(now: datetime) -> str:
    """As in `creationTimestamp`: whole seconds, UTC."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


class Registry:
    """Typed writes over a store."""

    def __init__(self, store: Store, *, now: Callable[[], datetime]) -> None:
        self.store = store
        self.now = now

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """The stored object, not to be changed. Raises `ApiFailure` 404."""
        obj = self.store.get(resource, namespace, name)
        if obj is None:
            raise not_found(resource, name)
        return obj

    def create(self, resource: Resource, namespace: str, body: Any, write: Write) -> Outcome:
        """Raises `ApiFailure` 400, 403, 404, 409 or 422."""
        obj, warnings = _decode(resource, body, write)
        metadata = _address(resource, obj, namespace)
        self._name(resource, metadata)
        admission.require_namespace(self.store, resource, obj)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = timestamp(self.now())
        managed = metadata.pop("managedFields", None)
        strategies.prepare_create(self.store, resource, obj)
        defaults.apply_defaults(obj)
        if resource is POD:
            admission.complete_pod(self.store, obj)
        validation.validate_create(resource, obj)
        warnings += admission.admit(self.store, resource, obj, new=True)
        written = ownership.record_update(resource.kind, None, _own_part(body, obj), self._writer(resource, write))
        metadata["managedFields"] = managed or written
        # The store is asked last: an object that is invalid and already there is reported as invalid.
        if self.store.get(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise already_exists(resource, metadata["name"])
        if write.dry_run:
            return Outcome(obj=obj, changed=False, created=True, warnings=warnings)
        return Outcome(obj=self.store.put(resource, obj), changed=True, created=True, warnings=warnings)

    def _name(self, resource: Resource, metadata: Object) -> None:
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise validation.unnamed(resource)
            metadata["name"] = metadata["generateName"][:58] + admission.random_suffix()

    def update(self, resource: Resource, namespace: str, name: str, body: Any, write: Write) -> Outcome:
        """Replace an object. Raises `ApiFailure`, 409 for a resourceVersion that is not the stored one."""
        if resource.kind in strategies.CREATED_BY_UPDATE and not self.store.get(resource, namespace, name):
            return self.create(resource, namespace, body, write)
        live = self.get(resource, namespace, name)
        obj, warnings = _decode(resource, body, write)
        _address(resource, obj, namespace, name=name)
        if not obj["metadata"].get("resourceVersion"):
            if resource.kind in strategies.CONDITIONAL_ONLY:
                rule = "must be specified for an update"
                raise invalid(resource, name, [_zero_version(rule)])
            obj["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        uid = obj["metadata"].get("uid")
        if uid and uid != live["metadata"]["uid"]:
            raise _wrong_uid(resource, live["metadata"], uid)
        return self.replace(resource, live, obj, write, warnings=warnings)

    def patch(self, resource: Resource, namespace: str, name: str, kind: PatchType, body: Any, write: Write) -> Outcome:
        """Change an object by a patch; an apply patch may create it. Raises `ApiFailure`."""
        if kind is PatchType.APPLY:
            return self._apply(resource, namespace, name, body, write)
        live = self.get(resource, namespace, name)
        match kind:
            case PatchType.JSON:
                patched = patches.json_patch(live, body)
            case PatchType.MERGE:
                patched = patches.merge_patch(live, _patch_map(body))
            case PatchType.STRATEGIC:
                patched = patches.strategic_merge_patch(resource.kind, live, _patch_map(body))
        shown = go_map(body) if kind is PatchType.STRATEGIC else orjson.dumps(patched).decode()
        obj, warnings = _decode_patched(resource, patched, shown, write)
        obj.setdefault("metadata", {}).setdefault("resourceVersion", live["metadata"]["resourceVersion"])
        return self.replace(resource, live, obj, write, warnings=warnings)

    def _apply(self, resource: Resource, namespace: str, name: str, body: Any, write: Write) -> Outcome:
        if not write.manager:
            fault = required("fieldManager", "is required for apply patch")
            raise invalid(_OPTIONS, "", [fault])
        lenient = Write(user=write.user, validation=FieldValidation.WARN)
        config, unknown = _decode(resource, body, lenient)
        if unknown:
            stated = (body.get("metadata") or {}).get("namespace", "")
            raise untyped_apply(resource, stated, name, unknown[0].split('"')[1])
        metadata = _address(resource, config, namespace, name=name)
        if metadata.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        live = self.store.get(resource, namespace, name)
        writer = self._writer(resource, write, operation="Apply")
        merged = ownership.apply(resource.kind, live, config, writer, force=write.force)
        if live is None:
            outcome = self.create(resource, namespace, merged, write)
        else:
            merged["metadata"].setdefault("resourceVersion", live["metadata"]["resourceVersion"])
            outcome = self.replace(resource, live, merged, write, managed=merged["metadata"]["managedFields"])
        return Outcome(
            obj=outcome.obj,
            changed=outcome.changed,
            created=outcome.created,
            warnings=outcome.warnings,
        )

    def replace(
        self,
        resource: Resource,
        live: Object,
        candidate: Object,
        write: Write,
        *,
        warnings: tuple[str, ...] = (),
        managed: list[Object] | None = None,
    ) -> Outcome:
        """Store `candidate` in place of `live`, as far as the path that was written to allows.

        A write that changes nothing leaves the resource version alone.
        """
        name = live["metadata"]["name"]
        if candidate["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise stale(resource, name)
        obj = strategies.prepare_update(resource, clone(candidate), clone(live), subresource=write.subresource)
        defaults.apply_defaults(obj)
        strategies.count_generation(resource, obj, live, subresource=write.subresource)
        validation.validate_update(resource, obj, live)
        warnings += admission.admit(self.store, resource, obj, new=False)
        metadata = obj["metadata"]
        if managed is None:
            writer = self._writer(resource, write)
            managed = ownership.record_update(resource.kind, live, obj, writer)
        metadata["managedFields"] = managed
        if _without_times(obj) == _without_times(live):
            return Outcome(obj=live, changed=False, warnings=warnings)
        if write.dry_run:
            return Outcome(obj=obj, changed=False, warnings=warnings)
        stored = self.store.put(resource, obj)
        self._finish_deletion(resource, stored)
        return Outcome(obj=stored, changed=True, warnings=warnings)

    def _finish_deletion(self, resource: Resource, obj: Object) -> None:
        metadata = obj["metadata"]
        waits_for_kubelet = resource is POD and metadata.get("deletionGracePeriodSeconds")
        if resource is NAMESPACE:
            waits_for_kubelet = bool(obj["spec"].get("finalizers"))
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not waits_for_kubelet:
            self.store.remove(resource, metadata.get("namespace", ""), metadata["name"])

    def write_status(self, resource: Resource, namespace: str, name: str, status: Object) -> None:
        """A controller's status write; an object that is gone has no status to write."""
        live = self.store.get(resource, namespace, name)
        if live is not None and live.get("status") != status:
            write = Write(user=CONTROLLER.user, manager=CONTROLLER.manager, subresource="status")
            self.replace(resource, live, {**live, "status": status}, write)

    def _writer(self, resource: Resource, write: Write, *, operation: str = "Update") -> ownership.Writer:
        return ownership.Writer(
            manager=write.manager or "unknown",
            operation=operation,
            api_version=resource.api_version,
            subresource=write.subresource,
            time=timestamp(self.now()),
        )


_OPTIONS = Resource(
    group="meta.k8s.io",
    version="v1",
    plural="patchoptions",
    kind="PatchOptions",
    namespaced=False,
    has_status=False,
    has_scale=False,
)


def _wrong_uid(resource: Resource, stored: Object, asked: str) -> Exception:
    place = "/".join(filter(None, (resource.plural, stored.get("namespace"), stored["name"])))
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{place}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {asked}, UID in object meta: {stored['uid']}"
    )
    return conflict(resource, stored["name"], why)


def _zero_version(rule: str) -> Cause:
    fault = invalid_value("metadata.resourceVersion", 0, rule)
    return Cause(reason=fault.reason, field=fault.field, message=f"Invalid value: 0x0: {rule}")


def _own_part(body: Any, obj: Object) -> Object:
    """The part of the stored object that the sender wrote: it owns the defaults it caused, not a status."""
    return {key: value for key, value in obj.items() if key in body and key != "status"}


def _without_times(obj: Object) -> Object:
    entries = [{**entry, "time": ""} for entry in obj["metadata"].get("managedFields") or ()]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion" and value}
    return {**obj, "metadata": {**metadata, "managedFields": entries}}


def _patch_map(body: Any) -> Object:
    if not isinstance(body, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    return body


def _strict_error(unknown: tuple[str, ...]) -> str:
    return "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)


def _warn_or_drop(unknown: tuple[str, ...], write: Write) -> tuple[str, ...]:
    if write.validation is FieldValidation.WARN:
        return tuple(f'unknown field "{path}"' for path in unknown)
    return ()


def _decode(resource: Resource, body: Any, write: Write) -> tuple[Object, tuple[str, ...]]:
    """A request body as an object of its own, and warnings. Raises `ApiFailure` 400."""
    if not isinstance(body, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            "couldn't get version/kind; json parse error"
        )
    version = body.get("apiVersion", resource.api_version)
    if version != resource.api_version:
        kind = body.get("kind", resource.kind)
        raise bad_request(
            f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
            f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        )
    if body.get("kind", resource.kind) != resource.kind:
        raise bad_request(f'{body["kind"]} in version "{resource.version}" cannot be handled as a {resource.kind}')
    handled = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    try:
        decoded, unknown = schema.decode(resource.kind, body)
    except schema.WrongType as exc:
        raise bad_request(f"{handled}: {exc}") from exc
    if unknown and write.validation is FieldValidation.STRICT:
        raise bad_request(f"{handled}: {_strict_error(unknown)}")
    decoded |= {"apiVersion": resource.api_version, "kind": resource.kind}
    return clone(decoded), _warn_or_drop(unknown, write)


def _decode_patched(resource: Resource, patched: Any, shown: str, write: Write) -> tuple[Object, tuple[str, ...]]:
    """A patched object; its faults are reported as faults of the patch. Raises `ApiFailure` 422."""
    try:
        decoded, unknown = schema.decode(resource.kind, patched)
    except schema.WrongType as exc:
        raise invalid(None, "", [invalid_value("patch", shown, str(exc))]) from exc
    if unknown and write.validation is FieldValidation.STRICT:
        raise invalid(None, "", [invalid_value("patch", shown, _strict_error(unknown))])
    return clone(decoded), _warn_or_drop(unknown, write)


def go_map(value: Any) -> str:
    """A patch as Go prints it with `%+v`; the server quotes strategic merge patches that way."""
    match value:
        case dict():
            return "map[" + " ".join(f"{key}:{go_map(value[key])}" for key in sorted(value)) + "]"
        case list():
            return "[" + " ".join(go_map(item) for item in value) + "]"
        case bool():
            return str(value).lower()
        case None:
            return "<nil>"
        case _:
            return str(value)


def _address(resource: Resource, obj: Object, namespace: str, *, name: str = "") -> Object:
    """Make body and path agree on namespace and name. Returns the metadata. Raises `ApiFailure` 400."""
    metadata: Object = obj.setdefault("metadata", {})
    if name and metadata.setdefault("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if resource.namespaced:
        if metadata.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata.pop("namespace", None)
    return metadata
