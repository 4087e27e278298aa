"""What every action brings: its risk, its rights, its preconditions, its patch and the patch's exact undoing.

All of it is code and pure; an analyzer's words choose the action and fill its scalars, and that is all they do.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Protocol, TypeVar

from responder.domain.action import Action, Permission
from responder.domain.manifest import LiveObject, Manifest
from responder.domain.plan import Change, Check
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot

A = TypeVar("A", bound=Action, contravariant=True)


class ActionHandler(Protocol[A]):
    kind: ClassVar[str]
    """The action's tag."""
    reversible: ClassVar[bool]
    """Whether `Change.inverse` brings back every field that the change touches."""
    permissions: ClassVar[tuple[Permission, ...]]
    """Rights for the write. Reading rights are the same for all actions and are not listed."""

    def risk(self, action: A, snapshot: Snapshot) -> Risk:
        """What can go wrong when the action itself is wrong."""

    def check(self, action: A, snapshot: Snapshot) -> tuple[Check, ...]:
        """Preconditions, each by its stable name. One that fails refuses the action for good."""

    def change(self, action: A, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        """The write and its inverse, computed from the live raw object; `now` is frozen into it.

        Raises:
            PlanInvalid: it makes no sense on this object: the container is not there, the value is already so.
        """

    def warnings(self, action: A, snapshot: Snapshot) -> tuple[str, ...]:
        """What a person has to know before saying yes."""

    def restores_not(self, action: A, snapshot: Snapshot) -> tuple[str, ...]:
        """What stays as it is after the inverse was applied."""

    def in_place(self, action: A, change: Change, body: Manifest) -> bool:
        """Whether what the change did still stands in the live object, by meaning rather than by spelling."""
