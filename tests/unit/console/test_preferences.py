"""The file in which an operator sets keys and colours."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from console.app import ConsoleApp
from console.remote.client import Client
from console.shell.keymap import keys_of, normal
from console.shell.preferences import Preferences, default_path, load, parse
from responder.cli.console import console
from responder.domain.errors import ConfigError


def app_with(keys, theme=""):
    preferences = Preferences(theme=theme, keys=keys, path="console.toml")
    return ConsoleApp(Client("http://127.0.0.1:0"), preferences=preferences)


def test_a_file_sets_theme_motion_cursor_and_keys(tmp_path):
    path = tmp_path / "console.toml"
    path.write_text('theme = "nord"\nmotion = false\ncursor = true\n[keys]\n"incident.approve" = "A"\n')
    assert load(path, {}) == Preferences(
        theme="nord", motion=False, cursor=True, keys={"incident.approve": "A"}, path=str(path)
    )


def test_without_a_file_there_are_none(tmp_path):
    assert load(None, {"XDG_CONFIG_HOME": str(tmp_path)}) == Preferences()


def test_a_file_that_was_named_has_to_be_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "console.toml", {})


def test_a_place_for_it_that_is_not_absolute_is_ignored():
    usual = Path.home() / ".config" / "clopus" / "console.toml"
    assert default_path({"XDG_CONFIG_HOME": "relative"}) == default_path({}) == usual


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('them = "nord"', "them: is not known; did you mean theme?"),
        ("motion = 0", "motion: has to be true or false"),
        ('keys = "a"', "keys: has to be a table"),
        ('[keys]\nincident.approve = "A"', 'put the id in quotes: "incident.approve"'),
        ('[keys]\n"incident.approve" = ""', "has to be a key"),
        ("theme = nord", "is no TOML: "),
    ],
)
def test_a_mistake_in_it_is_refused_with_the_nearest_name(text, sentence):
    with pytest.raises(ConfigError) as caught:
        parse(text, "console.toml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"incident.aprove": "A"}, "keys.incident.aprove: is not known; did you mean incident.approve?"),
        ({"incident.approve": "ctlr+a"}, "there is no key 'ctlr+a'"),
        ({"incident.approve": "pagdown"}, "there is no key 'pagdown'; did you mean pagedown?"),
        ({"incident.approve": "x"}, "'x' is incident.reject already"),
        ({"incident.approve": "q"}, "'q' is app.quit already"),
        ({"incident.approve": "j"}, "'j' is down of line"),
        ({"incident.approve": "x", "incident.reject": "x"}, "'x' is incident.reject already"),
        ({"app.copy": "u"}, ".undo already"),
        ({"incident.refresh": "enter"}, "'enter' is"),
        ({"app.palette": "semicolon"}, "'semicolon' is a key that types text"),
        ({"sql.run": "r"}, "'r' is a key that types text"),
    ],
)
def test_keys_that_would_not_do_what_was_meant_are_errors(keys, sentence):
    with pytest.raises(ConfigError) as caught:
        app_with(keys)
    assert sentence in str(caught.value)


@pytest.mark.inv(24)
@pytest.mark.parametrize("key", ["Y", "shift+y"])
def test_an_approval_cannot_be_put_onto_one_key(key):
    with pytest.raises(ConfigError, match="one key would approve"):
        app_with({"incident.approve": key})


@pytest.mark.inv(24)
def test_an_approval_cannot_be_put_onto_the_key_that_opens_it():
    with pytest.raises(ConfigError, match=r"is approve\.arm already"):
        app_with({"approve.approve": "a"})


@pytest.mark.parametrize("key", ["escape", "enter", "ctrl+q"])
def test_what_leaves_and_what_ends_a_line_keeps_its_key(key):
    with pytest.raises(ConfigError, match="one meaning everywhere"):
        app_with({"incident.approve": key})


def test_every_mistake_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        app_with({"incident.approv": "A", "incident.rejec": "B"})
    assert "incident.approv:" in str(caught.value)
    assert "incident.rejec:" in str(caught.value)


def test_two_keys_may_change_places():
    assert app_with({"incident.approve": "x", "incident.reject": "a"}) is not None


def test_a_theme_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean nord"):
        app_with({}, theme="norde")


def test_keys_are_told_as_the_terminal_names_them():
    assert normal("?") == ("question_mark",)
    assert normal("A, ctrl+f") == ("A", "ctrl+f")
    assert normal("-,/") == ("minus", "slash")


def test_the_command_prints_every_id_with_its_keys_and_what_they_do():
    done = CliRunner().invoke(console, ["--keys"])
    assert done.exit_code == 0
    (line,) = (line for line in done.output.splitlines() if line.startswith("app.help "))
    assert line.split() == ["app.help", "question_mark,", "f1", "help"]


def test_no_screen_takes_a_key_that_means_the_same_on_all_of_them():
    everywhere = {key for entry in keys_of(ConsoleApp) if entry.id.startswith("app.") for key in entry.keys}
    taken = {
        (entry.id, key)
        for entry in keys_of(ConsoleApp)
        for key in entry.keys
        if not entry.id.startswith("app.") and key in everywhere
    }
    assert taken == set()


def test_every_id_has_a_key_and_says_what_it_does():
    keys = keys_of(ConsoleApp)
    assert all(key.keys and key.does for key in keys)
    assert {"app.command", "app.help", "app.copy", "incident.approve"} <= {key.id for key in keys}
