"""Secrets that stand encoded: base64, hexadecimal, gzip within base64, percent and backslash escapes, broken strings.

A run of an encoding's alphabet is decoded, and where what comes out holds a secret the whole run goes. Which text holds
one is asked of the caller, who bounds how deep encodings may be nested. Time is linear in the text: each character is
decoded a fixed number of times, and what unpacks to far more than it was is not read but taken for a secret.

Not found: a secret without form or name of its own in any encoding (base64 of a bare password); other alphabets
(base32, ascii85, quoted-printable); runs of fewer than 16 characters; encodings nested more than twice; a secret broken
otherwise than by a line end or between two string literals, or within the issuer's prefix. Of a token that is long
enough to be whole before a line end, what follows on a line that says more; in a log with a time stamp before every
line, whatever a line break cut off.
"""

from __future__ import annotations

import binascii
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import unquote

from responder.patterns import Hit, Pattern
from responder.redact.marks import Mark
from responder.redact.shapes import SHAPES

Found: TypeAlias = tuple[str, str]
"""Kind and secret."""

Look: TypeAlias = Callable[[str], Found | None]
"""The secret that a decoded text is, or the first of those that it holds; None for a text without."""

_GZIP = b"\x1f\x8b\x08"  # https://datatracker.ietf.org/doc/html/rfc1952#section-2.3.1
_LEAST = 16  # characters of an encoded run: twelve bytes, less than any secret with a form
_LEAST_LETTERS = 32  # characters of a run without digit or sign; shorter ones are CamelCase or paths, but 1 in 300
_SIGN = Pattern(r"[0-9+=]")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_MOST_UNPACKED = 32  # times the packed size; manifests and logs unpack to five to fifteen times

_UNREAD = "password=unread"
"""Passes for what could not be unpacked within the limit, so that it goes."""

# Runs, also over the line breaks of 64 and 76 columns of PEM and MIME.
_BASE64 = Pattern(
    r"(?:(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{76})\r?\n[ \t]*)+[A-Za-z0-9+/]{2,}={0,2}"
    r"|[A-Za-z0-9+/]{64,}(?:\r?\n[ \t]*[A-Za-z0-9+/]{64,76})*\r?\n[ \t]*[A-Za-z0-9+/]{2,}={0,2}[ \t\r]*(?m:$)"
    r"|[A-Za-z0-9+/]{64,}(?:\\n[A-Za-z0-9+/]{64,76})*\\n[A-Za-z0-9+/]{2,}={0,2}"
    rf"|[A-Za-z0-9+/_\-]{{{_LEAST},}}={{0,2}}"
)
_NOT_ALPHABET = Pattern(r"\\n|[^A-Za-z0-9+/_\-]+")
_HEX = Pattern(r"[0-9A-Fa-f]{24,}")
_HEX_DIGITS = Pattern(r"^(?:[0-9a-f]+|[0-9A-F]+)$")
_READABLE = Pattern(r"[\t\n\r -~]{12,}")

_PERCENT = Pattern(r"[A-Za-z0-9\-._~!$*+/:@|]*%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$*+/:@|%]*")
_ESCAPED = Pattern(
    r"[A-Za-z0-9\-._~=:@+/%]*\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|/)"
    r"(?:[A-Za-z0-9\-._~=:@+/%]|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[/nrt])*"
)
_ESCAPE = Pattern(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([/nrt]))")
_CONTROL = {"/": "/", "n": "\n", "r": "\r", "t": "\t"}

_BODY = r"[0-9A-Za-z_\-]"
_HEAD = "|".join(shape.prefix for shape in SHAPES if shape.prefix)
_LITERALS = r"\\?[\"'][ \t]*(?:\\n|\\?\r?\n)?[ \t]*[+.&]{0,2}[ \t]*(?:\\n|\r?\n)?[ \t]*\\?[\"']"
_LINE_END = r"\\?\r?\n[ \t]*"
_BROKEN = Pattern(
    rf"(?m)(\b(?:{_HEAD}){_BODY}*)"
    rf"(?:((?:{_LITERALS}{_BODY}+){{1,8}})|((?:{_LINE_END}{_BODY}{{2,}}){{1,3}})[\"',;]*[ \t\r]*$)"
)
_BETWEEN = Pattern(rf"{_LITERALS}|{_LINE_END}")
_WHOLE = Pattern("|".join(f"(?:{shape.pattern.expression})" for shape in SHAPES if shape.prefix))


