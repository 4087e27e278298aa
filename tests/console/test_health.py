"""The health screen on a real responder."""

from __future__ import annotations

import asyncio

import pytest

from console.remote.client import path_of
from responder.domain.incident import State
from responder.domain.mode import ModeSettings


async def open_health(console):
    console.app.go("health")
    await console.sees("leader")


def row(console, label):
    return next(line for line in console.lines("#health") if line.startswith(label))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_one_screen_tells_how_the_responder_is(stage, size):
    await stage.image_alert()
    await stage.incident(lambda incident: incident.state is State.AWAITING_APPROVAL)
    async with stage.console(size=size) as console:
        await open_health(console)
        await console.sees("ready, nothing wrong known")
        for part in ("1 awaiting approval", "0 of 10 writes", "this process (no election)", "nothing is watched"):
            await console.sees(part)
        assert "brakes     none" in row(console, "brakes")


async def test_a_new_incident_is_counted_without_a_key_pressed(stage):
    async with stage.console() as console:
        await open_health(console)
        assert row(console, "incidents").endswith("none")
        await stage.post({"alertname": "Strange"})
        await console.until(lambda: "1 escalated" in row(console, "incidents"), "the count did not move")


async def test_a_pulled_kill_switch_shows_here_at_once_with_who_and_why(stage):
    async with stage.console() as console:
        await open_health(console)
        change = {"kill_switch": True, "reason": "bad release"}
        await asyncio.to_thread(stage.client.send, ModeSettings, "PUT", path_of("mode"), change)
        await console.sees("KILL SWITCH ON  ·  by ann: bad release")


async def test_m_leads_to_what_changes_the_brakes(stage):
    async with stage.console() as console:
        await open_health(console)
        await console.press("m")
        await console.sees("WHAT IS LEFT OF THE RULES")


async def test_what_is_shown_stays_while_the_server_is_gone_and_the_bar_says_so(stage):
    async with stage.console() as console:
        await open_health(console)
        await stage.stop()
        await console.until(lambda: "reconnecting" in console.bar, "reconnecting")
        assert "leader" in console.text


async def test_the_whole_screen_can_be_copied(stage):
    async with stage.console() as console:
        await open_health(console)
        text, what = console.app.screen.copied()
        assert what == "the responder's health"
        assert text.startswith("ready, nothing wrong known")
        assert "WATCHES" in text
