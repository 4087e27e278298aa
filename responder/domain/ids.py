"""Identifiers: a prefix that says what it names, then 12 characters that sort by time of birth."""

from __future__ import annotations

import secrets
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: nothing in it is mistaken for something else when read aloud."""


def new_id(prefix: str, at: datetime, entropy: int) -> str:
    """`prefix-` + 7 characters of seconds since 1970 + 5 of `entropy` (25 bits)."""
    seconds = int(at.timestamp())
    return f"{prefix}-{_encode(seconds, 7)}{_encode(entropy, 5)}"


def mint(prefix: str, at: datetime) -> str:
    return new_id(prefix, at, secrets.randbits(25))


def _encode(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
