"""One walk over a text, in which every secret that can be told is handed to a function that says what to write instead.

The order: printed Secrets, tokens broken in two, forms, encoded runs, values behind names, escapes. Each step sees the
marks of those before and leaves them alone, so that a second walk changes nothing.
"""

from __future__ import annotations

from functools import partial

from responder.patterns import Hit, Pattern, well_formed
from responder.redact.encoded import SUSPECT, Found, Look, without_broken, without_escaped, without_runs
from responder.redact.marks import Mark, has_mark, is_marked, plain
from responder.redact.names import SECRET_WORD, without_named
from responder.redact.printed import PRINTED_SECRET, without_printed_secrets
from responder.redact.shapes import SHAPES, Shape

_NESTED = 2
"""Encodings within one another that are taken off."""

_TOGETHER = 16
"""Shapes that are looked for in one scan: more would overflow what RE2 keeps of states, and slow it down."""

_GROUPS = tuple(
    (Pattern("|".join(f"(?:{shape.pattern.expression})" for shape in group)), group)
    for group in (SHAPES[start : start + _TOGETHER] for start in range(0, len(SHAPES), _TOGETHER))
)
_NAMED = Pattern(f"(?i){SECRET_WORD}")

_SUSPECT = Pattern(
    "|".join(
        f"(?:{expression})"
        for expression in (
            *(shape.pattern.expression for shape in SHAPES),
            _NAMED.expression,
            PRINTED_SECRET.expression,
            SUSPECT,
        )
    ),
    memory=32 * 2**20,
)
"""Everything that any step below begins with, in one scan: most texts end here."""

_USER = Pattern(r"^[A-Za-z][A-Za-z_.\-]{0,19}$")
"""A user's name, and no token in its place: those have digits or are longer."""


def marked(text: str, mark: Mark = plain) -> str:
    """The text with each secret replaced by what `mark` gives for it. Lone surrogates become question marks."""
    text = well_formed(text)
    return _walk(text, mark, _NESTED) if _SUSPECT.found(text) else text


def may_hold_secret(text: str) -> bool:
    """False where `redact` would change nothing and no name in the text is a secret's: one scan in place of dozens."""
    return _SUSPECT.found(text)


def _walk(text: str, mark: Mark, nested: int) -> str:
    look = _look_into(nested)
    text = without_printed_secrets(text, mark)
    text = _without_shapes(without_broken(text, mark), mark)
    if nested:
        text = without_runs(text, look, mark)
    if _NAMED.found(text):
        text = without_named(text, mark)
    return without_escaped(text, look, mark) if nested else text


def _look_into(nested: int) -> Look:
    def look(decoded: str) -> Found | None:
        found: list[Found] = []

        def note(kind: str, secret: str) -> str:
            found.append((kind, secret))
            return plain(kind, secret)

        _walk(well_formed(decoded), note, nested - 1)
        return found[0] if found else None

    return look


def _without_shapes(text: str, mark: Mark) -> str:
    for scan, shapes in _GROUPS:
        if scan.found(text):
            for shape in shapes:
                text = shape.pattern.replace(text, partial(_of_shape, shape=shape, mark=mark))
    return text


def _of_shape(hit: Hit, *, shape: Shape, mark: Mark) -> str:
    if not hit.groups:
        return mark(shape.kind, hit.text) if shape.likely(hit.text) else hit.text
    before, secret = hit[1], hit[2]
    after = hit.text[len(before) + len(secret) :]
    if not secret or is_marked(secret) or not shape.likely(secret):
        return hit.text
    if shape.kind == "url-credentials":
        user, colon, password = secret.partition(":")
        if is_marked(password):
            return hit.text
        if colon and password and password != "x-oauth-basic" and _USER.found(user) and not has_mark(user):
            # The password alone is the secret that other places may name; who it belongs to goes with it.
            return f"{before}{mark(shape.kind, password)}{after}"
    return f"{before}{mark(shape.kind, secret)}{after}"
