"""The incident list on a real responder: long lists, live ones, filters, orders, saved views."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import duckdb
import pytest

from console.remote.client import Client
from console.shell.memory import Memory

Fill = Callable[[int], Awaitable[None]]

ROWS = """
INSERT INTO incidents BY NAME
SELECT 'inc-' || lpad(n::VARCHAR, 12, '0') AS id,
       'Deployment/team-' || n % 20 || '/service-' || n AS key,
       'Deployment' AS root_kind, 'team-' || n % 20 AS root_namespace, 'service-' || n AS root_name,
       ['resolved', 'escalated', 'resolved'][n % 3 + 1] AS state,
       ['fixed', 'unfixable', 'recovered'][n % 3 + 1] AS outcome,
       'what is wrong with number ' || n AS summary,
       ['critical', 'warning', 'info', ''][n % 4 + 1] AS severity,
       'team-' || n % 20 AS namespace, ['images', 'noise'][n % 2 + 1] AS rule, 'report' AS mode, '{}' AS labels,
       now()::TIMESTAMP - to_seconds(100 + ? - n) AS opened_at, opened_at AS updated_at, 0 AS attempts,
       0 AS truncated_alerts, '' AS cause, 0 AS members
FROM range(?) numbers(n)
"""
"""Numbered from 0, the newest has the highest number; over or beyond help, so that the responder leaves them alone."""


class CountingClient(Client):
    """Knows what was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[str] = []

    def get(self, as_type: Any, path: str, **query: Any) -> Any:
        self.asked.append(path)
        return super().get(as_type, path, **query)


@pytest.fixture
async def fill(stage) -> Fill:
    """So many incidents, put into the database while nobody has it open."""

    async def filled(count: int) -> None:
        await stage.stop()
        with duckdb.connect(str(stage.folder / "clopus.duckdb")) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(ROWS, [count, count])
        await stage.start()

    return filled


def service(console):
    """Number of the one under the cursor."""
    key = console.app.screen.rows.current.key
    return int(key.rpartition("-")[2])


def cursor_row(console):
    """Where on the screen it stands."""
    return next(index for index, line in enumerate(console.text.split("\n")) if line.startswith(">"))


def first_rows(console, count=3):
    return [int(row.key.rpartition("-")[2]) for _, row in sorted(console.app.screen.rows.listing.rows.items())][:count]


async def status(console, text):
    await console.until(lambda: text in console.said("#status"), f"{text!r} is not in {console.said('#status')!r}")


async def settles(console):
    """Nothing more is wanted."""
    rows = console.app.screen.rows
    await console.until(
        lambda: rows.listing.is_read and rows.current is not None and rows.listing.wanted(rows.standing) is None,
        "still reading",
    )


async def test_the_end_of_a_long_list_is_one_key_away_and_the_keys_wait_for_nothing(stage, fill):
    await fill(20_000)
    async with stage.console(poll_seconds=3600.0) as console:
        await status(console, "1 of 20,000")
        assert service(console) == 19_999
        await console.press("G")
        await status(console, "20,000 of 20,000")
        await settles(console)
        assert service(console) == 0
        await console.press("pageup", "up")
        await settles(console)
        at = console.app.screen.rows.cursor
        assert service(console) == 19_999 - at < 200
        await console.press("g")
        await status(console, "1 of 20,000")
        await settles(console)
        assert service(console) == 19_999


async def test_quick_scrolling_asks_for_little(stage, fill):
    await fill(5_000)
    async with stage.console(poll_seconds=3600.0, size=(80, 24)) as console:
        await settles(console)
        client = CountingClient(stage.client.url, token="operator-token-of-the-tests")
        console.app.connection.client = client
        await console.press(*["pagedown"] * 40)
        await settles(console)
        assert console.app.screen.rows.cursor > 600
        assert service(console) == 4_999 - console.app.screen.rows.cursor
        assert len(client.asked) <= 15
        assert len(console.app.screen.rows.listing.rows) <= 1_100


