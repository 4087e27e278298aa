"""The reasoning of an incident on its screen: a record of a real responder, looked through by keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.screens.reasoning import EvidenceScreen, ReasoningScreen
from console.widgets.chain import Chain
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    Step,
    StepKind,
    Usage,
)
from responder.domain.refs import ObjectRef
from responder.store import investigations

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
USAGE = Usage(input_tokens=1000, cache_read_tokens=9000, output_tokens=1234)
LOG = Evidence(
    id="e71",
    kind=EvidenceKind.LOG,
    source="Pod/shop/web-1, previous log",
    observed_at=AT,
    text="\n".join(f"line {number} of the log \x1b[31mred" for number in range(60)) + "\nOOMKilled at the end",
)


def step(number, kind, text="", **fields):
    return Step(number=number, kind=kind, at=AT, text=text, **fields)


def turn(number, first, says):
    """A call, its result and what the model said then."""
    return (
        step(first, StepKind.THINKING, "perhaps memory", turn=number),
        step(first + 1, StepKind.TOOL_CALL, '{"pod":"web-1"}', turn=number, tool="logs", call="c1"),
        step(first + 2, StepKind.TURN, turn=number, usage=USAGE, cost_usd=0.03, seconds=4.1, stop_reason="tool_use"),
        step(first + 3, StepKind.TOOL_RESULT, "e71: log", turn=number, tool="logs", call="c1", evidence=("e71",)),
        step(first + 4, StepKind.TEXT, says, turn=number),
    )


def run(incident, **fields):
    base = {
        "id": "inv-z",
        "incident_id": incident.id,
        "number": 90,
        "analyzer": "claude",
        "model": "model-1",
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=14),
        "conclusion": Conclusion.FAULT_FOUND,
        "summary": "too little memory",
        "evidence": (LOG,),
        "steps": (*turn(1, 1, "it needs a look"), *turn(2, 6, "the needle is here\nand a second line")),
        "findings": (
            Finding(signature="memory.limit", subject=WEB, cause="low limit", confidence=0.93, evidence=("e71",)),
            Finding(
                signature="model.x", subject=WEB, cause="made up", confidence=0.2, evidence=("e99",), unsupported=True
            ),
        ),
        "usage": USAGE,
        "cost_usd": 0.1,
    }
    return Investigation(**base | fields)


async def write(stage, job):
    await stage.responder._store.write(job)


async def investigated(stage):
    """An incident whose own look is over."""
    await stage.post({"alertname": "Strange"})
    return await stage.incident(lambda incident: incident.state.value == "escalated", key="alert/shop/Strange")


async def opened(console):
    await console.sees("alert/shop/Strange")
    await console.press("enter")
    await console.sees("why  ")
    await console.press("t")
    await console.until(lambda: isinstance(console.app.screen, ReasoningScreen), "no reasoning")


def cursor_line(console):
    view = console.app.screen.query_one(Chain).view
    return view.line_at(view.cursor).text


async def stand_on(console, text):
    """Down to the first row that says so."""
    index = next(index for index, line in enumerate(console.lines("#chain")) if text in line)
    await console.press("g", *["down"] * index)
    assert text in cursor_line(console)


@pytest.fixture
async def seeded(stage):
    incident = await investigated(stage)
    await write(stage, lambda con: investigations.insert(con, run(incident)))
    return stage


async def test_turns_open_to_steps_and_steps_to_their_text_and_shut_again(seeded):
    async with seeded.console(size=(80, 24)) as console:
        await opened(console)
        await console.until(lambda: any("TURN 2" in line for line in console.lines("#chain")), "no turns")
        assert not any("2 call" in line for line in console.lines("#chain"))
        await stand_on(console, "TURN 1")
        before = console.lines("#chain")
        await console.press("right")
        assert any("(the provider's summary, no proof)  perhaps memory" in line for line in console.lines("#chain"))
        await stand_on(console, "2 call c1")
        await console.press("enter")
        assert any('│   "pod": "web-1"' in line for line in console.lines("#chain"))
        await console.press("down", "left")
        assert "2 call c1" in cursor_line(console)
        assert not any('"pod": "web-1"' in line and "│" in line for line in console.lines("#chain"))
        await console.press("left", "left")
        assert "TURN 1" in cursor_line(console)
        assert console.lines("#chain") == before


async def test_e_opens_everything_and_shuts_it_again(seeded):
    async with seeded.console() as console:
        await opened(console)
        await console.until(lambda: any("TURN 2" in line for line in console.lines("#chain")), "no turns")
        before = console.lines("#chain")
        await console.press("e")
        assert any("OOMKilled at the end" in line for line in console.lines("#chain"))
        await console.press("e")
        assert console.lines("#chain") == before


async def test_a_search_opens_what_it_finds_and_n_goes_on_and_esc_ends_it_first(seeded):
    async with seeded.console(size=(80, 24)) as console:
        await opened(console)
        await console.until(lambda: any("TURN 2" in line for line in console.lines("#chain")), "no turns")
        await console.press("slash")
        await console.type("NEED")
        await console.press("enter")
        assert "it needs a look" in cursor_line(console)
        assert "/NEED: 1 of 2" in console.said("#where")
        await console.press("n")
        assert "the needle is here" in cursor_line(console)
        assert cursor_line(console).strip() in console.text
        await console.press("n")
        assert "it needs a look" in cursor_line(console)
        await console.press("N")
        assert "/NEED: 2 of 2" in console.said("#where")
        await console.press("escape")
        assert "/NEED" not in console.said("#where")
        assert isinstance(console.app.screen, ReasoningScreen)
        await console.press("escape")
        assert not isinstance(console.app.screen, ReasoningScreen)


async def test_what_is_not_there_is_not_found_and_typing_drives_nothing(seeded):
    async with seeded.console() as console:
        await opened(console)
        await console.until(lambda: any("TURN 2" in line for line in console.lines("#chain")), "no turns")
        before = console.lines("#chain")
        await console.press("slash")
        await console.type("encG?t")
        await console.press("enter")
        assert "/encG?t: not found" in console.said("#where")
        assert console.lines("#chain") == before


@pytest.mark.parametrize("at", ["low limit", "[e71] log"])
async def test_a_finding_and_what_it_cites_open_the_evidence_in_full_and_esc_goes_back(seeded, at):
    async with seeded.console(size=(80, 24)) as console:
        await opened(console)
        await console.until(lambda: any(at in line for line in console.lines("#chain")), "no finding")
        await stand_on(console, at)
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, EvidenceScreen), "no evidence")
        await console.sees("line 1 of the log \\x1b[31mred")
        await console.press("G")
        await console.sees("OOMKilled at the end")
        await console.press("escape")
        assert isinstance(console.app.screen, ReasoningScreen)
        assert at in cursor_line(console)


async def test_an_unsupported_finding_is_marked_and_its_evidence_said_to_be_missing(seeded):
    async with seeded.console(size=(80, 24)) as console:
        await opened(console)
        await console.sees("[UNSUPPORTED: e99]")
        await console.sees("there is no such observation")
        await stand_on(console, "UNSUPPORTED")
        await console.press("enter")
        assert isinstance(console.app.screen, ReasoningScreen)


async def test_c_copies_the_step_and_nothing_that_drives_a_terminal(seeded):
    async with seeded.console() as console:
        await opened(console)
        await console.until(lambda: any("observations" in line for line in console.lines("#chain")), "no evidence")
        await stand_on(console, "observations 1")
        await console.press("c")
        assert "OOMKilled at the end" in console.app.clipboard
        assert "\x1b" not in console.app.clipboard
        await console.sees("copied observations (")


async def test_a_run_that_goes_on_grows_on_the_screen_and_is_followed_from_its_end(stage):
    incident = await investigated(stage)
    whole = run(incident)
    begun = replace(whole, ended_at=None, summary="", steps=(), evidence=(), findings=())
    await write(stage, lambda con: investigations.begin(con, begun))
    await write(stage, lambda con: investigations.add(con, whole.id, whole.steps[:2], ()))
    async with stage.console(size=(80, 12)) as console:
        await opened(console)
        await console.until(lambda: any("2 call c1" in line for line in console.lines("#chain")), "no step")
        assert any("has not ended" in line for line in console.lines("#chain"))
        assert "goes on, G follows" in console.said("#where")
        await console.press("G")
        assert "goes on, followed" in console.said("#where")
        await write(stage, lambda con: investigations.add(con, whole.id, whole.steps[2:8], whole.evidence))
        await console.until(lambda: any("TURN 2" in line for line in console.lines("#chain")), "no second turn")
        chain = console.app.screen.query_one(Chain)
        await console.until(lambda: chain.is_at_end, "not followed")
        await stand_on(console, "TURN 1")
        await write(stage, lambda con: investigations.finish(con, whole))
        await console.until(lambda: any("fault found" in line for line in console.lines("#chain")), "not ended")
        assert "TURN 1" in cursor_line(console)
        assert "goes on" not in console.said("#where")


async def test_an_incident_that_nobody_looked_at_yet_says_so(stage):
    incident = await investigated(stage)
    await write(stage, lambda con: con.execute("DELETE FROM investigations WHERE incident_id = ?", [incident.id]))
    async with stage.console() as console:
        await opened(console)
        await console.sees("not investigated yet")
        await console.press("down", "right", "left", "enter", "e", "c", "n", "G", "g")
        assert isinstance(console.app.screen, ReasoningScreen)


async def test_a_chain_of_a_thousand_long_steps_opens_and_is_searched(stage):
    incident = await investigated(stage)
    text = "x" * 60 + " " + "word " * 3200
    steps = tuple(step(number, StepKind.TEXT, f"{text}{number}-end", turn=number // 5 + 1) for number in range(1, 1001))
    await write(stage, lambda con: investigations.insert(con, run(incident, steps=steps)))
    async with stage.console(size=(80, 24)) as console:
        await opened(console)
        await console.until(lambda: any("TURN 201" in line for line in console.lines("#chain")), "no turns")
        await console.press("e", "G")
        await console.press("slash")
        await console.type("777-end")
        await console.press("enter")
        assert "777-end" in cursor_line(console)
        await console.sees("777-end")


async def test_a_resize_keeps_the_cursor_on_its_step(seeded):
    async with seeded.console(size=(200, 50)) as console:
        await opened(console)
        await console.until(lambda: any("TURN 2" in line for line in console.lines("#chain")), "no turns")
        await console.press("e")
        await stand_on(console, "2 call c1")
        await console.pilot.resize_terminal(80, 24)
        await console.pilot.pause()
        assert "2 call c1" in cursor_line(console)
        await console.sees("2 call c1")
        await console.pilot.resize_terminal(20, 6)
        await console.pilot.pause()
        assert "2 call c1" in cursor_line(console)
