"""Tokens that somebody else renews: in a file, or through a kubeconfig. Both are hooks of the library's Configuration.

A hook is called before every request, and told when a token was refused: then the next request reads it afresh.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from kubernetes_asyncio.client import Configuration

CREDENTIAL_PERIOD = 60.0  # seconds between looks at a kubeconfig whose token may have been renewed
TOKEN_FILE_PERIOD = 1.0  # seconds between looks at whether a token file has changed


class CredentialMissing(OSError):
    """The token could not be read, so nothing was sent."""


class TokenFile:
    """Reads a bearer token from its file when that has changed, looked at once a period, and after a refusal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = -math.inf
        self._read: tuple[int, int, int] | None = None
        """Inode, time and size of what was read last; None: read in any case."""

    def __call__(self, configuration: Configuration) -> None:
        if self._read is not None and time.monotonic() < self._due:
            return
        found = self._path.stat()
        identity = (found.st_ino, found.st_mtime_ns, found.st_size)
        if identity != self._read:
            self._read = None
            configuration.api_key["BearerToken"] = f"Bearer {self._token()}"
            self._read = identity
        self._due = time.monotonic() + TOKEN_FILE_PERIOD

    def refused(self) -> None:
        self._read = None

    def _token(self) -> str:
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as exc:
            raise CredentialMissing(f"{self._path} holds no text") from exc
        if not token:
            raise CredentialMissing(f"{self._path} is empty")
        return token


class Renewal:
    """Loads a kubeconfig again once a period: its exec plugin or token file may hold a newer token by then."""

    def __init__(self, load: Callable[[Configuration], Awaitable[None]]) -> None:
        self._load = load
        self._loaded = time.monotonic()
        self._due = self._loaded + CREDENTIAL_PERIOD

    async def __call__(self, configuration: Configuration) -> None:
        if time.monotonic() < self._due:
            return
        self._loaded = time.monotonic()
        self._due = self._loaded + CREDENTIAL_PERIOD
        await self._load(configuration)

    def refused(self) -> None:
        # A plugin is a program: many refusals at once start it once.
        self._due = min(self._due, self._loaded + TOKEN_FILE_PERIOD)
