"""How what was read is written down: YAML of an object, times as ages, and cutting that says what it cut. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import yaml

from responder.domain.manifest import Json, Manifest, mapping
from responder.patterns import well_formed

MAX_LEAF = 4096
"""Characters of one text within an object."""
MAX_MESSAGE = 600
"""Characters of a message that stands in a line."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as text in one annotation."""
_NEVER_FOLD = 1 << 20  # columns; a folded line would show one value as several
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


class _Dumper(yaml.CSafeDumper):
    """Texts of several lines as blocks, so that a file in a ConfigMap reads like the file."""


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def trimmed(body: Manifest) -> Manifest:
    """Without managedFields and without the copy of the object that kubectl keeps in it."""
    metadata = {key: value for key, value in mapping(body, "metadata").items() if key not in ("managedFields",)}
    annotations = {k: v for k, v in mapping(metadata, "annotations").items() if k != _LAST_APPLIED}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    return {**body, "metadata": metadata}


def as_yaml(value: Json) -> str:
    """Texts longer than `MAX_LEAF` are cut where they stand: redact before."""
    # Plain JSON types first: the writer knows no other mapping than dict and would write anchors for shared parts.
    plain = json.loads(json.dumps(_clipped(value)))
    return str(yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_FOLD))


def _clipped(value: Json) -> Json:
    if isinstance(value, str):
        return clipped(value, MAX_LEAF)
    if isinstance(value, Mapping):
        return {str(key): _clipped(item) for key, item in value.items()}
    return [_clipped(item) for item in value] if isinstance(value, list | tuple) else value


def clipped(text: str, longest: int = MAX_MESSAGE) -> str:
    """The beginning of a long text, and how much is missing."""
    text = well_formed(text)
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text) - longest} more characters)"


def line(message: str, longest: int = MAX_MESSAGE) -> str:
    """A message on one line, so that it cannot look like several of them."""
    return clipped(" ".join(message.split()), longest)


def beginning(text: str, limit: int, *, cut_before: bool = False) -> tuple[str, bool]:
    """Whole lines from the beginning within `limit` UTF-8 bytes and a last one that says so, and whether it was cut."""
    raw = well_formed(text).encode("utf-8")
    if len(raw) <= limit:
        return raw.decode("utf-8"), cut_before
    note = f"\n(cut: the first {limit} of {len(raw)} bytes)"
    kept = raw[: max(0, limit - len(note))].decode("utf-8", "ignore")
    whole_lines = kept.rpartition("\n")[0]
    return (whole_lines or kept) + note, True


def ago(at: datetime | None, now: datetime) -> str:
    """`5 min ago`."""
    if at is None:
        return "at an unknown time"
    seconds = (now - at).total_seconds()
    side = "ago" if seconds >= 0 else "from now"
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{int(abs(seconds) // size)} {unit} {side}"
    return f"{int(abs(seconds))} s {side}"
