"""Secrets out of text and objects, before they are stored, logged, shown or sent.

Decided by shape (`shapes`: forms that name their issuer), by name (`names`: a value behind a word that promises a
secret) and by what comes out when an encoding is taken off (`encoded`). What has neither form nor name cannot be known
for a secret; that is why Clopus never reads Secrets, and why an investigation keeps no values of ConfigMaps.

`objects` does the same for Kubernetes objects, `placeholders` numbers the secrets of an incident. Fails closed: what
cannot be redacted raises, and the text that was given stays with the caller, who has nothing to pass on.
"""

from __future__ import annotations

from responder.redact.limits import cut, redact_tail
from responder.redact.names import is_secret_name
from responder.redact.walk import marked, may_hold_secret

__all__ = ["cut", "is_secret_name", "may_hold_secret", "redact", "redact_tail"]


def redact(text: str) -> str:
    """The text with each secret replaced by `[redacted:kind]`. Redacting twice changes nothing more."""
    return marked(text)
