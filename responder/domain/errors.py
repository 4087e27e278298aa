"""The error family. The class says what the caller does next; the text says what a person changes.

    ResponderError
    +-- ConfigError              a settings or rule file: the command exits 2 (`rules check`: 1); never retried
    |   +-- ConfigErrors         every problem of a set of files at once; iterates over the single ones
    +-- TemporaryError           requeue after `delay_seconds`
    |   +-- ClusterUnavailable   the API server did not answer, or asked to slow down; nothing was written
    |   |   +-- VersionExpired   410: a list or watch must begin anew
    |   +-- DatasourceUnavailable
    |   +-- AnalyzerUnavailable
    |   +-- StoreUnavailable     disk full, store closed or failed: callers answer 503
    |   +-- QueueFull            callers answer 503
    |   +-- Superseded           somebody else moved the incident meanwhile: read it again
    +-- PermanentError           escalate to a human
        +-- PolicyViolation      the guard or the policy said no
        +-- PlanStale            the object is not what the plan was computed from
        +-- PlanInvalid          the API server refused the change as it stands (validation, admission)
        +-- FieldConflict        another manager owns the field
        +-- ApprovalMismatch     approval absent, expired, used, or given to another digest
        +-- ReplyInvalid         a model's reply is outside the union or the bounds
        +-- ObjectGone           404, or another uid under the same name
        +-- Forbidden            401 or 403: reported as "may not be read", never as healthy
        +-- WriteOutcomeUnknown  a write was sent and its answer lost: only reading the cluster can tell
        +-- NotFound             an id that the store does not know
        +-- IllegalTransition    a move that the incident's state does not allow

Third-party errors are translated at the adapters only (`cluster/errors.py`, `store/store.py`), with `from exc`.
A failed verification is a value, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path


class ResponderError(Exception):
    """Root of the family: whatever Clopus raises on purpose."""


class ConfigError(ResponderError):
    """A settings or rule file is wrong. `line` and `column` count from 1; 0 means the whole file."""

    def __init__(self, *, path: Path | str, problem: str, key: str = "", line: int = 0, column: int = 0) -> None:
        self.path = str(path)
        self.line = line
        self.column = column
        self.key = key
        self.problem = problem
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}"


class ConfigErrors(ConfigError):
    """Every problem found, in the order of the files: a person mends all of them in one go. Its place: the first's."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(path=first.path, problem=first.problem, key=first.key, line=first.line, column=first.column)

    def __iter__(self) -> Iterator[ConfigError]:
        return iter(self.errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class TemporaryError(ResponderError):
    """It may work later. The work goes back into the queue."""

    def __init__(self, problem: str, *, delay_seconds: float = 5.0) -> None:
        self.delay_seconds = delay_seconds
        super().__init__(problem)


class ClusterUnavailable(TemporaryError):
    """The API server did not answer, or asked to slow down. Nothing was written."""

    def __init__(self, problem: str, *, delay_seconds: float = 5.0, retry_after: float = 0.0) -> None:
        self.retry_after = retry_after
        """Seconds that the server itself asked for; 0 where it named none."""
        super().__init__(problem, delay_seconds=delay_seconds)


class VersionExpired(ClusterUnavailable):
    """The server has forgotten the version that a list or a watch was to go on from: list again."""


class DatasourceUnavailable(TemporaryError):
    """A metrics source did not answer: what it would have said is unknown."""


class AnalyzerUnavailable(TemporaryError):
    """An analyzer could not run; the next of the chain answers."""


class StoreUnavailable(TemporaryError):
    """The store cannot commit: disk full, closed, or failed."""


class Superseded(TemporaryError):
    """The incident was changed between read and write: read it again and decide anew."""


class QueueFull(TemporaryError):
    """The intake holds as much as it may; the sender must come again."""


class PermanentError(ResponderError):
    """Trying again cannot help: a human has to look."""


class PolicyViolation(PermanentError):
    """The guard or the policy refuses the action."""


class PlanStale(PermanentError):
    """The object is no longer what the plan was computed from."""


class PlanInvalid(PermanentError):
    """The API server refused the change: validation or admission. Nothing was written."""


class FieldConflict(PermanentError):
    """Another manager owns a field of the change. Nothing was written."""


class ApprovalMismatch(PermanentError):
    """The approval is absent, expired, used, or belongs to another digest."""


class ReplyInvalid(PermanentError):
    """A model's reply lies outside the closed union or its bounds."""


class ObjectGone(PermanentError):
    """The object does not exist, or another one lives under its name."""


class Forbidden(PermanentError):
    """The API server refused the credential or the right."""


class WriteOutcomeUnknown(PermanentError):
    """A write was sent and its answer was lost. It must not be sent again before the cluster has been read."""


class NotFound(PermanentError):
    """The store knows no such record."""


class IllegalTransition(PermanentError):
    """The incident's state does not allow this move."""
