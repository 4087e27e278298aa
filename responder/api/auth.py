"""Who is asking: static tokens from files, their roles, and the checks on Host and Origin.

A token file has one credential per line, `name:token`; a line without a colon is a token whose name is the file's. The
name is the identity that approvals and the audit chain record. Files are read again when they change, so that a token
is rotated or revoked without a restart. A file that is gone, empty or no longer readable has withdrawn its tokens; one
with a mistake in it leaves the last good set active. Both are logged.

Tokens travel as `Authorization: Bearer`, or, for senders that only know basic authentication, as its password. They
are never read from the query string, where proxies log them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from responder.domain.errors import ConfigError
from responder.telemetry import get_logger

log = get_logger("auth")

MIN_TOKEN_LENGTH = 16
_MAX_FILE_BYTES = 1024 * 1024


class Role(StrEnum):
    WEBHOOK = "webhook"
    """May post alerts, and nothing else."""
    VIEWER = "viewer"
    OPERATOR = "operator"
    """May read everything, approve, reject, roll back and set the mode."""


_GRANTS = {
    Role.WEBHOOK: frozenset({Role.WEBHOOK}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    name: str
    role: Role

    def may(self, needed: Role) -> bool:
        return needed in _GRANTS[self.role]


@dataclass(frozen=True, kw_only=True)
class TokenFile:
    path: Path
    role: Role


@dataclass(frozen=True, kw_only=True)
class _Credential:
    identity: Identity
    token_hash: bytes
    """SHA-256: the token itself is not kept."""


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    version: tuple[int, ...]
    """mtime, ctime, inode and size of the file: a swapped symbolic link changes the inode, a right taken the ctime."""
    credentials: tuple[_Credential, ...]


_NOTHING = _Loaded(version=(), credentials=())


class _Withdrawn(ConfigError):
    """The file is gone, cannot be read or holds no token: a mistake at the start, the end of its tokens later."""


class Credentials:
    """The tokens of all files."""

    def __init__(self, files: Sequence[TokenFile]) -> None:
        """Raises ConfigError: a file cannot be read, or one token stands for two identities."""
        self._files = tuple(files)
        self._loaded = {file: _load(file) for file in self._files}
        _refuse_shared_tokens(self._loaded)
        self._reported: dict[TokenFile, str] = {}

    def identify(self, authorization: str) -> Identity | None:
        """The owner of the token in an `Authorization` header; None where there is none.

        Every credential is compared, in time that does not depend on which one matches.
        """
        presented = _presented(authorization)
        if presented is None:
            return None
        name, token = presented
        token_hash = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        self._refresh()
        found: Identity | None = None
        for loaded in self._loaded.values():
            for credential in loaded.credentials:
                same = hmac.compare_digest(credential.token_hash, token_hash)
                if same and name in (None, credential.identity.name):
                    found = credential.identity
        return found

    def _refresh(self) -> None:
        for file in self._files:
            try:
                if _version(file) == self._loaded[file].version:
                    continue
                candidate = {**self._loaded, file: _load(file)}
                _refuse_shared_tokens(candidate)
            except _Withdrawn as exc:
                self._loaded = {**self._loaded, file: _NOTHING}
                self._report(file, "token file withdrawn: none of its tokens is valid", exc)
            except ConfigError as exc:
                self._report(file, "token file cannot be used; the last good one stays", exc)
            else:
                self._loaded = candidate
                self._reported.pop(file, None)
                log.info("token file read again", path=str(file.path), role=file.role.value)

    def _report(self, file: TokenFile, what: str, exc: ConfigError) -> None:
        """Once per trouble: every request looks at the file again."""
        if self._reported.get(file) != what:
            self._reported[file] = what
            log.warning(what, path=str(file.path), problem=str(exc))


def host_allowed(host: str, allowed: frozenset[str]) -> bool:
    """True for loopback and other addresses, and for the configured names: a name that an attacker's DNS points here
    is none of them. An empty `allowed` takes every name."""
    name = _host_name(host)
    if not allowed or name in allowed or name == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str, host: str) -> bool:
    """Browsers send Origin with what a page of another site asks for; only a page of this very host may ask."""
    if not origin:
        return True
    try:
        return urlsplit(origin).netloc.casefold() == host.casefold() != ""
    except ValueError:
        return False


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _presented(authorization: str) -> tuple[str | None, str] | None:
    """(name or None, token) of the header."""
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    match scheme.casefold():
        case "bearer":
            return (None, value) if value else None
        case "basic":
            try:
                name, colon, token = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError, ValueError):
                return None
            return (name, token) if colon and token else None
        case _:
            return None


def _version(file: TokenFile) -> tuple[int, ...]:
    """Raises _Withdrawn."""
    try:
        status = file.path.stat()
    except OSError as exc:
        raise _Withdrawn(path=file.path, problem=f"the token file cannot be read: {exc}") from exc
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _load(file: TokenFile) -> _Loaded:
    """Raises _Withdrawn, or ConfigError for a mistake in the file."""
    version = _version(file)
    if version[-1] > _MAX_FILE_BYTES:
        raise ConfigError(path=file.path, problem=f"larger than {_MAX_FILE_BYTES} bytes: this is no token file")
    try:
        content = file.path.read_text(encoding="utf-8")
    except OSError as exc:
        raise _Withdrawn(path=file.path, problem=f"the token file cannot be read: {exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(path=file.path, problem=f"the token file is not UTF-8: {exc.reason}") from exc
    credentials = tuple(
        _credential(file, number, line.strip())
        for number, line in enumerate(content.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    )
    if not credentials:
        raise _Withdrawn(path=file.path, problem="the file holds no token")
    return _Loaded(version=version, credentials=credentials)


def _credential(file: TokenFile, number: int, line: str) -> _Credential:
    name, colon, token = line.partition(":")
    if not colon:
        name, token = file.path.stem, line
    name, token = name.strip(), token.strip()
    if not name.isprintable() or not name.isascii() or not name:
        problem = "the name must be printable ASCII: look-alikes would pass for someone else"
        raise ConfigError(path=file.path, line=number, problem=problem)
    if len(token) < MIN_TOKEN_LENGTH:
        problem = f"the token of {name} is shorter than {MIN_TOKEN_LENGTH} characters"
        raise ConfigError(path=file.path, line=number, problem=problem)
    identity = Identity(name=name, role=file.role)
    return _Credential(identity=identity, token_hash=hashlib.sha256(token.encode()).digest())


def _refuse_shared_tokens(loaded: dict[TokenFile, _Loaded]) -> None:
    owners: dict[bytes, Identity] = {}
    for file, content in loaded.items():
        for credential in content.credentials:
            owner = owners.setdefault(credential.token_hash, credential.identity)
            if owner is not credential.identity:
                problem = f"{credential.identity.name} has the same token as {owner.name} ({owner.role})"
                raise ConfigError(path=file.path, problem=problem)
