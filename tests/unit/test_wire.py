"""Every type that crosses a wire survives the way there and back."""

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder import wire
from responder.domain import alert, execution, incident, investigation, mode, plan, rule
from responder.domain.action import ACTION_TYPES, Action
from responder.domain.refs import ObjectRef

RECORDS = [
    alert.Alert,
    alert.Delivery,
    incident.Incident,
    rule.Rule,
    rule.RuleSet,
    investigation.Investigation,
    plan.Plan,
    plan.Approval,
    execution.Execution,
    execution.Verification,
    mode.ModeSettings,
]

_TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12)
_LEAVES: dict[object, st.SearchStrategy[object]] = {
    str: _TEXT,
    int: st.integers(min_value=-(2**53), max_value=2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    typing.Any: st.one_of(st.none(), st.booleans(), _TEXT, st.lists(st.integers(0, 9), max_size=2)),
}


def values_of(hint: object) -> st.SearchStrategy[object]:
    """Values of a type as the domain writes them."""
    if hint in _LEAVES:
        return _LEAVES[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if part is type(None) else values_of(part) for part in arguments))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(list(hint))
    assert dataclasses.is_dataclass(hint), hint
    hints = typing.get_type_hints(hint)
    return st.builds(hint, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(hint)})


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_record_survives_the_round_trip(record: type, data: st.DataObject) -> None:
    value = data.draw(values_of(record))
    assert wire.loads(record, wire.dumps(value)) == value


@pytest.mark.parametrize("action_type", ACTION_TYPES, ids=lambda action_type: action_type.kind)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_an_action_carries_its_kind(action_type: type, data: st.DataObject) -> None:
    value = data.draw(values_of(action_type))
    document = wire.to_json(value)
    assert document["kind"] == action_type.kind
    assert wire.from_json(Action, document) == value


def test_a_field_from_a_newer_server_is_passed_over() -> None:
    assert wire.from_json(ObjectRef, {"kind": "Pod", "name": "a", "colour": "blue"}) == ObjectRef(kind="Pod", name="a")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"kind": "Pod"}, "name"),
        ({"kind": "exec_shell", "target": {}}, "exec_shell"),
        ([], "\\$"),
    ],
)
def test_what_cannot_be_read_is_named(document: object, problem: str) -> None:
    as_type: object = Action if "target" in str(document) else ObjectRef
    with pytest.raises(ValueError, match=problem):
        wire.from_json(as_type, document)


def test_times_are_utc_with_a_z() -> None:
    assert wire.dumps({"at": datetime(2026, 11, 23, tzinfo=UTC)}) == b'{"at":"2026-11-23T00:00:00.000000Z"}'
