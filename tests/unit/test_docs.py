"""What can be set, measured, done, asked and selected is documented, and the documentation is what the code says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from responder.api.routes import WEBHOOK_PATH
from responder.cli import _COMMANDS
from responder.cli.reference import BEGIN, END, SECTIONS, updated
from responder.domain.action import ACTION_KINDS
from responder.domain.incident import Outcome, State
from responder.domain.rule import Mode
from responder.rules.loader import load
from responder.rules.testing import run
from responder.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
RULES = ROOT / "rules" / "README.md"
DEPLOY = ROOT / "deploy" / "README.md"
PAGES = (README, RULES, DEPLOY, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")

KEYS = sorted(
    {
        key
        for file in (ROOT / "responder" / "rules").glob("*.py")
        for key in re.findall(
            r'fields\.(?:get|require|items|words|section|sections|texts)\(\s*"(\w+)"', file.read_text()
        )
    }
)

ROOMS = sorted(
    path
    for path in (ROOT / "responder").iterdir()
    if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.name.startswith("__"))
)


def text_of(*pages: Path) -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("page", [README, RULES, DEPLOY], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_generated_reference_is_stale(page: Path) -> None:
    """Mended by: clopus reference --update README.md --update rules/README.md --update deploy/README.md"""
    assert page.read_text(encoding="utf-8") == updated(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SECTIONS)
def test_every_reference_stands_in_one_page(name: str) -> None:
    everything = text_of(README, RULES, DEPLOY)
    assert everything.count(BEGIN.format(name)) == everything.count(END.format(name)) == 1


@pytest.mark.parametrize("section", Settings.model_fields)
def test_every_section_of_the_settings_is_documented(section: str) -> None:
    assert f"### `{section}`" in text_of(DEPLOY)


@pytest.mark.parametrize("action", ACTION_KINDS)
def test_every_action_is_documented(action: str) -> None:
    assert f"| `{action}` |" in text_of(RULES)


@pytest.mark.parametrize("key", KEYS)
def test_every_rule_key_is_documented(key: str) -> None:
    assert re.search(rf"`(\w+\.)*{key}`", text_of(RULES))


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_is_documented(mode: Mode) -> None:
    assert f"| `{mode}` |" in text_of(README)


@pytest.mark.parametrize("word", [*State, *(outcome for outcome in Outcome if outcome)])
def test_every_state_and_outcome_is_documented(word: str) -> None:
    assert f"`{word}`" in text_of(README)


def test_every_route_is_documented() -> None:
    written = {
        path
        for file in (ROOT / "responder" / "api").glob("*.py")
        for path in re.findall(r'path="(/[^"]+)"', file.read_text(encoding="utf-8"))
    }
    assert [path for path in sorted({*written, WEBHOOK_PATH}) if f"`{path}`" not in text_of(README)] == []


def test_every_view_is_documented() -> None:
    sql = text_of(*(ROOT / "responder" / "store" / "sql").glob("*.sql"))
    views = re.findall(r"CREATE (?:OR REPLACE )?VIEW (\w+)", sql)
    assert views
    assert [view for view in views if f"| `{view}` |" not in text_of(README)] == []


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"^\| `clopus {command}[ `]", text_of(README), re.MULTILINE)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_every_exit_code_is_documented(code: int) -> None:
    assert re.search(rf"^\| {code} \|", text_of(README), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", [README, RULES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_rule_that_is_shown_is_valid_and_passes_its_cases(page: Path, tmp_path: Path) -> None:
    shown = re.findall(r"^ *```yaml\n( *rules:\n.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert shown
    for text in shown:
        (tmp_path / "rules.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        assert [result for result in run(load([tmp_path])) if not result.passed] == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_room_is_on_the_map(room: Path) -> None:
    assert f"`responder/{room.name}`" in text_of(ROOT / "ARCHITECTURE.md")
