"""Rules: the table, one rule, and explaining an alert, against a real responder."""

from __future__ import annotations

import asyncio
import json

import pytest
from textual import events

from console.screens.explain import ExplainScreen, LabelsBox
from console.screens.incident import IncidentScreen
from console.screens.rule import RuleScreen
from responder.domain.mode import ModeSettings

RULES = """
rules:
  - name: bank
    match: {matchers: ['namespace="bank"']}
    mode: dry-run
  - name: images
    match: {alerts: [KubeContainerWaiting], matchers: ['namespace=~"shop.*"'], sources: [alertmanager]}
    exclude: {matchers: ['team="platform"']}
    mode: MODE
    actions: [set_image, undo_rollout]
    max_risk: medium
    approval: {approvers: 2, expires: 20m}
    verify: {settle: 1s, within: 20s}
"""


@pytest.fixture
async def ruled(stage):
    """The stage with two rules."""
    await stage.stop()
    stage.rules = RULES
    await stage.start()
    return stage


async def paste(console, text: str) -> None:
    console.app.screen.query_one(LabelsBox).post_message(events.Paste(text))
    await console.pilot.pause()


async def test_the_table_tells_hits_record_and_trust_in_order_of_precedence(ruled):
    await ruled.image_alert()
    await ruled.incident(lambda incident: incident.state == "awaiting_approval")
    async with ruled.console((200, 50)) as console:
        console.app.go("rules")
        await console.until(lambda: "s awaiting " in console.text, "no last decision")
        bank, images = console.lines("#rows")
        assert bank.split()[:4] == ["bank", "dry-run", "0", "0"]
        assert images.split()[:4] == ["images", "dry-run", "1", "1"]
        assert "never" in bank
        assert "too little is known: no change is judged" in images


async def test_a_mode_that_a_ceiling_lowers_is_shown_with_what_the_rule_says(ruled):
    body = {"ceiling": "report", "reason": "a quiet night"}
    await asyncio.to_thread(ruled.client.send, ModeSettings, "PUT", "/api/v1/mode", body)
    async with ruled.console((80, 24)) as console:
        console.app.go("rules")
        await console.sees("report (dry)")
        await console.sees("lowered to report by the ceiling, report")


async def test_enter_opens_a_rule_and_its_incident(ruled):
    await ruled.image_alert()
    incident = await ruled.incident(lambda incident: incident.rule == "images")
    async with ruled.console((80, 50)) as console:
        console.app.go("rules")
        await console.sees("images")
        await console.press("down", "enter")
        await console.sees("Newest incidents")
        text = "\n".join(console.lines("#rule"))
        for part in ("rules.yaml:6", "KubeContainerWaiting", 'namespace=~"shop.*"', 'team="platform"', "2 different"):
            assert part in text
        await console.until(lambda: "Deployment/shop/storefront" in console.lines("#rule")[-1], "no incident")
        await console.press("end", "enter")
        await console.until(lambda: isinstance(console.app.screen, IncidentScreen), "not opened")
        assert console.app.screen.incident_id == incident.id
        await console.press("escape")
        assert isinstance(console.app.screen, RuleScreen)


async def test_typed_labels_are_explained_line_by_line(ruled):
    async with ruled.console((100, 40)) as console:
        console.app.go("rules")
        await console.sees("images")
        await console.press("x")
        await console.until(lambda: console.app.screen.query(LabelsBox), "no form")
        console.app.screen.query_one(LabelsBox).insert('alertname=KubeContainerWaiting namespace="shop"')
        await console.press("enter")
        await console.sees("in effect")
        text = "\n".join(line.rstrip() for line in console.lines("#explanation"))
        assert 'namespace="bank" does not hold: namespace is "shop"' in text
        assert "speaks images" in text
        assert "mode              dry-run" in text
        assert "source            alertmanager" in text


async def test_an_alert_that_no_rule_speaks_for_says_so(ruled):
    async with ruled.console((100, 40)) as console:
        console.app.push_screen(ExplainScreen())
        await console.until(lambda: console.app.screen.query(LabelsBox), "no form")
        await console.type("severity=x")
        await console.press("enter")
        await console.sees("none speaks for it: it is reported")
        assert sum("no " in line[:4] for line in console.lines("#explanation")) >= 2


async def test_a_pasted_webhook_is_explained_by_its_first_alert(ruled):
    alert = {
        "status": "firing",
        "labels": {"alertname": "KubeContainerWaiting", "namespace": "shop", "team": "platform"},
    }
    body = json.dumps({"version": "4", "alerts": [alert, alert]}, indent=2)
    async with ruled.console((100, 50)) as console:
        console.app.push_screen(ExplainScreen())
        await console.until(lambda: console.app.screen.query(LabelsBox), "no form")
        await paste(console, body)
        await console.press("enter")
        await console.sees("the first of 2 alerts")
        assert any('excluded by team="platform"' in line for line in console.lines("#explanation"))


async def test_an_incident_is_explained_by_its_own_labels_which_can_then_be_changed(ruled):
    await ruled.image_alert()
    incident = await ruled.incident(lambda incident: incident.rule == "images")
    async with ruled.console((100, 50)) as console:
        console.app.push_screen(ExplainScreen(incident.id))
        await console.sees("in effect")
        typed = console.app.screen.query_one(LabelsBox).text
        assert 'owner_name="storefront"' in typed
        assert any("speaks images" in line for line in console.lines("#explanation"))
        await console.press("ctrl+l")
        await console.type("namespace=bank")
        await console.press("enter")
        await console.until(lambda: any("speaks bank" in line for line in console.lines("#explanation")), "not bank")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("shop", "'shop' is no label"),
        ("inc-000000000000", "no incident inc-000000000000"),
        ("", "type labels, as alertname=X"),
    ],
)
async def test_what_cannot_be_explained_is_told_in_a_sentence(stage, typed, sentence):
    async with stage.console((100, 30)) as console:
        console.app.push_screen(ExplainScreen())
        await console.until(lambda: console.app.screen.query(LabelsBox), "no form")
        await console.type(typed)
        await console.press("enter")
        await console.sees(sentence)


async def test_pasted_characters_that_nobody_sees_are_made_visible(stage):
    async with stage.console((100, 30)) as console:
        console.app.push_screen(ExplainScreen())
        await console.until(lambda: console.app.screen.query(LabelsBox), "no form")
        await paste(console, '{"team": "\x1b[31m\u202ered"}')
        await console.sees('{"team": "\\u001b[31m\\u202ered"}')
        await console.press("enter")
        await console.sees("team              \\x1b[31m\\u202ered")


async def test_the_command_line_leads_to_an_explanation_and_to_a_rule(ruled):
    async with ruled.console((100, 30)) as console:
        await console.type(":rules namespace=bank")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, ExplainScreen), "no form")
        await console.sees("speaks bank")
        await console.press("escape")
        await console.type(":rules images")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, RuleScreen), "no rule")
        await console.sees("KubeContainerWaiting")


async def test_a_rule_that_is_not_there_says_so(stage):
    async with stage.console((100, 30)) as console:
        console.app.push_screen(RuleScreen("gone"))
        await console.sees("there is no such rule")
