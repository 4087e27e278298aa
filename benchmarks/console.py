"""The console: how soon it stands, how soon it answers a key, what it costs the network and the server.

Start is measured in a terminal, with a process of its own. Keys are measured inside this process, from the key to the
end of the paint that shows what it asked for, terminal sequences made but written nowhere. Beside each stands the same
of an app that only has one line of text.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Static

import console
from benchmarks.consoleserver import DATABASE, TOKEN, server
from benchmarks.incidentlist import fill
from benchmarks.relay import Relay
from benchmarks.result import Figure, Result, Spread
from benchmarks.terminal import terminal
from benchmarks.usage import cpu_seconds
from console.app import ConsoleApp
from console.remote.client import Client
from console.screens.incidents import TYPING_SECONDS, IncidentsScreen

SIZES = (100, 10_000, 100_000)
WINDOW = (80, 24)
STARTS = 7
KEYS = 15
LISTS = 5
EVENTS = 50.0
CONSOLES = 4
SECONDS = 10.0
START_SECONDS = 3.0
"""Of the server, which works for itself meanwhile."""
PATIENCE_SECONDS = 30.0

FIRST = "first page"

_EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("painted")
Empty().run()
"""


class Timed(App[None]):
    """Tells when something was painted: `painted` is asked at the end of every paint."""

    painted: Callable[[], bool] | None = None
    paints = 0
    _painted_at: asyncio.Future[float] | None = None

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, CompositorUpdate):
            renderable.render_segments(self.console)  # a terminal would get them; without one Textual makes none
            self.paints += 1
        waiting = self._painted_at
        if waiting is not None and not waiting.done() and self.painted is not None and self.painted():
            waiting.set_result(time.perf_counter())

    async def until(self, painted: Callable[[], bool], *, key: str = "") -> float:
        """Seconds from the key, or from now, to the end of the paint after which `painted` holds."""
        self.painted = painted
        self._painted_at = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        if key:
            assert self._driver is not None
            event = events.Key(key, key if len(key) == 1 else None)
            event.set_sender(self)
            self._driver.send_message(event)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._painted_at - started


class EmptyApp(Timed):
    """One line, and another one after each key."""

    shown = 0

    def compose(self) -> ComposeResult:
        yield Static("0")

    def on_key(self) -> None:
        self.shown += 1
        self.query_one(Static).update(str(self.shown))


class TimedConsole(Timed, ConsoleApp):
    CSS_PATH = Path(console.__file__).with_name("console.tcss")

    @property
    def incidents(self) -> IncidentsScreen:
        assert isinstance(self.screen, IncidentsScreen)
        return self.screen

    def shows_rows(self) -> bool:
        """Every visible row is one that was read."""
        if not isinstance(self.screen, IncidentsScreen):
            return False
        rows = self.screen.rows
        top, height = rows.standing.top, rows.standing.height
        seen = range(top, min(top + height, rows.listing.total))
        return rows.listing.is_read and all(place in rows.listing.rows for place in seen)


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="clopus-bench-") as directory, ExitStack() as servers:
        urls = {}
        for count in SIZES:
            home = Path(directory) / str(count)
            home.mkdir()
            fill(home / DATABASE, count)
            urls[count] = servers.enter_context(server(home)).url
        figures = [*_starts(Path(directory), urls[10_000]), *asyncio.run(_keys(urls))]
        servers.close()
        figures += _costs(Path(directory) / "10000")
    return Result(benchmark="console", figures=tuple(figures))


# -- from start to first paint --------------------------------------------------------------------------------------


def _starts(directory: Path, url: str) -> Iterator[Figure]:
    token = directory / "token"
    token.write_text(TOKEN, encoding="utf-8")
    command = ("-m", "responder", "console", "--url", url, "--token-file", str(token))
    environment = _apart(directory)
    empty, first, rows = [], [], []
    for _ in range(STARTS):
        with terminal("-c", _EMPTY, size=WINDOW, environment=environment) as screen:
            empty.append(screen.until("painted"))
        with terminal(*command, size=WINDOW, environment=environment) as screen:
            first.append(screen.until("incidents"))
            rows.append(screen.until("deploy/"))
    yield _times("empty app, start to first paint", empty)
    yield _times("console, start to first paint", first, against=empty)
    yield _times("console, start to rows", rows, against=empty)


def _apart(directory: Path) -> dict[str, str]:
    """No settings or memory of whoever runs this."""
    names = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME")
    return {name: str(directory) for name in names}


# -- keys -----------------------------------------------------------------------------------------------------------


