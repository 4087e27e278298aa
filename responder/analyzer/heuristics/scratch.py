"""Which directory may become scratch space for a program that cannot write where it wants to.

Only directories that hold nothing but what the program itself makes at run time: temporary files, caches, pid files,
logs. An empty volume over anything else would hide the program, its configuration or its data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_PATH = re.compile(r"/[A-Za-z0-9._@+\-/]{1,200}\Z")
_WHOLE = ("/tmp", "/var/tmp", "/run", "/var/run", "/var/lock")
_PER_PROGRAM = ("/var/cache", "/var/log")
_NEVER = ("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/boot", "/dev", "/proc", "/sys", "/root/.ssh")
_NEVER_WITHIN = ("/run/secrets", "/var/run/secrets")
_SCRATCH_NAMES = frozenset({"cache", ".cache", "caches", "tmp", ".tmp", "temp", "logs", "log", ".npm"})
_FILE_NAME = re.compile(r"[^/]+\.(?:pid|log|lock|sock|socket|tmp|txt|out|err|json|db|gz|cache)\Z")


@dataclass(frozen=True, kw_only=True)
class ScratchVerdict:
    directory: str = ""
    """Where an emptyDir may go; empty where none may."""
    why_not: str = ""


def scratch_for(path: str, mounts: Mapping[str, str]) -> ScratchVerdict:
    """`path` is what the program could not make or open; `mounts` are the container's mount paths and their volumes."""
    if not _PATH.match(path) or ".." in PurePosixPath(path).parts:
        return ScratchVerdict(why_not="the path is not one that can be taken over")
    clean = str(PurePosixPath(path))
    mount = _mount_over(clean, mounts)
    if mount:
        return ScratchVerdict(
            why_not=f"{mount} is already a mount (volume {mounts[mount]}): its own permissions are at fault"
        )
    directory = _scratch_directory(clean)
    if not directory:
        return ScratchVerdict(why_not="an empty volume there could hide the program, its configuration or its data")
    if directory in {str(PurePosixPath(mounted)) for mounted in mounts}:
        return ScratchVerdict(why_not=f"{directory} is already a mount")
    return ScratchVerdict(directory=directory)


def _scratch_directory(path: str) -> str:
    if _is_under(path, _NEVER) or _is_under(path, _NEVER_WITHIN):
        return ""
    for whole in _WHOLE:
        if _is_under(path, (whole,)):
            return whole
    for parent in _PER_PROGRAM:
        if _is_under(path, (parent,)):
            return _of_program(path, parent)
    if _is_under(path, ("/var/lib",)) and PurePosixPath(path).parts[3:4] and _is_nginx(path):
        return "/".join(("", *PurePosixPath(path).parts[1:4]))
    return _named_scratch(path)


def _of_program(path: str, parent: str) -> str:
    """`/var/cache/nginx` for everything below it; the parent for a file that lies right in it."""
    if path == parent or (str(PurePosixPath(path).parent) == parent and _FILE_NAME.match(PurePosixPath(path).name)):
        return parent
    return f"{parent}/{PurePosixPath(path).parts[3]}"


def _is_nginx(path: str) -> bool:
    return PurePosixPath(path).parts[3].startswith("nginx")


def _named_scratch(path: str) -> str:
    """The topmost directory on the way whose name says that it is scratch; never a top-level one but /tmp and alike."""
    parts = PurePosixPath(path).parts
    for end in range(3, len(parts) + 1):
        if parts[end - 1] in _SCRATCH_NAMES:
            return "/".join(("", *parts[1:end]))
    return f"/{parts[1]}" if len(parts) > 1 and parts[1] in _SCRATCH_NAMES else ""


def _is_under(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _mount_over(path: str, mounts: Mapping[str, str]) -> str:
    covering = [mount for mount in mounts if mount != "/" and _is_under(path, (mount.rstrip("/"),))]
    return max(covering, key=len, default="")
