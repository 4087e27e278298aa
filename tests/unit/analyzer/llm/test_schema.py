"""What `conclude` offers a model is the union of actions, closed and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from responder.analyzer.llm.schema import CONCLUDE, SCALARS, Whole, Word
from responder.domain.action import ACTION_KINDS, ACTION_TYPES


def actions() -> dict[str, Any]:
    offered = CONCLUDE.parameters["properties"]["proposals"]["items"]["properties"]["action"]["anyOf"]
    return {action["properties"]["kind"]["enum"][0]: action for action in offered}


def nodes(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


@pytest.mark.inv(22)
def test_every_action_of_the_union_is_offered_and_no_other() -> None:
    assert tuple(actions()) == ACTION_KINDS


@pytest.mark.inv(22)
@pytest.mark.parametrize("action_type", ACTION_TYPES, ids=ACTION_KINDS)
def test_an_action_is_offered_with_its_own_fields(action_type: Any) -> None:
    offered = actions()[action_type.kind]
    assert set(offered["properties"]) == {"kind", *(field.name for field in fields(action_type))}
    with_default = {name for name, scalar in SCALARS[action_type].items() if scalar.default is not None}
    assert set(offered["required"]) == set(offered["properties"]) - with_default


@pytest.mark.inv(23)
def test_a_target_is_a_kind_a_namespace_and_a_name_and_never_a_uid() -> None:
    for action in actions().values():
        target = action["properties"]["target"]
        assert list(target["properties"]) == target["required"] == ["kind", "namespace", "name"]
        assert target["properties"]["kind"]["enum"]


@pytest.mark.inv(22)
def test_every_object_of_the_schema_is_closed_and_every_list_bounded() -> None:
    for node in nodes(CONCLUDE.parameters):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
        if node.get("type") == "array":
            assert node["maxItems"] > 0


def test_only_words_that_every_provider_takes_are_used() -> None:
    text = json.dumps(CONCLUDE.parameters)
    assert not any(f'"{word}"' in text for word in ("$ref", "$defs", "pattern", "oneOf", "const", "format", "if"))


def test_a_model_may_conclude_neither_recovery_nor_that_nothing_applies() -> None:
    assert CONCLUDE.parameters["properties"]["conclusion"]["enum"] == ["fault_found", "unfixable", "unexplained"]


@pytest.mark.parametrize("action_type", ACTION_TYPES, ids=ACTION_KINDS)
def test_a_default_of_an_action_says_that_a_value_stays_or_is_within_its_form(action_type: Any) -> None:
    for scalar in SCALARS[action_type].values():
        match scalar.form:
            case Word() if scalar.default:
                assert scalar.form.fits(str(scalar.default))
            case Whole() if isinstance(scalar.default, int):
                assert scalar.default < scalar.form.least


def test_the_schema_is_the_same_to_the_byte_in_another_process() -> None:
    code = "import json; from responder.analyzer.llm.schema import CONCLUDE; print(json.dumps(CONCLUDE.parameters))"
    for seed in ("1", "2"):
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert other.stdout.strip() == json.dumps(CONCLUDE.parameters)
