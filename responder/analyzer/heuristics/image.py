"""Images that cannot be pulled: whether the name, the tag, the right to it or the way to the registry is at fault.

The reasons are the kubelet's (`ErrImagePull`, `ImagePullBackOff`, `InvalidImageName`, `ErrImageNeverPull`); the
sentences are those of containerd, CRI-O, dockershim and the registries behind them, and the sentence decides. A
registry that is out of reach is never a typo. Candidates come only from what code can vouch for, best first: a
revision of the same workload that is ready, an image that a ready pod runs, an older revision's image, an official
public name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from responder.analyzer.heuristics import imagenames as names
from responder.analyzer.heuristics.case import Case, Claim, Remedy, Step, Trouble, standing
from responder.analyzer.heuristics.evidence import (
    Exhibit,
    of_event,
    of_healthy_image,
    of_names,
    of_pod,
    of_revision,
    of_status,
)
from responder.analyzer.heuristics.nearness import is_typo_of
from responder.domain.action import SetImage
from responder.domain.workload import EventRecord
from responder.patterns import Pattern

_WAITING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_EVENTS = ("Failed", "BackOff", "InspectFailed", "ErrImageNeverPull", "FailedToRetrieveImagePullSecret")


class PullFault(StrEnum):
    INVALID = "invalid_name"
    NEVER = "never_pull"
    SIGNATURE = "signature"
    RATE = "rate_limited"
    NETWORK = "registry_unreachable"
    NODE = "node_problem"
    PLATFORM = "no_platform"
    NO_REPOSITORY = "no_repository"
    DENIED_OR_MISSING = "denied_or_missing"
    DENIED = "denied"
    MISSING = "missing"
    UNKNOWN = "unknown"


# In order: a sentence often holds the words of several classes, and the first class that speaks decides.
_SENTENCES: tuple[tuple[PullFault, Pattern], ...] = tuple(
    (fault, Pattern(f"(?i){expression}"))
    for fault, expression in (
        (PullFault.INVALID, r"invalid ?reference ?format|couldn'?t parse image|InvalidImageName|must be lowercase"),
        (PullFault.NEVER, r"pull policy of Never|ErrImageNeverPull"),
        (
            PullFault.SIGNATURE,
            r"SignatureValidationFailed|signature (?:validation|verification) failed|Source image rejected",
        ),
        (PullFault.RATE, r"toomanyrequests|too many requests|rate ?limit|\b429\b"),
        (PullFault.NODE, r"no space left on device|disk quota exceeded|input/output error|failed to extract layer"),
        (
            PullFault.PLATFORM,
            r"no match(?:ing manifest)? for (?:platform|linux|windows)|no image found in manifest list",
        ),
        (
            PullFault.DENIED_OR_MISSING,
            r"repository does not exist or may require|pull access denied|insufficient_scope|"
            r"requested access to the resource is denied|access to the requested resource is not authorized",
        ),
        (
            PullFault.NO_REPOSITORY,
            r"name unknown|NAME_UNKNOWN|repository name not known|"
            r"repository .{0,200}not found|project .{0,100}not found",
        ),
        (PullFault.MISSING, r"manifest unknown|MANIFEST_UNKNOWN|manifest for .{0,300}not found|manifest tagged by"),
        (
            PullFault.NETWORK,
            r"i/o timeout|no such host|connection refused|connection reset|tls handshake|x509:|certificate|"
            r"network is unreachable|no route to host|deadline exceeded|request canceled|server misbehaving|"
            r"temporary failure in name resolution|bad gateway|service unavailable|gateway time-?out|"
            r"internal server error|proxyconnect|unexpected EOF|: EOF|RegistryUnavailable|dial tcp|"
            r"server gave HTTP response to HTTPS client|unexpected status[^:]*: 5\d\d",
        ),
        (
            PullFault.DENIED,
            r"unauthorized|authentication required|no basic auth credentials|authorization failed|403 forbidden|"
            r"401 unauthorized|\bdenied\b|forbidden|failed to authorize|failed to fetch (?:oauth|anonymous) token",
        ),
        (PullFault.MISSING, r"code = NotFound|not found|does not exist|unknown tag|Tag .{0,200}was deleted|404"),
    )
)


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    image: str
    why: str
    confidence: float
    exhibits: tuple[Exhibit, ...]


def detect(case: Case) -> Iterator[Claim]:
    for trouble in case.troubles:
        if trouble.status.waiting_reason in _WAITING:
            yield _claim(case, trouble)


def classify(text: str) -> PullFault:
    """The class of the first sentence that is recognised."""
    return next((fault for fault, pattern in _SENTENCES if pattern.found(text)), PullFault.UNKNOWN)


def _claim(case: Case, trouble: Trouble) -> Claim:
    events = _events(case, trouble)
    fault = _fault(trouble, events)
    seen = (of_status(trouble.pod, trouble.status), *map(of_event, events[:4]))
    sibling = case.sibling_ready(trouble)
    if sibling is not None and fault in _ABOUT_THE_NAME:
        return _pulled_elsewhere(trouble, sibling.ref.name, (*seen, of_pod(sibling)))
    if fault in _ABOUT_THE_NAME:
        return _misnamed(case, trouble, fault, seen)
    if fault is PullFault.UNKNOWN:
        guess = _misnamed(case, trouble, fault, seen)
        if guess.remedies:
            return guess
    signature, cause, undo = _OUTSIDE[fault]
    return Claim(
        signature=signature,
        stage=trouble.stage,
        index=trouble.index,
        step=Step.PULL,
        subject=case.root,
        container=trouble.container.name,
        cause=f"image {trouble.container.image} cannot be pulled: {cause}",
        confidence=0.5 if fault is PullFault.UNKNOWN else 0.9,
        exhibits=seen,
        undo=undo,
        undo_first=True,
        symptom=fault is PullFault.UNKNOWN,
    )


def _fault(trouble: Trouble, events: tuple[EventRecord, ...]) -> PullFault:
    told = (trouble.status.waiting_message, *(event.message for event in events), trouble.status.waiting_reason)
    return next((fault for fault in map(classify, told) if fault is not PullFault.UNKNOWN), PullFault.UNKNOWN)


_ABOUT_THE_NAME = frozenset(
    {
        PullFault.INVALID,
        PullFault.NO_REPOSITORY,
        PullFault.DENIED_OR_MISSING,
        PullFault.DENIED,
        PullFault.MISSING,
    }
)

_OUTSIDE: dict[PullFault, tuple[str, str, bool]] = {
    PullFault.NEVER: ("image.never_pull", "its pull policy is Never and the node does not have it", True),
    PullFault.SIGNATURE: ("image.signature", "its signature is not accepted; that is never worked around", False),
    PullFault.RATE: ("image.rate_limited", "the registry limits the rate of pulls; no image change helps", False),
    PullFault.NETWORK: (
        "image.registry_unreachable",
        "the registry cannot be reached or does not answer as it should; no image change helps",
        False,
    ),
    PullFault.NODE: ("image.node_problem", "the node cannot store it", False),
    PullFault.PLATFORM: ("image.no_platform", "it is not built for the platform of the node", True),
    PullFault.UNKNOWN: ("image.pull_failed", "the messages do not tell why", False),
}


def _events(case: Case, trouble: Trouble) -> tuple[EventRecord, ...]:
    """Of this pod, and where they name an image, of this container's."""
    image = trouble.container.image
    return tuple(
        event
        for event in case.events_of(trouble.pod, *_EVENTS)
        if image in event.message or names.parse(image).path in event.message
    )


