"""One running container process as a value that time is told to.

Decides: which behaviour an argument list starts (the image's program, a shell script, a command), when its steps
fall due, and how it ends: by itself, for want of memory, or because it was stopped.
Leaves restarts and what the kubelet says about an end to `podmachine`. Times are simulated seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from responder.sandbox.commands import SHELL_BUILTINS, run_command
from responder.sandbox.container import (
    FOREVER,
    Allocate,
    Box,
    Line,
    Listen,
    Step,
    Steps,
    Stream,
    Surroundings,
    Wait,
    command_exists,
)
from responder.sandbox.images import Program
from responder.sandbox.programs import nginx_entrypoint, run_program
from responder.sandbox.pythoncommand import python
from responder.sandbox.shell import run_script

_SHELLS: Final = frozenset({"sh", "ash", "bash", "dash"})
_STEPS_AT_ONCE: Final = 2000
_SMALLEST_LIMIT: Final = 4 << 20
"""Below this memory limit (bytes) not even the runtime's own first process fits."""
_KILLED: Final = 137
_RUNTIME: Final = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)


class StartFailure(Exception):
    """The runtime could not start the process; the text is its message."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    exit_code: int
    at: float
    out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Said:
    at: float
    line: Line


def execute(box: Box, words: tuple[str, ...]) -> Steps:
    """Runs a program inside the box; 127 with `last_command_found` unset when the image has no such program."""
    image = box.around.image
    base = words[0].rpartition("/")[2]
    box.last_command_found = command_exists(image, words[0]) or base in SHELL_BUILTINS or words[0] in box.around.files
    if not box.last_command_found:
        return _not_found()
    if base in _SHELLS:
        return _shell(box, words)
    if base == "docker-entrypoint.sh":
        return _entrypoint(box, words)
    if base in ("python", "python3"):
        return python(box, words)
    if words[0] in box.around.files:
        return run_script(box, box.around.files[words[0]], name=words[0], arguments=words[1:])
    if base == "env" and (called := _after_assignments(box, words)):
        return execute(box, called)
    if image.program is not Program.SHELL and words[0] in _own_names(box):
        return run_program(box, words)
    return run_command(box, words)


def _own_names(box: Box) -> set[str]:
    image = box.around.image
    names = {*image.entrypoint[:1], *image.cmd[:1]}
    return names | {name.rpartition("/")[2] for name in names} | {f"/usr/sbin/{name}" for name in names}


def _after_assignments(box: Box, words: tuple[str, ...]) -> tuple[str, ...]:
    rest = list(words[1:])
    while rest and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        box.env[name] = value
    return tuple(rest)


def _not_found() -> Steps:
    yield from ()
    return 127


def _entrypoint(box: Box, words: tuple[str, ...]) -> Steps:
    if box.around.image.program is Program.NGINX:
        return nginx_entrypoint(box, words)
    # Such scripts take arguments that are only options for options of the image's own server.
    rest = words[1:] if words[1:2] and not words[1].startswith("-") else (*box.around.image.cmd, *words[1:])
    return execute(box, rest)


def _shell(box: Box, words: tuple[str, ...]) -> Steps:
    options, rest = "", list(words[1:])
    while rest and rest[0].startswith("-") and rest[0] != "--":
        option = rest.pop(0)[1:]
        options += option
        if option.endswith("o") and rest:  # -o pipefail
            rest.pop(0)
    if not rest:
        yield from ()  # without a terminal the shell reads the end of its input at once
        return 0
    if "c" in options:
        name = rest[1] if len(rest) > 1 else words[0]
        return (yield from run_script(box, rest[0], name=name, options=options, arguments=tuple(rest[2:])))
    script = box.read(rest[0])
    if script is None:
        yield Line(text=f"{words[0]}: can't open '{rest[0]}': No such file or directory", stream=Stream.ERR)
        return 2
    return (yield from run_script(box, script, name=rest[0], options=options, arguments=tuple(rest[1:])))


class Process:
    """A started process. `advance` it to a time; read what it said, where it listens, whether it has ended."""

    def __init__(self, around: Surroundings, *, started: float) -> None:
        """Raises StartFailure."""
        _refuse_start(around)
        self.box = Box(around=around, execute=execute, env=dict(around.env))
        self.started = started
        self.ended: Ended | None = None
        self.next_due = started
        self._steps = execute(self.box, around.argv)

    def advance(self, now: float) -> tuple[Said, ...]:
        """Lets the process do everything that falls due up to `now`."""
        said: list[Said] = []
        budget = _STEPS_AT_ONCE
        while self.ended is None and self.next_due <= now:
            try:
                step = next(self._steps)
            except StopIteration as stop:
                self.ended = Ended(exit_code=stop.value, at=self.next_due)
                break
            if isinstance(step, Line):
                said.append(Said(at=self.next_due, line=step))
            self._take(step)
            budget -= 1
            if budget == 0:
                self.next_due = math.nextafter(now, FOREVER) + 1.0
        return tuple(said)

    def _take(self, step: Step) -> None:
        match step:
            case Wait():
                self.next_due += step.seconds
            case Listen():
                self.box.listening[step.port] = step
            case Allocate():
                limit = self.box.around.memory_limit
                if limit is not None and step.size > limit:
                    self._finish(Ended(exit_code=_KILLED, at=self.next_due, out_of_memory=True))
            case Line():
                pass

    def stop(self, now: float) -> Ended:
        """The kubelet's SIGTERM, and SIGKILL for a shell or a sleep, which as process 1 ignore the first."""
        if self.ended is None:
            image = self.box.around.image
            own = image.program is not Program.SHELL and self.box.around.argv[0] in _own_names(self.box)
            code = image.stop_exit_code if own or "docker-entrypoint.sh" in self.box.around.argv[0] else _KILLED
            self._finish(Ended(exit_code=code, at=now))
        assert self.ended is not None
        return self.ended

    def _finish(self, ended: Ended) -> None:
        self.ended = ended
        self.box.listening.clear()
        self._steps.close()

    def run_inside(self, words: tuple[str, ...]) -> tuple[int, str]:
        """Exit code and output of an exec probe. Raises StartFailure when the image has no such program."""
        if not command_exists(self.box.around.image, words[0]):
            raise StartFailure(_missing(words[0]))
        output: list[str] = []
        steps = execute(self.box, words)
        for _ in range(_STEPS_AT_ONCE):
            try:
                step = next(steps)
            except StopIteration as stop:
                return int(stop.value), "\n".join(output)
            if isinstance(step, Line):
                output.append(step.text)
        return _KILLED, "\n".join(output)


def _missing(name: str) -> str:
    reason = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
    return f'exec: "{name}": {reason}: unknown'


def _refuse_start(around: Surroundings) -> None:
    if not around.argv:
        raise StartFailure("failed to generate container spec: failed to generate spec: no command specified")
    if not command_exists(around.image, around.argv[0]) and around.argv[0] not in around.files:
        raise StartFailure(_RUNTIME + _missing(around.argv[0]))
    if around.memory_limit is not None and around.memory_limit < _SMALLEST_LIMIT:
        raise StartFailure(_RUNTIME + "container init was OOM-killed (memory limit too low?): unknown")