async def test_every_row_is_met_once_when_one_walks_down(stage, fill):
    await fill(260)
    async with stage.console(poll_seconds=3600.0, size=(80, 40)) as console:
        await settles(console)
        met = set()
        for _ in range(10):
            await settles(console)
            rows, at = console.app.screen.rows, console.app.screen.rows.standing
            seen = range(at.top, min(at.top + at.height, 260))
            met |= {rows.listing.rows[place].id for place in seen}
            await console.press("pagedown")
        assert len(met) == 260


async def test_one_who_stands_in_the_middle_stays_there_when_new_ones_arrive(stage, fill):
    await fill(300)
    async with stage.console() as console:
        await settles(console)
        await console.press(*["pagedown"] * 4, "up", "up")
        await settles(console)
        before, at, row = service(console), console.app.screen.rows.cursor, cursor_row(console)
        await stage.post(*({"alertname": f"Strange{number}"} for number in range(50)))
        await status(console, f"{at + 51} of 350")
        assert service(console) == before
        assert cursor_row(console) == row


async def test_at_the_top_the_newest_comes_to_the_cursor(stage, fill):
    await fill(30)
    async with stage.console() as console:
        await settles(console)
        await stage.post({"alertname": "Strange"})
        await status(console, "1 of 31")
        assert console.app.screen.rows.current.key == "alert/shop/Strange"


async def test_enter_was_not_meant_for_an_incident_that_has_only_just_come_under_the_cursor(stage, fill, monkeypatch):
    await fill(30)
    async with stage.console() as console:
        await settles(console)
        monkeypatch.setattr("console.widgets.lineview.SURPRISE_SECONDS", 60.0)
        await stage.post({"alertname": "Strange"})
        await status(console, "1 of 31")
        await console.press("enter")
        await console.sees("another one came under the cursor just then: Enter again opens it")
        assert console.app.screen.place == "incidents"
        monkeypatch.setattr("console.widgets.lineview.SURPRISE_SECONDS", 0.0)
        await console.press("enter")
        await console.until(lambda: console.app.screen.incident_id, "did not open")


async def test_following_goes_back_to_the_newest_until_one_moves(stage, fill):
    await fill(100)
    async with stage.console() as console:
        await settles(console)
        await console.press("A", "end", "F")
        await status(console, "1 of 100  ·  following")
        await stage.post({"alertname": "Strange"})
        await status(console, "1 of 101  ·  following")
        assert console.app.screen.rows.current.key == "alert/shop/Strange"
        await console.press("down")
        await status(console, "2 of 101  ·  youngest first")


async def test_while_the_server_is_gone_one_scrolls_over_rows_that_are_not_read_and_they_come_with_it(stage, fill):
    await fill(2_000)
    async with stage.console() as console:
        await settles(console)
        await stage.stop()
        await console.until(lambda: "reconnecting" in console.bar, "reconnecting")
        await console.press("G", "pageup", "down", "enter")
        await status(console, "of 2,000")
        assert "..." in console.text
        assert console.said("#preview") == ""
        at = console.app.screen.rows.cursor
        await stage.start()
        await settles(console)
        assert console.app.screen.rows.cursor == at
        assert service(console) == 1_999 - at


async def test_a_filter_that_is_typed_quickly_ends_with_its_own_answer(stage, fill):
    await fill(400)
    async with stage.console() as console:
        await settles(console)
        await console.press("slash")
        await console.type("ns:team-1* !ns:team-11 sev:crit rule:images 96")
        await status(console, "1 of 4  ·")
        assert first_rows(console) == [396, 296, 196]
        await console.press("enter")
        assert not console.app.screen.query_one("#filter").display
        await status(console, "ns:team-1* !ns:team-11 sev:crit rule:images 96")


