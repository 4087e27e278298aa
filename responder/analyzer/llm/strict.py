"""JSON from a model, read strictly: exact types and keys, within bounds; a refusal says where and what to change.

`"3"` is no 3, `3.0` no whole number, `true` no 1, a Cyrillic `е` no `e`. A refusal is ASCII and short, because it goes
back to the model, into the record and onto screens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Never

from responder.domain.errors import ReplyInvalid
from responder.domain.manifest import Json, Manifest
from responder.domain.visible import visible

LONGEST_REASON: Final = 300
"""Characters of a refusal."""

LONGEST_RAW: Final = 256 * 1024
"""Characters of an answer: far above what its bounds can fill."""

_LONGEST_SHOWN = 60
_LARGEST_SHOWN = 10**12


@dataclass(frozen=True)
class Place:
    """One value, and where in the answer it stands: `$.proposals[0].action`."""

    path: str
    value: Json

    def refuse(self, problem: str) -> Never:
        """Raises ReplyInvalid; `problem` says what to change, and shows the model's words through `shown` only."""
        told = visible(f"{self.path}: {problem}").encode("ascii", "backslashreplace").decode("ascii")
        raise ReplyInvalid(told if len(told) <= LONGEST_REASON else f"{told[: LONGEST_REASON - 3]}...")

    def members(self, *required: str, optional: tuple[str, ...] = ()) -> Mapping[str, Place]:
        """All keys of `required`, any of `optional`, and no other."""
        if not isinstance(self.value, Mapping):
            self.refuse(f"must be an object, not {shown(self.value)}")
        unknown = [key for key in self.value if key not in required and key not in optional]
        if unknown:
            self.refuse(f"leave out {shown(unknown[0])}; the keys are {', '.join((*required, *optional))}")
        missing = [key for key in required if key not in self.value]
        if missing:
            self.refuse(f"add {', '.join(missing)}")
        return {key: Place(f"{self.path}.{key}", value) for key, value in self.value.items()}

    def items(self, most: int) -> tuple[Place, ...]:
        if not isinstance(self.value, list):
            self.refuse(f"must be a list, not {shown(self.value)}")
        if len(self.value) > most:
            self.refuse(f"{len(self.value)} are too many; give at most {most}")
        return tuple(Place(f"{self.path}[{index}]", value) for index, value in enumerate(self.value))

    def text(self, longest: int) -> str:
        """In any script, as it came. Half a character is refused: it has no form on the disk."""
        if not isinstance(self.value, str):
            self.refuse(f"must be a string, not {shown(self.value)}")
        if not self.value.strip():
            self.refuse("must not be empty")
        if len(self.value) > longest:
            self.refuse(f"{len(self.value)} characters are too many; give at most {longest}")
        self._require(self.value, _is_whole_character, "is half a character; write the whole of it")
        return self.value

    def identifier(self, longest: int) -> str:
        text = self.text(longest)
        self._require(text, _is_plain, "is no printable ASCII; write it in plain letters")
        return text

    def one_of(self, choices: tuple[str, ...]) -> str:
        text = self.identifier(LONGEST_RAW)
        if text not in choices:
            self.refuse(f"{shown(text)} must be one of {', '.join(choices)}")
        return text

    def fraction(self) -> float:
        """0 to 1."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(f"must be a number, not {shown(value)}")
        if not 0 <= value <= 1:
            self.refuse(f"{shown(value)} must be between 0 and 1")
        return float(value)

    def whole(self, least: int, most: int) -> int:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(f"must be a whole number, not {shown(value)}")
        if not least <= value <= most:
            self.refuse(f"{shown(value)} must be between {least} and {most}")
        return value

    def _require(self, text: str, fits: Callable[[str], bool], problem: str) -> None:
        for number, character in enumerate(text, start=1):
            if not fits(character):
                self.refuse(f"U+{ord(character):04X} at character {number} {problem}")


def require_strict_json(raw: str) -> None:
    """A text that a lenient parser may have mended is no answer: cut, with a key twice, with NaN, or endless.

    Raises:
        ReplyInvalid
    """
    whole = Place("$", raw)
    if len(raw) > LONGEST_RAW:
        whole.refuse(f"{len(raw)} characters are too many; give at most {LONGEST_RAW}")
    try:
        json.loads(raw, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        problem = f"{exc.msg} at character {exc.pos + 1}" if isinstance(exc, json.JSONDecodeError) else "nested or long"
        raise ReplyInvalid(f"$: the arguments must be one whole JSON object: {problem}") from exc


def strict_object(raw: str) -> Manifest | None:
    """The JSON object that a text spells; None where it is none, or where readers could differ about what it says.

    That is: a key twice, NaN and infinities, half a surrogate pair.
    """
    try:
        parsed = json.loads(raw, object_pairs_hook=_distinct, parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except (ReplyInvalid, ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def shown(value: Json) -> str:
    """A value of the model's as a refusal may show it."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return ascii(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!a}..."
        case int():
            return str(value) if abs(value) < _LARGEST_SHOWN else "a number of many digits"
        case float():
            return repr(value)
        case Mapping():
            return "an object"
        case list():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def _distinct(pairs: list[tuple[str, Json]]) -> Mapping[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            Place("$", None).refuse(f"the key {shown(key)} is given twice in one object; give it once")
        found[key] = value
    return found


def _refuse_constant(constant: str) -> Never:
    Place("$", None).refuse(f"{constant} is no number; write one")


def _finite(word: str) -> float:
    value = float(word)
    return value if math.isfinite(value) else _refuse_constant(word)


def _is_whole_character(character: str) -> bool:
    return not "\ud800" <= character <= "\udfff"


def _is_plain(character: str) -> bool:
    return " " <= character <= "~"
