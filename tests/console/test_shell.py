"""What is the same on every screen: the command line, the palette, help, the way back, themes, keys, the clipboard."""

from __future__ import annotations

import asyncio
import threading

import pytest
from textual.command import CommandPalette
from textual.events import Key, Paste
from textual.widgets import Input

from console.places import PLACES
from console.shell.clipboard import MOST_BYTES
from console.shell.memory import Memory
from console.shell.preferences import Preferences
from console.widgets.bars import Answer, TopBar
from console.widgets.commandline import CommandLine
from responder.domain.incident import State
from responder.domain.views import IncidentDetail

STOREFRONT = "deploy/shop/storefront"


def waits(incident):
    return incident.state is State.AWAITING_APPROVAL


async def command(console, typed):
    await console.press("colon")
    await console.until(lambda: console.app.screen.query(CommandLine), "the command line")
    await console.type(typed)
    await console.press("enter")


def hint(console):
    return console.said("#command-hint")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_every_place_is_reached_by_its_name_and_esc_goes_back(stage, place):
    async with stage.console(size=(80, 24)) as console:
        await command(console, place.name)
        await console.until(lambda: console.app.screen.place == place.name, f"not at {place.name}")
        await console.until(lambda: place.name in console.bar and "live" in console.bar, "the bar")
        await console.press("escape")
        await console.until(lambda: console.app.screen.place == "incidents", "not back")
        await console.press("escape")
        assert console.app.screen.place == "incidents"


async def test_a_short_form_leads_to_the_place_and_its_filter_is_set(stage):
    await stage.post(*({"alertname": f"Strange{number}", "namespace": f"n{number}"} for number in range(3)))
    async with stage.console() as console:
        await console.sees("Strange2")
        await command(console, "health")
        await console.until(lambda: console.app.screen.place == "health", "not at health")
        await command(console, "inc ns:n1")
        await console.until(lambda: "Strange1" in console.text and "Strange2" not in console.text, "not filtered")


async def test_ns_filters_the_list_that_is_looked_at_and_alone_shows_everything(stage):
    await stage.post(*({"alertname": f"Strange{number}", "namespace": f"n{number}"} for number in range(3)))
    async with stage.console() as console:
        await console.sees("Strange2")
        await command(console, "ns n1")
        await console.until(lambda: "Strange1" in console.text and "Strange2" not in console.text, "not filtered")
        await command(console, "ns")
        await console.sees("Strange2")


async def test_ns_is_completed_with_what_the_list_has_shown(stage):
    await stage.post(*({"alertname": "Strange", "namespace": name} for name in ("web", "shop", "shop-test")))
    async with stage.console() as console:
        await console.sees("alert/shop-test/Strange")
        await console.press("colon")
        await console.type("ns s")
        await console.until(lambda: "ns shop  ns shop-test" in hint(console), "not completed")


async def test_an_id_opens_what_it_names(stage):
    await stage.image_alert()
    incident = await stage.incident(waits)
    plan = (await stage.detail(incident.id)).plans[-1].plan
    async with stage.console() as console:
        await console.sees(STOREFRONT)
        for word in (incident.id, plan.id):
            await command(console, word)
            await console.until(lambda: incident.id in console.bar, "the incident")
            await console.press("escape")
            await console.until(lambda: console.app.screen.place == "incidents", "not back")


async def test_an_id_that_is_found_late_does_not_come_over_what_was_begun_since(stage):
    await stage.post({"alertname": "Strange"})
    incident = await stage.incident(bool, "alert/shop/Strange")
    found = threading.Event()
    async with stage.console() as console:
        get = console.app.connection.client.get

        def late(as_type, path, **query):
            if as_type is IncidentDetail:
                found.wait(30.0)
            return get(as_type, path, **query)

        console.app.connection.client.get = late
        await command(console, incident.id)
        await console.press("question_mark")
        await console.sees("Keys: incidents")
        found.set()
        await console.until(lambda: "was found late" in console.app.polled_screens[-1].query_one(Answer).said, "late")
        assert len(console.app.polled_screens) == 1


async def test_the_palette_opens_once_also_below_another_screen(stage):
    async with stage.console() as console:
        await console.press("ctrl+p")
        console.app.go("health")
        await console.until(lambda: console.app.screen.query(TopBar), "health")
        await console.press("ctrl+p")
        assert console.app.is_running
        assert len([screen for screen in console.app.screen_stack if isinstance(screen, CommandPalette)]) == 1