async def test_a_mistake_says_what_to_write_and_the_rows_stay(stage, fill):
    await fill(40)
    async with stage.console() as console:
        await settles(console)
        await console.press("slash")
        await console.type("age:1h")
        await status(console, "write age<1h for younger, age>1h for older")
        assert console.app.screen.rows.count() == 40
        await console.press(*["backspace"] * 3)
        await console.type("<1d")
        await status(console, "1 of 40  ·  youngest first  ·  age<1d")


async def test_what_the_server_refuses_is_told_in_its_words(stage, fill):
    await fill(40)
    async with stage.console() as console:
        await settles(console)
        await console.press("slash")
        console.app.screen.query_one("#filter").value = " ".join(f"word{number}" for number in range(40))
        await status(console, "q: ")
        assert console.app.screen.rows.count() == 40
        await console.press("escape")
        await status(console, "1 of 40  ·  youngest first  ·  all incidents")


async def test_clearing_the_filter_stays_on_the_incident(stage, fill):
    await fill(1_000)
    async with stage.console() as console:
        await settles(console)
        await console.press("slash")
        await console.type("ns:team-7 state:esc")
        await console.until(lambda: 0 < console.app.screen.rows.count() < 100, "filtered")
        await console.press("enter", "down", "down", "down", "down")
        found = service(console)
        assert found < 900
        await console.press("escape")
        await status(console, f"{1_000 - found} of 1,000")
        await settles(console)
        assert service(console) == found
        await console.sees(f"service-{found}")


async def test_tab_finishes_keys_values_and_names_that_were_seen(stage, fill):
    await fill(60)
    async with stage.console() as console:
        await settles(console)
        await console.press("slash", "r", "u", "tab", "i", "tab", "s", "t", "tab", "r", "tab")
        assert console.app.screen.query_one("#filter").value == "rule:images state:r"
        assert "resolved  rolling_back" in console.said("#status")
        await console.press("e", "tab")
        await status(console, "1 of 20  ·")


async def test_faults_only_and_its_contradiction(stage, fill):
    await fill(60)
    async with stage.console() as console:
        await settles(console)
        await console.press("f")
        await status(console, "1 of 20  ·  youngest first  ·  faults only")
        await console.press("slash")
        await console.type("state:resolved")
        await status(console, "faults only is on")
        await console.press("enter", "f")
        await status(console, "1 of 40  ·  youngest first  ·  state:resolved")
        await console.press("0")
        await status(console, "of 60  ·  youngest first  ·  all incidents")


@pytest.mark.parametrize(
    ("key", "title", "words", "first", "again", "last"),
    [
        ("A", "AGE", "oldest first", [0, 1, 2], "youngest first", [39, 38, 37]),
        ("S", "STATE", "most urgent state first", [37, 34, 31], "least urgent state first", [39, 38, 36]),
        ("V", "SEV", "most severe first", [36, 32, 28], "least severe first", [39, 35, 31]),
        ("R", "RULE", "rule A to Z", [38, 36, 34], "rule Z to A", [39, 37, 35]),
        ("T", "TARGET", "target A to Z", [0, 20, 1], "target Z to A", [9, 29, 8]),
        ("Y", "SUMMARY", "summary A to Z", [0, 1, 10], "summary Z to A", [9, 8, 7]),
    ],
)
async def test_a_letter_sorts_by_its_column_and_once_more_the_other_way(
    stage, fill, key, title, words, first, again, last
):
    await fill(40)
    async with stage.console(size=(160, 30)) as console:
        await settles(console)
        for said, arrow, rows in (
            (words, "↓" if key == "A" else "↑", first),
            (again, "↑" if key == "A" else "↓", last),
        ):
            await console.press(key)
            await status(console, said)
            await console.until(lambda rows=rows: first_rows(console) == rows, f"not {said}")
            await console.sees(f"{title}{arrow}")


async def test_a_click_on_a_title_sorts(stage, fill):
    await fill(40)
    async with stage.console(size=(80, 24)) as console:
        await settles(console)
        await console.pilot.click("#header", offset=(console.said("#header").index("STATE"), 0))
        await status(console, "most urgent state first")
        await console.until(lambda: first_rows(console) == [37, 34, 31], "sorted")


