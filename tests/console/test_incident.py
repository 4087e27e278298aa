"""One incident on its screen: all four answers at once, sections, search, evidence, both forms of the diff, export."""

from __future__ import annotations

import stat
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from console.screens.evidence import EvidenceScreen
from console.screens.incident import IncidentScreen
from console.widgets.chain import Chain
from responder.domain.execution import ExecutionOutcome
from responder.domain.incident import Outcome, State


def waits(incident):
    return incident.state is State.AWAITING_APPROVAL


def fixed(incident):
    return incident.state is State.RESOLVED and incident.outcome is Outcome.FIXED


@asynccontextmanager
async def looking(stage, incident, size=(80, 24), **more):
    async with stage.console(size=size, **more) as console:
        console.app.open_incident(incident.id)
        await console.until(lambda: isinstance(console.app.screen, IncidentScreen), "no incident")
        await console.until(lambda: console.app.screen.query("#story"), "nothing is drawn")
        await console.until(lambda: console.lines("#story"), "nothing is told")
        yield console


@pytest.fixture
async def waiting(stage):
    await stage.image_alert()
    return await stage.incident(waits)


def chain_of(console):
    return console.app.screen.query_one(Chain)


def cursor_line(console):
    view = chain_of(console).view
    return view.line_at(view.cursor).text


async def stand_on(console, text):
    lines = console.lines("#story")
    index = next(index for index, line in enumerate(lines) if text in line)
    await console.press("g", *["down"] * index)
    assert text in cursor_line(console)


async def test_the_first_screenful_of_a_small_terminal_answers_all_four_questions(stage, waiting):
    async with looking(stage, waiting) as console:
        await console.sees("a approves, x rejects")
        for part in (
            "AWAITING APPROVAL",
            waiting.id,
            "object    Deployment/shop/storefront",
            "93% sure",
            "change    proposed: set_image: container web, image nginx:1.27",
            "medium risk, can be taken back",
            "reverts   no owner is known to set it back",
        ):
            assert part in console.text


SECTIONS = ("WHY", "CHANGE", "UNDO", "ALERTS", "OTHERS", "RULE", "TIMELINE", "REASONING")


async def test_a_number_leads_to_its_section(stage, waiting):
    async with looking(stage, waiting) as console:
        for number, title in enumerate(SECTIONS, start=1):
            await console.press(str(number))
            assert f"{number} {title}" in cursor_line(console)


async def test_tab_goes_through_the_sections_and_around_and_back(stage, waiting):
    async with looking(stage, waiting, size=(200, 30)) as console:
        await console.until(lambda: console.lines("#record"), "no record")
        seen = []
        for _ in range(9):
            await console.press("tab")
            seen.append(cursor_line(console))
        assert all(
            f"{number} {title}" in line for number, title, line in zip(range(1, 9), SECTIONS, seen, strict=False)
        )
        assert "AWAITING" in seen[8]
        await console.press("shift+tab")
        assert "8 REASONING" in cursor_line(console)
        assert console.app.focused.id == "record"


async def test_a_section_shuts_and_its_number_opens_it_again(stage, waiting):
    async with looking(stage, waiting) as console:
        await console.press("6")
        whole = len(console.lines("#story"))
        await console.press("enter")
        assert len(console.lines("#story")) < whole
        await console.press("g", "6")
        assert len(console.lines("#story")) == whole


async def test_e_opens_everything_and_shuts_it_again(stage, waiting):
    async with looking(stage, waiting) as console:
        before = console.lines("#story")[10:]
        await console.press("e")
        assert any("passed    kill_switch_off" in line for line in console.lines("#story"))
        assert any("label alertname = KubeContainerWaiting" in line for line in console.lines("#story"))
        await console.press("e")
        assert console.lines("#story")[10:] == before


