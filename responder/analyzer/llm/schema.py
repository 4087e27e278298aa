"""The form of a model's answer: what `conclude` takes, as JSON Schema, and what each scalar of an action may be.

Actions are read off their dataclasses, so a new one is offered as soon as it exists, and importing this fails until
each of its scalars has a form here. The schema is advice to a provider and to a model; that an answer keeps to it is
checked by `reply`, with the same forms. Only words that every provider takes are used (`type`, `enum`, `anyOf`,
bounds): no references, no patterns. Vocabulary: https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Final, TypeAlias, get_type_hints

from responder.analyzer.llm.turn import ToolSpec
from responder.domain.action import (
    ACTION_TYPES,
    Action,
    AddScratchVolume,
    DeletePod,
    ReplaceConfigReference,
    RestartRollout,
    SetImage,
    SetPorts,
    SetProbe,
    SetResources,
    UndoRollout,
)
from responder.domain.investigation import Conclusion
from responder.domain.manifest import Manifest
from responder.domain.quantity import parse_quantity
from responder.domain.refs import WORKLOAD_KINDS, is_object_name

MOST_FINDINGS: Final = 8
MOST_PROPOSALS: Final = 4
MOST_RULED_OUT: Final = 20
MOST_UNCHECKED: Final = 20
MOST_CITED: Final = 20
LONGEST_SENTENCE: Final = 1000  # characters; likewise below
LONGEST_FAULT: Final = 600
LONGEST_NAME: Final = 253
LONGEST_ID: Final = 20

CONCLUSIONS: Final = (Conclusion.FAULT_FOUND, Conclusion.UNFIXABLE, Conclusion.UNEXPLAINED)
"""What a model may conclude. That all is well again, and that an incident may close, is never its word."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """ASCII only, so that no letter passes for another."""

    longest: int
    fits: Callable[[str], bool]
    told: str
    """What it has to be."""
    hint: str = ""
    """For the schema, where the field's name does not say it."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Choice:
    of: type[StrEnum]


Form: TypeAlias = Word | Whole | Choice


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """One field of an action besides its target."""

    form: Form
    default: str | int | None
    """Leaves a value as it is, and may be written out; None: the field has to be there."""


def _matches(expression: str) -> Callable[[str], bool]:
    pattern = re.compile(expression)
    return lambda text: pattern.fullmatch(text) is not None


def _is_amount(text: str) -> bool:
    amount = parse_quantity(text)
    return amount is not None and amount > 0


def _is_absolute_path(text: str) -> bool:
    return re.fullmatch(r"/[!-~]*", text) is not None and ".." not in text.split("/")