def _pulled_elsewhere(trouble: Trouble, sibling: str, seen: tuple[Exhibit, ...]) -> Claim:
    return Claim(
        signature="image.pulled_elsewhere",
        stage=trouble.stage,
        index=trouble.index,
        step=Step.PULL,
        subject=trouble.pod.ref,
        container=trouble.container.name,
        cause=f"image {trouble.container.image} cannot be pulled for this pod, though pod {sibling} of the same "
        "revision runs it: the name is right, and the node, its credentials or the registry are at fault",
        confidence=0.7,
        exhibits=seen,
        undo=False,
    )


def _misnamed(case: Case, trouble: Trouble, fault: PullFault, seen: tuple[Exhibit, ...]) -> Claim:
    written = trouble.container.image
    alone = _repository_exists(case, trouble) or _spelled_twice(case, trouble)
    near = () if alone else _near(case, written)
    signature, cause = _named(case, trouble, fault, near)
    candidates = () if signature == "image.pull_auth" else tuple(_candidates(case, trouble, near))
    rivals = f"; near it are {', '.join(near)}, and none is nearer than the other" if len(near) > 1 else ""
    likely = f"; {candidates[0].image} was likely meant" if candidates else rivals
    target = case.target
    return Claim(
        signature=signature,
        stage=trouble.stage,
        index=trouble.index,
        step=Step.PULL,
        subject=case.root,
        container=trouble.container.name,
        cause=f"image {written} cannot be pulled: {cause}{likely}",
        confidence=candidates[0].confidence if candidates else 0.7,
        exhibits=(*seen, *(of_names("images near it that ready pods run", near) for _ in near[1:2])),
        remedies=tuple(
            Remedy(
                action=SetImage(target=target, container=trouble.container.name, image=candidate.image),
                reason=candidate.why,
                exhibits=candidate.exhibits,
            )
            for candidate in candidates
            if target is not None
        ),
        undo=not _same_right_needed(case, trouble, signature),
        undo_first=True,
    )


