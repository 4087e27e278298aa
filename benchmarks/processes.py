"""Child processes that print one line when they are ready and end when their standard input does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Child:
    pid: int
    said: str
    """Its first line."""


@contextmanager
def child(module: str, *arguments: str) -> Iterator[Child]:
    """`python -m module`, from when it is ready to the end of the block."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        if not said:
            raise RuntimeError(f"{module} ended before it was ready")
        try:
            yield Child(pid=process.pid, said=said)
        finally:
            process.stdin.close()


def ready(line: str) -> None:
    """Said by the child."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def wait_for_parent() -> None:
    """Returns when the parent closes the pipe or is gone."""
    sys.stdin.read()