async def test_an_id_that_there_is_not_is_told(stage):
    async with stage.console() as console:
        await command(console, "inc-01k3mw8ah4z7")
        await console.sees("inc-01k3mw8ah4z7")
        await console.until(lambda: "404" in console.said("#answer"), "no answer")
        assert console.app.screen.place == "incidents"


async def test_a_mistake_is_a_sentence_and_can_be_mended(stage):
    async with stage.console(size=(80, 24)) as console:
        await command(console, "helth")
        await console.sees("'helth' is no place and no command; did you mean health?")
        await console.press(*["backspace"] * 4)
        await console.type("ealth")
        await console.press("enter")
        await console.until(lambda: console.app.screen.place == "health", "not at health")


async def test_tab_completes_and_goes_through_what_is_possible(stage):
    async with stage.console(size=(80, 24)) as console:
        await console.press("colon")
        await console.type("a")
        await console.until(lambda: hint(console).split() == ["approvals", "audit", "analytics"], "choices")
        await console.sees(":approvals")
        seen = []
        for _ in range(4):
            await console.press("tab")
            seen.append(console.app.screen.query_one("#command", Input).value)
        assert seen == ["approvals", "audit", "analytics", "approvals"]


async def test_up_recalls_what_was_typed_also_from_the_last_time(stage, tmp_path):
    path = tmp_path / "console.json"
    async with stage.console(memory=Memory(path)) as console:
        await command(console, "health")
        await console.until(lambda: console.app.screen.place == "health", "not at health")
    async with stage.console(memory=Memory(path)) as console:
        await console.press("colon", "up")
        await console.until(lambda: console.app.screen.query_one("#command", Input).value == "health", "not recalled")
        await console.press("down")
        assert console.app.screen.query_one("#command", Input).value == ""


async def test_keys_that_are_typed_ahead_belong_to_the_command_line(stage):
    async with stage.console() as console:
        await console.until(lambda: "live" in console.bar, "live")
        for key, character in (("colon", ":"), ("f", "f"), ("q", "q"), ("x", "x")):
            console.app.post_message(Key(key, character))
        await console.until(lambda: console.app.screen.query("#command"), "the command line")
        await console.until(lambda: console.app.screen.query_one("#command", Input).value == "fqx", "keys went astray")
        assert not console.app.screen.faults_only


@pytest.mark.parametrize("place", ["incidents", "audit"])
async def test_keys_that_are_typed_ahead_belong_to_the_filter(stage, place):
    async with stage.console() as console:
        console.app.go(place)
        await console.until(lambda: console.app.screen.place == place and console.app.screen.query("#filter"), "there")
        await console.until(lambda: "live" in console.bar, "live")
        for key, character in (("slash", "/"), ("f", "f"), ("v", "v"), ("d", "d"), ("slash", "/")):
            console.app.post_message(Key(key, character))
        box = console.app.screen.query_one("#filter", Input)
        await console.until(lambda: box.value == "fvd/", "keys went astray")
        assert console.app.screen.place == place
        assert not getattr(console.app.screen, "faults_only", False)


async def test_esc_leaves_the_command_line_and_the_focus_returns(stage):
    await stage.post({"alertname": "Strange"})
    async with stage.console() as console:
        await console.sees("Strange")
        before = console.app.screen.focused
        await console.press("colon")
        await console.type("q:x")
        await console.press("escape")
        await console.until(lambda: not console.app.screen.query(CommandLine), "still there")
        assert console.app.screen.focused is before
        assert console.app.is_running


async def test_what_is_shown_stays_live_while_a_command_is_typed(stage):
    async with stage.console() as console:
        await console.until(lambda: "live" in console.bar, "live")
        await console.press("colon")
        await console.type("hea")
        await stage.post({"alertname": "Strange"})
        await console.sees("Strange")
        assert console.app.screen.query_one("#command", Input).value == "hea"


async def test_a_question_that_covers_the_screen_is_not_covered_by_the_command_line(stage):
    async with stage.console() as console:
        await console.press("question_mark")
        await console.sees("Keys: incidents")
        await console.press("colon")
        assert not console.app.polled_screens[-1].query(CommandLine)
        await console.press("escape", "colon")
        await console.until(lambda: console.app.screen.query(CommandLine), "the command line")


