"""What stands in the place of a secret, and how a text shows that it has been there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from responder.patterns import Pattern

Mark: TypeAlias = Callable[[str, str], str]
"""From the kind of a secret and the secret to what is written in its place."""

ONE_MARK = r"\[redacted(?::[a-z0-9\-]+(?::[0-9]+)?)?\]"
_ONLY_MARKS = Pattern(rf"^(?:{ONE_MARK})+$")
_ANY_MARK = Pattern(ONE_MARK)


def plain(kind: str, _: str) -> str:
    return f"[redacted:{kind}]"


def is_marked(value: str) -> bool:
    """True where nothing but marks is left of a value."""
    return _ONLY_MARKS.found(value)


def has_mark(value: str) -> bool:
    return "[redacted" in value and _ANY_MARK.found(value)
