"""What a container without root may not do: write to a directory of its image, bind a port below 1024, run as root.

The program's own last words name the path or the port. Both are taken from the text as data and then checked: the path
against what may be scratch space, the port against what the container declares. Sentences differ by runtime (libc, Go,
Java, Node, Python, nginx, Apache); the words `permission denied`, `EACCES`, `read-only file system` do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from responder.analyzer.heuristics.case import Case, Claim, Remedy, Step, Trouble
from responder.analyzer.heuristics.evidence import Exhibit, of_event, of_service, of_spec, of_status
from responder.analyzer.heuristics.scratch import scratch_for
from responder.analyzer.heuristics.variables import missing_variable
from responder.analyzer.heuristics.world import about_the_world
from responder.domain.action import AddScratchVolume, SetPorts
from responder.domain.workload import Container, PodTemplate
from responder.patterns import Pattern

_DENIED = r"(?:permission denied|EACCES|AccessDenied|read-only file ?system|EROFS|not permitted|access is denied)"
_REFUSAL = Pattern(rf"(?i){_DENIED}")
_READ_ONLY = Pattern(r"(?i)read-only file ?system|EROFS")
_BINDING = Pattern(r"(?i)\bbind|\blisten|make_sock|EACCES[^/]*(?:[0-9.:\[\]]+):[0-9]+|address")
_PORT = (
    Pattern(r"(?i)bind\(\)? ?(?:to )?\S*?:([0-9]{1,5})\b"),
    Pattern(r"(?i)(?:bind to|binding to|bind on|listen(?:ing)? (?:on|at|to)?)\s*\S*?:([0-9]{1,5})\b"),
    Pattern(r"(?i)listen (?:tcp|udp)[46]? \S*?:([0-9]{1,5}): bind"),
    Pattern(
        r"(?i)(?:EACCES|permission denied)[: ]+(?:permission denied[: ]+)?"
        r"(?:[0-9.]+|\[?::\]?|\*|localhost)?:([0-9]{1,5})\b"
    ),
    Pattern(r"(?i)\bport[ =:]+([0-9]{1,5})\b"),
)
_QUOTED_PATH = Pattern(r"[\"'`‘“]{1,2}(/[^\"'`’”\s]{1,200})[\"'`’”]{1,2}")
_BARE_PATH = Pattern(r"(?:^|[\s:=(])(/[A-Za-z0-9._@+\-/]{2,200})")
_PROGRAM_FRAME = Pattern(r"^\s+(?:at |File \")|^\s*goroutine |\.go:[0-9]+")
_HARMLESS = Pattern(
    r"(?i)\[(?:warn|alert|notice|info)\]|\blevel=(?:warn|info|debug)|\bwarning\b|\binfo:|\(read-only file system\?\)"
)
_RUN_AS_ROOT = Pattern(r"(?i)runAsNonRoot.{0,80}(?:run as root|non-numeric user|runAsUser)|image will run as root")
_CHOWN = Pattern(r"(?i)\b(?:chown|chmod|setuid|setgid|setgroups|initgroups)\b")
_PRIVILEGED = 1024
_PORT_STEPS = (8000, 10000, 18000, 28000)


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    line: str
    path: str = ""
    port: int = 0


def detect(case: Case) -> Iterator[Claim]:
    for trouble in case.troubles:
        if _RUN_AS_ROOT.found(trouble.status.waiting_message):
            yield _run_as_root(case, trouble)
        elif trouble.crashed and not _killed(trouble):
            yield from _from_last_words(case, trouble)


def _killed(trouble: Trouble) -> bool:
    """Ended from outside: what the program was refused before, it survived."""
    ended = trouble.ended
    return ended is not None and (ended.reason == "OOMKilled" or ended.exit_code in (137, 143))


def _run_as_root(case: Case, trouble: Trouble) -> Claim:
    events = [event for event in case.events_of(trouble.pod, "Failed") if _RUN_AS_ROOT.found(event.message)]
    return Claim(
        signature="permission.run_as_root",
        stage=trouble.stage,
        index=trouble.index,
        step=Step.CONFIGURE,
        subject=case.root,
        container=trouble.container.name,
        cause=f"the pod must not run as root (runAsNonRoot), and image {trouble.container.image} would: it needs "
        "another image, or a numeric runAsUser that the image can work with",
        confidence=0.95,
        exhibits=(of_status(trouble.pod, trouble.status), *map(of_event, events[:2])),
    )


def _from_last_words(case: Case, trouble: Trouble) -> Iterator[Claim]:
    refusal = _last_refusal(case.last_words(trouble), trouble.container)
    if refusal is None:
        return
    if refusal.port:
        yield _privileged_port(case, trouble, refusal)
    elif refusal.path:
        yield _unwritable(case, trouble, refusal)
    elif _CHOWN.found(refusal.line):
        yield _claim(
            case,
            trouble,
            "permission.not_permitted",
            "the program wants to change owner, mode or user, which this container may not",
            about="",
            remedies=(),
        )


def _last_refusal(lines: tuple[str, ...], container: Container) -> _Refusal | None:
    """The last refusal, unless the program complains of something else after it: the last complaint ended it."""
    for index, line in reversed(tuple(enumerate(lines))):
        later = lines[index + 1 :]
        if missing_variable(later) or any(map(about_the_world, later)):
            return None
        if not _REFUSAL.found(line) or _PROGRAM_FRAME.found(line) or _HARMLESS.found(line):
            continue
        port = _port_of(line, container)
        if port:
            return _Refusal(line=line, port=port)
        path = "" if _CHOWN.found(line) else _path_of(line)
        return _Refusal(line=line, path=path)
    return None


def _port_of(line: str, container: Container) -> int:
    """A port below 1024 that the line names; where it names nothing, the only one that the container declares."""
    if _READ_ONLY.found(line):
        return 0
    named = [int(hit[1]) for pattern in _PORT for hit in pattern.each(line)]
    privileged = [port for port in named if 0 < port < _PRIVILEGED]
    if privileged and (_BINDING.found(line) or not _path_of(line)):
        return privileged[0]
    declared = [port for port in container.ports if port < _PRIVILEGED]
    unnamed = not named and not _path_of(line) and not _CHOWN.found(line)
    return declared[0] if unnamed and len(declared) == 1 else 0


def _path_of(line: str) -> str:
    """The path next to the refusal: quoted if any path is, else the last one before it, else the first after it."""
    quoted = [hit[1] for hit in _QUOTED_PATH.each(line)]
    if quoted:
        return quoted[-1]
    refusal = _REFUSAL.first(line)
    before, _, after = line.partition(refusal.text if refusal is not None else "\n")
    ahead = [hit[1] for hit in _BARE_PATH.each(before)]
    behind = [hit[1] for hit in _BARE_PATH.each(after)]
    return (ahead[-1] if ahead else behind[0] if behind else "").rstrip(".:,;)")


def _unwritable(case: Case, trouble: Trouble, refusal: _Refusal) -> Claim:
    container = trouble.container
    verdict = scratch_for(refusal.path, container.mounts)
    if not verdict.directory:
        return _claim(
            case,
            trouble,
            "permission.unwritable_dir",
            f"the program may not write to {refusal.path}; {verdict.why_not}",
            about=refusal.path,
            remedies=(),
        )
    cause = f"the program may not write to {refusal.path}, and scratch space at {verdict.directory} would let it"
    sibling = case.sibling_ready(trouble)
    if case.target is None or sibling is not None:
        return _claim(case, trouble, "permission.unwritable_dir", cause, about=verdict.directory, remedies=())
    remedy = Remedy(
        action=AddScratchVolume(target=case.target, container=container.name, path=verdict.directory),
        reason=f"an emptyDir at {verdict.directory} is writable for every user, and holds only what the program makes "
        "while it runs",
    )
    return _claim(case, trouble, "permission.unwritable_dir", cause, about=verdict.directory, remedies=(remedy,))


def _privileged_port(case: Case, trouble: Trouble, refusal: _Refusal) -> Claim:
    port, container = refusal.port, trouble.container
    cause = f"the program may not bind port {port}: ports below {_PRIVILEGED} need a right that it does not have"
    to_port = _free_port(port, trouble.pod.template)
    if case.target is None or port not in container.ports or not to_port or case.sibling_ready(trouble) is not None:
        undeclared = "" if port in container.ports else "; the container does not declare that port, so none is moved"
        return _claim(case, trouble, "permission.privileged_port", cause + undeclared, about=str(port), remedies=())
    services, following = _services(case, port)
    remedy = Remedy(
        action=SetPorts(target=case.target, container=container.name, from_port=port, to_port=to_port),
        reason=f"port {to_port} needs no right; it helps where the program takes its port from the container's "
        f"declaration or configuration that follows it, and the verification tells{following}",
        exhibits=services,
    )
    return _claim(case, trouble, "permission.privileged_port", cause, about=str(port), remedies=(remedy,))


def _free_port(port: int, template: PodTemplate) -> int:
    """The usual unprivileged twin (80 -> 8080, 443 -> 8443), or the next that no container of the pod declares."""
    taken = {declared for container in template.containers for declared in container.ports}
    return next((port + step for step in _PORT_STEPS if port + step not in taken), 0)


def _services(case: Case, port: int) -> tuple[tuple[Exhibit, ...], str]:
    numeric = [service for service in case.snapshot.services if port in service.ports.values()]
    if not numeric:
        return (), ""
    listed = ", ".join(service.ref.name for service in numeric)
    return tuple(map(of_service, numeric)), f"; Services whose targetPort is the number {port} must follow: {listed}"


def _claim(
    case: Case, trouble: Trouble, signature: str, cause: str, *, about: str, remedies: tuple[Remedy, ...]
) -> Claim:
    rootless = _rootless(trouble.container)
    context = () if not rootless else (of_spec(case.root, f"container {trouble.container.name}", rootless),)
    return Claim(
        signature=signature,
        stage=trouble.stage,
        index=trouble.index,
        step=Step.RUN,
        subject=case.root,
        container=trouble.container.name,
        about=about,
        cause=cause,
        confidence=0.92 if rootless else 0.75,
        exhibits=(*case.exhibits_of(trouble), *context),
        remedies=remedies,
    )


def _rootless(container: Container) -> str:
    """What of the spec makes a refusal plausible; an image's own user is not seen here."""
    said = []
    if container.run_as_user:
        said.append(f"runAsUser {container.run_as_user}")
    if container.run_as_non_root:
        said.append("runAsNonRoot")
    if container.read_only_root:
        said.append("readOnlyRootFilesystem")
    return ", ".join(said)