async def _keys(urls: dict[int, str]) -> list[Figure]:
    await _list(urls[SIZES[0]])  # what is imported and parsed once
    empty = [await _empty() for _ in range(LISTS)]
    beside = {FIRST: [first for first, _ in empty]}
    keys = [key for _, each in empty for key in each]
    figures = [_times("empty app, in process, first paint", beside[FIRST]), _times("empty app, key to paint", keys)]
    smallest: dict[str, list[float]] = {}
    for count, url in urls.items():
        found: dict[str, list[float]] = {}
        for _ in range(LISTS):
            for name, values in (await _list(url)).items():
                found.setdefault(name, []).extend(values)
        for name, values in found.items():
            base = f", {_ratio(values, smallest[name])} of {SIZES[0]} incidents" if name in smallest else ""
            smallest.setdefault(name, values)
            figures.append(_times(f"{count:,} incidents, {name}", values, against=beside.get(name, keys), more=base))
    return figures


async def _empty() -> tuple[float, list[float]]:
    """Until its first paint, and for each key."""
    app = EmptyApp()
    opened = time.perf_counter()
    async with app.run_test(size=WINDOW) as pilot:
        if not app.paints:
            await app.until(lambda: True)
        first = time.perf_counter() - opened
        await pilot.pause()
        return first, [
            await app.until(lambda wanted=number: app.shown == wanted, key="x") for number in range(1, KEYS + 1)
        ]


async def _list(url: str) -> dict[str, list[float]]:
    """One console from its first page to a filter."""
    app = TimedConsole(Client(url, token=TOKEN))
    found: dict[str, list[float]] = {}
    opened = time.perf_counter()
    async with app.run_test(size=WINDOW) as pilot:
        await app.until(app.shows_rows)
        found[FIRST] = [time.perf_counter() - opened]
        await pilot.pause()
        rows = app.incidents.rows
        found["one down"] = [
            await app.until(lambda place=place: rows.cursor == place, key="down") for place in range(1, KEYS + 1)
        ]
        found["page down"] = []
        for _ in range(3):
            before, last = rows.cursor, rows.listing.total - 1
            found["page down"].append(
                await app.until(
                    lambda before=before, last=last: rows.cursor > min(before, last - 1) and app.shows_rows(),
                    key="pagedown",
                )
            )
            await pilot.pause()
        end = rows.listing.total - 1
        found["end"] = [await app.until(lambda: rows.cursor == end and app.shows_rows(), key="end")]
        await pilot.press("slash")
        await pilot.press(*"checkout-")
        await app.until(lambda: rows.listing.total < end and app.shows_rows(), key="1")
        before_filter = rows.listing.total
        found[f"filter key, {1000 * TYPING_SECONDS:.0f} ms of it patience"] = [
            await app.until(lambda: rows.listing.total < before_filter and app.shows_rows(), key="7")
        ]
    return found


# -- the network and the server -------------------------------------------------------------------------------------


def _costs(home: Path) -> Iterator[Figure]:
    """At `EVENTS` records a second, with no console and with several that look at the list."""
    with server(home, events_per_second=EVENTS) as running:
        time.sleep(START_SECONDS)
        without = _core(running.pid)
        with ExitStack() as stack:
            relay = stack.enter_context(Relay(running.url))
            screens = [stack.enter_context(_console(home, relay.url)) for _ in range(CONSOLES)]
            for screen in screens:
                screen.until("deploy/")
            threads = [threading.Thread(target=screen.run_for, args=(SECONDS + 4,)) for screen in screens]
            for thread in threads:
                thread.start()
            time.sleep(2.0)
            before = relay.bytes_down
            with_consoles = _core(running.pid)
            told = relay.bytes_down - before
            for thread in threads:
                thread.join()
    each = told / SECONDS / CONSOLES / 1024
    yield _figure(f"on the wire at {EVENTS:.0f} events/s, per console", [each], "KiB/s", "stream and what it has read")
    yield _figure(f"server at {EVENTS:.0f} events/s, no console", [100 * without], "% of a core")
    share = (with_consoles - without) / CONSOLES
    note = f"{CONSOLES} consoles: {100 * with_consoles:.1f} % of a core"
    yield _figure("server CPU per console", [100 * share / without], "% of that", note)


def _core(pid: int) -> float:
    before = cpu_seconds(pid)
    time.sleep(SECONDS)
    return (cpu_seconds(pid) - before) / SECONDS


def _console(home: Path, url: str) -> Any:
    command = ("-m", "responder", "console", "--url", url, "--token-file", str(home / "token"))
    return terminal(*command, size=WINDOW, environment=_apart(home))


# -- figures --------------------------------------------------------------------------------------------------------


def _times(name: str, seconds: list[float], *, against: list[float] | None = None, more: str = "") -> Figure:
    note = "" if against is None else f"{_ratio(seconds, against)} of the empty app{more}"
    return _figure(name, [1000 * each for each in seconds], "ms", note)


def _ratio(values: list[float], against: list[float]) -> str:
    return f"{Spread.of(values).median / Spread.of(against).median:.1f} x"


def _figure(name: str, values: list[float], unit: str, note: str = "") -> Figure:
    return Figure(name=name, spread=Spread.of(values), unit=unit, note=note)