async def test_a_search_goes_through_the_whole_story_and_the_record_beside_it(stage, waiting):
    async with looking(stage, waiting, size=(200, 40)) as console:
        await console.press("slash")
        await console.type("incident_opened")
        await console.press("enter")
        assert "incident_opened" in cursor_line(console)
        assert console.app.focused.id == "record"
        assert "/incident_opened: 1 of 1" in console.said("#where")
        await console.press("slash")
        await console.type("kill_switch_off")
        await console.press("enter")
        assert "kill_switch_off" in cursor_line(console)
        assert console.app.focused.id == "story"
        await console.press("escape")
        assert isinstance(console.app.screen, IncidentScreen)
        assert not console.said("#where")


async def test_n_goes_on_across_both_panes_and_around(stage, waiting):
    async with looking(stage, waiting, size=(200, 40)) as console:
        await console.press("slash")
        await console.type("set_image")
        await console.press("enter")
        total = int(console.said("#where").rpartition(" of ")[2])
        panes = set()
        for _ in range(total):
            assert "set_image" in cursor_line(console)
            panes.add(console.app.focused.id)
            await console.press("n")
        assert panes == {"story", "record"}
        assert f": 1 of {total}" in console.said("#where")
        await console.press("N")
        assert f": {total} of {total}" in console.said("#where")


async def test_evidence_opens_in_full_is_searched_and_copied_and_esc_goes_back(stage, waiting):
    async with looking(stage, waiting) as console:
        await console.until(lambda: any("→ [e" in line for line in console.lines("#story")), "no evidence")
        await stand_on(console, "→ [e")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, EvidenceScreen), "no evidence screen")
        await console.sees("nignx:1.27")
        await console.press("slash")
        await console.type("NIGNX")
        await console.press("enter")
        assert "/NIGNX: 1 of" in console.said("#where")
        await console.press("n", "c")
        assert "nignx:1.27" in console.app.clipboard
        await console.press("escape", "escape")
        assert isinstance(console.app.screen, IncidentScreen)
        assert "→ [e" in cursor_line(console)


async def test_enter_on_a_finding_opens_all_that_it_cites(stage, waiting):
    async with looking(stage, waiting) as console:
        await console.until(lambda: any("→ [e" in line for line in console.lines("#story")), "no evidence")
        await stand_on(console, "▾ 93%")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, EvidenceScreen), "no evidence screen")
        assert sum("[e" in line for line in console.lines("#chain")) > 1


async def test_c_copies_the_id_from_the_first_line_and_else_what_stands_under_the_cursor(stage, waiting):
    digest = (await stage.detail(waiting.id)).plans[-1].plan.digest
    async with looking(stage, waiting, size=(100, 40)) as console:
        await console.press("c")
        assert console.app.clipboard == waiting.id
        await console.sees("copied the id")
        await stand_on(console, "digest  ")
        await console.press("c")
        assert console.app.clipboard == digest
        await stand_on(console, "▾ diff")
        await console.press("c")
        assert "+      - image: nginx:1.27" in console.app.clipboard


async def test_d_puts_what_is_planned_beside_what_is_now_and_back(stage, waiting):
    async with looking(stage, waiting, size=(120, 60)) as console:
        await console.press("d")
        beside = [line for line in console.lines("#story") if "image: nignx:1.27" in line and "image: nginx" in line]
        assert len(beside) == 1
        await console.sees("side by side, d: the other form")
        await console.press("d")
        assert not any("nignx:1.27" in line and "+ " in line for line in console.lines("#story") if "│" in line)


async def test_side_by_side_needs_a_hundred_columns_and_says_so(stage, waiting):
    async with looking(stage, waiting) as console:
        await console.press("d")
        await console.sees("side by side needs 100 columns, here are 80")
        await console.pilot.resize_terminal(110, 30)
        await console.press("d")
        await console.sees("diffs side by side")
        await console.pilot.resize_terminal(90, 30)
        await console.sees("side by side needs 100 columns, here are 90")


@pytest.mark.parametrize(("width", "sides", "panes"), [(139, 0, 1), (140, 0, 2), (140, 1, 1), (200, 1, 2)])
async def test_the_record_stands_beside_the_story_where_both_can_be_read(stage, waiting, width, sides, panes):
    async with looking(stage, waiting, size=(width, 40)) as console:
        await console.press(*["d"] * sides)
        assert len(chain_of(console).shown) == panes
        pane = "#record" if panes == 2 else "#story"
        await console.until(lambda: any("TIMELINE" in line for line in console.lines(pane)), "no record")


