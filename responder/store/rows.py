"""How a domain record stands in a row.

Numbers, texts, flags and enums are columns of the field's name, times are TIMESTAMP in UTC. A nested record is spread
over columns with its field's name before theirs (`root_kind`, `change_target_name`), all NULL where it is absent.
Tuples, mappings and unions are JSON text of the wire codec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import NoneType, UnionType
from typing import Generic, TypeAlias, TypeVar, Union, assert_never, get_args, get_origin, get_type_hints

import orjson

from responder import wire
from responder.store.connection import Connection

T = TypeVar("T")
Value: TypeAlias = str | int | float | bool | datetime | None
"""What a column can hold."""

_RENAMED = {"at": "recorded_at"}
"""`at` is a keyword of the SQL dialect: people would have to quote it."""


def to_timestamp(moment: datetime) -> datetime:
    """Naive UTC, as a TIMESTAMP column takes it. A naive `moment` is refused: nobody knows what it means."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without zone cannot be stored: {moment.isoformat()}")
    return moment.astimezone(UTC).replace(tzinfo=None)


def from_timestamp(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


class RecordTable(Generic[T]):
    """Insert, replace and read the records of one type in one table.

    `omit` names fields that live in tables of their own: they come back empty. `extra` names columns that no field
    feeds.
    """

    def __init__(
        self, name: str, record_type: type[T], *, omit: tuple[str, ...] = (), extra: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self._type = record_type
        self._omit = omit
        self._extra = extra
        self._leaves = tuple(leaf for leaf in _leaves(record_type) if leaf.path[0] not in omit)
        self.columns = (*extra, *(leaf.column for leaf in self._leaves))

    def insert(self, con: Connection, record: T, **extra: Value) -> None:
        marks = ", ".join("?" for _ in self.columns)
        con.execute(
            f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({marks})",
            [*(extra[name] for name in self._extra), *(leaf.take(record) for leaf in self._leaves)],
        )

    def values(self, record: T) -> dict[str, Value]:
        """Column -> value, without the extra ones."""
        return {leaf.column: leaf.take(record) for leaf in self._leaves}

    def insert_all(self, con: Connection, records: Sequence[T], **extra: Value) -> None:
        """Several records; the column `position`, where the table has one, keeps their order from 1."""
        for position, record in enumerate(records, start=1):
            self.insert(con, record, **extra, **({"position": position} if "position" in self._extra else {}))

    def replace(self, con: Connection, record: T) -> bool:
        """Overwrite the row of the record's `id`; False where there is none."""
        values = self.values(record)
        identity = values.pop("id")
        assignments = ", ".join(f"{column} = ?" for column in values)
        row = con.execute(f"UPDATE {self.name} SET {assignments} WHERE id = ?", [*values.values(), identity]).fetchone()
        return row is not None and row[0] > 0

    def knows(self, con: Connection, identity: str) -> bool:
        return con.execute(f"SELECT 1 FROM {self.name} WHERE id = ? LIMIT 1", [identity]).fetchone() is not None

    def select(self, con: Connection, rest: str, values: Sequence[object] = ()) -> tuple[T, ...]:
        """Records of `SELECT <columns> FROM <table> <rest>`."""
        columns = ", ".join(f"{self.name}.{leaf.column}" for leaf in self._leaves)
        rows = con.execute(f"SELECT {columns} FROM {self.name} {rest}", list(values)).fetchall()
        return tuple(self.record(row) for row in rows)

    def record(self, row: Sequence[Value]) -> T:
        """The record of one row that holds the table's columns without the extra ones."""
        document: dict[str, object] = {name: [] for name in self._omit}
        for leaf, value in zip(self._leaves, row, strict=True):
            leaf.put(document, value)
        result: T = wire.from_json(self._type, document)
        return result


class _Form(StrEnum):
    PLAIN = "plain"
    TIME = "time"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    """One column and the field it holds."""

    path: tuple[str, ...]
    column: str
    form: _Form

    def take(self, record: object) -> Value:
        for name in self.path:
            record = getattr(record, name)
            if record is None and self.form is not _Form.JSON:
                return None
        match self.form:
            case _Form.PLAIN:
                return record.value if isinstance(record, Enum) else record  # type: ignore[return-value]
            case _Form.TIME:
                return to_timestamp(record)  # type: ignore[arg-type]
            case _Form.JSON:
                return wire.dumps(record).decode()
            case _:
                assert_never(self.form)

    def put(self, document: dict[str, object], value: Value) -> None:
        *parents, last = self.path
        for name in parents:
            if value is None:
                document.setdefault(name, None)
                return
            inner = document.get(name)
            if not isinstance(inner, dict):
                inner = document[name] = {}
            document = inner
        if isinstance(value, datetime):
            document[last] = from_timestamp(value)
        else:
            document[last] = orjson.loads(value) if self.form is _Form.JSON and isinstance(value, str) else value


def _leaves(record_type: type, path: tuple[str, ...] = ()) -> Iterator[_Leaf]:
    hints = get_type_hints(record_type)
    for field in fields(record_type):
        kind = _without_none(hints[field.name])
        place = (*path, field.name)
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _leaves(kind, place)
        else:
            column = "_".join(_RENAMED.get(name, name) for name in place)
            yield _Leaf(path=place, column=column, form=_form_of(kind))


def _without_none(hint: object) -> object:
    """`X` of `X | None`; every other hint as it is."""
    if get_origin(hint) in (Union, UnionType):
        rest = [part for part in get_args(hint) if part is not NoneType]
        return rest[0] if len(rest) == 1 else hint
    return hint


def _form_of(kind: object) -> _Form:
    if isinstance(kind, type):
        if issubclass(kind, datetime):
            return _Form.TIME
        if issubclass(kind, str | int | float | bool):
            return _Form.PLAIN
    return _Form.JSON
