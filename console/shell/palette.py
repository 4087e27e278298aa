"""What the command palette offers: what can be done on the screen, where one can go, how it can look."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import Binding
from textual.markup import escape
from textual.screen import Screen

from console.lines.formatting import flat
from console.places import PLACES

if TYPE_CHECKING:
    from console.app import ConsoleApp

_EVERY_SCREEN = frozenset(binding.action for binding in Binding.make_bindings(Screen.BINDINGS))
"""What Textual binds by itself."""


def offered(app: ConsoleApp) -> Iterator[SystemCommand]:
    here = app.polled_screens[-1]
    for active in here.active_bindings.values():
        binding = active.binding
        if active.node is here and active.enabled and binding.description and binding.action not in _EVERY_SCREEN:
            does = f"{binding.tooltip or binding.description} ({app.get_key_display(binding)})"
            yield SystemCommand(does, f"on {escape(flat(here.place))}", partial(app.run_action, binding.action, here))
    for place in PLACES:
        yield SystemCommand(f"go to {place.name}", place.summary, partial(app.go, place.name))
    for name in app.available_themes:
        yield SystemCommand(f"theme {name}", "colours", partial(app.choose_theme, name), discover=False)
    yield SystemCommand("help", "keys and commands", app.action_help)
    yield SystemCommand("quit", "leave the console", app.exit)
