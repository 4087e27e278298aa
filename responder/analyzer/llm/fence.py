"""Text from outside, marked as such for a model: nothing in it can end the mark or pass for another one.

The mark bears a number that is drawn anew for each text, after the text was written, so no text can foretell it. That
a model obeys the mark is not relied upon: what it may do is decided by the guard.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from html import escape

from responder.domain.visible import visible

_MAX_SOURCE = 300
_LIKENESS = re.compile(r"<(?=/?data-)", re.IGNORECASE)


def _drawn() -> str:
    return secrets.token_hex(8)


def fenced(
    text: str,
    *,
    evidence: str = "",
    source: str = "",
    truncated: bool = False,
    draw: Callable[[], str] = _drawn,
) -> str:
    """`<data-HEX evidence="e7" source="...">`, the text, `</data-HEX>`. The text is redacted already."""
    body = _LIKENESS.sub("&lt;", visible(text))
    mark = draw()
    attributes = (
        ("evidence", evidence),
        ("source", source[:_MAX_SOURCE]),
        ("cut", "yes" if truncated else ""),
    )
    said = "".join(f' {name}="{_attribute(value)}"' for name, value in attributes if value)
    return f"<data-{mark}{said}>\n{body}\n</data-{mark}>"


def _attribute(value: str) -> str:
    return escape(" ".join(visible(value).split()), quote=True)
