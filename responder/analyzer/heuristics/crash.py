"""Containers that start and end: a command that is not there, a variable that is missing, a world that does not answer,
or the program itself.

What the program says in its last lines is taken for what it is, a statement of the program. It names a cause; it never
chooses a change. A crash that nothing outside the program explains is called unfixable here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from responder.analyzer.heuristics.case import Case, Claim, Step, Trouble, standing
from responder.analyzer.heuristics.evidence import of_event, of_revision
from responder.analyzer.heuristics.variables import missing_variable
from responder.analyzer.heuristics.world import about_the_world
from responder.patterns import Pattern
from responder.redact import redact

_LAST_LINES = 40
_QUOTE = 160
_KILLED = (137, 143)

_NO_COMMAND = Pattern(
    r"(?i)executable file not found|exec: [^\n]{0,200}(?:not found|no such file)|"
    r"stat [^\n]{0,200}no such file or directory|"
    r"exec [^\n]{0,200}no such file or directory|no command specified|OCI runtime [^\n]{0,300}no such file"
)
_SHELL_NO_COMMAND = Pattern(
    r"(?i)(?:^|[\s:])([\w./\-]{1,80}): (?:command )?not found\s*$|exec: \"?([\w./\-]{1,80})\"?: not found"
)
_EXEC_FORMAT = Pattern(r"(?i)exec format error|cannot execute binary file|wrong ELF class")
_NOT_EXECUTABLE = Pattern(
    r"(?i)(?:exec|starting container process|runc create|OCI runtime)[^\n]{0,300}permission denied"
)


def detect(case: Case) -> Iterator[Claim]:
    for trouble in case.troubles:
        if not _has_crashed(trouble):
            continue
        for signature in (_not_started, _missing_env, _killed_by_node, _world, _by_itself):
            claim = signature(case, trouble)
            if claim is not None:
                yield claim
                break


def _has_crashed(trouble: Trouble) -> bool:
    if trouble.status.waiting_reason in ("RunContainerError", "CreateContainerError"):
        return True
    return trouble.crashed and trouble.ended is not None and trouble.ended.reason != "OOMKilled"


def _claim(
    case: Case,
    trouble: Trouble,
    signature: str,
    cause: str,
    confidence: float,
    *,
    step: Step = Step.RUN,
    fixable: bool = True,
    general: bool = False,
    symptom: bool = False,
    undo: bool = True,
) -> Claim:
    events = case.events_of(trouble.pod, "BackOff")[:1] if trouble.status.waiting_reason == "CrashLoopBackOff" else ()
    return Claim(
        signature=signature,
        stage=trouble.stage,
        index=trouble.index,
        step=step,
        subject=case.root,
        container=trouble.container.name,
        cause=cause,
        confidence=confidence,
        exhibits=(*case.exhibits_of(trouble), *map(of_event, events)),
        undo=undo and case.sibling_ready(trouble) is None,
        fixable=fixable,
        general=general,
        symptom=symptom,
    )


def _not_started(case: Case, trouble: Trouble) -> Claim | None:
    """The runtime could not start the process, or the shell that it started could not find it."""
    ended, container = trouble.ended, trouble.container
    start_failed = ended is not None and ended.reason in ("StartError", "ContainerCannotRun")
    told = f"{trouble.status.waiting_message}\n{ended.message if ended is not None and start_failed else ''}"
    command = " ".join((*container.command, *container.args))[:_QUOTE] or "the image's own command"
    if _EXEC_FORMAT.found(told) or _EXEC_FORMAT.found("\n".join(case.last_words(trouble)[-3:])):
        cause = f"image {container.image} is not built for the processor of the node, or its command is no program"
        return _claim(case, trouble, "crash.exec_format", cause, 0.9, step=Step.START)
    if _NO_COMMAND.found(told):
        cause = f"the command cannot be started because it does not exist in the image: {redact(command)}"
        return _claim(case, trouble, "crash.command_not_found", cause, 0.93, step=Step.START)
    if _NOT_EXECUTABLE.found(told):
        cause = f"the command exists and may not be executed: {redact(command)}"
        return _claim(case, trouble, "crash.not_executable", cause, 0.85, step=Step.START)
    if start_failed or trouble.status.waiting_reason in ("RunContainerError", "CreateContainerError"):
        cause = f"the runtime cannot start the container: {_quoted(told)}"
        return _claim(case, trouble, "crash.start_error", cause, 0.6, step=Step.START)
    return _shell_did_not_find(case, trouble)


def _shell_did_not_find(case: Case, trouble: Trouble) -> Claim | None:
    ended = trouble.ended
    if ended is None or ended.exit_code not in (126, 127):
        return None
    for line in reversed(case.last_words(trouble)[-10:]):
        hit = _SHELL_NO_COMMAND.first(line)
        if hit is not None:
            cause = f"a command that the container runs does not exist in the image: {redact(hit[1] or hit[2])}"
            return _claim(case, trouble, "crash.command_not_found", cause, 0.88, step=Step.START)
    cause = f"exit code {ended.exit_code}: a command does not exist or may not be executed"
    return _claim(case, trouble, "crash.command_not_found", cause, 0.7, step=Step.START)


def _missing_env(case: Case, trouble: Trouble) -> Claim | None:
    ended = trouble.ended
    name = missing_variable(case.last_words(trouble))
    if not name or ended is None or ended.exit_code in (0, *_KILLED):
        return None
    given = name in trouble.container.env
    cause = f"the program says that variable {name} is missing" + (", though the container has it" if given else "")
    claim = _claim(case, trouble, "config.missing_env", cause, 0.7 if given else 0.9)
    revision = case.ready_before
    before = revision.template.container(trouble.container.name) if revision is not None else None
    if revision is None or before is None or name not in before.env or given:
        return claim
    had = f"{cause}; revision {revision.number}, which {standing(revision)}, has it"
    return replace(claim, cause=had, exhibits=(*claim.exhibits, of_revision(revision)))


def _killed_by_node(case: Case, trouble: Trouble) -> Claim | None:
    ended = trouble.ended
    if ended is None:
        return None
    if ended.reason == "ContainerStatusUnknown":
        cause = "the node lost track of the container: a fault of the node, not of the workload"
        return _claim(case, trouble, "node.container_lost", cause, 0.8, undo=False)
    if ended.exit_code == 139:
        return _claim(
            case,
            trouble,
            "crash.unfixable",
            "the program broke on a memory fault (SIGSEGV)",
            0.85,
            fixable=False,
            general=True,
        )
    if ended.exit_code in _KILLED and ended.reason != "OOMKilled":
        cause = f"the container was killed from outside (exit code {ended.exit_code}), not for its memory limit"
        return _claim(case, trouble, "crash.killed", cause, 0.5, general=True, symptom=True)
    return None


def _world(case: Case, trouble: Trouble) -> Claim | None:
    ended = trouble.ended
    if ended is None or ended.exit_code in (0, *_KILLED):
        return None
    for line in reversed(case.last_words(trouble)[-_LAST_LINES:]):
        complaint = about_the_world(line)
        if complaint is not None:
            cause = f"{complaint.what}: {_quoted(line)}"
            return _claim(case, trouble, complaint.signature, cause, 0.75, general=True)
    return None


def _by_itself(case: Case, trouble: Trouble) -> Claim | None:
    """What remains: the program ends, and nothing around it says why."""
    ended = trouble.ended
    if ended is None:
        return None
    lines = case.last_words(trouble)
    if ended.exit_code == 0:
        cause = "the program ends by itself and with success, where one is wanted that keeps running"
        return _claim(case, trouble, "crash.completes", cause, 0.85, fixable=False, general=True)
    code = f"exit code {ended.exit_code}"
    if lines:
        cause = f"the program ends by its own fault ({code}): {_quoted(_telling(lines))}"
        return _claim(case, trouble, "crash.unfixable", cause, 0.8, fixable=False, general=True)
    if case.log_of(trouble) is not None:
        cause = f"the program ends with {code} and says nothing"
        return _claim(case, trouble, "crash.unfixable", cause, 0.6, fixable=False, general=True)
    cause = f"the program ends with {code}, and its log could not be read"
    return _claim(case, trouble, "crash.unread", cause, 0.4, general=True, symptom=True)


_TELLING = Pattern(r"(?i)(?:error|exception|fatal|panic|fail(?:ed|ure)?|abort|cannot|can't|assert|critical|traceback)")


def _telling(lines: tuple[str, ...]) -> str:
    """The last line that sounds like a reason, else the last line."""
    return next((line for line in reversed(lines[-_LAST_LINES:]) if _TELLING.found(line)), lines[-1])


def _quoted(text: str) -> str:
    """One line of foreign text, redacted and short: it is shown to people and decides nothing."""
    line = " ".join(redact(text).split())
    return line if len(line) <= _QUOTE else f"{line[:_QUOTE]}..."
