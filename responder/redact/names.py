"""Values that are secret because of the name they stand behind, in whatever way a line puts a value behind a name.

A name promises, and may promise too much: what stands in the place of a value (a variable, a path, `not set`) stays.
"""

from __future__ import annotations

from responder.patterns import Hit, Pattern
from responder.redact.marks import ONE_MARK, Mark, has_mark, is_marked

# The words that make a name secret-ish, at any place in a longer name: DB_PASSWORD, x-api-key, clientSecret.
SECRET_WORD = (
    r"(?:passwords?|passwd|passphrase|pass|pwd|secrets?|tokens?|api[-_. ]?keys?|access[-_. ]?keys?|secret[-_. ]?keys?|"
    r"account[-_. ]?key|private[-_. ]?keys?|signing[-_. ]?keys?|encryption[-_. ]?keys?|shared[-_. ]?access[-_. ]?key|"
    r"credentials?|authorization|session[-_. ]?id|cookie|dsn)"
)
_NAME = rf"(?:[A-Za-z0-9_.\-]*{SECRET_WORD}[A-Za-z0-9]?)"
_SECRET_NAME = Pattern(rf"(?i)^(?:.*[^a-z])?{SECRET_WORD}(?:[^a-z].*)?$|(?i)^.*(?:password|secret|token|apikey)s?$")

_KEEP = frozenset(
    (
        "",
        "#",
        *("true", "false", "null", "none", "nil", "not", "is", "for", "bearer", "basic"),
        # How sentences of registries and clients go on: `failed to fetch anonymous token: unexpected status`.
        *("required", "missing", "unset", "unexpected", "unable", "cannot", "failed", "failure", "denied", "invalid"),
        *("error", "expired", "unknown", "unauthorized", "unauthenticated", "forbidden", "refused", "rejected"),
        *("server", "client", "could", "no", "has", "was", "are", "must", "should", "permission", "access", "secrets"),
    )
)

# What stands where a secret could: a variable to be filled in, or the path of the file that holds it.
_STAND_IN = Pattern(r"^(?:\$\([\w.]+\)|\$\{[\w.]+\}|<[\w .\-]+>|/(?:var|etc|run|tmp|usr|opt|home|app|mnt|srv)/.*)$")

_MARKED_URL = Pattern(rf"^(?:[A-Za-z][A-Za-z0-9+.\-]*(?:://|%3A%2F%2F)(?:[A-Za-z_.\-]+:)?)?{ONE_MARK}(?:@|%40)\S*$")
"""A link whose credentials are gone already tells which server was meant."""

# `name=value`, `name: value`, `"name": "value"`, `name => value`; the value in quotes or up to the next blank. Marks
# are taken first, so that a kind which reads like a name is none.
_ASSIGNMENT = Pattern(
    rf"(?i){ONE_MARK}|({_NAME}\\*[\"']?\s*(?::=|=>|=|:|%3D|%3A)\s*)"
    rf"(\"(?:[^\"\\\r\n]|\\[^\r\n])*\"|\\+\"[^\"\r\n]*\"|'[^'\r\n]*'|\$\{{[\w.]+\}}|\$\([\w.]+\)"
    rf"|(?:{ONE_MARK}|[^\s\"',;&)\]}}])+|\\*[\"'][^\"'\r\n]+)"
)
_ARGUMENT = Pattern(rf"(?i)(--?{_NAME}\s+)([^\s\"'-][^\s\"',;]*)")
_FOLLOWING = Pattern(rf"(?i)\b({SECRET_WORD}\s+(?:is|was|of|for [\w@.\-]+ is)?\s*)([A-Za-z0-9+/_\-]{{24,}}={{0,2}})")


_QUOTES = "\\\"'"


def is_secret_name(name: str) -> bool:
    """True for the name of a variable or key whose value is likely a secret."""
    return _SECRET_NAME.found(name)


def without_named(text: str, mark: Mark) -> str:
    """The text with the values behind secret-ish names marked; the names stay."""
    for pattern in (_ASSIGNMENT, _ARGUMENT, _FOLLOWING):
        text = pattern.replace(text, lambda hit: _marked(hit, mark))
    return text


def _marked(hit: Hit, mark: Mark) -> str:
    if not hit[1]:
        return hit.text
    value = hit[2].strip(_QUOTES)
    if value.lower().rstrip(".!?") in _KEEP or is_marked(value) or _STAND_IN.found(value):
        return hit.text
    if has_mark(value) and _MARKED_URL.found(value):
        return hit.text
    opening, _, closing = hit[2].partition(value)
    return f"{hit[1]}{opening}{mark('assignment', value)}{closing}"
