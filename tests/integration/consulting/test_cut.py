"""A responder that is killed while a model is being asked: what it knew stays, what it may have cost counts."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from responder.sandbox import Sandbox
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Turn, requests

_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: silent, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: silent}}
  template:
    metadata: {labels: {app: silent}}
    spec: {containers: [{name: app, image: 'busybox:1.36', command: [sh, -c, 'exit 3']}]}
"""
LOOKS = Turn(text="One look.", calls=(Call(name="describe", arguments={"kind": "Deployment", "name": "silent"}),))
LABELS = {"alertname": "KubePodNotReady", "namespace": "shop", "deployment": "silent"}
BODY = {"alerts": [{"status": "firing", "labels": LABELS, "startsAt": "2026-11-23T11:00:00Z"}]}


@pytest.mark.inv(11, 42)
async def test_a_run_that_is_cut_keeps_its_steps_and_its_reservation_and_the_incident_is_looked_at_anew(
    clopus: Any, until: Any, rule: Any, conclusion: Any
) -> None:
    script = requests(LOOKS, Turn(delay_seconds=540.0), conclusion())
    async with Sandbox(namespaces=("shop",), speed=20.0) as sandbox, MessagesApi(script) as model:
        await sandbox.apply_yaml(_DEPLOYMENT)
        (clopus.directory / "cluster-token").write_text(sandbox.token)
        (clopus.directory / "rules.yaml").write_text(rule("claude"))
        clopus.sections["cluster"] |= {"api_url": sandbox.url, "token_file": str(clopus.directory / "cluster-token")}
        clopus.sections["claude"] = {"model": "stand-in", "base_url": model.url}
        await clopus.start()
        await clopus.call("POST", "/webhook/alertmanager", token="webhook-token-0123456789", body=BODY)
        await until(lambda: len(model.requests) == 2, "the model is not asked twice")
        await clopus.kill()

        with duckdb.connect(str(clopus.database)) as con:
            reserved = con.execute("SELECT id, cost_usd, settled FROM model_spending ORDER BY recorded_at").fetchall()
        assert [settled for _, _, settled in reserved] == [True, False]

        await clopus.start()

        async def done() -> Any:
            return [one for one in await clopus.incidents() if one["state"] == "escalated"]

        (incident,) = await until(done, "the incident is not decided")
        _, told, _ = await clopus.call("GET", f"/api/v1/incidents/{incident['id']}/reasoning")
        clopus.send(15)
        assert await clopus.ended() == 0
    runs = [run for run in told["investigations"] if run["analyzer"] == "claude"]
    cut, anew = runs
    assert (cut["conclusion"], cut["summary"]) == ("unfinished", "cut: the process ended")
    assert [step["kind"] for step in cut["steps"]] == ["prompt", "text", "tool_call", "turn", "tool_result"]
    assert cut["steps"][-1]["evidence"][0] in [item["id"] for item in cut["evidence"]]
    assert cut["ended_at"] is not None
    assert (anew["conclusion"], len(model.requests)) == ("fault_found", 3)
    with duckdb.connect(str(clopus.database)) as con:
        kept = con.execute("SELECT id, cost_usd, settled FROM model_spending ORDER BY recorded_at").fetchall()
    assert kept[:2] == reserved
    assert kept[2][2] is True
