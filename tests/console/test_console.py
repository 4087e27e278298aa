"""Keys in, pictures out, on a real responder."""

from __future__ import annotations

import asyncio

import pytest

from console.app import ConsoleApp
from console.remote.client import Client
from responder.domain.incident import Outcome, State
from responder.domain.plan import PlanState

STOREFRONT = "deploy/shop/storefront"


def waits(incident):
    return incident.state is State.AWAITING_APPROVAL


def fixed(incident):
    return incident.state is State.RESOLVED and incident.outcome is Outcome.FIXED


def rejected(incident):
    return incident.outcome is Outcome.REJECTED


def place_of(lines, text):
    return next(index for index, line in enumerate(lines) if text in line)


async def test_an_incident_is_listed_and_opened_and_esc_goes_back(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    async with stage.console(size=(80, 24)) as console:
        await console.sees(STOREFRONT)
        assert "awaiting" in console.text
        await console.press("enter")
        await console.sees(incident.id)
        await console.sees("nginx:1.27 was likely meant")
        await console.sees("change    proposed: set_image")
        await console.sees("a approves, x rejects")
        await console.press("escape")
        await console.sees("AGE")


async def test_the_screen_says_why_what_changes_and_what_was_done(stage):
    await stage.image_alert()
    await stage.incident(waits)
    async with stage.console(size=(200, 50)) as console:
        await console.sees(STOREFRONT)
        await console.press("enter")
        await console.sees("TIMELINE")
        story = "\n".join(console.lines("#story"))
        for part in ("93%", "ruled out", "unchecked", "can be taken back", "image: nignx:1.27", "image: nginx:1.27"):
            assert part in story
        record = "\n".join(console.lines("#record"))
        assert "incident_opened" in record
        assert "REASONING" in record


async def test_a_filter_asks_the_server_and_esc_clears_it(stage):
    await stage.post(*({"alertname": f"Strange{number}", "namespace": f"n{number % 2}"} for number in range(6)))
    await stage.incident(lambda incident: True, key="alert/n1/Strange5")
    async with stage.console() as console:
        await console.sees("Strange4")
        await console.press("slash")
        await console.type("ns:n1 Strange3")
        await console.until(lambda: len(console.lines("#incidents")) == 1, "not filtered")
        assert "Strange3" in console.lines("#incidents")[0]
        await console.press("enter", "escape")
        await console.until(lambda: len(console.lines("#incidents")) == 6, "not cleared")


async def test_a_filter_that_means_nothing_says_so_and_shows_what_was_there(stage):
    await stage.post({"alertname": "Strange"})
    async with stage.console() as console:
        await console.sees("Strange")
        await console.press("slash")
        await console.type("state:zz")
        await console.sees("no state begins with 'zz'")
        assert len(console.lines("#incidents")) == 1


async def test_faults_only_leaves_out_what_is_over(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    plan = (await stage.detail(incident.id)).plans[-1].plan
    await stage.approve(plan)
    await stage.incident(fixed)
    await stage.post({"alertname": "Strange"})
    async with stage.console() as console:
        await console.until(lambda: len(console.lines("#incidents")) == 2, "two incidents")
        await console.press("f")
        await console.until(lambda: len(console.lines("#incidents")) == 1, "one fault")
        assert "Strange" in console.lines("#incidents")[0]
        assert "faults only" in console.said("#status")


async def test_a_plan_that_another_operator_took_cannot_be_approved_and_says_so_at_once(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    async with stage.console(size=(100, 50)) as console:
        await console.sees(STOREFRONT)
        await console.press("enter")
        await console.sees("a approves")
        await console.press("a")
        await console.sees("a begins to approve")
        plan = (await stage.detail(incident.id)).plans[-1].plan
        await stage.reject(plan, "not today")
        await console.sees(f"{plan.id} is rejected")
        await console.press("a")
        assert not console.app.screen.is_armed
        await console.press("escape")
        await console.sees("ESCALATED: rejected")


async def test_a_refusal_of_the_server_is_shown_in_its_own_words(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    async with stage.console(size=(100, 50)) as console:
        console.app.poll_seconds = 3600.0
        console.app.connection.reader.stop()
        await console.sees(STOREFRONT)
        await console.press("enter")
        await console.sees("a approves")
        await console.press("a")
        await console.sees("a begins to approve")
        plan = (await stage.detail(incident.id)).plans[-1].plan
        await stage.reject(plan, "not today")
        await console.press("a")
        await console.sees("Y APPROVES")
        await console.reads()
        await console.press("Y")
        await console.sees(f"not approved: {plan.id} is rejected: only a plan that waits")
    assert (await stage.detail(incident.id)).plans[-1].plan.state is PlanState.REJECTED


async def test_a_rejection_asks_for_the_reason_and_records_it(stage):
    await stage.image_alert()
    await stage.incident(waits)
    async with stage.console() as console:
        await console.sees(STOREFRONT)
        await console.press("enter")
        await console.sees("x rejects")
        await console.press("x")
        await console.sees("why?")
        await console.press("enter")
        await console.sees("say why")
        await console.type("wrong tag")
        await console.press("enter")
        assert (await stage.incident(rejected)).summary.endswith("wrong tag")
        await console.sees("ESCALATED: rejected")


@pytest.mark.parametrize("stage", ["autonomous"], indirect=True)
async def test_an_applied_change_is_taken_back_after_its_inverse_was_shown(stage):
    await stage.image_alert()
    incident = await stage.incident(fixed)
    async with stage.console() as console:
        await console.sees(STOREFRONT)
        await console.press("enter")
        await console.sees("u takes the change back")
        await console.press("u")
        await console.sees('to "nignx:1.27"')
        await console.type("yes")
        await console.press("enter")
        await console.sees("nothing was done")
        await console.type("undo")
        await console.press("enter")
        await stage.incident(lambda incident: incident.outcome is Outcome.ROLLED_BACK)
        await console.sees("ESCALATED: rolled back")
    assert len((await stage.detail(incident.id)).executions) == 2


async def test_the_bar_says_when_the_server_is_gone_and_when_it_is_back(stage):
    await stage.post({"alertname": "Strange"})
    async with stage.console() as console:
        await console.sees("Strange")
        await console.until(lambda: "live" in console.bar, "live")
        await stage.stop()
        await console.until(lambda: "reconnecting" in console.bar, "reconnecting")
        assert "Strange" in console.text
        await stage.start()
        await console.until(lambda: "live" in console.bar, "live again")


async def test_nothing_that_is_sent_is_sent_twice_while_the_server_is_gone(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    async with stage.console() as console:
        await console.sees(STOREFRONT)
        await console.press("enter")
        await console.sees("x rejects")
        await stage.stop()
        await console.press("x")
        await console.sees("why?")
        await console.type("gone")
        await console.press("enter")
        await console.sees("not done: http")
        await stage.start()
        await console.until(lambda: "live" in console.bar, "live again")
        await asyncio.to_thread(stage.client.raw, "/api/v1/plans")
    assert (await stage.detail(incident.id)).incident.outcome is not Outcome.REJECTED


HOSTILE = "Ev\x1b[31mil\x1b]52;c;cm0gLXJm\x07 [bold]loud[/bold] \u202egpj.exe\u200b [link=http://evil.example]x[/link]"


async def test_hostile_text_is_shown_as_what_it_is(stage):
    await stage.post({"alertname": "Hostile", "text": HOSTILE, "severity": HOSTILE})
    async with stage.console(size=(200, 40)) as console:
        await console.sees("Hostile")
        for key in ("enter", "tab"):
            await console.press(key)
            await console.until(lambda: "[bold]" in console.text or "\\x1b" in console.text, "the text itself")
            drawn = console.text
            assert not set(drawn) & {"\x1b", "\x07", "\u202e", "\u200b", "\x9b"}
        assert "\\x1b[31mil\\x1b]52;c;cm0gLXJm\\x07 [bold]loud[/bold] \\u202egpj.exe\\u200b" in "".join(
            console.lines("#story")
        )


async def test_a_credential_that_is_refused_is_told_in_the_bar(stage):
    async with stage.console(token="not-the-token-of-anyone") as console:
        await console.until(lambda: "no valid credential" in console.text or "credential" in console.bar, "refused")
        assert "live" not in console.bar


async def test_help_opens_and_shuts(stage):
    async with stage.console(size=(80, 24)) as console:
        await console.press("question_mark")
        await console.sees("Keys: incidents")
        await console.press("escape")
        await console.until(lambda: "Keys: incidents" not in console.text, "help is shut")


async def test_quitting_does_not_wait_for_a_server_that_hangs(hanging_port):
    client = Client(f"http://127.0.0.1:{hanging_port}", token="t", timeout_seconds=60.0)
    app = ConsoleApp(client, poll_seconds=0.1)
    async with asyncio.timeout(10):
        async with app.run_test() as pilot:
            await pilot.press("q")
    assert app.return_code == 0
