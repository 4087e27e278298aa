"""Secrets out of an object before it is kept: by the name that a value stands behind, and by the form of the text.

Names: of environment variables and headers, of keys of a ConfigMap, of annotations, of options in arguments. Forms:
`responder.redact`, and in the text of a ConfigMap besides the ways in which configuration files put a value behind a
name. A value that has neither name nor form cannot be known for a secret.

Of each value that was taken out its place is kept, and a digest that tells whether it changed; the digest is never
shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from responder.domain.difference import below, names_of
from responder.domain.manifest import Json, Manifest, text
from responder.patterns import Hit, Pattern
from responder.redact import is_secret_name, may_hold_secret, redact

MARK = "[redacted]"

_INNOCENT = Pattern(
    r"^(?:|true|false|null|none|\$\([\w.]+\)|\$\{[\w.]+\}|<[\w .\-]+>"
    r"|/(?:var|etc|run|tmp|usr|opt|home|app|mnt|srv)/[\w./\-]*)$"
)
"""Stands behind a secret's name without being one: a switch, a variable to be filled in, the path of a file."""

_VALUES_BY_NAME = frozenset({"data", "annotations", "stringData"})
"""Mappings from names that people choose to values, so that the name can promise a secret."""

_NAMED_ENDINGS = ("auth", "pass", "passwd", "pwd", "passphrase", "htpasswd")

_OPTION = Pattern(r"^--?[\w.\-]+$")

_WORD = r"passw(?:or)?d|passphrase|pass|pwd|secret|token|api[-_]?key|private[-_]?key|access[-_]?key"
_SECRET_WORD = rf"[\w.\-]*(?:{_WORD}|auth)s?"
_IN_FILES = (
    # <password>x</password>
    Pattern(rf"(?is)(<({_SECRET_WORD})(?:\s[^>]*)?>)([^<]+)"),
    # "name": "DB_PASSWORD", "value": "x", in JSON, YAML and XML attributes alike
    Pattern(
        rf"(?is)(\b(?:name|key)\\?[\"']?\s*[:=]\s*\\?[\"']?({_SECRET_WORD})\\?[\"']?[\s,;]+\\?[\"']?value\\?[\"']?\s*[:=]\s*)(\\?\"[^\"]*\"|'[^']*'|[^\s,;>}}]+)"
    ),
    # password = two words
    Pattern(
        rf"(?im)^([ \t]*(?:export[ \t]+|-[ \t]+)?[\"']?([\w.\-]*(?:{_WORD}))[\"']?[ \t]*[:=][ \t]*)"
        r"([^\s\"'#{\[][^\n]*)$"
    ),
    # requirepass x, machine y password x: a word and its value, and nothing else on the line
    Pattern(
        rf"(?im)^([ \t]*(?:(?:machine|login|user|default)[ \t]+\S+[ \t]+)*({_SECRET_WORD})[ \t]+)"
        r"([^\s=:#{][^\s]*)[ \t]*;?[ \t\r]*$"
    ),
)
_BLOCK = Pattern(r"^([ \t]*)(?:-[ \t]+)?[\"']?([\w.\-]+)[\"']?[ \t]*:[ \t]*[|>][-+0-9]*[ \t]*(?:#.*)?$")


@dataclass(frozen=True, kw_only=True)
class Redacted:
    body: Manifest
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Path of what was taken out -> digest of what stood there."""


def redacted(body: Manifest, *, salt: str) -> Redacted:
    """`salt`, the object's uid, keeps equal secrets of two objects from looking equal."""
    walk = _Walk(salt)
    return Redacted(body=walk.mapping("", body), hidden=walk.hidden)


