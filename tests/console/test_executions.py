"""What was written, and taking it back, in the console."""

from __future__ import annotations

import pytest

from responder.domain.incident import Outcome, State


def fixed(incident):
    return incident.state is State.RESOLVED and incident.outcome is Outcome.FIXED


async def on_the_list(console):
    await console.press("colon")
    await console.type("executions")
    await console.press("enter")
    await console.sees("Enter shows it")


async def test_with_nothing_written_it_says_so(stage):
    async with stage.console(size=(80, 24)) as console:
        console.app.go("executions")
        await console.sees("nothing was written yet")


@pytest.mark.parametrize("stage", ["autonomous"], indirect=True)
async def test_a_write_is_listed_and_taken_back_after_its_inverse_was_shown(stage):
    await stage.image_alert()
    incident = await stage.incident(fixed)
    async with stage.console(size=(100, 40)) as console:
        await on_the_list(console)
        row = console.lines("#rows")[0]
        assert all(word in row for word in ("apply", "deploy/shop/storefront", "passed", "policy", "can"))
        await console.press("enter")
        await console.sees("u takes it back")
        shown = "\n".join(console.lines("#write"))
        assert "+      - image: nignx:1.27" in shown.partition("TAKING IT BACK")[2]
        await console.press("u")
        await console.sees("type undo to write this")
        await console.type("yes")
        await console.press("enter")
        await console.sees("nothing was done")
        await console.type("undo")
        await console.press("enter")
        await stage.incident(lambda incident: incident.outcome is Outcome.ROLLED_BACK)
        await console.sees("cannot be taken back")
        await console.press("u")
        assert console.app.screen.detail.view.execution.plan_id
        await console.press("escape")
        await console.until(lambda: len(console.lines("#rows")) == 2, "the undo is listed too")
        assert "undo" in console.lines("#rows")[0]
        assert " ann " in console.lines("#rows")[0]
    assert len((await stage.detail(incident.id)).executions) == 2


@pytest.mark.parametrize("stage", ["autonomous"], indirect=True)
async def test_a_viewer_who_takes_back_is_refused_in_the_servers_words(stage):
    await stage.image_alert()
    incident = await stage.incident(fixed)
    async with stage.console(size=(100, 40), token="viewer-token-of-the-tests") as console:
        await on_the_list(console)
        await console.press("enter")
        await console.sees("u takes it back")
        await console.press("u")
        await console.sees("type undo")
        await console.type("undo")
        await console.press("enter")
        await console.sees("not taken back")
    assert len((await stage.detail(incident.id)).executions) == 1


@pytest.mark.parametrize("stage", ["autonomous"], indirect=True)
async def test_i_opens_the_incident_of_a_write(stage):
    await stage.image_alert()
    incident = await stage.incident(fixed)
    async with stage.console() as console:
        await on_the_list(console)
        await console.press("i")
        await console.sees(incident.id)
