"""One handler per action of the closed union; what has no handler here cannot be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Never, TypeVar, cast

from responder.domain.action import Action, Permission
from responder.fixer.actions.add_scratch_volume import AddScratchVolumeHandler
from responder.fixer.actions.delete_pod import DeletePodHandler
from responder.fixer.actions.protocol import ActionHandler
from responder.fixer.actions.replace_config_reference import ReplaceConfigReferenceHandler
from responder.fixer.actions.restart_rollout import RestartRolloutHandler
from responder.fixer.actions.set_image import SetImageHandler
from responder.fixer.actions.set_ports import SetPortsHandler
from responder.fixer.actions.set_probe import SetProbeHandler
from responder.fixer.actions.set_resources import SetResourcesHandler
from responder.fixer.actions.undo_rollout import UndoRolloutHandler

_A = TypeVar("_A", bound=Action)

_ALL: tuple[ActionHandler[Never], ...] = (
    SetImageHandler(),
    UndoRolloutHandler(),
    RestartRolloutHandler(),
    SetResourcesHandler(),
    ReplaceConfigReferenceHandler(),
    SetProbeHandler(),
    SetPortsHandler(),
    AddScratchVolumeHandler(),
    DeletePodHandler(),
)

HANDLERS: Mapping[str, ActionHandler[Never]] = MappingProxyType({handler.kind: handler for handler in _ALL})


def handler_for(action: _A) -> ActionHandler[_A]:
    return cast("ActionHandler[_A]", HANDLERS[action.kind])


def permissions_of(kinds: Iterable[str]) -> tuple[Permission, ...]:
    """The rights that the writes of these actions need, each resource once."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for kind in kinds:
        for permission in HANDLERS[kind].permissions:
            verbs.setdefault((permission.group, permission.resource), set()).update(permission.verbs)
    return tuple(
        Permission(group=group, resource=resource, verbs=tuple(sorted(granted)))
        for (group, resource), granted in sorted(verbs.items())
    )
