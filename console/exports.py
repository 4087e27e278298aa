"""A report on its way into a file: never over one that is there, readable by nobody else."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

_MODE = 0o600


def save(report: bytes, asked: str, *, name: str) -> Path:
    """Where it was written: `asked`, or `name` where that is '' or a folder; where that is taken, the same name with
    the next free number.

    Raises:
        OSError: the folder is not there, or nothing may be written to it.
    """
    path = Path(asked or name).expanduser()
    if path.is_dir():
        path /= name
    for number in count(1):
        wanted = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            descriptor = os.open(wanted, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(report)
        return wanted.absolute()
    raise AssertionError("count() has no end")
