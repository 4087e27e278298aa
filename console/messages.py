"""What widgets tell their screen."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass
class Chosen(Message):
    """Enter, or a click on the line under the cursor."""

    index: int


@dataclass
class CursorMoved(Message):
    index: int

    def can_replace(self, message: Message) -> bool:
        """Only the last place matters."""
        return isinstance(message, CursorMoved)


class NotMeant(Message):
    """Enter, but so soon after another line came under the cursor that it was meant for the one before."""
