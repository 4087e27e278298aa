"""Secrets out of an object before it is kept: by the name that a value stands behind, and by the form of the text.

Names: of environment variables and headers, of keys of a ConfigMap, of annotations, of options in arguments. Forms:
`walk`, and in the text of a ConfigMap besides the ways in which configuration files put a value behind a name. Of a
Secret, wherever one stands in the object, no value is left. A value that has neither name nor form cannot be known for
a secret.

Of each value that was taken out its place is kept, and a digest that tells whether it changed; the digest is never
shown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from responder.domain.difference import below, names_of
from responder.domain.manifest import Json, Manifest, text
from responder.patterns import Hit, Pattern
from responder.redact.marks import Mark, has_mark, is_marked, plain
from responder.redact.names import is_secret_name
from responder.redact.printed import KIND as SECRET_DATA
from responder.redact.walk import marked, may_hold_secret

MARK = "[redacted]"
NAMED = "name"
"""The kind of a value that only its name gives away."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_INNOCENT = Pattern(
    r"^(?:|true|false|null|none|\$\([\w.]+\)|\$\{[\w.]+\}|<[\w .\-]+>"
    r"|/(?:var|etc|run|tmp|usr|opt|home|app|mnt|srv)/[\w./\-]*)$"
)
"""Stands behind a secret's name without being one: a switch, a variable to be filled in, the path of a file."""

_VALUES_BY_NAME = frozenset({"data", "annotations", "stringData", "headers", "parameters"})
"""Mappings from names that people choose to values, so that the name can promise a secret."""

_SECRET_TYPES = ("kubernetes.io/", "bootstrap.kubernetes.io/", "helm.sh/release")
"""How the `type` of a Secret begins, if it is not Opaque:
https://kubernetes.io/docs/concepts/configuration/secret/#secret-types"""

_PRINTED_SECRET = Pattern(r"\"kind\"\s*:\s*\"Secret|\"(?:data|stringData)\"\s*:\s*\{")

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


def unnumbered(kind: str, secret: str) -> str:
    """A value that went for its name or its place keeps nothing of either: both can be read beside it."""
    return MARK if kind in (NAMED, SECRET_DATA) else plain(kind, secret)


def redacted(body: Manifest, *, salt: str, mark: Mark = unnumbered) -> Redacted:
    """`salt`, the object's uid, keeps equal secrets of two objects from looking equal.

    Raises:
        RecursionError: nested too deeply.
    """
    walk = _Walk(salt, mark)
    return Redacted(body=walk.mapping("", body), hidden=walk.hidden)


