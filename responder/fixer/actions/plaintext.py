"""No change carries a secret: what it writes and takes back is kept on record, byte for byte, and shown.

Judged as everything else that is kept (`redact.objects`): by the name that a value stands behind and by its form, each
operation within the object as it is at that point of the patch. A digest behind the name of a checksum is no secret:
Helm charts put one of each Secret into the annotations of a template.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping

from responder.domain.errors import PlanInvalid
from responder.domain.manifest import Json, LiveObject, Manifest, dig, text
from responder.domain.plan import PatchOp
from responder.domain.visible import visible
from responder.fixer.actions.operations import Path, pointer, tokens, write
from responder.patterns import Pattern
from responder.redact import redact
from responder.redact.objects import redacted

_CHECKSUM_NAME = Pattern(r"(?i)checksum|(?:config|secret)s?[-_.]?hash")
_DIGEST = Pattern(r"^(?:sha\d{1,3}:)?[0-9a-f]{32,128}$")
_MOST_TOLD = 5


def require_no_plain_secrets(live: LiveObject, patch: tuple[PatchOp, ...], inverse: tuple[PatchOp, ...]) -> None:
    """
    Raises:
        PlanInvalid: an operation holds a secret; the text names the places, and never a value.
    """
    places = tuple(dict.fromkeys(_secret_places(live.body, (*patch, *inverse))))
    if not places:
        return
    more = f" and {len(places) - _MOST_TOLD} more" if len(places) > _MOST_TOLD else ""
    raise PlanInvalid(
        f"the change of {live.ref} holds secrets in plain text, which must not be on record: "
        f"{', '.join(places[:_MOST_TOLD])}{more}. Move the values into a Secret, or make the change by hand "
        "(`kubectl rollout undo` for an earlier revision)"
    )


def _secret_places(body: Manifest, ops: Iterable[PatchOp]) -> Iterator[str]:
    state = copy.deepcopy(dict(body))
    for op in ops:
        if op.op != "test":
            write(state, op)
        if redact(op.path) != op.path:
            yield visible(redact(op.path))
        elif op.op != "remove":
            yield from _secrets_of(state, tokens(state, op.path))


def _secrets_of(state: Manifest, path: Path) -> Iterator[str]:
    """The places of secrets at and below `path`."""
    # Beside the value only what tells what it is: its list, or the map that holds its name.
    above = str(path[-2]) if len(path) > 1 else ""
    context = {above: _without_checksums(dig(state, *path[:-1]))}
    shown = redacted(context, salt="").body
    for below in _differing(dig(context, above, path[-1]), dig(shown, above, path[-1])):
        place = (*path, *below)
        name = text(state, *place[:-1], "name")
        yield visible(redact(pointer(place) + (f" ({name})" if name else "")))


def _differing(value: Json, shown: Json) -> Iterator[Path]:
    if isinstance(value, Mapping) and isinstance(shown, Mapping):
        for key in value:
            yield from ((key, *below) for below in _differing(value[key], shown.get(key)))
    elif isinstance(value, list) and isinstance(shown, list):
        for index, (one, other) in enumerate(zip(value, shown, strict=True)):
            yield from ((index, *below) for below in _differing(one, other))
    elif value != shown:
        yield ()


def _without_checksums(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: None if _is_checksum(key, item) else _without_checksums(item) for key, item in value.items()}
    return [_without_checksums(item) for item in value] if isinstance(value, list) else value


def _is_checksum(key: str, value: Json) -> bool:
    return isinstance(value, str) and _CHECKSUM_NAME.found(key) and _DIGEST.found(value)
