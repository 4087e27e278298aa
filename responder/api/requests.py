"""What requests bring: query parameters and small JSON bodies, read strictly.

An unknown parameter or field is an error that names it: a misspelt `kill_swich` must not look like success.
"""

from __future__ import annotations

import asyncio
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
from aiohttp import web

from responder.api.endpoint import Parameter
from responder.api.problems import RequestInvalid
from responder.api.services import SERVICES
from responder.domain import spans
from responder.domain.manifest import Json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    B = TypeVar("B", bound=DataclassInstance)
else:
    B = TypeVar("B")

MAX_BODY_BYTES = 64 * 1024
MAX_TEXT = 4_096
MAX_FILTER = 256
MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_OFFSET_DIGITS = 9
MAX_VALUES = 32
"""Of one parameter."""

LIMIT = Parameter(name="limit", meaning=f"records per page, 1 to {MAX_LIMIT}", number=True)
CURSOR = Parameter(name="cursor", meaning="next_cursor of the page before")


class Query:
    """The query parameters of one request. Raises RequestInvalid for one that the route does not know."""

    def __init__(self, request: web.Request, known: tuple[Parameter, ...]) -> None:
        self._query = request.query
        names = {parameter.name for parameter in known}
        for name in self._query:
            if name not in names:
                raise RequestInvalid(name[:64], f"unknown parameter; known are {', '.join(sorted(names)) or 'none'}")

    def gives(self, name: str) -> bool:
        return bool(self._query.get(name))

    def text(self, name: str) -> str:
        return _text(name, self._query.get(name, ""))

    def texts(self, name: str) -> tuple[str, ...]:
        """Given repeatedly; a comma is a character as any other."""
        return _several(name, [value for value in self._query.getall(name, []) if value])

    def words(self, name: str) -> tuple[str, ...]:
        """Given repeatedly or separated by commas."""
        return _several(name, [part for value in self._query.getall(name, []) for part in value.split(",") if part])

    def choices(self, name: str, allowed: type[StrEnum], *, nothing: str = "") -> tuple[str, ...]:
        """Values of `allowed`, given repeatedly or separated by commas. An empty one counts only where `nothing` is a
        word for it."""
        given = [part for value in self._query.getall(name, []) for part in value.split(",") if part or nothing]
        found = dict.fromkeys("" if part == nothing else part for part in given)
        if not found.keys() <= set(allowed):
            raise RequestInvalid(name, f"not one of {', '.join(value or nothing for value in allowed)}")
        return tuple(found)

    def span(self, name: str) -> timedelta | None:
        value = self._query.get(name, "")
        found = spans.parse(value)
        if value and found is None:
            raise RequestInvalid(name, f"not a while such as `90s`, `15m`, `2h`, `7d`, at most {spans.MOST.days}d")
        return found

    def cursor(self, form: re.Pattern[str]) -> str:
        """'' for the first page; what no page can have given is refused."""
        value = self._query.get("cursor", "")
        if value and not form.match(value):
            raise RequestInvalid("cursor", "not one that a page has given")
        return value

    def limit(self) -> int:
        value = self._query.get("limit", str(DEFAULT_LIMIT))
        if not (value.isascii() and value.isdigit() and len(value) <= 3 and 1 <= int(value) <= MAX_LIMIT):
            raise RequestInvalid("limit", f"a whole number from 1 to {MAX_LIMIT}")
        return int(value)

    def offset(self) -> int:
        value = self._query.get("offset", "0")
        if not (value.isascii() and value.isdigit() and len(value) <= MAX_OFFSET_DIGITS):
            raise RequestInvalid("offset", f"a whole number of at most {MAX_OFFSET_DIGITS} digits")
        return int(value)


def _text(name: str, value: str) -> str:
    if len(value) > MAX_FILTER or not value.isprintable():
        raise RequestInvalid(name, f"at most {MAX_FILTER} printable characters")
    return value


def _several(name: str, values: list[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_text(name, value) for value in values))
    if len(found) > MAX_VALUES:
        raise RequestInvalid(name, f"at most {MAX_VALUES} values")
    return found


async def read_body(request: web.Request, body_type: type[B], *, max_text: int = MAX_TEXT) -> B:
    """The request's JSON body as `body_type`, whose fields are texts, flags, enums and mappings of these.

    Raises:
        RequestInvalid: names the field.
    """
    data = await _read_json(request)
    if not isinstance(data, Mapping):
        raise RequestInvalid("body", "not a JSON object")
    known = {item.name: item for item in fields(body_type)}
    for name in data:
        if name not in known:
            raise RequestInvalid(name[:64], f"unknown field; known are {', '.join(known) or 'none'}")
    hints = get_type_hints(body_type)
    values = {name: _value(name, data[name], hints[name], max_text) for name in data}
    for name, item in known.items():
        if name not in values and _required(item):
            raise RequestInvalid(name, "missing")
    return body_type(**values)


async def _read_json(request: web.Request) -> Json:
    try:
        async with asyncio.timeout(request.app[SERVICES].body_timeout_seconds):
            body = await request.clone(client_max_size=MAX_BODY_BYTES).read()
    except TimeoutError as exc:
        raise RequestInvalid("body", "did not arrive in time") from exc
    except web.HTTPRequestEntityTooLarge as exc:
        raise RequestInvalid("body", f"over {MAX_BODY_BYTES} bytes") from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise RequestInvalid("body", "cut off, or its encoding is broken") from exc
    try:
        return orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid("body", f"not JSON: {exc}") from exc


def _required(item: Field[object]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _value(name: str, value: Json, expected: object, max_text: int) -> object:
    if get_origin(expected) in (Union, types.UnionType):
        if value is None:
            return None
        expected = next(part for part in get_args(expected) if part is not types.NoneType)
    if get_origin(expected) is not None:
        return _mapping(name, value, get_args(expected)[1], max_text)
    if expected is bool:
        if not isinstance(value, bool):
            raise RequestInvalid(name, "not true or false")
        return value
    if not isinstance(value, str):
        raise RequestInvalid(name, "not a text")
    if len(value) > max_text or "\x00" in value:
        raise RequestInvalid(name, f"over {max_text} characters, or holds NUL")
    if isinstance(expected, type) and issubclass(expected, StrEnum):
        if value not in set(expected):
            raise RequestInvalid(name, f"not one of {', '.join(expected)}")
        return expected(value)
    return value


def _mapping(name: str, value: Json, of: object, max_text: int) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise RequestInvalid(name, "not an object")
    return {key: _value(f"{name}.{key[:64]}", item, of, max_text) for key, item in value.items()}
