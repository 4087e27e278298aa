"""What a process has used, as Linux tells: https://man7.org/linux/man-pages/man5/proc.5.html."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_QUIET_SECONDS = 1.0
_QUIET_CORE = 0.04
PATIENCE_SECONDS = 60.0


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far; in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> float:
    """VmRSS, MiB."""
    return _status(pid, "VmRSS")


def highest(pid: int) -> float:
    """VmHWM, MiB: the peak since the start, or since `forget_highest`."""
    return _status(pid, "VmHWM")


def forget_highest(pid: int) -> None:
    """The peak counts from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def wait_until_quiet(pid: int) -> None:
    """Until the process has done next to nothing for a second.

    Raises:
        RuntimeError: it did not stop working.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(_QUIET_SECONDS)
        if cpu_seconds(pid) - before <= _QUIET_CORE * _QUIET_SECONDS:
            return
    raise RuntimeError(f"process {pid} did not come to rest")


def _status(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
