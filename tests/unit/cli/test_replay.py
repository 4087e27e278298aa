"""The options of `clopus investigate --replay`: which belong together, and what the environment may set."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.remote.client import ApiError
from responder.cli.decide import investigate


def invoke(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(investigate, ["inc-1", "--url", "http://127.0.0.1:1", *arguments], env=env)


@pytest.mark.parametrize(
    "option", ["--analyzer=claude", "--model=m", "--prompt=p", "--config=c", "--record=r", "--save=s", "--seconds=9"]
)
def test_an_option_of_a_replay_needs_one(option: str) -> None:
    result = invoke(option)
    assert result.exit_code == 2
    assert f"{option.partition('=')[0]} belongs to --replay" in result.output


def test_a_settings_file_in_the_environment_changes_nothing_without_a_replay() -> None:
    assert isinstance(invoke(CLOPUS_CONFIG="/etc/clopus.yaml").exception, ApiError)


def test_a_replay_asks_the_responder_where_no_file_is_named() -> None:
    assert isinstance(invoke("--replay", "--analyzer", "heuristic").exception, ApiError)


def test_wrong_settings_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    config = tmp_path / "clopus.yaml"
    config.write_text("claude: {modle: m}")
    result = invoke("--replay", "--analyzer", "claude", CLOPUS_CONFIG=str(config))
    assert "unknown key 'modle'" in str(result.exception)


@pytest.mark.parametrize(("option", "value"), [("--seconds", "0"), ("--max-usd", "-1"), ("--analyzer", "drill")])
def test_a_value_outside_of_its_bounds_is_refused(option: str, value: str) -> None:
    result = invoke("--replay", option, value)
    assert result.exit_code == 2
    assert option in result.output
