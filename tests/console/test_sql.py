"""Statements, typed and run."""

from __future__ import annotations

import asyncio
import csv
import io

import pytest

from console.screens.sql import SqlScreen
from console.widgets.prompt import Prompt
from console.widgets.rowgrid import RowGrid

ENDLESS = "SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range * b.range = 1"


async def at_sql(console, sql=None):
    console.app.go("sql")
    await console.until(
        lambda: isinstance(console.app.screen, SqlScreen) and console.app.screen.query(Prompt), "no sql"
    )
    await console.until(lambda: console.app.screen.catalogue is not None, "no catalogue")
    if sql is not None:
        console.app.screen.query_one(Prompt).put(sql)
        await console.pilot.pause()
    return console.app.screen


async def run(console, sql):
    screen = await at_sql(console, sql)
    await console.press("f5")
    return screen


async def answered(console, sql):
    """Run, and wait for the rows."""
    screen = await at_sql(console, sql)
    before = screen.found
    await console.press("f5")
    await console.until(lambda: screen.found is not before, "no answer")
    await console.until(lambda: screen.rows.has_focus or not screen.found.rows, "no focus")
    return screen


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_a_statement_is_answered_with_rows_and_their_age(stage, size):
    await stage.image_alert()
    await stage.incident(lambda incident: incident.rule == "images")
    async with stage.console(size=size) as console:
        await answered(console, "SELECT key, rule FROM v_incidents")
        await console.sees("Deployment/shop/storefront")
        await console.sees("row 1 of 1")
        await console.sees("as of ")
        assert "key" in console.text


async def test_enter_after_a_semicolon_runs(stage):
    async with stage.console() as console:
        await at_sql(console, "SELECT 41 + 1 AS answer;")
        await console.press("enter")
        await console.sees("42")


async def test_enter_elsewhere_begins_a_line(stage):
    async with stage.console() as console:
        screen = await at_sql(console, "SELECT 1")
        await console.press("enter")
        assert screen.prompt.text == "SELECT 1\n"


async def test_letters_that_are_keys_elsewhere_are_typed(stage):
    async with stage.console() as console:
        screen = await at_sql(console, "")
        await console.press("q", "colon", "c", "question_mark", "w", "minus")
        assert screen.prompt.text == "q:c?w-"


async def test_a_statement_as_wide_as_the_screen_is_wrapped(stage):
    async with stage.console(size=(80, 24)) as console:
        screen = await at_sql(console, "")
        await console.type("SELECT 'x' AS " + "y" * 61)
        for length in range(62, 68):
            await console.type("y")
            await console.press("f5")
            await console.until(lambda n=length: screen.found and len(screen.found.columns[0].name) == n, "no answer")
            await console.sees("row 1 of 1")
            await console.press("i", "end")


async def test_a_refusal_is_told_and_the_statement_stays(stage):
    async with stage.console() as console:
        screen = await run(console, "DELETE FROM incidents")
        await console.sees("only SELECT is answered")
        assert screen.prompt.text == "DELETE FROM incidents"


async def test_the_engines_own_words_point_at_the_mistake(stage):
    async with stage.console() as console:
        await run(console, "SELECT nope FROM v_incidents")
        await console.sees('Referenced column "nope" not found')


async def test_a_running_statement_can_be_given_up(stage):
    async with stage.console() as console:
        screen = await run(console, ENDLESS)
        await console.sees("running for")
        await console.until(lambda: stage.responder._queries._process, "it did not start")
        process = stage.responder._queries._process
        await console.press("escape")
        await console.sees("given up")
        await asyncio.wait_for(process.wait(), 20)
        assert console.app.screen is screen
        await run(console, "SELECT 'next one'")
        await console.sees("next one")


async def test_esc_with_nothing_that_runs_goes_back(stage):
    async with stage.console() as console:
        await at_sql(console)
        await console.press("escape")
        await console.until(lambda: not isinstance(console.app.screen, SqlScreen), "still there")


