"""The keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.widgets.bars import Plain

KEYS = """\
everywhere   ? this   esc back   q quit   ctrl+p commands
move         up down j k   pgup pgdn space   home end g G   mouse
incidents    enter open   / filter   f faults only   r refresh
filter       text   ns:shop   state:await   rule:name   (and-ed)
incident     enter opens evidence, checks, steps   tab other pane
             t reasoning, step by step
decide       a approve   x reject   u take back   i look again
reasoning    enter right open   left shut   e all   c copy
             / search   n N next, previous   G follows a live run

approve      scroll to the end of the diff, type the first four
             characters of the digest, Enter
take back    read what is written, type undo, Enter"""


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "back")]

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Plain("Keys", classes="header")
            yield Plain(KEYS)