class _Walk:
    """One pass over one object, and what was taken out on the way."""

    def __init__(self, salt: str, mark: Mark) -> None:
        self.hidden: dict[str, str] = {}
        self._salt = salt
        self._mark = mark

    def mapping(self, path: str, found: Manifest, kind: str = "") -> dict[str, Json]:
        """`kind`: of an item of a list whose items do not say their own."""
        kind = text(found, "kind") or kind
        by_name = path.rpartition(".")[2] in _VALUES_BY_NAME
        secret = _is_secret(found, kind)
        kept: dict[str, Json] = {}
        for key, value in found.items():
            name = self._marked(key)
            place = below(path, name)
            if secret and key in ("data", "stringData"):
                kept[name] = self._secret_data(place, value)
            elif isinstance(value, str) and _names_secret(key if by_name else _sibling_name(found, key), value):
                kept[name] = self._hide(place, value)
            elif isinstance(value, str):
                kept[name] = self._text(place, key, value, file=by_name)
            else:
                kept[name] = self._other(place, value, kind.removesuffix("List") if key == "items" else "")
        return kept

    def _secret_data(self, path: str, value: Json) -> Json:
        if not isinstance(value, Mapping):
            return value if value is None else self._hide(path, json.dumps(value), kind=SECRET_DATA)
        return {
            self._marked(key): self._secret_value(below(path, self._marked(key)), item) for key, item in value.items()
        }

    def _secret_value(self, path: str, value: Json) -> Json:
        if value is None:
            return None
        if not isinstance(value, str):
            return self._hide(path, json.dumps(value), kind=SECRET_DATA)
        if not value or value == MARK or is_marked(value):
            return value
        return self._hide(path, value, kind=SECRET_DATA, bare=_bare(value) if ".stringData" not in path else value)

    def _other(self, path: str, value: Json, kind: str) -> Json:
        if isinstance(value, Mapping):
            return self.mapping(path, value, kind)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._list(path, value, kind)
        return value

    def _list(self, path: str, found: Sequence[Json], kind: str) -> list[Json]:
        kept: list[Json] = []
        option = ""
        for name, value in zip(names_of(found), found, strict=True):
            place = f"{path}[{self._marked(name)}]"
            if not isinstance(value, str):
                kept.append(self._other(place, value, kind))
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
        if file and _PRINTED_SECRET.found(value) and (inner := self._printed(key, value)) is not None:
            kept = inner
        elif key == "image":
            # `shop/api-token:1.2` is a name and its tag, and no assignment.
            kept = ":".join(self._marked(part) for part in value.split(":"))
        elif file:
            kept = self._without_secrets_of_files(value)
        else:
            kept = self._marked(value)
        if kept != value:
            self._note(path, value)
        return kept

    def _printed(self, key: str, value: str) -> str | None:
        """An object kept as JSON in a text: kubectl's copy of the object, most of all. None for what is no object."""
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return self._mark(NAMED, value) if key == _LAST_APPLIED else None
        if not isinstance(found, dict):
            return None
        kept = _Walk(self._salt, self._mark).mapping("", found)
        return value if kept == found else json.dumps(kept, separators=(",", ":"), ensure_ascii=False)

    def _marked(self, value: str) -> str:
        return marked(value, self._mark) if may_hold_secret(value) else value

    def _hide(self, path: str, value: str, *, kind: str = NAMED, bare: str = "") -> str:
        self._note(path, value)
        return self._mark(kind, bare or value)

    def _note(self, path: str, value: str) -> None:
        material = "\0".join((self._salt, path, value)).encode("utf-8", "surrogatepass")
        self.hidden[path] = hashlib.sha256(material).hexdigest()[:16]

    def _without_secrets_of_files(self, content: str) -> str:
        if not (may_hold_secret(content) or "auth" in content.lower()):
            return content
        kept = "\n".join(_without_blocks(content.split("\n"), self._mark))
        for pattern in _IN_FILES:
            kept = pattern.replace(kept, self._in_file)
        return marked(kept, self._mark)

    def _in_file(self, hit: Hit) -> str:
        value = hit[3].strip("\\\"' \t\r\n")
        if _INNOCENT.found(value.lower()) or has_mark(value):
            return hit.text
        return f"{hit[1]}{self._mark(NAMED, value)}"


def _is_secret(found: Manifest, kind: str) -> bool:
    if kind == "Secret":
        return True
    named = text(found, "type")
    return named == "Opaque" or named.startswith(_SECRET_TYPES)


def _bare(value: str) -> str:
    """What base64 of a Secret stands for, so that the same secret elsewhere is known for the same."""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return value


def _sibling_name(found: Manifest, key: str) -> str:
    """Of `value`, the name beside it: `{name: DB_PASSWORD, value: ...}`, in env and in headers."""
    return text(found, "name") if key == "value" else ""


def _names_secret(name: str, value: str) -> bool:
    if not name or not (is_secret_name(name) or name.lower().endswith(_NAMED_ENDINGS)):
        return False
    return not (_INNOCENT.found(value.strip().lower()) or is_marked(value))


def _without_blocks(lines: Sequence[str], mark: Mark) -> Iterator[str]:
    """YAML block scalars (`password: |`) behind a secret's name: every line that is indented further goes."""
    inside = -1
    for line in lines:
        indent = len(line) - len(line.lstrip(" \t"))
        if inside >= 0 and (not line.strip() or indent > inside):
            yield f"{line[:indent]}{mark(NAMED, line.strip())}" if line.strip() else line
            continue
        inside = -1
        begins = _BLOCK.first(line)
        if begins is not None and _names_secret(begins[2], "x"):
            inside = len(begins[1])
            head, _, _ = line.rpartition(":")
            yield f"{head}:  # {MARK}"
            continue
        yield line