async def test_what_is_open_stays_open_when_the_record_moves_below_the_story(stage, waiting):
    async with looking(stage, waiting, size=(200, 40)) as console:
        await console.until(lambda: console.lines("#record"), "no record")
        await console.press("8", "enter")
        assert len([line for line in console.lines("#record") if "run 1 by heuristic" in line]) == 0
        await console.pilot.resize_terminal(100, 40)
        await console.until(lambda: any("8 REASONING" in line for line in console.lines("#story")), "no record")
        assert not any("run 1 by heuristic:" in line and "steps" in line for line in console.lines("#story"))
        assert console.app.focused.id == "story"


async def test_looks_at_a_change_come_in_line_by_line_although_the_stream_tells_of_none(stage):
    await stage.stop()
    stage.rules = stage.rules.replace("settle: 1s", "settle: 3s")
    await stage.start()
    await stage.image_alert()
    incident = await stage.incident(waits)

    def looks():
        return [line for line in console.lines("#story") if " s  pending: " in line]

    async with looking(stage, incident, size=(100, 60), live_poll_seconds=3600.0, poll_seconds=0.1) as console:
        await console.until(lambda: "live" in console.bar, "live")
        await stage.approve((await stage.detail(incident.id)).plans[-1].plan)
        await console.until(lambda: len(looks()) == 1, "no look")
        first = looks()
        await console.until(lambda: len(looks()) > 1, "no second look")
        assert looks()[0] == first[0]
        assert any("VERIFYING" in line for line in console.lines("#story"))
        await console.until(lambda: any("RESOLVED: fixed" in line for line in console.lines("#story")), "not fixed")
        assert any("verified  passed" in line for line in console.lines("#story"))


@pytest.mark.parametrize("stage", ["autonomous"], indirect=True)
async def test_what_was_done_and_how_to_take_it_back_is_told(stage):
    await stage.image_alert()
    incident = await stage.incident(fixed)
    async with looking(stage, incident, size=(100, 90)) as console:
        await console.sees("u takes the change back")
        story = "\n".join(console.lines("#story"))
        for part in ("approved  by policy", "before    0 of 1 ready", "after     1 of 1 ready", "verified  passed"):
            assert part in story
        assert 'image to "nignx:1.27"' in story
    assert (await stage.detail(incident.id)).executions[0].execution.outcome is ExecutionOutcome.APPLIED


async def test_an_export_goes_to_a_file_of_its_own_and_says_where(stage, waiting, tmp_path, monkeypatch):
    folder = tmp_path / "reports"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with looking(stage, waiting, size=(200, 40)) as console:
        await console.press("E")
        file = folder / f"clopus-{waiting.id}.md"
        await console.sees(f"written to {file}")
        assert file.read_text(encoding="utf-8").startswith("# Deployment/shop/storefront: awaiting approval\n")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await console.press("E")
        await console.sees(f"written to {folder / f'clopus-{waiting.id}-2.md'}")


async def test_an_export_to_where_nothing_can_be_written_says_so(stage, waiting, tmp_path):
    async with looking(stage, waiting, size=(200, 40)) as console:
        console.app.screen.export(str(tmp_path / "nowhere" / "x.md"))
        await console.sees("not exported:")
        await console.sees("No such file or directory")


async def test_hostile_evidence_drives_nothing_on_its_own_screen(stage, waiting):
    async with looking(stage, waiting) as console:
        known = console.app.screen.known
        (run, *_) = known.reasoning.investigations
        cited = replace(run.evidence[0], id="e\x1b]52;c;eA==\x07", text="a\x1b[2J\u202egpj\u200b")
        console.app.push_screen(EvidenceScreen((cited,), place="incidents"))
        await console.sees("\\x1b[2J\\u202egpj\\u200b")
        assert not set(console.text) & {"\x1b", "\x07", "\u202e", "\u200b"}
