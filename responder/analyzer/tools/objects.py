"""Single objects and lists of them, as they stand in the cluster now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from responder.analyzer.apart import apart
from responder.analyzer.tools.arguments import Name, Refused, Selector, Whole, argument
from responder.analyzer.tools.look import Found, Look
from responder.analyzer.tools.scope import ANY_KIND, LISTED_KIND
from responder.analyzer.tools.showing import ago, as_yaml
from responder.analyzer.tools.states import needed, state
from responder.domain.investigation import EvidenceKind
from responder.domain.manifest import LiveObject, instant, text
from responder.domain.refs import ObjectRef


@dataclass(frozen=True, kw_only=True)
class GetObject:
    kind: str = argument(ANY_KIND, "Kind of the object")
    name: str = argument(Name(), "Its name")


@dataclass(frozen=True, kw_only=True)
class ListObjects:
    kind: str = argument(LISTED_KIND, "Kind of the objects")
    label_selector: str = argument(Selector(), "Only objects with these labels, as after kubectl -l", default="")
    limit: int = argument(Whole(least=1, most=200), "At most so many, count", default=50)


async def get_object(look: Look, wanted: GetObject) -> Found:
    live = await read(look, wanted.kind, wanted.name)
    (body,) = await look.clean([live.body])
    return Found(
        text=await apart(partial(as_yaml, body)),
        kind=EvidenceKind.OBJECT,
        source=live.ref.key,
        subject=live.ref,
        redacted=True,
    )


async def list_objects(look: Look, wanted: ListObjects) -> Found:
    listed = await look.list(wanted.kind, label_selector=wanted.label_selector)
    home = look.scope.home()
    with_labels = f" with labels {wanted.label_selector}" if wanted.label_selector else ""
    source = f"{wanted.kind} list of namespace {home}{with_labels}"
    if not listed:
        words = f"no {wanted.kind} in namespace {home}{with_labels} (list succeeded)"
        return Found(text=words, kind=EvidenceKind.OBJECT, source=source)
    chosen = sorted(listed, key=lambda live: live.ref.name)[: wanted.limit]
    bodies = await look.clean([needed(wanted.kind, live.body) for live in chosen])
    now = look.now()
    lines = [_line(live, state(wanted.kind, body), now) for live, body in zip(chosen, bodies, strict=True)]
    if more := len(listed) - len(chosen):
        lines.append(f"(and {more} more, by name: narrow it with label_selector or raise limit)")
    head = f"{len(listed)} {wanted.kind} in namespace {home}{with_labels}:"
    return Found(text="\n".join([head, *lines]), kind=EvidenceKind.OBJECT, source=source, truncated=bool(more))


async def read(look: Look, kind: str, name: str) -> LiveObject:
    """One object of the incident's reach.

    Raises:
        Refused: it is outside.
        Unseen: it does not exist, or may not be told.
    """
    ref = look.scope.ref(kind, name)
    if kind in ("PersistentVolume", "StorageClass"):
        return await _behind_a_claim(look, ref)
    return await look.get(ref)


async def _behind_a_claim(look: Look, ref: ObjectRef) -> LiveObject:
    """A claim of the namespace has to name it, and a volume has to name such a claim back: anyone may write a claim."""
    of_volume = ref.kind == "PersistentVolume"
    key = "volumeName" if of_volume else "storageClassName"
    home = look.scope.home()
    claims = {
        claim.ref.name
        for claim in await look.list("PersistentVolumeClaim")
        if text(claim.body, "spec", key) == ref.name
    }
    refusal = Refused(f"{ref.kind} {ref.name} is not named by a PersistentVolumeClaim of namespace {home}")
    if not claims:
        raise refusal
    live = await look.get(ref)
    bound = (text(live.body, "spec", "claimRef", "namespace"), text(live.body, "spec", "claimRef", "name"))
    if of_volume and not (bound[0] == home and bound[1] in claims):
        raise refusal
    return live


def _line(live: LiveObject, told: str, now: datetime) -> str:
    born = instant(live.body, "metadata", "creationTimestamp")
    deleted = instant(live.body, "metadata", "deletionTimestamp")
    going = f"; being deleted since {ago(deleted, now)}" if deleted is not None else ""
    return f"- {live.ref.name} | {told + '; ' if told else ''}created {ago(born, now)}{going}"
