"""A provider's key in a mounted file, read again when the file changes. Nothing else ever holds it.

A Secret's volume is swapped by a symlink, so a new key is a new inode behind the same path; a file that is written in
place changes its time or its size. Both are seen at the next request.
"""

from __future__ import annotations

import os
from pathlib import Path

from responder.domain.errors import ConfigError

_MAX_BYTES = 64 * 1024


class KeyFile:
    """One key. Blocking: a read of a local file, when it changed, and a stat otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] = ()
        self._key = ""

    def __repr__(self) -> str:
        return f"KeyFile({str(self.path)!r})"

    def current(self) -> str:
        """The key, without the blanks around it.

        Raises:
            ConfigError: the file cannot be read, or holds no key. Its text is never part of the error.
        """
        try:
            with self.path.open("rb") as file:
                state = os.fstat(file.fileno())
                seen = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                if seen != self._seen:
                    self._key = self._checked(file.read(_MAX_BYTES + 1))
                    self._seen = seen
        except OSError as exc:
            raise ConfigError(path=self.path, problem=f"the key cannot be read: {exc.strerror}") from exc
        return self._key

    def _checked(self, raw: bytes) -> str:
        problem = _problem(raw.strip())
        if problem:
            raise ConfigError(path=self.path, problem=problem)
        return raw.strip().decode("ascii")


def _problem(key: bytes) -> str:
    if not key:
        return "the file is empty; it has to hold the key"
    if len(key) > _MAX_BYTES:
        return f"larger than {_MAX_BYTES} bytes; it has to hold the key and nothing else"
    if b"\n" in key or b"\r" in key:
        return "more than one line; it has to hold the key and nothing else"
    if not all(0x21 <= byte <= 0x7E for byte in key):
        return "blanks or characters that no key has; it has to hold the key and nothing else"
    return ""