_CONTAINER = Word(longest=63, fits=_matches(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"), told="the name of a container")
_IMAGE = Word(
    longest=512,
    fits=_matches(r"[A-Za-z0-9](?:[A-Za-z0-9._:/@-]*[A-Za-z0-9_])?"),
    told="an image reference: [host/]path[:tag][@digest]",
    hint="[host/]path[:tag][@digest]",
)
_QUANTITY = Word(
    longest=20, fits=_is_amount, told="a Kubernetes quantity above 0, such as 256Mi or 500m", hint="256Mi, 500m ..."
)
_OBJECT = Word(longest=LONGEST_NAME, fits=is_object_name, told="the name of an object")
_KEY = Word(
    longest=LONGEST_NAME,
    fits=_matches(r"[A-Za-z0-9._-]+"),
    told="a key: letters, digits, dots, underscores, hyphens",
    hint="both keys or none",
)
_PATH = Word(longest=512, fits=_is_absolute_path, told="an absolute path without `..`", hint="absolute")
_PORT = Whole(least=1, most=65535)

_FORMS: Mapping[str, Form] = {
    "container": _CONTAINER,
    "image": _IMAGE,
    "to_revision": Whole(least=1, most=2**31 - 1),
    "memory_limit": _QUANTITY,
    "memory_request": _QUANTITY,
    "cpu_limit": _QUANTITY,
    "cpu_request": _QUANTITY,
    "from_name": _OBJECT,
    "to_name": _OBJECT,
    "from_key": _KEY,
    "to_key": _KEY,
    "path": _PATH,
    "port": _PORT,
    "from_port": _PORT,
    "to_port": _PORT,
    "initial_delay_seconds": Whole(least=0, most=3600),
    "timeout_seconds": Whole(least=1, most=300),
    "failure_threshold": Whole(least=1, most=120),
    "size_limit": _QUANTITY,
}
"""By name, which means the same in every action. What fits an object as it is, is the guard's question."""

_MEANINGS: Mapping[type[Action], str] = {
    SetImage: "Another image for one container.",
    UndoRollout: "The pod template of an earlier revision.",
    RestartRollout: "New pods of the same template.",
    SetResources: "Requests or limits of one container; what is left out stays.",
    ReplaceConfigReference: "Refer to a ConfigMap or Secret (or a key of it) that exists, not to one that does not.",
    SetProbe: "Correct an HTTP or TCP probe that exists; what is left out stays.",
    SetPorts: "Move one container port, and the container's probes that name it by number.",
    AddScratchVolume: "An empty writable directory for one container.",
    DeletePod: "Evict one pod; its controller makes another.",
}


def target_kinds(action_type: type[Action]) -> tuple[str, ...]:
    return ("Pod",) if action_type is DeletePod else WORKLOAD_KINDS


def _scalars(action_type: type[Action]) -> Mapping[str, Scalar]:
    types = get_type_hints(action_type)
    found = {}
    for field in fields(action_type):
        if field.name == "target":
            continue
        kind = types[field.name]
        form = Choice(of=kind) if issubclass(kind, StrEnum) else _FORMS[field.name]
        found[field.name] = Scalar(form=form, default=None if field.default is MISSING else field.default)
    return found


SCALARS: Final[Mapping[type[Action], Mapping[str, Scalar]]] = {
    action_type: _scalars(action_type) for action_type in ACTION_TYPES
}


def _object(properties: Manifest, *, optional: tuple[str, ...] = (), description: str = "") -> Manifest:
    told = {"description": description} if description else {}
    return {
        "type": "object",
        **told,
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _text(description: str = "", *, longest: int = LONGEST_SENTENCE) -> Manifest:
    told = {"description": description} if description else {}
    return {"type": "string", **told, "maxLength": longest}


def _list(items: Manifest, *, most: int, description: str = "") -> Manifest:
    told = {"description": description} if description else {}
    return {"type": "array", **told, "items": items, "maxItems": most}


def _scalar(form: Form) -> Manifest:
    match form:
        case Word():
            return _text(form.hint, longest=form.longest)
        case Whole():
            return {"type": "integer", "minimum": form.least, "maximum": form.most}
        case Choice():
            return {"type": "string", "enum": [member.value for member in form.of]}


def _action(action_type: type[Action]) -> Manifest:
    scalars = SCALARS[action_type]
    target = _object(
        {
            "kind": {"type": "string", "enum": list(target_kinds(action_type))},
            "namespace": {"type": "string"},
            "name": {"type": "string"},
        }
    )
    return _object(
        {
            "kind": {"type": "string", "enum": [action_type.kind]},
            "target": target,
            **{name: _scalar(scalar.form) for name, scalar in scalars.items()},
        },
        optional=tuple(name for name, scalar in scalars.items() if scalar.default is not None),
        description=_MEANINGS[action_type],
    )


def _cited(description: str = "") -> Manifest:
    return _list(_text(longest=LONGEST_ID), most=MOST_CITED, description=description)


def _finding() -> Manifest:
    return _object(
        {
            "fault": _text(
                "The detectors' word where one of theirs is meant; else a word of your own: "
                "lower-case letters, digits, dots, underscores, hyphens; at most 60.",
                longest=LONGEST_FAULT,
            ),
            "pod": _text("The pod that has it; left out: the incident's object.", longest=LONGEST_NAME),
            "container": _text(longest=_CONTAINER.longest),
            "cause": _text("One or two sentences for the person on call."),
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "evidence": _cited("Ids of evidence as given: e1, e2 ... One that does not exist voids the others."),
        },
        optional=("pod", "container"),
    )


def _proposal() -> Manifest:
    return _object(
        {
            "answers": _text("`fault` of the finding that it mends.", longest=LONGEST_FAULT),
            "reason": _text("Why this mends it."),
            "evidence": _cited(),
            "action": {"anyOf": [_action(action_type) for action_type in ACTION_TYPES]},
        }
    )


def _parameters() -> Manifest:
    ruled_out = _object({"hypothesis": _text(), "because": _text(), "evidence": _cited()})
    return _object(
        {
            "conclusion": {
                "type": "string",
                "enum": [conclusion.value for conclusion in CONCLUSIONS],
                "description": "fault_found: at least one cause is known. unfixable: the cause lies inside the "
                "program. unexplained: the evidence does not explain it. Proposals only with fault_found.",
            },
            "summary": _text("What happened and why, in one or two sentences."),
            "findings": _list(_finding(), most=MOST_FINDINGS),
            "ruled_out": _list(ruled_out, most=MOST_RULED_OUT),
            "unchecked": _list(
                _object({"what": _text(), "why": _text()}),
                most=MOST_UNCHECKED,
                description="What could not be looked at.",
            ),
            "proposals": _list(
                _proposal(), most=MOST_PROPOSALS, description="Best first; empty where nothing mends it."
            ),
        }
    )


CONCLUDE: Final = ToolSpec(
    name="conclude",
    description="Give the result of the investigation and end it. The only way to answer; call it once, alone.",
    parameters=_parameters(),
)
