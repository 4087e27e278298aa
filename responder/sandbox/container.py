"""The inside of one container: what its process finds when it starts, and the steps it can take.

Decides: which paths a process may write to, which ports it may bind, and with which errno it is refused.
Leaves the program's own behaviour to `programs`, `commands` and `shell`, and how the surroundings follow from a pod's
spec to `containerconfig`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from responder.sandbox.images import ImageModel

FOREVER: Final = math.inf
_OPEN_TO_ALL: Final = ("/tmp", "/var/tmp", "/dev")


class Stream(StrEnum):
    OUT = "stdout"
    ERR = "stderr"


class Denial(StrEnum):
    """Why a system call fails; the value is errno and its text, as C programs print them."""

    NOT_PERMITTED = "1: Operation not permitted"
    MISSING = "2: No such file or directory"
    PERMISSION = "13: Permission denied"
    READ_ONLY = "30: Read-only file system"

    @property
    def number(self) -> int:
        return int(self.value.partition(":")[0])

    @property
    def text(self) -> str:
        return self.value.partition(": ")[2]


@dataclass(frozen=True, kw_only=True)
class Line:
    text: str
    stream: Stream = Stream.OUT
    dated: str = ""
    """A strftime form that the program puts before the text."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Listen:
    port: int
    paths: tuple[str, ...] = ()
    answer_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Allocate:
    """The process now holds this many bytes in all."""

    size: int


Step = Line | Wait | Listen | Allocate
Steps = Generator[Step, None, int]
"""A running program: yields what it does, returns its exit code. Takes no time but for Wait."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    path: str
    writable: bool


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Everything about a container that its process can notice, resolved from spec and references."""

    image: ImageModel
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    uid: int = 0
    read_only_root: bool = False
    added_capabilities: frozenset[str] = frozenset()
    dropped_capabilities: frozenset[str] = frozenset()
    unprivileged_port_start: int = 1024
    declared_ports: tuple[int, ...] = ()
    memory_limit: int | None = None
    """Bytes."""
    hostname: str = "localhost"
    working_dir: str = "/"

    def capable(self, capability: str) -> bool:
        if capability in self.added_capabilities or "ALL" in self.added_capabilities:
            return True
        return self.uid == 0 and not {capability, "ALL"} & self.dropped_capabilities

    def refuse_write(self, path: str) -> Denial | None:
        """Why nothing may be created at `path`; None when it may."""
        mount = max((m for m in self.mounts if covers(m.path, path)), key=lambda m: len(m.path), default=None)
        if mount is not None:
            return None if mount.writable else Denial.READ_ONLY
        if self.read_only_root and not covers("/dev", path):
            return Denial.READ_ONLY
        if self.uid == 0 or any(covers(open_, path) for open_ in (*_OPEN_TO_ALL, *self.image.writable)):
            return None
        return Denial.PERMISSION

    def refuse_bind(self, port: int) -> Denial | None:
        if port >= self.unprivileged_port_start or self.capable("NET_BIND_SERVICE"):
            return None
        return Denial.PERMISSION


def covers(directory: str, path: str) -> bool:
    """Whether `path` is `directory` or lies below it; `/run` is the same place as `/var/run`."""
    return _below(directory, path) or _below(_linked(directory), _linked(path))


def _below(directory: str, path: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{directory.rstrip('/')}/")


def _linked(path: str) -> str:
    return path.removeprefix("/var") if _below("/var/run", path) else path


@dataclass(kw_only=True)
class Box:
    """A live container: its surroundings and what has changed in it since the start."""

    around: Surroundings
    execute: Callable[[Box, tuple[str, ...]], Steps]
    """Runs a program by its argument list; the way for a script to call what is not a part of the shell."""
    env: dict[str, str]
    created: dict[str, str] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    listening: dict[int, Listen] = field(default_factory=dict)
    stdin: str = ""
    last_command_found: bool = True
    """Tells a shell's `not found` from a command that itself ended with 127."""

    def read(self, path: str) -> str | None:
        if path in self.removed:
            return None
        return self.created.get(path, self.around.files.get(path))

    def write(self, path: str, content: str, *, append: bool = False) -> Denial | None:
        denial = self.around.refuse_write(path)
        if denial is None:
            earlier = (self.read(path) or "") if append else ""
            self.removed.discard(path)
            self.created[path] = earlier + content
        return denial

    def exists(self, path: str) -> bool:
        return self.read(path) is not None or self.is_directory(path)

    def is_directory(self, path: str) -> bool:
        known = {*self.directories, "/", "/tmp", "/etc", "/var", "/usr", "/bin", "/dev"}
        places = (*(m.path for m in self.around.mounts), *self.around.image.writes, *self.around.image.writable)
        inside = (*self.around.files, *self.created)
        plain = path.rstrip("/") or "/"
        return (
            plain in known
            or any(covers(plain, place) for place in places)
            or any(name.startswith(plain + "/") for name in inside)
        )


def command_exists(image: ImageModel, name: str) -> bool:
    """Whether the image has a file to execute for argv[0]."""
    if name in (*image.entrypoint[:1], *image.cmd[:1]) or name in image.executables:
        return True
    directory, _, base = name.rpartition("/")
    systemic = {"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"}
    return directory in systemic and base in image.executables
