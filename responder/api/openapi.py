"""The description of the API, made from the route table and the types that the routes answer.

Format: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Union, get_args, get_origin, get_type_hints

from responder.api.endpoint import Endpoint, Parameter
from responder.domain.action import Action
from responder.domain.manifest import Json
from responder.domain.views import Problem

_SCALARS: Mapping[object, dict[str, Json]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    types.NoneType: {"type": "null"},
}


def describe(endpoints: Iterable[Endpoint], *, version: str) -> Json:
    """The whole OpenAPI document as plain JSON."""
    schemas: dict[str, Json] = {}
    problem = _schema(Problem, schemas)
    paths: dict[str, dict[str, Json]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas, problem)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clopus responder", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Json], problem: Json) -> Json:
    refused = (*endpoint.refusals, *(() if endpoint.role is None else (401, 403, 422, 503)), 500)
    success: dict[str, Json] = {"description": "Done."}
    if endpoint.answer is not None:
        success["content"] = {"application/json": {"schema": _schema(endpoint.answer, schemas)}}
    if endpoint.events:
        success["content"] = {"text/event-stream": _event_stream(endpoint.events, schemas)}
    operation: dict[str, Json] = {
        "summary": endpoint.summary,
        "operationId": endpoint.handler.__name__,
        "parameters": [*_path_parameters(endpoint.path), *(_parameter(item) for item in endpoint.query)],
        "responses": {
            "2XX": success,
            **{
                str(status): {
                    "description": "See the problem.",
                    "content": {"application/problem+json": {"schema": problem}},
                }
                for status in sorted(set(refused))
            },
        },
        "security": [] if endpoint.role is None else [{"bearer": [endpoint.role.value]}, {"basic": []}],
    }
    if endpoint.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": _schema(endpoint.body, schemas)}}}
    return operation


def _event_stream(events: Mapping[str, type], schemas: dict[str, Json]) -> Json:
    """3.1 has no words for what a stream is made of, hence the extension."""
    return {"schema": {"type": "string"}, "x-events": {name: _schema(kind, schemas) for name, kind in events.items()}}


def _path_parameters(path: str) -> list[Json]:
    if "{id}" not in path:
        return []
    return [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]


def _parameter(parameter: Parameter) -> Json:
    schema: dict[str, Json] = {"type": "integer" if parameter.number else "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": "query", "description": parameter.meaning, "schema": schema}


def _schema(annotation: object, schemas: dict[str, Json]) -> Json:
    """The JSON Schema of a type as `responder.wire` spells it; named types go into `schemas`."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _union(annotation, arguments, schemas)
    if origin in (tuple, frozenset, list):
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if origin is not None:
        return {"type": "object", "additionalProperties": _schema(arguments[1], schemas)}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {"type": "string", "enum": [member.value for member in annotation]}
    if isinstance(annotation, type) and is_dataclass(annotation):
        return _named(annotation, schemas)
    return {}


def _union(annotation: object, members: tuple[object, ...], schemas: dict[str, Json]) -> Json:
    choices = [_schema(member, schemas) for member in members]
    if annotation == Action:
        return {"oneOf": choices, "discriminator": {"propertyName": "kind"}}
    return {"anyOf": choices}


def _named(annotation: type, schemas: dict[str, Json]) -> Json:
    name = annotation.__name__
    if name not in schemas:
        schemas[name] = {}  # claimed first, so that a type may contain itself
        hints = get_type_hints(annotation)
        properties = {item.name: _schema(hints[item.name], schemas) for item in fields(annotation)}
        if annotation in get_args(Action):
            properties = {"kind": {"const": annotation.kind}, **properties}  # type: ignore[attr-defined]
        required = [
            item.name for item in fields(annotation) if item.default is MISSING and item.default_factory is MISSING
        ]
        schemas[name] = {"type": "object", "properties": properties, "required": required}
    return {"$ref": f"#/components/schemas/{name}"}
