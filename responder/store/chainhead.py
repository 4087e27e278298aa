"""The head of the audit chain in a file beside the database: `<database>.head`.

Written and synced after each commit that appended a record, so it is never ahead of a database that lost nothing. A
head that is ahead says that the database's tail is missing. The file is also the lock among processes of Clopus: it
works before the database has been touched.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from responder.domain.audit import AuditHead
from responder.domain.errors import StoreUnavailable

UNREADABLE = AuditHead(seq=2**63 - 1, digest="unreadable")
"""What stands for a file that cannot be read: ahead of every chain."""

_WIDTH = 128
"""Bytes of the record, padded: it is overwritten in place, within one sector, in one write."""


class ChainHead:
    """Holds the lock from `open` to `close`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> ChainHead:
        """Open or create the file and lock it.

        Raises:
            StoreUnavailable: another Store holds it, or the directory cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreUnavailable(f"{path} cannot be opened: {exc.strerror}") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            raise StoreUnavailable(f"the database is in use: another process holds {path}") from exc
        return cls(path, descriptor)

    def read(self) -> AuditHead | None:
        """The head as last written; None for a new file. One that cannot be read counts as far ahead of any chain."""
        text = os.pread(self._descriptor, _WIDTH, 0)
        if not text:
            return None
        try:
            seq, digest = json.loads(text)
            return AuditHead(seq=int(seq), digest=str(digest))
        except (ValueError, TypeError):
            return UNREADABLE

    def write(self, head: AuditHead) -> None:
        """Raises OSError when the head could not be made durable."""
        text = json.dumps([head.seq, head.digest]).encode().ljust(_WIDTH)
        os.pwrite(self._descriptor, text, 0)
        os.fdatasync(self._descriptor)

    def set_aside(self, target: Path) -> None:
        """Keep at `target` what the file says, and be ahead of any chain until the next `write`.

        The database is about to be replaced: a start that dies before the new one says why is found out by the next.

        Raises:
            OSError: nothing is set aside, or not durably.
        """
        with target.open("xb") as copy:
            copy.write(os.pread(self._descriptor, _WIDTH, 0))
            copy.flush()
            os.fsync(copy.fileno())
        self.write(UNREADABLE)

    def close(self) -> None:
        os.close(self._descriptor)
