"""The report of one incident over the API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from responder.cli.show import show
from responder.domain.incident import Incident
from responder.store import incidents
from responder.store.store import Store

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
INCIDENT = Incident(
    id="inc-000000000001", key="alert/shop/<b>Odd", root=None, summary="a | b", opened_at=AT, updated_at=AT
)


async def test_the_report_is_markdown_with_a_name_for_the_file(api: Any, store: Store) -> None:
    await store.write(lambda con: incidents.insert(con, INCIDENT))
    answer = await api("GET", f"/api/v1/incidents/{INCIDENT.id}/report", by="vera")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="clopus-{INCIDENT.id}.md"'
    report = answer.body.decode()
    assert report.startswith("# alert/shop/&lt;b&gt;Odd: open\n")
    assert "| What | a &#124; b |" in report


async def test_the_report_of_no_incident_is_a_404_problem(api: Any) -> None:
    answer = await api("GET", "/api/v1/incidents/inc-000000000009/report")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_the_report_takes_no_parameters(api: Any) -> None:
    assert (await api("GET", f"/api/v1/incidents/{INCIDENT.id}/report?form=html")).status == 422


def run(api: Any, token_file: Path, *options: str) -> Any:
    given = [INCIDENT.id, "--url", f"http://127.0.0.1:{api.port}", "--token-file", str(token_file), *options]
    return CliRunner().invoke(show, given, catch_exceptions=False)


async def test_the_command_line_prints_the_report_as_it_is(api: Any, store: Store, tmp_path: Path) -> None:
    await store.write(lambda con: incidents.insert(con, INCIDENT))
    token = tmp_path / "token"
    token.write_text("viewer-token-0123456789")
    done = await asyncio.to_thread(run, api, token, "--output", "markdown")
    assert done.exit_code == 0
    report = (await api("GET", f"/api/v1/incidents/{INCIDENT.id}/report")).body.decode()
    assert done.output == report


@pytest.mark.parametrize("option", ["--full", "--reasoning"])
async def test_the_report_is_the_whole_and_takes_no_other_form(api: Any, tmp_path: Path, option: str) -> None:
    done = await asyncio.to_thread(run, api, tmp_path / "token", "--output", "markdown", option)
    assert done.exit_code == 2
    assert "takes neither" in done.output
