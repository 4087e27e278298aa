"""The console: screens over the HTTP API of one responder.

It knows the domain and the wire, so it starts within a blink; the server checks and records what is decided here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.events import DescendantFocus, Event, Paste
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer
from textual.worker import NoActiveWorker, get_current_worker

from console.places import PLACES, place_named
from console.remote.client import ApiError, Client, path_of
from console.remote.connection import Connection
from console.remote.forward import Forward, Phase, Stand
from console.remote.link import Link, LinkState
from console.remote.stream import Anew, Audit, Timing
from console.screens.polled import PolledScreen, now
from console.shell import clipboard
from console.shell.commands import ChooseTheme, Command, Export, Go, Help, Narrow, Open, Quit, completions, parse
from console.shell.ending import end_when_told
from console.shell.memory import Memory
from console.shell.preferences import Preferences, nearest
from console.shell.themes import CONTRAST
from console.shell.trail import Trail
from console.widgets.commandline import CommandLine, Typed
from responder.domain.errors import ConfigError
from responder.domain.health import brakes
from responder.domain.views import ExecutionDetail, IncidentDetail, PlanView, Status

T = TypeVar("T")

POLL_SECONDS = 2.0
_SHOW_CURSOR = "\x1b[?25h"
"""https://vt100.net/docs/vt510-rm/DECTCEM.html: Textual hides it and moves it nevertheless."""
LIVE_POLL_SECONDS = 15.0
"""While the stream tells what happens: what changes without a record of its own still comes through."""


@dataclass
class StreamMoved(Message):
    """The reader has something to take, or stands elsewhere than before."""

    def can_replace(self, message: Message) -> bool:
        """Whatever has come is taken at once."""
        return isinstance(message, StreamMoved)


@dataclass
class ForwardMoved(Message):
    """The port-forward stands elsewhere than before."""

    stand: Stand


