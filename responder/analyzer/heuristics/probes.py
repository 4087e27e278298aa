"""Probes that fail: whether the probe asks at the wrong place, too early, or whether the program is truly unwell.

A probe is corrected, never removed, and only toward what is known: the port that the container declares or says it
listens on, the path of a ready revision or of another probe that passes, the delay of a ready revision. A 404 tells
that a path is wrong and not which one is right. The kubelet names the probe in the event's sentence only:
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from responder.analyzer.heuristics.case import Case, Claim, Remedy, Step, Trouble, standing
from responder.analyzer.heuristics.evidence import Exhibit, of_event, of_pod, of_revision, of_spec
from responder.analyzer.heuristics.steady import calm_seconds, seconds_between
from responder.domain.action import ProbeKind, SetProbe
from responder.domain.workload import Container, EventRecord, Probe
from responder.patterns import Pattern

_FRESH_SECONDS = 600.0
_KIND = Pattern(r"(?i)^\s*(Readiness|Liveness|Startup) probe (?:failed|errored|warning)")
_STATUS = Pattern(r"(?i)status ?code: ?([0-9]{3})")
_URL = Pattern(r"https?://[^\s/\"]*?(?::([0-9]{1,5}))?(/[^\s\"]*)?\"")
_DIAL = Pattern(r"dial tcp \S*?:([0-9]{1,5}):")
_REFUSED = Pattern(r"(?i)connection refused|connect: connection reset|failed to connect service")
_TIMEOUT = Pattern(r"(?i)deadline exceeded|i/o timeout|Client\.Timeout|timed out|timeout")
_SCHEME = Pattern(
    r"(?i)HTTP response to HTTPS client|malformed HTTP response|HTTP request to an HTTPS server|tls: first record"
)
_LISTENING = Pattern(
    r"(?i)(?:listening|listens|serving|started|running|bound|server is up|ready|accepting connections|start(?:ing)?)"
    r"[^\n]{0,60}?(?:\bport(?:\(s\))?[ :=]+|[\w.\]*]?:)([0-9]{2,5})\b"
)
_PROBED_WELL = Pattern(r"\"(?:GET|HEAD) (/[^\s\"?]*)[^\"]*\" 2[0-9]{2}[^\n]*kube-probe")
_ROUTE = Pattern(
    r"(?i)(?:\bGET\]?,?\s+\"?|mapped [^\n]{0,20}|route[^\n]{0,20}|"
    r"health ?check[^\n]{0,30} (?:at|on) |serving health[^\n]{0,20} (?:at|on) )(/[A-Za-z0-9._~\-/]{1,80})"
)
_HEALTHY_NAME = re.compile(r"(?:health|ready|readiness|live|liveness|ping|status|alive|heartbeat)", re.IGNORECASE)
_SAFE_PATH = re.compile(r"/[A-Za-z0-9._~\-/]{0,100}\Z")
_WARMING = Pattern(
    r"(?i)\b(?:starting|warming|warm-up|loading|initiali[sz]ing|migrating|migration|booting|connecting|preloading|"
    r"replaying|recovering|indexing|compiling|please wait)"
)
_UP = Pattern(
    r"(?i)\b(?:listening|serving|ready to accept|accepting connections|server is up|started in|startup complete)"
)
_SHORTEST_PATIENCE = 60
_LONGEST_DELAY = 300


class ProbeFault(StrEnum):
    REFUSED = "refused"
    NOT_FOUND = "not found"
    UNHEALTHY = "unhealthy"
    TIMEOUT = "timeout"
    SCHEME = "scheme"
    EXEC = "exec"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class _Failing:
    trouble: Trouble
    probe: Probe
    fault: ProbeFault
    event: EventRecord

    @property
    def container(self) -> Container:
        return self.trouble.container


def detect(case: Case) -> Iterator[Claim]:
    failing = tuple(_failing(case))
    for one in failing:
        yield _claim(case, one, failing)


def classify(message: str, probe: Probe) -> ProbeFault:
    status = _STATUS.first(message)
    if probe.mechanism == "exec":
        return ProbeFault.EXEC
    if _SCHEME.found(message):
        return ProbeFault.SCHEME
    if status is not None:
        return ProbeFault.NOT_FOUND if status[1] == "404" else ProbeFault.UNHEALTHY
    if _REFUSED.found(message) or not (probe.port or probe.mechanism == "exec"):
        return ProbeFault.REFUSED
    return ProbeFault.TIMEOUT if _TIMEOUT.found(message) else ProbeFault.OTHER


def _failing(case: Case) -> Iterator[_Failing]:
    """The probes that fail now: each with its newest event, of containers that are not well."""
    seen: set[tuple[str, ProbeKind]] = set()
    for trouble in case.troubles:
        if (trouble.container.init and not trouble.container.sidecar) or _ends_by_itself(case, trouble):
            continue
        for event in case.events_of(trouble.pod, "Unhealthy"):
            probe = _probe_of(event, trouble)
            if probe is None or not _still_matters(case, event, trouble, probe):
                continue
            if (trouble.container.name, probe.kind) not in seen:
                seen.add((trouble.container.name, probe.kind))
                yield _Failing(trouble=trouble, probe=probe, fault=classify(event.message, probe), event=event)


def _probe_of(event: EventRecord, trouble: Trouble) -> Probe | None:
    """The container's probe that the sentence is about; none where its port or path belongs to another container."""
    hit = _KIND.first(event.message)
    probe = trouble.container.probe(ProbeKind(f"{hit[1].lower()}Probe")) if hit is not None else None
    if probe is None:
        return None
    url, dial = _URL.first(event.message), _DIAL.first(event.message)
    port = int((url[1] if url is not None else "") or (dial[1] if dial is not None else "") or 0)
    if port and probe.port and port != probe.port:
        return None
    if url is not None and url[2] and probe.path and not url[2].startswith(probe.path.partition("?")[0]):
        return None
    return probe


