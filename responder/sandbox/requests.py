"""From method, path and query to what a request asks for. Pure.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from collections.abc import Mapping
from dataclasses import dataclass

from responder.sandbox.access import Attributes
from responder.sandbox.failures import invalid, method_not_allowed, no_such_route
from responder.sandbox.faults import invalid_value, unsupported
from responder.sandbox.registry import FieldValidation
from responder.sandbox.resources import BY_PLURAL, Resource

_ITEM_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_POD_SUBRESOURCES = frozenset({"log", "eviction", "binding", "status"})
REVIEWS = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
    ("authorization.k8s.io", "selfsubjectrulesreviews"): "SelfSubjectRulesReview",
}


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """One request to a resource."""

    verb: str
    resource: Resource
    namespace: str
    name: str
    subresource: str

    @property
    def attributes(self) -> Attributes:
        return Attributes(
            verb=self.verb,
            group=self.resource.group,
            resource=self.resource.plural,
            subresource=self.subresource,
            namespace=self.namespace,
            name=self.name,
        )


def parse_request(method: str, path: str, query: Mapping[str, str]) -> ApiRequest:
    """Raises `ApiFailure` 404 for a path that is not served and 405 for a method it does not take."""
    match [part for part in path.split("/") if part]:
        case ["api", "v1", *rest]:
            group, version = "", "v1"
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise no_such_route()
    namespace = ""
    # /namespaces/NAME and its two subresources are the namespace itself; anything longer lies inside it.
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3:
        raise no_such_route()
    plural, name, subresource = (*rest, "", "")[:3]
    resource = BY_PLURAL.get((group, version, plural)) or _review(group, version, plural)
    if resource is None or not _serves(resource, subresource) or (name and resource.namespaced and not namespace):
        raise no_such_route()
    return ApiRequest(
        verb=_verb(method, name, subresource, query),
        resource=resource,
        namespace=name if resource.plural == "namespaces" and not group else namespace,
        name=name,
        subresource=subresource,
    )


def _review(group: str, version: str, plural: str) -> Resource | None:
    kind = REVIEWS.get((group, plural))
    if kind is None or version != "v1":
        return None
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced=False,
        has_status=False,
        has_scale=False,
    )


def _serves(resource: Resource, subresource: str) -> bool:
    match subresource:
        case "":
            return True
        case "status":
            return resource.has_status
        case "scale":
            return resource.has_scale
        case "token":
            return resource.kind == "ServiceAccount"
        case "finalize":
            return resource.kind == "Namespace"
        case _:
            return resource.kind == "Pod" and subresource in _POD_SUBRESOURCES


def _verb(method: str, name: str, subresource: str, query: Mapping[str, str]) -> str:
    verb = (_ITEM_VERBS if name else _COLLECTION_VERBS).get(method)
    if verb is None or (verb == "create" and name and subresource in ("", "status", "scale", "log")):
        raise method_not_allowed()
    if verb == "list" and query.get("watch") in ("1", "true"):
        return "watch"
    return verb


def parse_dry_run(verb: str, query: Mapping[str, str]) -> bool:
    """Raises `ApiFailure` 422 for anything but `All`."""
    value = query.get("dryRun", "")
    if value not in ("", "All"):
        raise invalid(_options(verb), "", [unsupported("dryRun", [value], ("All",))])
    return value == "All"


def parse_validation(verb: str, query: Mapping[str, str]) -> FieldValidation:
    """Raises `ApiFailure` 422 for an unknown directive."""
    value = query.get("fieldValidation") or "Warn"
    try:
        return FieldValidation(value)
    except ValueError as exc:
        fault = unsupported("fieldValidation", value, ("", "Ignore", "Strict", "Warn"))
        raise invalid(_options(verb), "", [fault]) from exc


def parse_timeout(query: Mapping[str, str]) -> float | None:
    """Seconds of a watch. Raises `ApiFailure` 422."""
    value = query.get("timeoutSeconds")
    if not value:
        return None
    if not value.isdigit():
        raise invalid(_options("list"), "", [invalid_value("timeoutSeconds", value, "must be a number")])
    return float(value)


def _options(verb: str) -> Resource:
    return Resource(
        group="meta.k8s.io",
        version="v1",
        plural="options",
        kind=f"{verb.removesuffix('collection').title()}Options",
        namespaced=False,
        has_status=False,
        has_scale=False,
    )
