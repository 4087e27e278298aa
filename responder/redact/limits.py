"""Text within a number of bytes. In this order: redact, then cut; half a secret has no form by which it could be told.

Where somebody else cut first, as the API server does with the tail of a log, the piece of a line that is left at the
cut goes before the rest is redacted: it may be the end of a secret.
"""

from __future__ import annotations

from collections.abc import Callable

from responder.patterns import well_formed
from responder.redact.walk import marked


def cut(text: str, limit: int) -> tuple[str, bool]:
    """The end of the text within `limit` UTF-8 bytes, and whether something was left off: the end tells most.

    For text that is redacted already.
    """
    raw = well_formed(text).encode("utf-8")
    if len(raw) <= limit:
        return raw.decode("utf-8"), False
    return raw[len(raw) - limit :].decode("utf-8", "ignore"), True


def redact_tail(
    text: str, limit: int, *, began_cut: bool = False, redact: Callable[[str], str] = marked
) -> tuple[str, bool]:
    """The end of a text from outside, redacted and within `limit` UTF-8 bytes, and whether something was left off.

    `began_cut`: the text was cut by bytes before it came here, so its first line may begin in the middle of a secret.
    """
    if began_cut:
        _, _, text = text.partition("\n")
    kept, shortened = cut(redact(text), limit)
    return kept, shortened or began_cut