# A run that can be base64 has letters of both cases and a digit or a sign, in any order, or is long.
_RUN = r"[A-Za-z0-9+/=_\-]*"
_MIXED = "|".join(f"{a}{_RUN}{b}{_RUN}{c}" for a, b, c in itertools.permutations(("[a-z]", "[A-Z]", "[0-9+=]")))
SUSPECT = "|".join(
    f"(?:{expression})"
    for expression in (
        _MIXED,
        f"[A-Za-z]{{{_LEAST_LETTERS},}}",
        _HEX.expression,
        _PERCENT.expression,
        _ESCAPED.expression,
        _BROKEN.expression,
    )
)
"""What a text with an encoded or broken secret holds; most texts that hold it are harmless."""


def without_broken(text: str, mark: Mark) -> str:
    """Tokens with a known prefix that go on after a line end or in the next string literal, put together and marked."""
    return _BROKEN.replace(text, lambda hit: _rejoined(hit, mark))


def without_runs(text: str, look: Look, mark: Mark) -> str:
    """Base64 and hexadecimal."""
    text = _BASE64.replace(text, lambda hit: _replaced(hit.text, _from_base64(hit.text), look, mark))
    return _HEX.replace(text, lambda hit: _replaced(hit.text, _from_hex(hit.text), look, mark))


def without_escaped(text: str, look: Look, mark: Mark) -> str:
    """Percent and backslash escapes."""
    text = _PERCENT.replace(text, lambda hit: _replaced(hit.text, _from_percent(hit.text), look, mark))
    return _ESCAPED.replace(text, lambda hit: _replaced(hit.text, iter((_unescaped(hit.text),)), look, mark))


def _replaced(run: str, readings: Iterator[str], look: Look, mark: Mark) -> str:
    for reading in readings:
        found = look(reading)
        if found is not None:
            kind, secret = found
            return mark(kind, secret) if secret == reading.strip() else mark("encoded", run)
    return run


def _from_base64(run: str) -> Iterator[str]:
    """Every reading that has text in it: what stands before a run may be of the alphabet too, so it may begin at any of
    four places."""
    if run.islower() or run.isupper() or run.isdigit() or _HEX_DIGITS.found(run):
        return
    if len(run) < _LEAST_LETTERS and not _SIGN.found(run):
        return
    kept = run if run.isalnum() else _NOT_ALPHABET.replace(run, lambda _: "")
    raw = kept.encode("ascii").translate(_STANDARD)
    for start in range(4):
        decoded = _decoded(raw[start:])
        begins = decoded.find(_GZIP)
        if begins >= 0:
            yield _unpacked(decoded[begins:])
        readable = _readable(decoded)
        if readable:
            yield readable


def _decoded(raw: bytes) -> bytes:
    rest = len(raw) % 4
    raw = raw[:-1] if rest == 1 else raw
    return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))


def _readable(decoded: bytes) -> str:
    """The text among the bytes; other bytes only part it."""
    if decoded.isascii() and (text := decoded.decode("ascii")).isprintable():
        return text
    return "\n".join(hit.text for hit in _READABLE.each(decoded.decode("latin-1")))


def _unpacked(packed: bytes) -> str:
    limit = _MOST_UNPACKED * len(packed) + 4096
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unzip.decompress(packed, limit)
    except zlib.error:
        return ""
    return _UNREAD if unzip.unconsumed_tail else text.decode("utf-8", "replace")


def _from_hex(run: str) -> Iterator[str]:
    for start in (0, 1):
        readable = _readable(bytes.fromhex(run[start : len(run) - (len(run) - start) % 2]))
        if readable:
            yield readable


def _from_percent(run: str) -> Iterator[str]:
    decoded = unquote(run, errors="replace")
    yield decoded
    if "+" in run:
        yield unquote(run.replace("+", " "), errors="replace")


def _unescaped(run: str) -> str:
    return _ESCAPE.replace(run, lambda hit: _CONTROL[hit[3]] if hit[3] else chr(int(hit[1] or hit[2], 16)))


def _rejoined(hit: Hit, mark: Mark) -> str:
    head, rest = hit[1], hit[2] or hit[3]
    joined = _BETWEEN.replace(head + rest, lambda _: "")
    found = _WHOLE.first(joined)
    if found is None or not joined.startswith(found.text) or len(found.text) <= len(head):
        return hit.text
    if _WHOLE.found(head) and not _goes_on(rest):
        return hit.text
    tail = hit.text[len(head) + len(rest) :]
    return f"{mark(_kind(found.text), found.text)}{joined[len(found.text) :]}{tail}"


def _goes_on(rest: str) -> bool:
    """After what could be a whole token already: an operator between literals, or what reads like no word."""
    return any(sign in rest for sign in "+.&") or (any(c.isdigit() for c in rest) and any(c.isalpha() for c in rest))


def _kind(token: str) -> str:
    return next(shape.kind for shape in SHAPES if shape.prefix and shape.pattern.found(token))
