"""Secrets out of text, before it is stored, logged, shown or sent.

Decides by shape: tokens whose form names their issuer, key blocks, credentials in URLs and headers, and values behind
a name that promises a secret. What has neither form nor name cannot be known for a secret here; that is why Clopus
never reads Secrets, and why an investigation keeps no values of ConfigMaps.

Formats: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, https://datatracker.ietf.org/doc/html/rfc7519
"""

from __future__ import annotations

from dataclasses import dataclass

from responder.patterns import Hit, Pattern, well_formed

# The words that make a name secret-ish, at any place in a longer name: DB_PASSWORD, x-api-key, clientSecret.
_SECRET_WORD = (
    r"(?:passwords?|passwd|passphrase|pass|pwd|secrets?|tokens?|api[-_. ]?keys?|access[-_. ]?keys?|secret[-_. ]?keys?|"
    r"account[-_. ]?key|private[-_. ]?keys?|signing[-_. ]?keys?|encryption[-_. ]?keys?|shared[-_. ]?access[-_. ]?key|"
    r"credentials?|authorization|session[-_. ]?id|cookie|dsn)"
)
_NAME = rf"(?:[A-Za-z0-9_.\-]*{_SECRET_WORD}[A-Za-z0-9]?)"
_SECRET_NAME = Pattern(rf"(?i)^(?:.*[^a-z])?{_SECRET_WORD}(?:[^a-z].*)?$|(?i)^.*(?:password|secret|token|apikey)s?$")

_KEEP = frozenset(
    {"", "true", "false", "null", "none", "nil", "required", "missing", "unset", "not", "is", "for", "bearer", "basic"}
)

# What stands where a secret could: a variable to be filled in, or the path of the file that holds it.
_PLACEHOLDER = Pattern(r"^(?:\$\([\w.]+\)|\$\{[\w.]+\}|<[\w .\-]+>|/(?:var|etc|run|tmp|usr|opt|home|app|mnt|srv)/.*)$")


@dataclass(frozen=True)
class _Shape:
    kind: str
    pattern: Pattern
    keep_first: bool = False
    """Group 1 stands before the secret and stays; group 2, where there is one, after it."""


def _shape(kind: str, expression: str, *, keep_first: bool = False) -> _Shape:
    return _Shape(kind=kind, pattern=Pattern(expression), keep_first=keep_first)


