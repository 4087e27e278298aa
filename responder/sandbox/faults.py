"""One faulty field each, in the words of the server's field validation.

Source: https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go
"""

from collections.abc import Sequence
from typing import Any

import orjson

from responder.sandbox.failures import Cause


def _shown(value: Any) -> str:
    return "null" if value is None else orjson.dumps(value).decode()


def invalid_value(field: str, value: Any, rule: str) -> Cause:
    return Cause(reason="FieldValueInvalid", field=field, message=f"Invalid value: {_shown(value)}: {rule}")


def required(field: str, rule: str = "") -> Cause:
    message = f"Required value: {rule}" if rule else "Required value"
    return Cause(reason="FieldValueRequired", field=field, message=message)


def duplicate(field: str, value: Any) -> Cause:
    return Cause(reason="FieldValueDuplicate", field=field, message=f"Duplicate value: {_shown(value)}")


def unknown_reference(field: str, value: Any) -> Cause:
    return Cause(reason="FieldValueNotFound", field=field, message=f"Not found: {_shown(value)}")


def unsupported(field: str, value: Any, supported: Sequence[str]) -> Cause:
    names = ", ".join(_shown(name) for name in supported)
    message = f"Unsupported value: {_shown(value)}: supported values: {names}"
    return Cause(reason="FieldValueNotSupported", field=field, message=message)


def forbidden(field: str, rule: str) -> Cause:
    return Cause(reason="FieldValueForbidden", field=field, message=f"Forbidden: {rule}")
