"""Secrets out of what an alert brings along, before anything of it is stored. Pure.

An annotation may quote a log line, a label may carry a token by mistake, a link the credentials of its server. What a
secret looks like is `redact`'s; decided here is which texts stay whole because alerts are matched by them.
"""

from __future__ import annotations

from collections.abc import Mapping

import re2

from responder.detector.grouping import OBJECT_LABELS
from responder.domain.manifest import Json
from responder.domain.refs import is_object_name
from responder.redact import is_secret_name, may_hold_secret, redact

NAMED_SECRET = "[redacted:name]"
"""In place of a value whose name says that it is a secret."""

_USER_INFO = re2.compile(r"^(https?://)[^/?#]*@")


def without_secrets(texts: Mapping[str, str], *, names_objects: bool = False) -> Mapping[str, str]:
    """Labels or annotations, with their names as they were.

    With `names_objects`, a label by which the alert's object is found keeps a value that can be the name of one: names
    are no secrets, and one of six and sixteen characters has the shape of a bootstrap token.
    """
    return {
        name: item if names_objects and name in OBJECT_LABELS and is_object_name(item) else _value(name, item)
        for name, item in texts.items()
    }


def public(text: str) -> str:
    """`redact`, at a fraction of the cost where there is nothing to do."""
    return redact(text) if may_hold_secret(text) else text


def public_link(link: str) -> str:
    """A link without credentials; it can still be opened by who has some."""
    return public(str(_USER_INFO.sub(r"\1", link)))


def public_json(value: Json) -> Json:
    """Every text within, redacted one by one: escaped in JSON, a secret after a line break has lost its edge.

    Raises:
        RecursionError: nested too deeply.
    """
    match value:
        case str():
            return public(value)
        case Mapping():
            return {
                public(name): _value(name, item) if isinstance(item, str) else public_json(item)
                for name, item in value.items()
            }
        case list():
            return [public_json(item) for item in value]
        case _:
            return value


def _value(name: str, value: str) -> str:
    if value and is_secret_name(name) and not value.startswith(("http://", "https://")):
        return NAMED_SECRET
    return public(value)
