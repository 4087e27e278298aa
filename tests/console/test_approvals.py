"""Deciding: two deliberate keys on the whole diff, others seen, nothing doubled. Keys in, text out."""

from __future__ import annotations

import asyncio

import pytest
from textual.events import Key

from console.remote.client import path_of
from console.screens.approve import ApproveScreen
from responder.domain.incident import Outcome, State
from responder.domain.plan import PlanState
from responder.domain.views import PlanView

STOREFRONT = "deploy/shop/storefront"
BEN, VERA = "another-operator-token-of-the-tests", "viewer-token-of-the-tests"
TWO_PEOPLE = "approval: {approvers: 2}"


def waits(incident):
    return incident.state is State.AWAITING_APPROVAL


def fixed(incident):
    return incident.state is State.RESOLVED and incident.outcome is Outcome.FIXED


async def with_rule(stage, line):
    """The responder started again with one more line in its rule."""
    await stage.stop()
    stage.rules = stage.rules.replace("    max_risk:", f"    {line}\n    max_risk:")
    await stage.start()


async def waiting_plan(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    return (await stage.detail(incident.id)).plans[-1].plan


async def on_the_plan(console):
    """From the list to the approve screen."""
    await console.sees(STOREFRONT)
    await console.press("enter")
    await console.sees("a approves")
    await console.press("a")
    await console.until(lambda: console.app.screen.query("#verdict"), "the approve screen")


async def on_the_queue(console):
    await console.press("colon")
    await console.type("approvals")
    await console.press("enter")
    await console.sees("Enter shows the plan")


async def ready(console):
    await on_the_plan(console)
    await console.sees("a begins to approve")


async def armed(console):
    await ready(console)
    await console.press("a")
    await console.sees("Y APPROVES")


async def second_key(console):
    """As late as it takes to have read."""
    await console.reads()
    await console.press("Y")


async def typed_ahead(console, *keys):
    """All in one go, as from a clipboard or fingers quicker than the screen."""
    for key in keys:
        console.app.post_message(Key(key, key))
    await console.pilot.pause()


async def view_of(stage, plan):
    return await asyncio.to_thread(stage.client.get, PlanView, path_of("plans", plan.id))


async def untouched(stage, plan):
    view = await view_of(stage, plan)
    return view.plan.state is PlanState.PROPOSED and not view.approvals


@pytest.mark.inv(24)
async def test_a_then_y_approves_exactly_what_was_shown_and_leads_to_fixed(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        asked = " ".join(console.said("#verdict").split())
        assert f"set_image: container web, image nginx:1.27 on {plan.action.target.key}" in asked
        assert f"digest {plan.digest[:12]}: it is written to the cluster at once" in asked
        assert await untouched(stage, plan)
        await second_key(console)
        await stage.incident(fixed)
        await console.sees("RESOLVED: fixed")
    assert [approval.approver for approval in (await view_of(stage, plan)).approvals] == ["ann"]


async def test_the_first_key_does_not_count_before_every_line_was_on_the_screen(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(80, 16)) as console:
        await on_the_plan(console)
        await console.sees("scroll to the end first")
        await console.press("a")
        await second_key(console)
        await console.sees("Y approves only after a")
        await console.press("end")
        await console.sees("not seen yet")
        await console.press("a")
        assert not console.app.screen.is_armed
        await console.press("home", *["pagedown"] * 9)
        await console.sees("a begins to approve")
        assert plan.digest in "".join(console.lines("#plan"))
        assert await untouched(stage, plan)
        await console.press("a")
        await console.sees("Y APPROVES")
        await second_key(console)
        await stage.incident(fixed)


async def test_a_line_that_is_cut_at_the_edge_has_not_been_seen(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(6, 60)) as console:
        console.app.open_incident(plan.incident_id)
        await console.until(lambda: getattr(console.app.screen, "known", None), "the incident")
        console.app.push_screen(ApproveScreen(await view_of(stage, plan)))
        await console.until(lambda: console.app.screen.query("#plan"), "the plan")
        document = console.app.screen.query_one("#plan")
        await console.until(lambda: document.count(), "no lines")
        await console.press(*["pagedown"] * (document.count() // 40 + 2))
        assert document.unseen
        await console.press("a")
        assert not console.app.screen.is_armed


async def test_both_keys_typed_ahead_do_nothing(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await ready(console)
        await typed_ahead(console, "a", "Y")
        await console.sees("Y came too soon")
        await second_key(console)
        await console.sees("Y approves only after a")
        assert await untouched(stage, plan)


@pytest.mark.parametrize("key", ["y", "down", "enter", "space"])
async def test_any_other_key_than_y_takes_the_first_one_back(stage, key):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await console.press(key)
        await console.sees("not approved: that was not Y")
        await second_key(console)
        await console.sees("Y approves only after a")
        assert await untouched(stage, plan)


async def test_what_is_typed_after_a_colon_takes_the_first_key_back(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await console.press("colon")
        await console.sees("not approved: the plan has lost the keys")
        console.app.screen.query_one("#plan").focus()
        await second_key(console)
        await console.sees("Y approves only after a")
        assert await untouched(stage, plan)


async def test_the_first_key_pressed_again_begins_anew(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await console.reads()
        await typed_ahead(console, "a", "Y")
        await console.sees("Y came too soon")
        assert await untouched(stage, plan)


async def test_esc_leaves_everything_as_it_is(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await console.press("escape")
        await console.sees("a approves, x rejects")
        assert await untouched(stage, plan)


async def test_without_the_second_key_the_first_one_is_forgotten(stage, monkeypatch):
    monkeypatch.setattr("console.screens.approve.ARMED_SECONDS", 0.5)
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await ready(console)
        await console.press("a")
        await console.sees("no Y came within 0.5 s")
        await console.press("Y")
        await console.sees("Y approves only after a")
        assert await untouched(stage, plan)


async def test_two_operators_at_one_plan_see_each_other_and_who_is_deciding(stage, monkeypatch):
    monkeypatch.setattr("console.screens.approve.PRESENCE_SECONDS", 0.3)
    await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as ann, stage.console(size=(100, 50), token=BEN) as ben:
        await ready(ann)
        await ready(ben)
        await ben.sees("ann looks at it")
        await ann.until(lambda: "ben looks at it" in ann.said("#standing"), "ann sees ben")
        await ben.press("a")
        await ann.until(lambda: "ben is deciding" in ann.said("#standing"), "ann sees ben decide")


async def test_somebody_else_who_begins_to_decide_takes_the_first_key_back(stage, monkeypatch):
    monkeypatch.setattr("console.screens.approve.PRESENCE_SECONDS", 0.3)
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as ann, stage.console(size=(100, 50), token=BEN) as ben:
        await ready(ben)
        await ready(ann)
        await ann.sees("ben looks at it")
        await ann.press("a")
        await ann.sees("Y APPROVES")
        await ben.sees("ann is deciding")
        await ben.press("a")
        await ann.sees("not approved: ben is deciding too")
        await second_key(ann)
        assert await untouched(stage, plan)


async def test_with_four_eyes_the_same_person_counts_once_and_another_one_completes_it(stage):
    await with_rule(stage, TWO_PEOPLE)
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await ready(console)
        assert "0 of 2, needs 2 more" in console.said("#standing")
        await console.press("a")
        await console.sees("one person more needed before it is written")
        await second_key(console)
        await console.sees(f"approved {plan.id}: one person more needed")
        await console.press("a")
        await console.sees("1 of 2: ann at")
        await console.sees("needs one more, not you")
        await console.sees("you approved at")
        await console.press("a")
        assert not console.app.screen.is_armed
    assert (await view_of(stage, plan)).plan.state is PlanState.PROPOSED
    async with stage.console(size=(100, 50), token=BEN) as console:
        await ready(console)
        assert "needs one more" in console.said("#standing")
        assert "not you" not in console.said("#standing")
        await console.press("a")
        await console.sees("it is written to the cluster at once")
        await second_key(console)
        await stage.incident(fixed)
    assert [approval.approver for approval in (await view_of(stage, plan)).approvals] == ["ann", "ben"]


async def test_an_approval_by_another_between_the_two_keys_takes_the_first_one_back(stage):
    await with_rule(stage, TWO_PEOPLE)
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await stage.approve(plan, by="ben")
        await console.sees("ben approved it meanwhile")
        assert not console.app.screen.is_armed
        assert [approval.approver for approval in (await view_of(stage, plan)).approvals] == ["ben"]


async def test_a_viewer_may_look_and_is_seen_but_cannot_decide(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50), token=VERA) as vera, stage.console(size=(100, 50)) as ann:
        await on_the_plan(vera)
        await vera.sees("vera may look; deciding takes an operator's credential")
        await vera.press("a")
        await second_key(vera)
        await vera.press("x")
        await vera.sees("not rejected")
        await ready(ann)
        await ann.sees("vera looks at it")
    assert await untouched(stage, plan)


async def test_a_plan_that_expires_while_one_looks_says_so_at_once(stage):
    await with_rule(stage, "approval: {expires: 8s}")
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await ready(console)
        assert "expires in" in console.said("#standing")
        await console.sees("expired")
        await console.press("a")
        assert not console.app.screen.is_armed
        await console.sees(f"{plan.id} is expired, nobody approved it in time")
    assert not (await view_of(stage, plan)).approvals


@pytest.mark.inv(24)
async def test_a_plan_whose_object_was_changed_says_so_before_anyone_approves(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await ready(console)
        await stage.sandbox.apply_yaml(
            """
apiVersion: apps/v1
kind: Deployment
metadata: {name: storefront, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: storefront}}
  template:
    metadata: {labels: {app: storefront}}
    spec:
      containers:
        - {name: web, image: 'nginx:1.25', ports: [{containerPort: 80}]}
"""
        )
        await console.sees("has drifted")
        await console.press("a")
        await second_key(console)
        assert await untouched(stage, plan)


async def test_a_plan_that_another_one_rejected_meanwhile_says_so_and_can_do_nothing(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await stage.reject(plan, "not today")
        await console.sees(f"{plan.id} is rejected")
        await second_key(console)
        await console.press("escape")
        await console.sees("ESCALATED: rejected")
    assert not (await view_of(stage, plan)).approvals


async def test_a_rejection_asks_for_the_reason(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await ready(console)
        await console.press("x")
        await console.sees("why?")
        await console.type("wrong tag")
        await console.press("enter")
        await console.sees(f"rejected {plan.id}")
    incident = await stage.incident(lambda incident: incident.outcome is Outcome.REJECTED)
    assert incident.summary.endswith("wrong tag")


async def test_a_server_that_stops_between_the_two_keys_has_approved_nothing(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await stage.stop()
        await second_key(console)
        await console.until(lambda: not console.app.screen.is_armed, "disarmed")
        await stage.start()
        await console.sees("a begins to approve")
        assert await untouched(stage, plan)
        await console.press("a")
        await console.sees("Y APPROVES")
        await second_key(console)
        await stage.incident(fixed)
    view = await view_of(stage, plan)
    assert [approval.approver for approval in view.approvals] == ["ann"]
    assert len((await stage.detail(plan.incident_id)).executions) == 1


async def test_an_answer_that_never_came_is_unknown_and_read_not_sent_again(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        screen = console.app.screen
        real = console.app.connection.client
        sent = []

        class LosesAnswers:
            """The request arrives; its answer does not."""

            def send(self, as_type, method, path, body=None):
                real.send(as_type, method, path, body)
                if method == "POST":
                    sent.append(path)
                    return type(real)("http://127.0.0.1:1").send(as_type, method, path, body)
                return real.send(as_type, method, path, body)

            def __getattr__(self, name):
                return getattr(real, name)

        console.app.connection.client = LosesAnswers()
        await second_key(console)
        await console.until(lambda: screen.seen.own is not None, "read again")
        await stage.incident(fixed)
        await console.sees("your approval had been taken")
    assert sent == [path_of("plans", plan.id, "approve")]
    assert len((await view_of(stage, plan)).approvals) == 1


async def test_y_twice_approves_once(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console:
        await armed(console)
        await console.reads()
        await typed_ahead(console, "Y", "Y", "a", "Y")
        await stage.incident(fixed)
    assert len((await view_of(stage, plan)).approvals) == 1
    assert len((await stage.detail(plan.incident_id)).executions) == 1


async def test_the_queue_shows_what_waits_who_looks_and_opens_the_plan(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(100, 50)) as console, stage.console(size=(100, 50), token=BEN) as ben:
        await on_the_queue(console)
        assert len(console.lines("#rows")) == 1
        row = console.lines("#rows")[0]
        assert "deploy/shop/storefront" in row
        assert "0/1" in row
        assert plan.risk.value in row
        await on_the_plan(ben)
        await ben.press("a")
        await console.until(lambda: "!ben" in console.lines("#rows")[0], "ben is deciding")
        await ben.press("escape")
        await console.press("enter")
        await console.sees("a begins to approve")
        await console.press("a")
        await console.sees("Y APPROVES")
        await second_key(console)
        await console.sees(f"approved {plan.id}")
        await console.sees("nothing waits for a person")
        assert console.said("#answer") == f"approved {plan.id}"


async def test_from_the_queue_i_opens_the_incident_and_esc_comes_back(stage):
    plan = await waiting_plan(stage)
    async with stage.console() as console:
        await on_the_queue(console)
        await console.press("i")
        await console.sees(plan.incident_id)
        await console.press("escape")
        await console.until(lambda: console.app.screen.place == "approvals", "back")


async def test_from_the_approve_screen_over_the_queue_esc_approves_nothing(stage):
    plan = await waiting_plan(stage)
    async with stage.console(size=(80, 24)) as console:
        await on_the_queue(console)
        await console.press("enter")
        await console.sees("esc back")
        await console.press("escape")
        await console.until(lambda: console.app.screen.place == "approvals", "back")
    assert await untouched(stage, plan)


async def turn_kill_switch(stage, *, on):
    body = {"kill_switch": on, "reason": "a drill"}
    await asyncio.to_thread(stage.client.send, dict, "PUT", path_of("mode"), body)


async def test_under_the_kill_switch_the_first_key_does_not_count_and_says_why(stage):
    plan = await waiting_plan(stage)
    async with stage.console() as console:
        await ready(console)
        await asyncio.to_thread(
            stage.client.send, dict, "PUT", path_of("mode"), {"kill_switch": True, "reason": "a drill"}
        )
        await console.until(lambda: console.app.is_killed, "the console does not know of it")
        await console.press("a")
        await console.sees("the kill switch is on")
        await second_key(console)
        detail = await stage.detail(plan.incident_id)
        assert detail.plans[-1].plan.state is PlanState.PROPOSED
        await asyncio.to_thread(
            stage.client.send, dict, "PUT", path_of("mode"), {"kill_switch": False, "reason": "over"}
        )
        await console.until(lambda: not console.app.is_killed, "the console does not know of its end")
        await console.sees("a begins to approve")
