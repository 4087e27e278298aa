"""Whatever the server says, nothing of it drives the terminal, is read as markup, or ends the console."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from console.app import ConsoleApp
from console.places import PLACES
from console.remote.client import Client
from responder.domain.incident import State
from responder.domain.visible import visible

HOSTILE = "\x1b]52;c;QUJD\x07\u202e\u200b\x00[bold][/b][@click=app.quit]x[/]\t\x9b2J"
ONLY_READ = ("next_cursor", "mode", "effective_mode")
"""Texts that are not drawn, and those of few words, which the server may not invent."""


def spoilt(value: Any, name: str = "") -> Any:
    """Every text in it ends with what a terminal would act upon."""
    if type(value) is str:
        return value if name in ONLY_READ else value + HOSTILE
    if isinstance(value, Mapping):
        return {key: spoilt(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(spoilt(item, name) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known = [item.name for item in dataclasses.fields(value) if item.init]
        return type(value)(**{name: spoilt(getattr(value, name), name) for name in known})
    return value


class SpoilingClient(Client):
    """Gets what the server says with hostile text in it, and asks for it by what it was told."""

    def _decode(self, as_type: Any, answer: bytes) -> Any:
        return spoilt(super()._decode(as_type, answer))

    def _call(self, method: str, path: str, *args: Any, **more: Any) -> bytes:
        return super()._call(method, path.replace(quote(HOSTILE, safe=""), ""), *args, **more)


def dangerous(app: ConsoleApp) -> set[str]:
    """Characters on the screen that must not get there."""
    strips = app.screen._compositor.render_strips()
    drawn = "".join(segment.text for strip in strips for segment in strip if not segment.control)
    return {character for character in drawn if visible(character) != character or character in "\t\n"}


@pytest.fixture
async def spoilt_console(stage):
    await stage.image_alert()
    await stage.incident(lambda incident: incident.state is State.AWAITING_APPROVAL)
    async with stage.console(size=(140, 40)) as console:
        console.app.connection.client = SpoilingClient(
            console.app.connection.client.url, token=console.app.connection.client._token
        )
        yield console


async def looks(console, *keys):
    """After each key, and once what it asked for has come."""
    for key in (*keys, "question_mark", "escape", "ctrl+p", "escape"):
        await console.press(key)
        assert not dangerous(console.app), (key, console.text)


async def shows_the_spoilt(console):
    await console.until(lambda: r"\x1b]52" in console.text, "nothing hostile came")


@pytest.mark.parametrize("place", [place.name for place in PLACES if place.name not in ("sql", "analytics")])
async def test_hostile_text_is_drawn_as_its_escapes(spoilt_console, place):
    console = spoilt_console
    console.app.go(place)
    await console.until(lambda: console.app.screen.place == place, "not there")
    console.app.screen.read_now()
    if place != "executions":
        await shows_the_spoilt(console)
    await looks(console)
    await looks(console, "enter")
    await console.pilot.pause(0.5)
    await looks(console, "a", "x")
    assert console.app.is_running


async def test_markup_in_the_name_of_a_rule_is_no_markup(stage):
    async with stage.console() as console:
        await console.press("colon")
        await console.type("rules a[/b]")
        await console.press("enter")
        await console.until(lambda: console.app.screen.place == "rules › a[/b]", "no rule")
        await console.press("ctrl+p")
        await console.sees("on rules › a[/b]")