class ConsoleApp(App[None]):
    """`preferences` are checked here: raises ConfigError. `forward` is started and ended with the app."""

    TITLE = "clopus"
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        # Ahead of what has the focus, so that no key that follows is taken before the line stands there.
        Binding("colon", "command", "go", key_display=":", priority=True, id="app.command"),
        Binding("question_mark,f1", "help", "help", id="app.help"),
        Binding("ctrl+p", "command_palette", "commands", show=False, priority=True, id="app.palette"),
        Binding("escape", "back", "back", show=False, id="app.back"),
        Binding("minus", "last", "last view", show=False, key_display="-", id="app.last"),
        Binding("left_square_bracket", "along(-1)", "view before", show=False, key_display="[", id="app.earlier"),
        Binding("right_square_bracket", "along(1)", "view after", show=False, key_display="]", id="app.later"),
        Binding("c", "copy", "copy", show=False, id="app.copy"),
        Binding("q", "quit", "quit", id="app.quit"),
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
    ]

    def __init__(
        self, client: Client, *, poll_seconds: float = POLL_SECONDS, live_poll_seconds: float = LIVE_POLL_SECONDS,
        timing: Timing | None = None, memory: Memory | None = None, preferences: Preferences | None = None,
        forward: Forward | None = None,
    ) -> None:  # fmt: skip
        # With NO_COLOR, Textual's grey stands too close to its ground; the terminal's own two colours are readable.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.connection = Connection(
            client, stream_moved=self._stream_moved, forward_moved=self._forward_moved, forward=forward, timing=timing
        )
        self.poll_seconds = poll_seconds
        self.live_poll_seconds = live_poll_seconds
        self.memory = memory or Memory()
        self.preferences = preferences or Preferences()
        self.trail = Trail()
        self.is_killed = False
        """The kill switch is on, as far as is known."""
        self.held = ""
        """What people or breakers hold rules back with; for the bar of every screen."""
        self.register_theme(CONTRAST)
        self._keys = self._checked()

    def _checked(self) -> dict[str, str]:
        """The keymap. Raises ConfigError."""
        chosen = self.preferences
        if chosen.theme and chosen.theme not in self.available_themes:
            problem = f"there is no theme {chosen.theme!r}{nearest(chosen.theme, tuple(self.available_themes))}"
            raise ConfigError(path=chosen.path, key="theme", problem=problem)
        if not chosen.keys:
            return {}
        from console.shell.keymap import checked

        return checked(chosen.keys, type(self), chosen.path)

    def on_mount(self) -> None:
        self._settle()
        self.go(PLACES[0].name)
        self.connection.start()
        self.set_interval(self.live_poll_seconds, self.read_brakes)
        self.read_brakes()

    def _settle(self) -> None:
        """What the operator has chosen."""
        theme = self.preferences.theme or self.memory.theme
        if theme in self.available_themes:
            self.theme = theme
        self.set_keymap(self._keys)
        if not self.preferences.motion:
            self.animation_level = "none"
        if self.memory.problem:
            self.call_after_refresh(self.say, self.memory.problem, bad=True)
        if self.is_headless:
            return
        if self.preferences.cursor and self._driver is not None:
            self._driver.write(_SHOW_CURSOR)
        end_when_told(self.exit, self.connection.end_forward)

    async def on_event(self, event: Event) -> None:
        """What is pasted was copied from anywhere; whatever takes it draws it as it is."""
        if isinstance(event, Paste):
            event.text = clipboard.pasted(event.text)
        await super().on_event(event)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if self.preferences.motion:
            return
        from textual.widgets import Input, TextArea

        if isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = False

    def on_unmount(self) -> None:
        self.connection.stop()

    @property
    def link(self) -> Link:
        return self.connection.link

    @property
    def poll_interval(self) -> float:
        """Seconds. The server is asked often only while it does not tell by itself."""
        is_live = self.link.state(now()) is LinkState.LIVE
        return max(self.live_poll_seconds, self.poll_seconds) if is_live else self.poll_seconds

    def _stream_moved(self) -> None:
        """In the reader's thread."""
        with suppress(RuntimeError):  # the loop has closed while this was on its way: nobody looks any more
            self.post_message(StreamMoved())

    def on_stream_moved(self) -> None:
        events = self.connection.reader.take()
        if any(isinstance(event, Anew) or (isinstance(event, Audit) and event.moves_brakes) for event in events):
            self.read_brakes()
        for screen in self.polled_screens:
            if events:
                screen.heard(events)
            screen.tell_link()

    @work(exclusive=True, group="brakes")
    async def read_brakes(self) -> None:
        """What is not known any more stays as it was: the link says that it is stale. This call has no say in that: the
        status of another version may be unreadable while the screens are read well."""
        with suppress(ApiError):
            status = await self.connection.ask_aside(lambda client: client.get(Status, path_of("status")))
            self.held, self.is_killed = brakes(status.mode, status.mode_limit), status.mode.kill_switch
        for screen in self.polled_screens:
            screen.tell_link()

    async def ask(self, call: Callable[[Client], T]) -> T:
        """One call to the API, as of `Connection.ask`.

        Raises:
            ApiError: refused, or not reachable.
            asyncio.CancelledError: the screen that asked is being removed.
        """
        try:
            result = await self.connection.ask(call)
        except ApiError:
            _end_with_its_screen()
            raise
        _end_with_its_screen()
        return result

    def _forward_moved(self, stand: Stand) -> None:
        """In the forward's thread."""
        with suppress(RuntimeError):
            self.post_message(ForwardMoved(stand))

    def on_forward_moved(self, message: ForwardMoved) -> None:
        stand = message.stand
        if stand.phase is Phase.DOWN:
            self.say(stand.told, bad=True)
        elif stand.phase is Phase.UP:
            if stand.attempt > 1:
                self.say(f"{stand.told}, at attempt {stand.attempt}")
            self.connection.reader.hurry()
            for screen in self.polled_screens:
                screen.read_now()

    def go(self, name: str) -> PolledScreen[Any] | None:
        """To a place by its name. One that is open already is gone back to; None where there is no such place."""
        place = place_named(name)
        if place is None:
            self.say(f"there is no place {name!r}", bad=True)
            return None
        return self._show(place.name, place.open)

    def open_incident(self, incident_id: str) -> PolledScreen[Any]:
        """Its screen, over the one that is looked at. One that is open already is gone back to."""

        def opened() -> PolledScreen[None]:
            from console.screens.incident import IncidentScreen

            return IncidentScreen(incident_id)

        return self._show(incident_id, opened)

    def _show(self, spot: str, opened: Callable[[], PolledScreen[None]]) -> PolledScreen[Any]:
        there = next((screen for screen in self.polled_screens if screen.spot == spot), None)
        if there is None:
            there = opened()
            self.push_screen(there)
        while self.screen is not there:
            self.pop_screen()
        return there

    @property
    def polled_screens(self) -> list[PolledScreen[Any]]:
        """The one that is looked at last."""
        return [screen for screen in self.screen_stack if isinstance(screen, PolledScreen)]

    def visited(self, spot: str) -> None:
        self.trail = self.trail.visited(spot)

    def _return_to(self, spot: str) -> None:
        if place_named(spot):
            self.go(spot)
        elif spot:
            self.open_incident(spot)

    async def action_back(self) -> None:
        if len(self.polled_screens) > 1:
            self.pop_screen()

    def action_last(self) -> None:
        self._return_to(self.trail.last)

    def action_along(self, by: int) -> None:
        trail = self.trail.moved(by)
        if trail is None:
            self.say("this is where you began" if by < 0 else "there is no view after this one")
        else:
            self.trail = trail
            self._return_to(trail.here)

    def say(self, text: str, *, bad: bool = False) -> None:
        """On the screen that is looked at."""
        self.polled_screens[-1].say(text, bad=bad)

    def copy(self, text: str, what: str) -> None:
        """Into the clipboard of the operator's terminal. `what` names it, for the answer."""
        try:
            safe = clipboard.prepared(text)
        except ValueError as exc:
            self.say(str(exc), bad=True)
            return
        self.copy_to_clipboard(safe)
        self.say(clipboard.told(safe, what, os.environ))

    def action_copy(self) -> None:
        self.copy(*self.polled_screens[-1].copied())

    def action_help(self) -> None:
        from console.screens.help import HelpScreen

        told = self.polled_screens[-1]
        self.push_screen(HelpScreen(told, told.about))

    async def action_command(self) -> None:
        """Over the footer of the screen that is looked at, unless a question covers it."""
        screen = self.polled_screens[-1]
        if self.screen is not screen:
            return
        line = next(iter(screen.query(CommandLine)), None)
        if line is None:
            line = CommandLine(completed=self._completed, history=self.memory.history("command"))
            await screen.mount(line, before=next(iter(screen.query(Footer)), None))
        line.take_focus()

    def _completed(self, begun: str) -> tuple[str, ...]:
        return completions(begun, themes=tuple(self.available_themes), namespaces=self.polled_screens[-1].namespaces)

    def on_typed(self, message: Typed) -> None:
        try:
            command = parse(message.text, themes=tuple(self.available_themes))
        except ValueError as exc:
            message.line.refuse(str(exc))
            return
        self.memory.add_history("command", message.text.strip().removeprefix(":"))
        message.line.leave()
        self._do(command)

    def _do(self, command: Command) -> None:
        match command:
            case Go(place=place, typed=typed):
                screen = self.go(place.name)
                if typed and screen is not None:
                    screen.call_after_refresh(self._narrow, screen, typed)
            case Open():
                self.run_worker(self._open(command), group="open", exclusive=True)
            case Narrow(typed=typed):
                self._narrow(self.polled_screens[-1], typed)
            case ChooseTheme(name=name):
                self.choose_theme(name)
            case Export(file=file):
                self.polled_screens[-1].export(file)
            case Help():
                self.action_help()
            case Quit():
                self.exit()

    def _narrow(self, screen: PolledScreen[Any], typed: str) -> None:
        if not screen.narrow(typed):
            screen.say(f"{screen.place} has no filter: go to incidents first", bad=True)

    async def _open(self, asked: Open) -> None:
        """The incident that an id leads to, unless something else was begun before it was found."""
        here = self.screen
        try:
            incident_id = await self._incident_of(asked)
        except ApiError as exc:
            self.say(str(exc), bad=True)
            return
        if self.screen is here:
            self.open_incident(incident_id)
        else:
            self.say(f"{asked.id} was found late and is not opened: it would have come over what you began since")

    async def _incident_of(self, asked: Open) -> str:
        match asked.kind:
            case "pln":
                plan = await self.ask(lambda client: client.get(PlanView, path_of("plans", asked.id)))
                return plan.plan.incident_id
            case "exe":
                done = await self.ask(lambda client: client.get(ExecutionDetail, path_of("executions", asked.id)))
                return done.incident.id
            case _:
                detail = await self.ask(lambda client: client.get(IncidentDetail, path_of("incidents", asked.id)))
                return detail.incident.id

    def action_command_palette(self) -> None:
        """Once: Textual looks only at the top, and another screen may have come over it."""
        if not any(isinstance(screen, CommandPalette) for screen in self.screen_stack):
            super().action_command_palette()

    def choose_theme(self, name: str) -> None:
        self.theme = name
        self.memory.keep_theme(name)
        if self.no_color:
            self.say(f"{name}; NO_COLOR is set, so no colour is shown")
        elif self.preferences.theme not in ("", name):
            self.say(f"{name} for now: {self.preferences.path} says {self.preferences.theme}")
        else:
            self.say(self.memory.problem or name, bad=bool(self.memory.problem))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """For the palette."""
        from console.shell.palette import offered

        return offered(self)


def _end_with_its_screen() -> None:
    """A worker whose screen is being removed must not touch it: its widgets go before Textual calls the worker off."""
    with suppress(NoActiveWorker):
        if not get_current_worker().node.display:
            raise asyncio.CancelledError