def _named(case: Case, trouble: Trouble, fault: PullFault, near: tuple[str, ...]) -> tuple[str, str]:
    """Signature, and what is wrong, from the class of the messages and from what is known to exist."""
    exists = _repository_exists(case, trouble)
    match fault:
        case PullFault.INVALID:
            return "image.invalid_name", "this is no valid image reference"
        case PullFault.DENIED | PullFault.DENIED_OR_MISSING if exists:
            return "image.pull_auth", "the repository exists, and the registry refuses the credentials of this pod"
        case PullFault.DENIED if not near:
            return "image.pull_auth", "the registry refuses the credentials of this pod"
        case PullFault.DENIED | PullFault.DENIED_OR_MISSING:
            return "image.not_found", "the repository does not exist, or the registry does not show it to this pod"
        case PullFault.MISSING if not near or exists:
            return "image.tag_missing", "the registry has no such tag or digest"
        case PullFault.UNKNOWN:
            return "image.not_found", "the messages do not tell why"
        case _:
            return "image.not_found", "the repository does not exist"


def _repository_exists(case: Case, trouble: Trouble) -> bool:
    """Known from a ready pod, a ready revision or the official list; never from a revision that fails."""
    mine = names.parse(trouble.container.image)
    running = [*case.snapshot.healthy_images]
    if case.ready_before is not None:
        running += [container.image for container in case.ready_before.template.containers]
    known = {names.parse(image).repository for image in running}
    return mine.repository in known or mine.official in names.OFFICIAL_NAMES


def _near(case: Case, written: str) -> tuple[str, ...]:
    """Images of the nearest known repository; more than one where several are equally near."""
    if names.parse(written).official in names.OFFICIAL_NAMES:
        return ()
    known = names.near_repositories(written, case.snapshot.healthy_images)
    return known or names.near_official(written)


def _spelled_twice(case: Case, trouble: Trouble) -> bool:
    """A private image that is called as its workload or container is: two programs with near names, and no slip."""
    written = names.parse(trouble.container.image)
    labels = trouble.pod.template.labels
    titles = {case.root.name, trouble.container.name, labels.get("app", ""), labels.get("app.kubernetes.io/name", "")}
    return not written.official and written.path.rpartition("/")[2] in titles


def _candidates(case: Case, trouble: Trouble, near: tuple[str, ...]) -> Iterator[_Candidate]:
    """Best first, each image once."""
    offered: list[str] = [trouble.container.image]
    for candidate in (
        *_from_ready_revision(case, trouble),
        *_from_the_cluster(case, trouble, near),
        *_from_older_revisions(case, trouble),
        *_from_official_names(case, trouble, near),
    ):
        if not any(names.same_image(candidate.image, image) for image in offered):
            offered.append(candidate.image)
            yield candidate


