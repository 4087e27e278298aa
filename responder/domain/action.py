"""Actions: the closed union of what Clopus can do to a cluster.

An action is an intent: one object, an enum and validated scalars. Its risk, permissions, preconditions, patch and
inverse live in `responder.fixer.actions`, one file per action; never in an analyzer's words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, get_args

from responder.domain.refs import ObjectRef


class ProbeKind(StrEnum):
    READINESS = "readinessProbe"
    LIVENESS = "livenessProbe"
    STARTUP = "startupProbe"


class ReferenceKind(StrEnum):
    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"


@dataclass(frozen=True, kw_only=True)
class SetImage:
    kind: ClassVar[str] = "set_image"
    target: ObjectRef
    container: str
    """Container or init container by name."""
    image: str


@dataclass(frozen=True, kw_only=True)
class UndoRollout:
    kind: ClassVar[str] = "undo_rollout"
    target: ObjectRef
    to_revision: int
    """Revision number as `kubectl rollout history` shows it."""


@dataclass(frozen=True, kw_only=True)
class RestartRollout:
    kind: ClassVar[str] = "restart_rollout"
    target: ObjectRef


@dataclass(frozen=True, kw_only=True)
class SetResources:
    """Empty strings leave a value as it is."""

    kind: ClassVar[str] = "set_resources"
    target: ObjectRef
    container: str
    memory_limit: str = ""
    memory_request: str = ""
    cpu_limit: str = ""
    cpu_request: str = ""


@dataclass(frozen=True, kw_only=True)
class ReplaceConfigReference:
    """Every reference of the pod template to `reference` `from_name` becomes `to_name`; or, with keys, one key's."""

    kind: ClassVar[str] = "replace_config_reference"
    target: ObjectRef
    reference: ReferenceKind
    from_name: str
    to_name: str
    from_key: str = ""
    to_key: str = ""


@dataclass(frozen=True, kw_only=True)
class SetProbe:
    """Corrects an existing HTTP or TCP probe, never removes one. Empty path or port 0 leaves the value as it is."""

    kind: ClassVar[str] = "set_probe"
    target: ObjectRef
    container: str
    probe: ProbeKind
    path: str = ""
    port: int = 0
    initial_delay_seconds: int = -1
    """-1 leaves the value as it is; likewise below."""
    timeout_seconds: int = -1
    failure_threshold: int = -1


@dataclass(frozen=True, kw_only=True)
class SetPorts:
    """Moves one container port, and the container's probes that name it by number."""

    kind: ClassVar[str] = "set_ports"
    target: ObjectRef
    container: str
    from_port: int
    to_port: int


@dataclass(frozen=True, kw_only=True)
class AddScratchVolume:
    """An emptyDir at a directory that the program must write to."""

    kind: ClassVar[str] = "add_scratch_volume"
    target: ObjectRef
    container: str
    path: str
    size_limit: str = "64Mi"


@dataclass(frozen=True, kw_only=True)
class DeletePod:
    """Eviction, so that disruption budgets are respected; an owner must exist that makes a new pod."""

    kind: ClassVar[str] = "delete_pod"
    target: ObjectRef


Action = (
    SetImage
    | UndoRollout
    | RestartRollout
    | SetResources
    | ReplaceConfigReference
    | SetProbe
    | SetPorts
    | AddScratchVolume
    | DeletePod
)

ACTION_TYPES: tuple[type[Action], ...] = get_args(Action)
ACTION_KINDS: tuple[str, ...] = tuple(action_type.kind for action_type in ACTION_TYPES)


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One RBAC right. `group` is empty for the core API."""

    group: str = ""
    resource: str
    """Plural, with its subresource where there is one: `pods/eviction`."""
    verbs: tuple[str, ...] = field(default_factory=tuple)