def _still_matters(case: Case, event: EventRecord, trouble: Trouble, probe: Probe) -> bool:
    if event.last_at is not None and seconds_between(event.last_at, case.now) > _FRESH_SECONDS:
        return False
    if probe.kind is ProbeKind.READINESS:
        return trouble.running and not trouble.status.ready
    return trouble.running or _killed_by_kubelet(trouble)


def _ends_by_itself(case: Case, trouble: Trouble) -> bool:
    """Crashes on its own account: that nobody answers the probe meanwhile is the consequence."""
    if trouble.ended is None or _killed_by_kubelet(trouble):
        return False
    since = trouble.status.running_since
    return since is None or seconds_between(since, case.now) < calm_seconds(trouble.status)


def _killed_by_kubelet(trouble: Trouble) -> bool:
    """A container that fails its liveness probe gets a SIGTERM, then a SIGKILL; many programs answer the first by 0."""
    return (
        trouble.ended is not None and trouble.ended.reason != "OOMKilled" and trouble.ended.exit_code in (0, 137, 143)
    )


def _claim(case: Case, one: _Failing, all_failing: tuple[_Failing, ...]) -> Claim:
    claim = _judged(case, one, all_failing)
    if case.sibling_ready(one.trouble) is not None:
        cause = f"{claim.cause}; other pods of the same revision pass the same probe, so the probe is not at fault"
        claim = replace(claim, cause=cause, remedies=(), undo=False, confidence=0.6)
    return claim


def _judged(case: Case, one: _Failing, all_failing: tuple[_Failing, ...]) -> Claim:
    match one.fault:
        case ProbeFault.REFUSED | ProbeFault.TIMEOUT:
            return _refused(case, one)
        case ProbeFault.NOT_FOUND:
            return _not_found(case, one, all_failing)
        case ProbeFault.SCHEME:
            what = "asks by another scheme (HTTP or HTTPS) than the program speaks"
            return _build(case, one, "probe.wrong_scheme", what, 0.9)
        case ProbeFault.EXEC:
            what = "runs a command that fails; whether the command or the program is at fault is not seen from outside"
            return _build(case, one, "probe.exec_failing", what, 0.7)
        case _:
            return _build(
                case, one, "probe.app_unhealthy", "reaches the program, and it answers that it is not well", 0.75
            )


def _refused(case: Case, one: _Failing) -> Claim:
    port, exhibits, why = _other_port(case, one)
    if port:
        what = f"asks port {one.probe.port or one.probe.port_name}, where nothing listens; {why}"
        remedy = _remedy(case, one, f"{why}", exhibits, port=port)
        return _build(case, one, "probe.wrong_port", what, 0.9, remedy)
    if one.probe.kind is not ProbeKind.READINESS:
        claim = _too_early(case, one)
        if claim is not None:
            return claim
    if one.fault is ProbeFault.TIMEOUT:
        return _timeout(case, one)
    what = f"finds nothing listening on port {one.probe.port}, and where the program listens is not known"
    return _build(case, one, "probe.refused", what, 0.6)


