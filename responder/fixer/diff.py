"""The diff that people approve: what the API server answered to the dry run, against what is there now.

Status and bookkeeping are left out; nothing else is, and nothing is cut. Secrets written into the object in plain are
replaced by a mark, because diffs are stored, sent and shown. The text is part of the plan's digest, so what is shown is
what is hashed; a number of replicas that the change leaves alone is not shown, so that an autoscaler may move it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

import yaml

from responder.domain.manifest import Json, Manifest, decided, dig, without_replicas
from responder.domain.refs import ObjectRef
from responder.domain.visible import visible
from responder.redact import is_secret_name, redact
from responder.redact.objects import redacted

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as text in one annotation."""
_MARK = "[redacted]"

_CONTEXT_LINES = 3
_NEVER_FOLD = 1 << 20  # columns; a folded line would show one value as several


def render_diff(before: Manifest, after: Manifest, ref: ObjectRef) -> str:
    """Unified diff of the two objects as YAML; '' where nothing that anyone decides about differs."""
    if dig(before, "spec", "replicas") == dig(after, "spec", "replicas"):
        before, after = without_replicas(before), without_replicas(after)
    lines = difflib.unified_diff(
        _lines(before), _lines(after), f"{ref.key} (now)", f"{ref.key} (planned)", n=_CONTEXT_LINES, lineterm=""
    )
    return "\n".join(lines)


def render_eviction(ref: ObjectRef, *, controller: ObjectRef) -> str:
    """What stands in the diff's place where an object goes away instead of changing."""
    lines = (
        f"--- {ref.key} (now)",
        "+++ (evicted)",
        f"-uid: {ref.uid}",
        f"# {controller.key} makes another pod in its place",
    )
    return "\n".join(visible(line) for line in lines)


def _lines(body: Manifest) -> list[str]:
    return list(_visible_lines(_yaml(body)))


def _yaml(body: Manifest) -> str:
    # Plain JSON types first: the YAML writer knows no other mapping than dict and would write anchors for shared parts.
    plain = _without_secrets(json.loads(json.dumps(decided(body))))
    text = yaml.dump(
        plain, Dumper=yaml.CSafeDumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=_NEVER_FOLD
    )
    return redact(text)


def _without_secrets(value: Json) -> Json:
    """Values of variables and options named like secrets marked, and those in the copy that kubectl keeps of them."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return redacted({"args": value}, salt="").body["args"]
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("name")
    hidden = {"value"} if isinstance(name, str) and is_secret_name(name) else set()
    return {
        key: _MARK if isinstance(item, str) and (key in hidden or key == _LAST_APPLIED) else _without_secrets(item)
        for key, item in value.items()
    }


def _visible_lines(text: str) -> Iterator[str]:
    # Only at line feeds: `splitlines` would also break at characters that must be shown, not obeyed.
    for line in text.rstrip("\n").split("\n"):
        yield visible(line)