def _from_ready_revision(case: Case, trouble: Trouble) -> Iterator[_Candidate]:
    revision = case.ready_before
    before = revision.template.container(trouble.container.name) if revision is not None else None
    if revision is not None and before is not None:
        yield _Candidate(
            image=before.image,
            why=f"revision {revision.number} of the same workload {standing(revision)} with this image",
            confidence=0.95,
            exhibits=(of_revision(revision),),
        )


def _from_the_cluster(case: Case, trouble: Trouble, near: tuple[str, ...]) -> Iterator[_Candidate]:
    written, healthy = trouble.container.image, case.snapshot.healthy_images
    tidy = names.tidied(written)
    meant = [image for image in near if image in healthy] if len(near) == 1 else []
    for image in (
        *(names.with_repository(written, names.parse(near_by).written_repository) for near_by in meant),
        tidy,
    ):
        running = next((seen for seen in healthy if names.same_image(seen, image)), "")
        if running:
            yield _Candidate(
                image=image,
                why="the written name is a slip away from it, and a ready pod runs exactly this image",
                confidence=0.93 if names.parse(image).official else 0.85,
                exhibits=(of_healthy_image(running, healthy[running]),),
            )
        elif meant and image != tidy:
            yield _Candidate(
                image=image,
                why=f"the written repository is a slip away from that of {meant[0]}, which a ready pod runs; "
                "the tag is kept as written",
                confidence=0.75,
                exhibits=(of_healthy_image(meant[0], healthy[meant[0]]),),
            )
    yield from _near_tag(case, written)


def _near_tag(case: Case, written: str) -> Iterator[_Candidate]:
    """The repository is right: a tag of it that runs, when exactly one is a slip away."""
    mine = names.parse(written)
    tags = {
        image: is_typo_of(mine.tag, names.parse(image).tag)
        for image in case.snapshot.healthy_images
        if names.parse(image).repository == mine.repository and mine.tag and names.parse(image).tag
    }
    near = {names.parse(image).tag: image for image, distance in tags.items() if distance}
    if len(near) == 1:
        image = next(iter(near.values()))
        yield _Candidate(
            image=image,
            why="the written tag is a slip away from it, and a ready pod runs exactly this image",
            confidence=0.8,
            exhibits=(of_healthy_image(image, case.snapshot.healthy_images[image]),),
        )


def _from_older_revisions(case: Case, trouble: Trouble) -> Iterator[_Candidate]:
    for revision in case.earlier:
        before = revision.template.container(trouble.container.name)
        if revision.ready or before is None or not names.is_valid(before.image) or _near(case, before.image):
            continue
        yield _Candidate(
            image=before.image,
            why=f"revision {revision.number} of the same workload had this image; whether it ever became ready is not "
            "known",
            confidence=0.6,
            exhibits=(of_revision(revision),),
        )
        return


def _from_official_names(case: Case, trouble: Trouble, near: tuple[str, ...]) -> Iterator[_Candidate]:
    written = trouble.container.image
    meant = [name for name in near if name not in case.snapshot.healthy_images] if len(near) == 1 else []
    tidy = names.tidied(written)
    if tidy != written and names.parse(tidy).official in names.OFFICIAL_NAMES:
        meant.append(names.parse(tidy).official)
        written = tidy
    for name in meant:
        yield _Candidate(
            image=names.with_repository(written, name),
            why=f"the written name is a slip away from the official image {name}; the tag is kept as written, and "
            "nothing in this cluster vouches for it",
            confidence=0.65,
            exhibits=(),
        )


def _same_right_needed(case: Case, trouble: Trouble, signature: str) -> bool:
    """A refused credential is refused for the earlier revision as well when that pulls from the same place."""
    if signature != "image.pull_auth" or case.ready_before is None:
        return False
    before = case.ready_before.template.container(trouble.container.name)
    mine = names.parse(trouble.container.image).repository
    return before is not None and names.parse(before.image).repository == mine
