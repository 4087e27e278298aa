"""The one codec between domain dataclasses and JSON: API, store columns, CLI and console use it.

Field names are the dataclasses' own; times are RFC 3339 in UTC with `Z`; enums are their value; an `Action` carries its
`kind`. Decoding tolerates fields it does not know (a newer server may talk to an older console) and names the path of
what it cannot read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

import orjson
from cattrs import BaseValidationError, transform_error
from cattrs.preconf.orjson import OrjsonConverter, make_converter
from cattrs.strategies import configure_tagged_union
from cattrs.v import format_exception

from responder.domain.action import ACTION_KINDS, ACTION_TYPES, Action
from responder.domain.manifest import Json

T = TypeVar("T")


def _time_to_json(value: datetime, _: Any = None) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time_from_json(value: Any, _: Any = None) -> datetime:
    if isinstance(value, datetime):
        return value
    parsed = datetime.fromisoformat(value)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _build() -> OrjsonConverter:
    converter = make_converter()
    converter.register_unstructure_hook(datetime, _time_to_json)
    converter.register_structure_hook(datetime, _time_from_json)
    kinds: dict[type, str] = {action_type: action_type.kind for action_type in ACTION_TYPES}
    configure_tagged_union(Action, converter, tag_name="kind", tag_generator=kinds.__getitem__)
    member = converter.get_structure_hook(Action)

    def known_kind(data: Any, as_type: Any) -> Any:
        kind = data.get("kind") if isinstance(data, Mapping) else data
        if kind not in ACTION_KINDS:
            raise ValueError(f"{kind!r} is none of the kinds of action: {', '.join(ACTION_KINDS)}")
        return member(data, as_type)

    converter.register_structure_hook_func(lambda as_type: as_type == Action, known_kind)
    return converter


_CONVERTER = _build()


def to_json(value: Any, as_type: Any = None) -> Json:
    """Plain dicts, lists and scalars. `as_type` is needed only for a bare union member."""
    if as_type is None and isinstance(value, Action):
        as_type = Action
    return _CONVERTER.unstructure(value, as_type)


def from_json(as_type: type[T] | Any, data: Json) -> T:
    """The dataclass that `data` spells.

    Raises:
        ValueError: with one line per problem: what, and where in the document.
    """
    try:
        result: T = _CONVERTER.structure(data, as_type)
    except (BaseValidationError, ValueError, TypeError, KeyError) as exc:
        raise ValueError("; ".join(transform_error(exc, path="$", format_exception=_describe))) from exc
    return result


def _describe(exc: BaseException, expected: type | None) -> str:
    plain = format_exception(exc, expected)
    return f"{plain} ({str(exc)[:200]})" if type(exc) is ValueError else plain


def dumps(value: Any, *, indent: bool = False) -> bytes:
    """JSON text of any domain value, or of plain data that contains some."""
    return orjson.dumps(_plain(value), option=orjson.OPT_INDENT_2 if indent else None)


def loads(as_type: type[T] | Any, data: bytes | str) -> T:
    """Raises ValueError where the text is no JSON or does not fit the type."""
    result: T = from_json(as_type, orjson.loads(data))
    return result


def _plain(value: Any) -> Json:
    if isinstance(value, datetime):
        return _time_to_json(value)
    if isinstance(value, Mapping | MappingProxyType):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return to_json(value)
