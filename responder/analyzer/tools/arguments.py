"""Arguments of a tool: one declaration gives the JSON Schema that a model sees and the check of what it sends.

A tool's arguments are a frozen dataclass whose fields are made by the functions below. What a model sends is text from
outside: whatever is not exactly what was declared is `Refused`, with a sentence that says what to change. Nothing is
converted, because a number that stands in a text or a list that stands for its only item is a guess about what was
meant. Schema: https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Protocol, TypeVar, cast

from responder.domain.manifest import Json, Manifest
from responder.domain.refs import is_object_name
from responder.redact import may_hold_secret, redact

T = TypeVar("T")

MAX_BYTES = 4096
"""Of all text in the arguments of one call, names of arguments included."""
MAX_TEXTS = 200
MAX_DEPTH = 4
_SHOWN = 40  # characters of a refused value that the refusal repeats

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_WORD = r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_WORD}"
_VALUES = rf"\(\s*(?:{_WORD})?(?:\s*,\s*(?:{_WORD})?)*\s*\)"
_TERM = rf"(?:!{_KEY}|{_KEY}(?:\s*(?:==|=|!=)\s*(?:{_WORD})?|\s+(?:in|notin)\s+{_VALUES})?)"
_SELECTOR = re.compile(rf"\s*{_TERM}(?:\s*,\s*{_TERM})*\s*")
_LABEL_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class Refused(Exception):
    """The call is outside of what it may be. The text says what to change, and repeats nothing long."""


class Form(Protocol):
    """What one value may be."""

    @property
    def schema(self) -> Manifest: ...

    def check(self, name: str, value: Json) -> Json:
        """The value, as the dataclass wants it. Raises Refused."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """A text."""

    longest: int = 200
    shortest: int = 1

    @property
    def schema(self) -> Manifest:
        return {"type": "string", "minLength": self.shortest, "maxLength": self.longest}

    def check(self, name: str, value: Json) -> str:
        if not isinstance(value, str):
            raise Refused(f"{name} has to be a string, not {_kind(value)}")
        if not self.shortest <= len(value) <= self.longest:
            raise Refused(f"{name} has to have {self.shortest} to {self.longest} characters, not {len(value)}")
        if not value.isprintable():
            raise Refused(f"{name} holds a control or an invisible character: leave it out")
        return value


@dataclass(frozen=True, kw_only=True)
class Name:
    """The name of an object."""

    @property
    def schema(self) -> Manifest:
        return {"type": "string", "minLength": 1, "maxLength": 253}

    def check(self, name: str, value: Json) -> str:
        text = Words(longest=253).check(name, value)
        if not is_object_name(text):
            raise Refused(
                f"{name} {shown(text)} cannot be the name of an object: lower-case letters, digits, '-' and '.', "
                "without a namespace before it, and no wildcard"
            )
        return text


@dataclass(frozen=True, kw_only=True)
class ContainerName:
    @property
    def schema(self) -> Manifest:
        return {"type": "string", "minLength": 1, "maxLength": 63}

    def check(self, name: str, value: Json) -> str:
        text = Words(longest=63).check(name, value)
        if _LABEL_NAME.fullmatch(text) is None:
            raise Refused(f"{name} {shown(text)} cannot be the name of a container: lower-case letters, digits and '-'")
        return text


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A label selector, as kubectl takes it after -l."""

    @property
    def schema(self) -> Manifest:
        return {"type": "string", "minLength": 1, "maxLength": 500}

    def check(self, name: str, value: Json) -> str:
        text = Words(longest=500).check(name, value)
        if _SELECTOR.fullmatch(text) is None:
            raise Refused(f"{name} {shown(text)} is no label selector: app=web,tier!=db,env in (a,b),key,!key")
        return text


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """One of a closed list."""

    values: tuple[str, ...]
    because: Mapping[str, str] = field(default_factory=dict)
    """Why a value that one could expect is not among them; in lower case."""

    @property
    def schema(self) -> Manifest:
        return {"type": "string", "enum": list(self.values)}

    def check(self, name: str, value: Json) -> str:
        if isinstance(value, str) and value in self.values:
            return value
        if not isinstance(value, str):
            raise Refused(f"{name} has to be a string, not {_kind(value)}")
        if why := self.because.get(value.lower()):
            raise Refused(f"{name} {shown(value)} is not taken. {why}")
        near = difflib.get_close_matches(value[:_SHOWN], self.values, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise Refused(f"{name} {shown(value)} is not known: {hint}It is one of {', '.join(self.values)}")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int

    @property
    def schema(self) -> Manifest:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def check(self, name: str, value: Json) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused(f"{name} has to be a whole number, not {_kind(value)}")
        if not self.least <= value <= self.most:
            raise Refused(f"{name} has to be between {self.least} and {self.most}")
        return value


@dataclass(frozen=True, kw_only=True)
class YesNo:
    @property
    def schema(self) -> Manifest:
        return {"type": "boolean"}

    def check(self, name: str, value: Json) -> bool:
        if not isinstance(value, bool):
            raise Refused(f"{name} has to be true or false, not {_kind(value)}")
        return value


@dataclass(frozen=True, kw_only=True)
class Many:
    """A short list of values of one form."""

    of: Form
    most: int

    @property
    def schema(self) -> Manifest:
        return {"type": "array", "items": self.of.schema, "maxItems": self.most}

    def check(self, name: str, value: Json) -> tuple[Json, ...]:
        if not isinstance(value, list | tuple):
            raise Refused(f"{name} has to be a list, not {_kind(value)}")
        if len(value) > self.most:
            raise Refused(f"{name} may have at most {self.most} items, not {len(value)}")
        return tuple(self.of.check(f"{name}[{place}]", item) for place, item in enumerate(value))


@dataclass(frozen=True, kw_only=True)
class Record:
    """Arguments within an argument."""

    of: type

    @property
    def schema(self) -> Manifest:
        return schema(self.of)

    def check(self, name: str, value: Json) -> Json:
        if not isinstance(value, Mapping):
            raise Refused(f"{name} has to be an object, not {_kind(value)}")
        return _checked(self.of, value, f"{name}.")


def argument(form: Form, description: str, *, default: Json = MISSING) -> Json:
    """A field of a tool's arguments; without a default it has to be given."""
    return field(default=default, metadata={"form": form, "description": description})


def schema(arguments: type) -> Manifest:
    """JSON Schema of the arguments: one closed object."""
    properties: dict[str, Json] = {}
    required: list[str] = []
    for name, form, description, default in _declared(arguments):
        shown_default = {} if default in (MISSING, "", ()) else {"default": default}
        properties[name] = {**form.schema, "description": description, **shown_default}
        if default is MISSING:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def parse(arguments: type[T], sent: Json) -> T:
    """What a model sent, as `arguments`.

    Raises:
        Refused: something of it is not as declared, or holds what looks like a secret.
    """
    if not isinstance(sent, Mapping):
        raise Refused(f"the arguments have to be one JSON object, not {_kind(sent)}")
    _refuse_excess(sent)
    return cast("T", _checked(arguments, sent, ""))


def shown(text: str) -> str:
    """A refused value, short and safe to repeat."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _checked(arguments: type, sent: Manifest, before: str) -> Json:
    declared = {name: (form, default) for name, form, _, default in _declared(arguments)}
    for name in sent:
        if name not in declared:
            raise Refused(_unknown(before, str(name), tuple(declared)))
    values: dict[str, Json] = {}
    for name, (form, default) in declared.items():
        if name in sent and _is(sent[name], default):
            values[name] = default  # some models spell out what they leave open
        elif name in sent:
            values[name] = form.check(f"{before}{name}", sent[name])
        elif default is MISSING:
            raise Refused(f"{before}{name} is missing")
    return arguments(**values)


def _is(value: Json, default: Json) -> bool:
    """The same value of the same type: true is not 1."""
    return type(value) is type(default) and bool(value == default)


def _unknown(before: str, name: str, declared: Sequence[str]) -> str:
    if name == "namespace" and not before:
        return "namespace is no argument: every tool looks into the incident's namespace and no other; leave it out"
    known = ", ".join(declared) or "none"
    return f"{shown(before + name)} is no argument of this tool: leave it out. Its arguments: {known}"


def _declared(arguments: type) -> Iterator[tuple[str, Form, str, Json]]:
    for declared in fields(arguments):
        yield declared.name, declared.metadata["form"], declared.metadata["description"], declared.default


def _refuse_excess(sent: Manifest) -> None:
    """Before anything is looked at more closely: not too much, and nothing that must not travel.

    A model that was talked into it could carry a secret out in an argument, by way of a server's log.
    """
    size = 0
    for number, text in enumerate(_texts(sent, MAX_DEPTH), start=1):
        size += len(text.encode("utf-8", "replace"))
        if number > MAX_TEXTS or size > MAX_BYTES:
            raise Refused(f"the arguments are too long: at most {MAX_BYTES} bytes and {MAX_TEXTS} texts")
        if may_hold_secret(text) and redact(text) != text:
            raise Refused(
                "an argument holds what looks like a secret. Name it by its placeholder, as it stands in the evidence"
            )


def _texts(value: Json, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        if not depth:
            raise Refused("the arguments are nested too deeply")
        parts = [part for pair in value.items() for part in pair] if isinstance(value, Mapping) else value
        for part in parts:
            yield from _texts(part, depth - 1)


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number" if isinstance(value, int) else "a number with a fraction"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "a list"
