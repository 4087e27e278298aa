"""Label and field selectors: from a query string or a manifest to a predicate over one object.

Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api and .../field-selectors/
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from responder.sandbox.failures import ApiFailure, bad_request
from responder.sandbox.resources import Resource

Predicate = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"\s*([^\s,!=()]+)\s+(in|notin)\s*\(([^)]*)\)\s*(?:,|\Z)")
_EQUAL = re.compile(r"\s*([^\s,!=()]+)\s*(==|=|!=)\s*([^\s,!=()]*)\s*(?:,|\Z)")
_EXISTS = re.compile(r"\s*(!?)\s*([^\s,!=()]+)\s*(?:,|\Z)")

_FIELDS: dict[str, frozenset[str]] = {
    "Pod": frozenset(
        {"spec.nodeName", "status.phase", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName"}
    ),
    "Event": frozenset(
        {f"involvedObject.{part}" for part in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")}
        | {"involvedObject.resourceVersion", "reason", "type", "source", "reportingComponent"}
    ),
    "Node": frozenset({"spec.unschedulable"}),
    "Namespace": frozenset({"status.phase"}),
    "Secret": frozenset({"type"}),
    "Job": frozenset({"status.successful"}),
    "ReplicaSet": frozenset({"status.replicas"}),
}
_FIELD_TERM = re.compile(r"([^=!]+)(==|=|!=)(.*)\Z")


def label_predicate(text: str) -> Predicate:
    """`app=web,tier!=db,env in (a,b),!canary` as a predicate over a label map. Raises `ApiFailure` 400."""
    tests: list[Predicate] = []
    position = 0
    while position < len(text):
        test, position = _next_requirement(text, position)
        tests.append(test)
    return lambda labels: all(test(labels) for test in tests)


def _next_requirement(text: str, position: int) -> tuple[Predicate, int]:
    if match := _SET.match(text, position):
        values = frozenset(value.strip() for value in match[3].split(","))
        return _requirement(match[1], "In" if match[2] == "in" else "NotIn", values), match.end()
    if match := _EQUAL.match(text, position):
        operator = "NotIn" if match[2] == "!=" else "In"
        return _requirement(match[1], operator, frozenset({match[3]})), match.end()
    if match := _EXISTS.match(text, position):
        return _requirement(match[2], "DoesNotExist" if match[1] else "Exists", frozenset()), match.end()
    words = text[position:].split()
    if len(words) > 1:
        expected = "in, notin, =, ==, !=, gt, lt"
        raise bad_request(f"unable to parse requirement: found '{words[1]}', expected: {expected}")
    raise bad_request(f"unable to parse requirement: found '{text[position:]}', expected: !, identifier")


def _requirement(key: str, operator: str, values: frozenset[str]) -> Predicate:
    match operator:
        case "In":
            return lambda labels: key in labels and labels[key] in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case _:
            raise bad_request(f'"{operator}" is not a valid label selector operator')


def selector_predicate(selector: Mapping[str, Any] | None) -> Predicate:
    """A manifest's LabelSelector as a predicate over labels. A missing one matches nothing, an empty one all."""
    if selector is None:
        return lambda _labels: False
    tests = [_requirement(key, "In", frozenset({value})) for key, value in (selector.get("matchLabels") or {}).items()]
    tests += [
        _requirement(term["key"], term["operator"], frozenset(term.get("values") or ()))
        for term in selector.get("matchExpressions") or ()
    ]
    return lambda labels: all(test(labels) for test in tests)


def field_predicate(resource: Resource, text: str) -> Predicate:
    """`spec.nodeName=n1,status.phase!=Running` as a predicate over an object. Raises `ApiFailure` 400."""
    known = _FIELDS.get(resource.kind, frozenset()) | {"metadata.name"}
    if resource.namespaced:
        known |= {"metadata.namespace"}
    tests: list[Predicate] = []
    for term in filter(None, text.split(",")):
        match = _FIELD_TERM.match(term)
        if match is None:
            raise bad_request(f"invalid field selector: {text!r}; can't understand {term!r}")
        if match[1] not in known:
            raise _unknown_field(match[1])
        tests.append(_field_test(match[1], match[3], negate=match[2] == "!="))
    return lambda obj: all(test(obj) for test in tests)


def _unknown_field(name: str) -> ApiFailure:
    return bad_request(f"field label not supported: {name}")


def _field_test(path: str, wanted: str, *, negate: bool) -> Predicate:
    parts = path.split(".")

    def test(obj: Mapping[str, Any]) -> bool:
        value: Any = obj
        for part in parts:
            value = value.get(part) if isinstance(value, Mapping) else None
        if path == "source" and isinstance(value, Mapping):
            value = value.get("component")
        text = str(value).lower() if isinstance(value, bool) else str(value or "")
        return (text == wanted) is not negate

    return test


def object_predicate(resource: Resource, labels: str, fields: str) -> Predicate:
    """Both selectors of a list or watch request as one predicate over an object."""
    by_label = label_predicate(labels)
    by_field = field_predicate(resource, fields)
    return lambda obj: by_label(obj["metadata"].get("labels") or {}) and by_field(obj)