class _Walk:
    """One pass over one object, and what was taken out on the way."""

    def __init__(self, salt: str) -> None:
        self.hidden: dict[str, str] = {}
        self._salt = salt

    def mapping(self, path: str, found: Manifest) -> dict[str, Json]:
        by_name = path.rpartition(".")[2] in _VALUES_BY_NAME
        kept: dict[str, Json] = {}
        for key, value in found.items():
            name = _clean_name(key)
            place = below(path, name)
            if isinstance(value, str) and _names_secret(key if by_name else _sibling_name(found, key), value):
                kept[name] = self._hide(place, value)
            elif isinstance(value, str):
                kept[name] = self._text(place, key, value, file=by_name)
            else:
                kept[name] = self._other(place, value)
        return kept

    def _other(self, path: str, value: Json) -> Json:
        if isinstance(value, Mapping):
            return self.mapping(path, value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._list(path, value)
        return value

    def _list(self, path: str, found: Sequence[Json]) -> list[Json]:
        kept: list[Json] = []
        option = ""
        for name, value in zip(names_of(found), found, strict=True):
            place = f"{path}[{_clean_name(name)}]"
            if not isinstance(value, str):
                kept.append(self._other(place, value))
                continue
            follows = option and not value.startswith("-")
            kept.append(
                self._hide(place, value) if follows and _names_secret(option, value) else self._arg(place, value)
            )
            option = value.lstrip("-") if _OPTION.found(value) else ""
        return kept

    def _arg(self, path: str, value: str) -> str:
        """`--password=x` and `PASSWORD=x`: the name stays."""
        name, equals, rest = value.partition("=")
        if equals and _OPTION.found(f"-{name}") and _names_secret(name.lstrip("-"), rest):
            return f"{name}={self._hide(path, rest)}"
        return self._text(path, "", value, file=False)

    def _text(self, path: str, key: str, value: str, *, file: bool) -> str:
        if key == "image":
            # `shop/api-token:1.2` is a name and its tag, and no assignment.
            kept = ":".join(redact(part) for part in value.split(":")) if may_hold_secret(value) else value
        elif file:
            kept = _without_secrets_of_files(value)
        else:
            kept = redact(value) if may_hold_secret(value) else value
        if kept != value:
            self._note(path, value)
        return kept

    def _hide(self, path: str, value: str) -> str:
        self._note(path, value)
        return MARK

    def _note(self, path: str, value: str) -> None:
        material = "\0".join((self._salt, path, value)).encode("utf-8", "surrogatepass")
        self.hidden[path] = hashlib.sha256(material).hexdigest()[:16]


def _sibling_name(found: Manifest, key: str) -> str:
    """Of `value`, the name beside it: `{name: DB_PASSWORD, value: ...}`, in env and in headers."""
    return text(found, "name") if key == "value" else ""


def _names_secret(name: str, value: str) -> bool:
    if not name or not (is_secret_name(name) or name.lower().endswith(_NAMED_ENDINGS)):
        return False
    return not _INNOCENT.found(value.strip().lower())


def _clean_name(name: str) -> str:
    return redact(name) if may_hold_secret(name) else name


def _without_secrets_of_files(content: str) -> str:
    if not (may_hold_secret(content) or "auth" in content.lower()):
        return content
    kept = "\n".join(_without_blocks(content.split("\n")))
    for pattern in _IN_FILES:
        kept = pattern.replace(kept, _mark)
    return redact(kept)


def _without_blocks(lines: Sequence[str]) -> Iterator[str]:
    """YAML block scalars (`password: |`) behind a secret's name: every line that is indented further goes."""
    inside = -1
    for line in lines:
        indent = len(line) - len(line.lstrip(" \t"))
        if inside >= 0 and (not line.strip() or indent > inside):
            yield f"{line[:indent]}{MARK}" if line.strip() else line
            continue
        inside = -1
        begins = _BLOCK.first(line)
        if begins is not None and _names_secret(begins[2], "x"):
            inside = len(begins[1])
            head, _, _ = line.rpartition(":")
            yield f"{head}:  # {MARK}"
            continue
        yield line


def _mark(hit: Hit) -> str:
    value = hit[3].strip("\\\"' \t\r\n")
    if _INNOCENT.found(value.lower()) or MARK in value:
        return hit.text
    return f"{hit[1]}{MARK}"