async def test_up_and_down_go_through_what_was_run(stage):
    async with stage.console() as console:
        screen = await answered(console, "SELECT 'first'")
        await answered(console, "SELECT 'second'")
        screen.prompt.focus()
        screen.prompt.put("SELECT 'begun'")
        await console.press("up")
        assert screen.prompt.text == "SELECT 'second'"
        await console.press("up")
        assert screen.prompt.text == "SELECT 'first'"
        await console.press("down", "down")
        assert screen.prompt.text == "SELECT 'begun'"


async def test_a_statement_that_was_never_run_is_recalled_on_the_next_visit(stage):
    async with stage.console() as console:
        await at_sql(console, "SELECT 'half of it")
        await console.press("escape")
        await console.until(lambda: not isinstance(console.app.screen, SqlScreen), "still there")
        screen = await at_sql(console)
        assert screen.prompt.text == "SELECT 'half of it"


async def test_tab_completes_a_view_and_its_columns(stage):
    async with stage.console() as console:
        screen = await at_sql(console, "SELECT * FROM v_inc")
        await console.press("tab")
        assert screen.prompt.text == "SELECT * FROM v_incidents"
        screen.prompt.put("SELECT * FROM v_incidents WHERE seconds_")
        await console.press("tab")
        assert screen.prompt.text.endswith("WHERE seconds_open")


async def test_tab_with_several_choices_lists_them(stage):
    async with stage.console() as console:
        await at_sql(console, "SELECT * FROM v_")
        await console.press("tab")
        await console.sees("v_mttr")


async def test_columns_beyond_the_edge_are_scrolled_to(stage):
    async with stage.console(size=(80, 24)) as console:
        await answered(console, "SELECT " + ", ".join(f"'{n}' AS column_number_{n}" for n in range(20)))
        await console.sees("columns 1-4 of 20")
        assert "column_number_19" not in console.said("#names")
        await console.press("dollar_sign")
        await console.until(lambda: "column_number_19" in console.said("#names"), "not scrolled")
        assert "column_number_0 " not in console.said("#names")
        await console.press("circumflex_accent")
        await console.until(lambda: "column_number_0 " in console.said("#names"), "not scrolled back")


async def test_ten_thousand_rows_are_walked_to_the_end(stage):
    async with stage.console() as console:
        await answered(console, "SELECT range AS n FROM range(10000)")
        await console.sees("row 1 of 10000")
        await console.press("end")
        await console.sees("9999")
        await console.sees("row 10000 of 10000")


async def test_a_cut_off_answer_says_so(stage):
    async with stage.console() as console:
        await answered(console, "SELECT range AS n FROM range(10001)")
        await console.sees("cut off at 10000 rows")


async def test_enter_on_a_row_shows_all_of_it(stage):
    async with stage.console(size=(80, 24)) as console:
        await answered(console, "SELECT 'a' AS x, repeat('long ', 40) AS y UNION ALL SELECT 'b', 'short'")
        await console.sees("row 1 of 2")
        await console.press("enter")
        await console.sees("sql › row 1 of 2")
        assert console.text.count("long") == 40
        await console.press("n")
        await console.sees("short")
        await console.press("escape")
        await console.sees("row 1 of 2")


async def test_rows_are_saved_as_csv_without_formulas(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with stage.console() as console:
        await answered(console, "SELECT '=1+1' AS formula, 2 AS n")
        await console.sees("=1+1")
        await console.press("w")
        await console.sees("1 row written to")
    (written,) = tmp_path.glob("clopus-sql-*.csv")
    assert list(csv.reader(io.StringIO(written.read_text()))) == [["formula", "n"], ["'=1+1", "2"]]
    assert written.stat().st_mode & 0o777 == 0o600


async def test_text_of_the_record_cannot_drive_the_terminal(stage):
    async with stage.console() as console:
        await answered(console, "SELECT chr(27) || '[31mred' || chr(8238) AS evil")
        await console.sees("\\x1b[31mred\\u202e")


async def test_copying_takes_the_row_or_the_statement(stage):
    async with stage.console() as console:
        screen = await answered(console, "SELECT 1 AS a, 'x' AS b")
        await console.sees("row 1 of 1")
        screen.query_one(RowGrid).focus()
        assert screen.copied() == ("1\tx", "the row")
        screen.prompt.focus()
        await console.pilot.pause()
        assert screen.copied() == ("SELECT 1 AS a, 'x' AS b", "the statement")