def _other_port(case: Case, one: _Failing) -> tuple[int, tuple[Exhibit, ...], str]:
    """The port that was meant: what the program says it listens on, else the one port that the container declares."""
    listening = _listening_ports(case, one)
    if one.fault is ProbeFault.TIMEOUT or one.probe.port in listening:
        return 0, (), ""
    if len(listening) == 1:
        port = next(iter(listening))
        return port, case.exhibits_of(one.trouble), f"the program says that it listens on port {port}"
    declared = set(one.container.ports) - {one.probe.port}
    if one.probe.port not in one.container.ports and len(declared) == 1:
        port = next(iter(declared))
        seen = of_spec(case.root, f"container {one.container.name} ports", f"declares port {port} and no other")
        return port, (seen,), f"the container declares port {port} and no other"
    return 0, (), ""


def _listening_ports(case: Case, one: _Failing) -> frozenset[int]:
    """Said by the container itself; where it declares ports, only those and the probed one are believed."""
    excerpt = case.log_of(one.trouble)
    text = excerpt.text if excerpt is not None else ""
    said = {int(hit[1]) for hit in _LISTENING.each(text) if 0 < int(hit[1]) < 65536}
    declared = set(one.container.ports)
    return frozenset(said & (declared | {one.probe.port})) or frozenset(said)


