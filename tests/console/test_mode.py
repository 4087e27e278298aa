"""The brakes from the console: what a word does, what a wrong one does not, and what the responder makes of it."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Input

from console.remote.client import ApiError, path_of
from responder.domain.execution import ExecutionOutcome
from responder.domain.incident import State
from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode


async def mode(stage):
    return await asyncio.to_thread(stage.client.get, ModeSettings, path_of("mode"))


async def put(stage, **change):
    """As another operator would."""
    body = {"reason": "from elsewhere", **change}
    return await asyncio.to_thread(stage.client.send, ModeSettings, "PUT", path_of("mode"), body)


async def image(stage):
    (deployment,) = [one for one in await stage.cluster.list("Deployment", "shop") if one.ref.name == "storefront"]
    return deployment.body["spec"]["template"]["spec"]["containers"][0]["image"]


async def open_mode(console):
    console.app.go("mode")
    await console.sees("KILL SWITCH")
    await console.until(lambda: console.lines("#mode"), "nothing was read")


async def answer(console, *texts):
    for text in texts:
        await console.type(text)
        await console.press("enter")


async def test_the_screen_tells_every_brake_who_set_it_and_why(stage):
    await put(stage, ceiling="dry-run", namespaces={"shop": "report"}, reason="rollout week")
    async with stage.console(size=(80, 24)) as console:
        await open_mode(console)
        text = "\n".join(console.lines("#mode"))
        for part in ("off: writes may start", "dry-run, of the whole process", "shop: report", "none is open"):
            assert part in text
        assert "ann, " in text
        assert "rollout week" in text


@pytest.mark.inv(24)
async def test_the_kill_switch_is_pulled_by_one_word_and_an_approval_writes_nothing_afterwards(stage):
    await stage.image_alert()
    incident = await stage.incident(lambda incident: incident.state is State.AWAITING_APPROVAL)
    async with stage.console(size=(80, 24)) as console:
        await open_mode(console)
        await console.press("K")
        await console.sees("kill switch   off → ON")
        await answer(console, "kill")
        await console.sees("done: pull the kill switch")
        await console.until(lambda: "KILL SWITCH ON" in console.bar, "the bar does not tell")
        await console.sees("no write starts, whoever approved it")
    assert (await mode(stage)).kill_switch
    plan = (await stage.detail(incident.id)).plans[-1].plan
    await stage.approve(plan)
    refused = await stage.incident(lambda incident: incident.state is State.ESCALATED)
    assert "the kill switch is on" in refused.summary
    seen = await stage.detail(incident.id)
    assert all(view.execution.outcome is ExecutionOutcome.NOT_APPLIED for view in seen.executions)
    assert await image(stage) == "nignx:1.27"


async def test_why_may_follow_the_word_that_kills(stage):
    async with stage.console() as console:
        await open_mode(console)
        await console.press("K")
        await answer(console, "kill bad release")
        await console.sees("done: pull")
    stands = await mode(stage)
    assert (stands.kill_switch, stands.reason, stands.set_by) == (True, "bad release", "ann")


async def test_a_wrong_word_does_nothing_and_says_so(stage):
    async with stage.console() as console:
        await open_mode(console)
        await console.press("K")
        await answer(console, "yes")
        await console.sees("nothing was done")
        await console.press("enter")
        assert not (await mode(stage)).kill_switch
        await console.press("escape")
        await console.until(lambda: "type kill" not in console.text, "the question is gone")
    assert await mode(stage) == ModeSettings()


async def test_releasing_takes_a_reason_the_word_and_one_more(stage):
    await put(stage, kill_switch=True)
    async with stage.console(size=(80, 24)) as console:
        await open_mode(console)
        await console.sees("ON since")
        await console.press("K")
        await console.sees("this RAISES what may be done")
        await answer(console, "", "fixed")
        await console.sees("type release")
        await answer(console, "release")
        await console.sees("type raise")
        assert (await mode(stage)).kill_switch
        await answer(console, "raise")
        await console.sees("done: release the kill switch")
    stands = await mode(stage)
    assert (stands.kill_switch, stands.reason) == (False, "fixed")


async def test_a_ceiling_is_lowered_by_reason_and_word_and_tells_what_it_holds_back(stage):
    async with stage.console(size=(80, 24)) as console:
        await open_mode(console)
        await console.press("C")
        await console.sees("type report, dry-run or autonomous")
        await answer(console, "rep")
        await console.sees("ceiling       autonomous → report")
        await console.sees("rules that change: 1 dry-run → report (of 1)")
        await answer(console, "freeze", "report")
        await console.sees("done: ceiling of the process: report")
        await console.sees("report, of the whole process")
    assert (await mode(stage)).ceiling is Mode.REPORT


async def test_a_ceiling_is_raised_only_after_a_second_word(stage):
    await put(stage, ceiling="report")
    async with stage.console() as console:
        await open_mode(console)
        await console.press("C")
        await answer(console, "autonomous", "over", "autonomous", "autonomous")
        await console.sees("nothing was done. type raise")
        assert (await mode(stage)).ceiling is Mode.REPORT
        await answer(console, "raise")
        await console.sees("done: ceiling of the process: autonomous")
    assert (await mode(stage)).ceiling is Mode.AUTONOMOUS


async def test_a_namespace_gets_a_ceiling_and_loses_it_and_the_others_keep_theirs(stage):
    await put(stage, namespaces={"other": "report"})
    async with stage.console(size=(80, 24)) as console:
        await open_mode(console)
        await console.press("N")
        await answer(console, "shop dry-run", "careful", "shop")
        await console.sees("done: ceiling of namespace shop: dry-run")
        assert (await mode(stage)).namespaces == {"other": Mode.REPORT, "shop": Mode.DRY_RUN}
        await console.sees("shop: dry-run")
        await console.press("N")
        await answer(console, "shop -", "careful no more", "shop", "raise")
        await console.sees("done: ceiling of namespace shop: none")
    assert (await mode(stage)).namespaces == {"other": Mode.REPORT}


@pytest.mark.parametrize(
    ("key", "typed", "told"),
    [("C", "full", "is no mode"), ("N", "Shop report", "no name of a namespace"), ("N", "shop", "say which")],
)
async def test_what_cannot_be_meant_changes_nothing_and_is_said(stage, key, typed, told):
    async with stage.console() as console:
        await open_mode(console)
        await console.press(key)
        await answer(console, typed)
        await console.sees(told)
    assert await mode(stage) == ModeSettings()


async def test_a_change_made_meanwhile_by_another_is_told_and_everything_is_asked_again(stage):
    async with stage.console(size=(80, 24)) as console:
        console.app.poll_seconds = 3600.0
        await open_mode(console)
        await console.press("C")
        await answer(console, "dry-run", "careful")
        await console.sees("type dry-run")
        await put(stage, namespaces={"shop": "report"})
        await answer(console, "dry-run")
        await console.sees("ann has changed the brakes meanwhile")
        assert (await mode(stage)).ceiling is Mode.AUTONOMOUS
        await answer(console, "still careful", "dry-run")
        await console.sees("done: ceiling of the process: dry-run")
    stands = await mode(stage)
    assert (stands.ceiling, stands.namespaces) == (Mode.DRY_RUN, {"shop": Mode.REPORT})


async def test_the_server_refuses_a_change_that_was_decided_upon_other_brakes(stage):
    seen = (await mode(stage)).fingerprint
    await put(stage, namespaces={"shop": "report"}, seen=seen)
    with pytest.raises(ApiError, match="changed meanwhile") as refused:
        await put(stage, ceiling="report", seen=seen)
    assert refused.value.status == 409
    assert (await mode(stage)).ceiling is Mode.AUTONOMOUS
    assert (await put(stage, kill_switch=True, seen=seen)).kill_switch


async def test_the_kill_switch_does_not_wait_for_what_others_changed(stage):
    async with stage.console() as console:
        await open_mode(console)
        await console.press("K")
        await put(stage, ceiling="report")
        await answer(console, "kill")
        await console.sees("done: pull")
    stands = await mode(stage)
    assert (stands.kill_switch, stands.ceiling) == (True, Mode.REPORT)


async def test_a_viewer_sees_the_brakes_and_is_told_clearly_that_they_are_not_his(stage, viewer):
    async with stage.console(token=viewer) as console:
        await open_mode(console)
        await console.press("K")
        await answer(console, "kill")
        await console.sees("not done")
        await console.sees("HTTP 403")
    assert not (await mode(stage)).kill_switch


async def test_while_the_server_is_gone_nothing_is_done_and_nothing_is_done_later(stage):
    async with stage.console() as console:
        await open_mode(console)
        await console.press("K")
        await stage.stop()
        await answer(console, "kill")
        await console.sees("not done: http")
        await stage.start()
        await console.press("escape")
        await console.until(lambda: "live" in console.bar, "live again")
    assert not (await mode(stage)).kill_switch


async def test_keys_that_can_do_nothing_are_grey(stage):
    async with stage.console() as console:
        await open_mode(console)
        await console.press("B")
        assert not console.app.screen.query(Input)
        await console.sees("KILL SWITCH")