async def test_one_click_selects_and_the_next_opens_and_the_wheel_takes_the_cursor_along(stage, fill):
    await fill(400)
    async with stage.console(size=(80, 24)) as console:
        await settles(console)
        rows = console.app.screen.rows
        for _ in range(20):
            rows._on_mouse_scroll_down(_wheel(rows))
        await settles(console)
        top = rows.scroll_offset.y
        assert top > 0
        assert rows.cursor == top
        await console.pilot.click("#incidents", offset=(10, 5))
        assert rows.cursor == top + 5
        await settles(console)
        chosen = rows.current.id
        await console.pilot.click("#incidents", offset=(10, 5))
        await console.sees(chosen)


def _wheel(widget):
    from textual.events import MouseScrollDown

    return MouseScrollDown(
        widget, x=5, y=5, delta_x=0, delta_y=1, button=0, shift=False, meta=False, ctrl=False, screen_x=5, screen_y=5
    )


async def test_a_saved_view_survives_a_restart_of_the_console(stage, fill):
    await fill(60)
    path = stage.folder / "state" / "console.json"
    async with stage.console(memory=Memory(path)) as console:
        await settles(console)
        await console.press("slash")
        await console.type("ns:team-1*")
        await console.press("enter", "V", "V", "f")
        await status(console, "1 of 11  ·  least severe first  ·  faults only  ·  ns:team-1*")
        await console.press("ctrl+s")
        await console.type("worst of team")
        await console.press("enter")
        await console.sees("saved as worst of team")
    async with stage.console(memory=Memory(path)) as console:
        await status(console, "1 of 60  ·  youngest first  ·  all incidents")
        await console.press("v")
        await console.sees("worst of team")
        await console.sees("faults only, ns:team-1*, least severe first")
        await console.press("enter")
        await status(console, "1 of 11  ·  least severe first  ·  faults only  ·  ns:team-1*")
        await console.press("v", "d")
        await console.sees("none is saved")
        await console.press("escape")
    assert Memory(path).views == ()


async def test_on_a_small_screen_state_target_and_summary_can_be_read(stage, fill):
    await fill(12)
    async with stage.console(size=(80, 24)) as console:
        await settles(console)
        header, row = console.text.split("\n")[1:3]
        assert header.split() == ["AGE↑", "STATE", "SEV", "TARGET", "SUMMARY"]
        assert row.split()[:5] == [">", "1m", "resolved", "-", "team-11/service-11"]
        assert "what is wrong with" in row
        assert len(console.text.split("\n")) == 24


async def test_events_make_the_visible_rows_be_read_and_no_more(stage, fill):
    await fill(2_000)
    async with stage.console(poll_seconds=3600.0) as console:
        await settles(console)
        await console.until(lambda: "live" in console.bar, "live")
        client = CountingClient(stage.client.url, token="operator-token-of-the-tests")
        console.app.connection.client = client
        for number in range(10):
            await stage.post({"alertname": f"Strange{number}"})
        await status(console, "1 of 2,010")
        await console.until(lambda: client.asked, "nothing was asked")
        assert all("limit=100" not in path for path in client.asked)


async def test_a_view_that_means_nothing_is_not_saved(stage):
    async with stage.console() as console:
        await status(console, "no incidents")
        await console.press("slash")
        await console.type("state:zz")
        await console.press("enter", "ctrl+s")
        await console.sees("nothing was saved: no state begins with 'zz'")
    assert console.app.memory.views == ()


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_filter_can_be_given_from_elsewhere(stage, fill, is_open):
    await fill(60)
    async with stage.console() as console:
        if is_open:
            await settles(console)
        assert console.app.go("incidents").narrow("state:esc")
        await status(console, "1 of 20  ·  youngest first  ·  state:esc")
        await console.press("escape")
        await status(console, "of 60  ·")
