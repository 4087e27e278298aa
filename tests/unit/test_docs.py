"""What can be set, measured, done, asked and selected is documented, and the documentation is what the code says."""

from __future__ import annotations

import re
import textwrap
import tomllib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from responder import analyzers
from responder.analyzer.tools.table import SPECS
from responder.api.routes import WEBHOOK_PATH
from responder.cli import _COMMANDS
from responder.cli.reference import BEGIN, END, SECTIONS, updated
from responder.domain.action import ACTION_KINDS
from responder.domain.incident import Incident, Outcome, State
from responder.domain.investigation import Conclusion, Investigation, Step, StepKind
from responder.domain.rule import Mode
from responder.rules.loader import ANALYZERS, load
from responder.rules.testing import run
from responder.settings import Settings, load_settings
from responder.store import incidents, investigations
from responder.store.store import Connection, Store

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

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
INCIDENT = Incident(
    id="inc-1",
    key="Deployment/shop/web",
    root=None,
    state=State.ESCALATED,
    outcome=Outcome.UNEXPLAINED,
    summary="",
    severity="warning",
    rule="crash-loops",
    labels={},
    opened_at=AT,
    updated_at=AT,
)

NUMBERS = {8: "eight", 9: "nine", 10: "ten", 14: "fourteen", 15: "fifteen", 16: "sixteen"}

ROOMS = sorted(
    path
    for path in (ROOT / "responder").iterdir()
    if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.name.startswith("__"))
)


def text_of(*pages: Path) -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def shown_as(language: str, page: Path, *, begins: str = "") -> list[str]:
    """The blocks of a language."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if block.startswith(begins)]


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


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    wrong = [link for link in links if link[1] not in anchors(page.parent / link[0] if link[0] else page)]
    assert wrong == []


@pytest.mark.parametrize("page", [README, RULES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_rule_that_is_shown_is_valid_and_passes_its_cases(page: Path, tmp_path: Path) -> None:
    shown = re.findall(r"^ *```yaml\n( *rules:\n.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert shown
    for text in shown:
        (tmp_path / "rules.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        assert [result for result in run(load([tmp_path])) if not result.passed] == []


@pytest.mark.parametrize("analyzer", analyzers.MODELS)
def test_the_settings_that_are_shown_for_a_model_are_complete(analyzer: str, tmp_path: Path) -> None:
    (shown,) = shown_as("yaml", README, begins=f"{analyzer}:")
    (tmp_path / "clopus.yaml").write_text(shown, encoding="utf-8")
    settings = load_settings(tmp_path / "clopus.yaml", {})
    assert analyzers.configured(settings) == (analyzer,)
    assert analyzers.prices(settings, analyzer)


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_every_analyzer_is_documented(analyzer: str) -> None:
    (row,) = [line for line in text_of(RULES).splitlines() if line.startswith("| `rules.analyzers` |")]
    assert f"`{analyzer}`" in row


def test_every_extra_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [extra for extra in project["optional-dependencies"] if f"`{extra}`" not in text_of(README)] == []


def test_as_many_tools_and_actions_are_told_as_there_are() -> None:
    told = text_of(README)
    assert f"by {NUMBERS[len(SPECS)]} tools" in told
    assert f"the same {NUMBERS[len(ACTION_KINDS)]} actions" in told


async def test_every_query_that_is_shown_runs_and_asks_views_alone() -> None:
    whole = shown_as("sql", README)
    inline = re.findall(r"\.sql\('''\s*(.*?)'''", text_of(README), re.DOTALL)
    assert whole
    assert inline
    with Store.open(":memory:") as store:
        for query in (*whole, *inline):
            assert [name for name in re.findall(r"(?:FROM|JOIN) (\w+)", query) if not name.startswith("v_")] == []
            await store.read(partial(selected, query))


async def test_the_query_for_the_cost_of_rules_adds_up_what_models_cost_and_leaves_the_detectors_out() -> None:
    (query,) = shown_as("sql", README, begins="SELECT CAST(r.recorded_at AS DATE) AS day, i.rule")
    with Store.open(":memory:") as store:
        await store.write(lambda con: incidents.insert(con, INCIDENT))
        for number, (analyzer, costs) in enumerate((("heuristic", (0.0,)), ("claude", (0.25, 0.125))), start=1):
            await store.write(partial(insert_run, run_of(number, analyzer, costs)))
        assert await store.read(partial(selected, query)) == [(AT.date(), "crash-loops", "claude", 1, 0.38)]


def selected(query: str, con: Connection) -> list[tuple[object, ...]]:
    return con.execute(query).fetchall()


def insert_run(run: Investigation, con: Connection) -> None:
    investigations.insert(con, run)


def run_of(number: int, analyzer: str, costs: tuple[float, ...]) -> Investigation:
    """One turn for each cost, where it is a model's."""
    steps = tuple(
        Step(number=n, kind=StepKind.TURN, at=AT, text="", turn=n if analyzer != "heuristic" else 0, cost_usd=cost)
        for n, cost in enumerate(costs, start=1)
    )
    return Investigation(
        id=f"inv-{number}",
        incident_id=INCIDENT.id,
        number=number,
        analyzer=analyzer,
        started_at=AT,
        ended_at=AT,
        conclusion=Conclusion.UNEXPLAINED,
        summary="",
        steps=steps,
    )


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_room_is_on_the_map(room: Path) -> None:
    assert f"`responder/{room.name}`" in text_of(ROOT / "ARCHITECTURE.md")
