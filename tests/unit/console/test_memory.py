"""What is kept between two starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from console.shell.memory import MOST_LINES, Memory, SavedView, default_path

VIEW = SavedView(name="shop", typed="ns:shop*", sort="-severity", faults_only=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "console.json"


def test_what_was_saved_is_there_at_the_next_start(path):
    memory = Memory(path)
    memory.save_view(VIEW)
    memory.add_history("sql", "SELECT 1")
    memory.keep_theme("nord")
    again = Memory(path)
    assert (again.views, again.history("sql"), again.theme) == ((VIEW,), ("SELECT 1",), "nord")
    assert again.problem == ""


def test_what_was_put_into_the_file_cannot_drive_a_terminal_nor_keep_it_from_being_written(path):
    path.parent.mkdir()
    hostile = {"histories": {"command": ["\x1b]0;x\x07", "\ud800"]}, "views": [{"name": "\u202eshop"}]}
    path.write_text(json.dumps(hostile), encoding="utf-8")
    memory = Memory(path)
    assert memory.history("command") == ("\\x1b]0;x\\x07", "\\ud800")
    assert memory.views[0].name == "\\u202eshop"
    memory.add_history("command", "health")
    assert Memory(path).history("command")[-1] == "health"


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    memory = Memory()
    memory.save_view(VIEW)
    assert memory.view("shop") == VIEW
    assert list(tmp_path.iterdir()) == []


def test_a_view_takes_the_place_of_one_with_its_name(path):
    memory = Memory(path)
    memory.save_view(VIEW)
    memory.save_view(SavedView(name="shop", typed="other"))
    assert [view.typed for view in memory.views] == ["other"]


def test_a_view_is_dropped_once(path):
    memory = Memory(path)
    memory.save_view(VIEW)
    assert memory.drop_view("shop")
    assert not memory.drop_view("shop")
    assert Memory(path).views == ()


def test_a_history_keeps_each_line_once_and_the_newest_only(path):
    memory = Memory(path)
    for number in range(MOST_LINES + 5):
        memory.add_history("command", f"line {number}")
    memory.add_history("command", "line 10")
    memory.add_history("command", "  ")
    lines = memory.history("command")
    assert len(lines) == MOST_LINES
    assert lines[-1] == "line 10"
    assert lines.count("line 10") == 1
    assert "line 0" not in lines


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"views": 3}',
        '{"views": [{"typed": "x"}]}',
        '{"histories": {"sql": [1]}}',
        '{"theme": []}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_broken_file_is_moved_aside_and_told(path, text):
    path.parent.mkdir()
    path.write_text(text)
    memory = Memory(path)
    assert memory.views == ()
    assert "console.json.broken" in memory.problem
    assert (path.parent / "console.json.broken").read_text() == text
    memory.save_view(VIEW)
    assert Memory(path).views == (VIEW,)


def test_what_a_newer_version_has_added_is_passed_over(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 2, "theme": "nord", "colour": {"a": 1}}))
    memory = Memory(path)
    assert (memory.theme, memory.problem) == ("nord", "")


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_lost_meanwhile(tmp_path):
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "console.json")
    memory.save_view(VIEW)
    assert "cannot be" in memory.problem
    assert memory.views == (VIEW,)


def test_nothing_is_left_over_and_only_the_owner_may_read(path):
    Memory(path).save_view(VIEW)
    assert os.listdir(path.parent) == ["console.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_its_place_is_where_state_belongs():
    assert default_path({"XDG_STATE_HOME": "/state"}) == Path("/state/clopus/console.json")
    assert default_path({}) == Path.home() / ".local" / "state" / "clopus" / "console.json"