async def test_a_colon_in_a_text_is_text(stage):
    async with stage.console() as console:
        await console.press("slash")
        await console.type("ns:shop")
        assert not console.app.screen.query(CommandLine)
        assert console.app.screen.query_one("#filter", Input).value == "ns:shop"


async def test_a_slash_in_a_command_is_text(stage):
    async with stage.console() as console:
        await console.press("colon")
        await console.type("export a/b")
        assert console.app.screen.query_one("#command", Input).value == "export a/b"


async def test_q_after_a_colon_quits(stage):
    async with stage.console() as console:
        await command(console, "q")
        await console.until(lambda: not console.app.is_running or console.app._exit, "did not quit")


async def test_the_last_view_and_the_history_are_a_key_away(stage):
    await stage.post({"alertname": "Strange"})
    incident = await stage.incident(lambda incident: True, key="alert/shop/Strange")
    async with stage.console() as console:
        await console.sees("Strange")
        await console.press("enter")
        await console.until(lambda: incident.id in console.bar, "the incident")
        await console.press("escape")
        await console.until(lambda: console.app.trail.here == "incidents", "back")
        await console.press("minus")
        await console.until(lambda: console.app.trail.here == incident.id, "the last view")
        await console.press("minus")
        await console.until(lambda: console.app.trail.here == "incidents", "the one before")
        await command(console, "health")
        await console.until(lambda: console.app.trail.here == "health", "health")
        await console.press("left_square_bracket")
        await console.until(lambda: console.app.screen.place == "incidents", "the view before")
        await console.press("right_square_bracket")
        await console.until(lambda: console.app.screen.place == "health", "the view after")
        await console.press("right_square_bracket")
        await console.sees("there is no view after this one")


async def test_a_place_that_is_open_is_gone_back_to(stage):
    async with stage.console() as console:
        for name in ("health", "mode", "health"):
            await command(console, name)
            await console.until(lambda name=name: console.app.screen.place == name, f"not at {name}")
        assert [screen.place for screen in console.app.polled_screens] == ["incidents", "health"]


async def test_the_palette_offers_places_themes_and_the_keys_of_the_screen(stage):
    async with stage.console() as console:
        await console.until(lambda: "live" in console.bar, "live")
        await console.press("ctrl+p")
        await console.sees("go to approvals")
        await console.sees("faults only (f)")
        await console.type("gotohealth")
        await console.until(lambda: "go to health" in console.text and "go to audit" not in console.text, "searched")
        await console.press("down", "enter")
        await console.until(lambda: console.app.screen.place == "health", "not at health")


async def test_a_key_of_the_screen_works_from_the_palette(stage):
    async with stage.console() as console:
        await console.until(lambda: "live" in console.bar, "live")
        await console.press("ctrl+p")
        await console.type("faults")
        await console.sees("faults only (f)")
        await console.press("down", "enter")
        await console.until(lambda: console.app.screen.faults_only, "not chosen")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_help_shows_the_keys_of_the_screen_and_scrolls_to_its_end(stage, place):
    async with stage.console(size=(80, 24)) as console:
        await command(console, place.name)
        await console.until(lambda: console.app.screen.place == place.name, f"not at {place.name}")
        screen = console.app.screen
        await console.press("f1")
        await console.sees(f"Keys: {place.name}")
        told = " ".join("\n".join(console.lines("#keys")).lower().split())
        for active in screen.active_bindings.values():
            if active.node is screen and active.binding.description:
                assert (active.binding.tooltip or active.binding.description).lower() in told
        await console.press("end")
        await console.sees("quit, q")
        await console.press("escape")
        await console.until(lambda: console.app.screen is screen, "help is shut")


async def test_a_theme_is_remembered(stage, tmp_path):
    path = tmp_path / "console.json"
    async with stage.console(memory=Memory(path)) as console:
        await command(console, "theme clopus-contrast")
        await console.sees("clopus-contrast")
        assert console.app.theme == "clopus-contrast"
    async with stage.console(memory=Memory(path)) as console:
        assert console.app.theme == "clopus-contrast"


async def test_a_theme_of_the_preferences_wins_at_the_next_start_and_that_is_said(stage, tmp_path):
    chosen = Preferences(theme="nord", path="console.toml")
    async with stage.console(memory=Memory(tmp_path / "console.json"), preferences=chosen) as console:
        assert console.app.theme == "nord"
        await command(console, "theme gruvbox")
        await console.sees("gruvbox for now: console.toml says nord")