_SHAPES = (
    _shape("private-key", r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*-----|\z)"),
    _shape("private-key", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    _shape("jwt", r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)*"),
    _shape("aws-key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    _shape("github-token", r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    _shape("gitlab-token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_\-]{16,}"),
    _shape("slack-token", r"\bxox[abeoprs](?:\.xox[a-z])?-[A-Za-z0-9\-]{10,}|\bxapp-[0-9A-Za-z\-]{10,}"),
    _shape("slack-webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_\-]+"),
    _shape("google-key", r"\bAIza[0-9A-Za-z_\-]{30,}|\bya29\.[0-9A-Za-z_\-]{20,}|\bGOCSPX-[0-9A-Za-z_\-]{20,}"),
    _shape("stripe-key", r"\b(?:sk|rk|whsec)_(?:live_|test_)?[0-9A-Za-z]{16,}"),
    _shape("model-key", r"\bsk-(?:ant-|proj-|svcacct-)?[0-9A-Za-z_\-]{20,}"),
    _shape("npm-token", r"\bnpm_[0-9A-Za-z]{30,}"),
    _shape("pypi-token", r"\bpypi-[0-9A-Za-z_\-]{30,}"),
    _shape("docker-token", r"\bdckr_(?:pat|oat)_[0-9A-Za-z_\-]{20,}"),
    _shape("huggingface-token", r"\bhf_[0-9A-Za-z]{30,}"),
    _shape("sendgrid-key", r"\bSG\.[0-9A-Za-z_\-]{16,}\.[0-9A-Za-z_\-]{16,}"),
    _shape("twilio-key", r"\b(?:SK|AC)[0-9a-f]{32}\b"),
    _shape("vault-token", r"\b(?:hv[sbr]\.[0-9A-Za-z_\-]{20,}|s\.[0-9A-Za-z]{24}\b)"),
    _shape("digitalocean-token", r"\bdo[oprt]_v1_[0-9a-f]{40,}"),
    _shape("shopify-token", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _shape("telegram-token", r"\b[0-9]{8,10}:AA[0-9A-Za-z_\-]{32,}"),
    _shape("bootstrap-token", r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),
    _shape("url-credentials", r"([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/@'\"<>]*@", keep_first=True),
    _shape("url-credentials", r"(?i)([A-Za-z][A-Za-z0-9+.\-]*%3A%2F%2F)[^\s/'\"<>]*?%40", keep_first=True),
    _shape(
        "auth-header",
        r"(?i)\b((?:proxy-)?authorization\\?[\"']?\s*[:=]\s*\\?[\"']?(?:\w+\s+)?)[^\s\"',]+",
        keep_first=True,
    ),
    _shape("auth-header", r"(?i)\b(bearer\s+|basic\s+)[A-Za-z0-9+/_.~\-]{12,}=*", keep_first=True),
    _shape("cookie", r"(?i)\b((?:set-)?cookie\s*:\s*)[^\r\n]+", keep_first=True),
    _shape("base64-key", r"\bLS0tLS1CRUdJTi[A-Za-z0-9+/=]{16,}"),
)

# `name=value`, `name: value`, `"name": "value"`, `name => value`; the value in quotes or up to the next blank.
_ASSIGNMENT = Pattern(
    rf"(?i)({_NAME}\\?[\"']?\s*(?::=|=>|=|:|%3D|%3A)\s*)(\\?\"[^\"\r\n]*\"|'[^'\r\n]*'|\$\{{[\w.]+\}}|\$\([\w.]+\)|[^\s\"',;&)\]}}]+)"
)
_ARGUMENT = Pattern(rf"(?i)(--?{_NAME}\s+)([^\s\"'-][^\s\"',;]*)")
_FOLLOWING = Pattern(rf"(?i)\b({_SECRET_WORD}\s+(?:is|was|of|for [\w@.\-]+ is)?\s*)([A-Za-z0-9+/_\-]{{24,}}={{0,2}})")

_CANDIDATE = Pattern(
    "|".join(f"(?:{e})" for e in (*(shape.pattern.expression for shape in _SHAPES), f"(?i){_SECRET_WORD}"))
)


def redact(text: str) -> str:
    """The text with each secret replaced by `[redacted:kind]`. Redacting twice changes nothing more."""
    text = well_formed(text)
    for shape in _SHAPES:
        text = shape.pattern.replace(text, lambda hit, shape=shape: _mark(hit, shape))  # type: ignore[misc]
    for pattern in (_ASSIGNMENT, _ARGUMENT, _FOLLOWING):
        text = pattern.replace(text, _mark_value)
    return text


def may_hold_secret(text: str) -> bool:
    """False where `redact` would change nothing and no name in the text is a secret's: one scan in place of dozens."""
    return _CANDIDATE.found(text)


def is_secret_name(name: str) -> bool:
    """True for the name of a variable or key whose value is likely a secret."""
    return _SECRET_NAME.found(name)


def cut(text: str, limit: int) -> tuple[str, bool]:
    """The end of the text within `limit` UTF-8 bytes, and whether something was left off: the end tells most."""
    raw = well_formed(text).encode("utf-8")
    if len(raw) <= limit:
        return raw.decode("utf-8"), False
    return raw[-limit:].decode("utf-8", "ignore"), True


def _mark(hit: Hit, shape: _Shape) -> str:
    marker = f"[redacted:{shape.kind}]"
    if not shape.keep_first:
        return marker
    if "[redacted:" in hit.text:
        return hit.text
    end = "@" if hit.text.endswith("@") else ""
    return f"{hit[1]}{marker}{end}"


def _mark_value(hit: Hit) -> str:
    value = hit[2].strip("\\\"'")
    if value.lower().rstrip(".!?") in _KEEP or "[redacted" in value or _PLACEHOLDER.found(value):
        return hit.text
    quote = '"' if hit[2].endswith('"') else "'" if hit[2].endswith("'") else ""
    return f"{hit[1]}{quote}[redacted:assignment]{quote}"