def _too_early(case: Case, one: _Failing) -> Claim | None:
    """The kubelet kills a program that is still starting: the time it gives is shorter than a start takes."""
    before = _before(case, one)
    wanted = _patience(before) if before is not None else 0
    given = _patience(one.probe)
    revision = case.ready_before
    what = f"gives the program {given} s to start, and it is killed while it still starts"
    if before is not None and revision is not None and wanted > given:
        why = f"revision {revision.number}, which {standing(revision)}, gives it {wanted} s"
        remedy = _remedy(
            case,
            one,
            why,
            (of_revision(revision),),
            initial_delay_seconds=before.initial_delay_seconds,
            failure_threshold=before.failure_threshold,
        )
        return _build(case, one, "probe.too_early", f"{what}; {why}", 0.85, remedy)
    if not _was_starting(case, one):
        return None
    wanted = min(max(_SHORTEST_PATIENCE, 4 * given), _LONGEST_DELAY)
    why = "its log ends while it still starts, without an error"
    if one.probe.kind is ProbeKind.STARTUP:  # more tries cost a quick start nothing, a delay would
        patience = max(wanted, 2 * given) - one.probe.initial_delay_seconds
        tries = -(-patience // max(one.probe.period_seconds, 1))
        remedy = _remedy(case, one, f"{why}; more tries let it", (), failure_threshold=tries)
    else:
        remedy = _remedy(case, one, f"{why}; a longer first delay lets it", (), initial_delay_seconds=wanted)
    return _build(case, one, "probe.too_early", f"{what}: {why}", 0.65, remedy)


def _patience(probe: Probe) -> int:
    return probe.initial_delay_seconds + probe.period_seconds * probe.failure_threshold


def _was_starting(case: Case, one: _Failing) -> bool:
    """Killed by the kubelet about when the probe ran out of patience, with a log that speaks of starting only."""
    ended = one.trouble.ended
    lines = case.last_words(one.trouble)
    if ended is None or not _killed_by_kubelet(one.trouble) or not lines:
        return False
    if ended.started_at is not None and ended.finished_at is not None:
        lived = seconds_between(ended.started_at, ended.finished_at)
        if lived > 2 * _patience(one.probe) + 60:
            return False
    return any(map(_WARMING.found, lines[-10:])) and not any(map(_UP.found, lines))


def _timeout(case: Case, one: _Failing) -> Claim:
    before = _before(case, one)
    what = f"gets no answer within {one.probe.timeout_seconds} s"
    revision = case.ready_before
    if before is not None and revision is not None and before.timeout_seconds > one.probe.timeout_seconds:
        why = f"revision {revision.number}, which {standing(revision)}, waits {before.timeout_seconds} s"
        seen = (of_revision(revision),)
        remedy = _remedy(case, one, why, seen, timeout_seconds=before.timeout_seconds)
        return _build(case, one, "probe.timeout", f"{what}; {why}", 0.85, remedy)
    return _build(case, one, "probe.timeout", f"{what}: the program is slow, stuck, or short of CPU", 0.6)


def _not_found(case: Case, one: _Failing, all_failing: tuple[_Failing, ...]) -> Claim:
    path, exhibits, why = _other_path(case, one, all_failing)
    what = f"asks for {one.probe.path or '/'}, which the program does not have (404)"
    if not path:
        return _build(case, one, "probe.wrong_path", f"{what}; which path is right is not known", 0.85)
    remedy = _remedy(case, one, why, exhibits, path=path)
    return _build(case, one, "probe.wrong_path", f"{what}; {why}", 0.9, remedy)


def _other_path(case: Case, one: _Failing, all_failing: tuple[_Failing, ...]) -> tuple[str, tuple[Exhibit, ...], str]:
    before, revision = _before(case, one), case.ready_before
    if before is not None and revision is not None and _is_other(before.path, one):
        return (
            before.path,
            (of_revision(revision),),
            f"revision {revision.number}, which {standing(revision)}, asks for {before.path}",
        )
    failing = {(other.container.name, other.probe.kind) for other in all_failing}
    for probe in one.container.probes:
        passes = (one.container.name, probe.kind) not in failing and one.trouble.running
        if passes and probe.mechanism == "httpGet" and probe.port == one.probe.port and _is_other(probe.path, one):
            why = f"the {probe.kind} of the same container asks for {probe.path} and passes"
            return probe.path, (of_pod(one.trouble.pod),), why
    path = _path_from_log(case, one)
    if path:
        return path, case.exhibits_of(one.trouble), f"the program's log names {path} as its health path"
    return "", (), ""


def _path_from_log(case: Case, one: _Failing) -> str:
    """A path that the kubelet's own requests got through on, or the one route whose name speaks of health."""
    excerpt = case.log_of(one.trouble)
    text = excerpt.text if excerpt is not None else ""
    passed = {hit[1] for hit in _PROBED_WELL.each(text)}
    routes = {hit[1] for hit in _ROUTE.each(text) if _HEALTHY_NAME.search(hit[1])} - _refused_paths(text)
    for found in (passed, routes):
        usable = {path for path in found if _is_other(path, one)}
        if len(usable) == 1:
            return usable.pop()
    return ""


_ANSWERED_BADLY = Pattern(r"\"(?:GET|HEAD) (/[^\s\"?]*)[^\"]*\" [345][0-9]{2}")


def _refused_paths(text: str) -> set[str]:
    return {hit[1] for hit in _ANSWERED_BADLY.each(text)}


def _is_other(path: str, one: _Failing) -> bool:
    return path != one.probe.path and _SAFE_PATH.match(path) is not None


def _before(case: Case, one: _Failing) -> Probe | None:
    """The same probe in the last ready revision."""
    revision = case.ready_before
    container = revision.template.container(one.container.name) if revision is not None else None
    return container.probe(one.probe.kind) if container is not None else None


def _remedy(
    case: Case,
    one: _Failing,
    why: str,
    exhibits: tuple[Exhibit, ...],
    *,
    path: str = "",
    port: int = 0,
    initial_delay_seconds: int = -1,
    timeout_seconds: int = -1,
    failure_threshold: int = -1,
) -> Remedy | None:
    if case.target is None:
        return None
    action = SetProbe(
        target=case.target,
        container=one.container.name,
        probe=one.probe.kind,
        path=path,
        port=port,
        initial_delay_seconds=initial_delay_seconds,
        timeout_seconds=timeout_seconds,
        failure_threshold=failure_threshold,
    )
    return Remedy(action=action, reason=why, exhibits=exhibits)


def _build(
    case: Case, one: _Failing, signature: str, what: str, confidence: float, remedy: Remedy | None = None
) -> Claim:
    return Claim(
        signature=signature,
        stage=one.trouble.stage,
        index=one.trouble.index,
        step=Step.SERVE,
        subject=case.root,
        container=one.container.name,
        about=one.probe.kind,
        cause=f"the {one.probe.kind} {what}",
        confidence=confidence,
        exhibits=(of_event(one.event), *case.exhibits_of(one.trouble)),
        remedies=(remedy,) if remedy is not None else (),
    )