async def test_what_was_remembered_and_is_broken_is_told_at_the_start(stage, tmp_path):
    path = tmp_path / "console.json"
    path.write_text("{")
    async with stage.console(memory=Memory(path)) as console:
        await console.sees("console.json.broken")


async def test_a_key_of_the_preferences_does_what_the_usual_one_did(stage):
    chosen = Preferences(keys={"incidents.faults": "f5", "app.help": "f1"}, path="console.toml")
    async with stage.console(preferences=chosen) as console:
        await console.until(lambda: "live" in console.bar, "live")
        await console.press("f")
        assert not console.app.screen.faults_only
        await console.press("f5")
        assert console.app.screen.faults_only
        await console.press("f1")
        await console.sees("Keys: incidents")
        assert any(line.startswith("f5 ") and "faults only" in line for line in console.lines("#keys"))


async def test_without_motion_nothing_moves_by_itself(stage):
    async with stage.console(preferences=Preferences(motion=False)) as console:
        assert console.app.animation_level == "none"
        await console.press("colon")
        await console.until(lambda: console.app.screen.query("#command"), "the command line")
        box = console.app.screen.query_one("#command", Input)
        await console.until(lambda: box.has_focus and not box.cursor_blink, "it blinks")


async def test_the_cursor_of_the_terminal_stands_on_the_current_line(stage):
    await stage.post(*({"alertname": f"Strange{number}"} for number in range(5)))
    async with stage.console(size=(80, 24)) as console:
        await console.sees("Strange4")
        await console.press("home", "down", "down")
        row = console.app.cursor_position.y
        await console.until(lambda: console.text.splitlines()[row].startswith(">"), "the cursor is elsewhere")


async def test_c_copies_what_the_screen_names_and_says_so(stage, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    await stage.post({"alertname": "Strange"})
    incident = await stage.incident(lambda incident: True, key="alert/shop/Strange")
    async with stage.console() as console:
        await console.sees("Strange")
        await console.press("c")
        await console.sees("copied the incident's id (16 characters)")
        assert console.app.clipboard == incident.id


@pytest.mark.parametrize(
    ("text", "copied", "said"),
    [
        ("rm -rf\n", "rm -rf", "copied it (6 characters)"),
        ("a\nb", "a\nb", "copied it (2 lines)"),
        ("\x1b]52;c;\x07", "\\x1b]52;c;\\x07", "copied it (14 characters)"),
        ("x" * MOST_BYTES, "x" * MOST_BYTES, "copied it (74994 characters)"),
        ("x" * (MOST_BYTES + 1), "", "not copied: 74,995 bytes, and terminals take 74,994 at once"),
        ("", "", "there is nothing to copy here"),
    ],
    ids=["a command", "lines", "control characters", "the most", "too much", "nothing"],
)
async def test_what_is_copied_is_safe_to_paste_and_fits(stage, monkeypatch, text, copied, said):
    monkeypatch.delenv("TMUX", raising=False)
    async with stage.console() as console:
        console.app.copy(text, "it")
        assert console.app.clipboard == copied
        assert console.said("#answer") == said


async def test_in_tmux_copying_says_what_tmux_needs(stage, monkeypatch):
    monkeypatch.setenv("TMUX", "/tmp/tmux")
    async with stage.console() as console:
        console.app.copy("x", "it")
        assert "set-clipboard on" in console.said("#answer")


async def test_where_there_is_nothing_to_export_that_is_said(stage):
    async with stage.console() as console:
        await command(console, "export")
        await console.sees("there is nothing to export here")


async def test_hostile_text_that_is_pasted_is_shown_as_what_it_is(stage):
    async with stage.console() as console:
        await console.press("colon")
        await console.until(lambda: console.app.screen.query("#command"), "the command line")
        console.app.post_message(Paste("[bold]x[/bold]\x1b[31m\u202ey\rsecond line"))
        await console.sees("[bold]x[/bold]\\x1b[31m\\u202ey")
        await console.press("enter")
        await console.sees("is no place and no command")
        assert not set(console.text) & {"\x1b", "\u202e"}


async def test_nothing_of_the_operator_is_read_or_written_by_an_app_that_was_told_nothing(stage, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    async with stage.console() as console:
        await command(console, "health")
        await command(console, "theme nord")
        await asyncio.sleep(0)
    assert not (tmp_path / "home").exists()
