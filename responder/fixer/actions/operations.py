"""JSON patch operations on a raw object: where a pointer leads, and what comes out. Sources: RFC 6901, RFC 6902."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeAlias

import jsonpatch

from responder.domain.manifest import Json, Manifest, dig
from responder.domain.plan import PatchOp

Path: TypeAlias = tuple[str | int, ...]


def pointer(path: Path) -> str:
    """JSON pointer, RFC 6901."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in path)


def patched(body: Manifest, ops: Iterable[PatchOp]) -> dict[str, Json]:
    """The object after the operations; `body` stays as it is.

    Raises:
        JsonPatchException, JsonPointerException: they do not fit.
    """
    state = copy.deepcopy(dict(body))
    for op in ops:
        write(state, op)
    return state


def write(state: dict[str, Json], op: PatchOp) -> None:
    """Carry out one operation on `state` itself. Raises as `patched` does."""
    # A copy of the value: a later operation may reach into it.
    raw = {"op": op.op, "path": op.path, "value": copy.deepcopy(op.value)}
    jsonpatch.JsonPatch([raw]).apply(state, in_place=True)


def tokens(body: Manifest, path: str) -> Path:
    """The JSON pointer as a path in this object: numbers where there are lists."""
    found: Path = ()
    for part in path.split("/")[1:]:
        token = part.replace("~1", "/").replace("~0", "~")
        found += (int(token) if isinstance(dig(body, *found), list) and token.isdigit() else token,)
    return found
