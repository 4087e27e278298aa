"""The record in numbers, on a real responder."""

from __future__ import annotations

import asyncio

import pytest

from console.analytics import PAGES, Extent, statements
from console.remote.client import path_of
from console.screens.analytics import AnalyticsScreen
from console.screens.sql import SqlScreen
from responder.domain.incident import Outcome, State
from responder.domain.views import QueryAnswer


def waits(incident):
    return incident.state is State.AWAITING_APPROVAL


def fixed(incident):
    return incident.state is State.RESOLVED and incident.outcome is Outcome.FIXED


@pytest.fixture
async def after_a_fix(stage):
    """One incident that a person approved the fix of, and that is over."""
    await stage.image_alert()
    incident = await stage.incident(waits)
    detail = await stage.detail(incident.id)
    await stage.approve(detail.plans[0].plan)
    await stage.incident(fixed)
    return stage


async def at_analytics(console):
    console.app.go("analytics")
    await console.until(
        lambda: isinstance(console.app.screen, AnalyticsScreen) and console.app.screen.query("#charts"), "not there"
    )
    return console.app.screen


async def read(console):
    """Until no section of the page is being read."""

    def text():
        return "\n".join(console.lines("#charts"))

    await console.until(lambda: text() and "reading" not in text(), "still reading")
    return text()


async def test_every_statement_of_every_page_is_answered(stage):
    for page in PAGES:
        for extent in Extent:
            for statement in statements(page, extent):
                client = stage.client
                await asyncio.to_thread(client.send, QueryAnswer, "POST", path_of("query"), {"sql": statement})


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_a_fix_is_seen_on_the_pages_it_belongs_to(after_a_fix, size):
    async with after_a_fix.console(size=size) as console:
        await at_analytics(console)
        assert "shop" in await read(console)
        assert "[resolution]" in console.text
        await console.press("2")
        text = await read(console)
        assert "human" in text
        assert "under 1m     1" in text
        await console.press("3")
        text = await read(console)
        assert "set_image" in text
        assert "100 %" in text
        await console.press("6")
        assert "images" in await read(console)


async def test_a_page_without_anything_says_so(stage):
    async with stage.console() as console:
        await at_analytics(console)
        assert "nothing in this time" in await read(console)


async def test_the_time_can_be_changed(stage):
    async with stage.console() as console:
        await at_analytics(console)
        assert "last 7 days" in await read(console)
        await console.press("m")
        assert "last 30 days" in await read(console)
        await console.press("d")
        assert "last 24 hours" in await read(console)


async def test_pages_are_turned_round(stage):
    async with stage.console() as console:
        screen = await at_analytics(console)
        await console.press("left")
        await console.sees("[rules]")
        await console.press("right")
        await console.sees("[resolution]")
        assert screen.at == 0


async def test_enter_opens_the_statement_behind_a_section(after_a_fix):
    async with after_a_fix.console() as console:
        await at_analytics(console)
        await console.press("6")
        await read(console)
        await console.press("down", "enter")
        await console.until(lambda: isinstance(console.app.screen, SqlScreen), "no SQL")
        await console.sees("FROM v_rule_activity")
        await console.sees("row 1 of 1")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, AnalyticsScreen), "not back")


async def test_r_reads_again(stage):
    async with stage.console() as console:
        screen = await at_analytics(console)
        await console.press("6")
        await read(console)
        (statement,) = statements(PAGES[5], Extent.WEEK)
        before = screen.answers[statement]
        await console.press("r")
        await console.until(lambda: screen.answers.get(statement) not in (None, before), "not read again")


async def test_a_refusal_stands_in_its_section(stage):
    async with stage.console(token="operator-token-that-nobody-has") as console:
        await at_analytics(console)
        await console.until(
            lambda: "r reads again" in "\n".join(console.lines("#charts")), lambda: "\n".join(console.lines("#charts"))
        )
