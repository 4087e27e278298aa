"""`clopus investigate --replay` as a process: against a whole responder on the sandbox, and from a file without one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from responder import wire
from responder.domain.incident import Incident
from responder.domain.investigation import Conclusion, Evidence, EvidenceKind, Investigation
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.views import Recording
from responder.sandbox import Sandbox
from responder.sandbox.providers.chat_api import ChatApi
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Conversation, Script, Turn, turns
from responder.sandbox.providers.server import ProviderServer
from responder.sandbox.resources import BY_KIND

RESPONDER = "system:serviceaccount:clopus:clopus"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MODELS = ("claude", "openai_compatible")
PODS, QUOTA = Call(name="list_objects", arguments={"kind": "Pod"}), Call(name="quota", arguments={})
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "storefront", "namespace": "shop"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "storefront"}},
        "template": {
            "metadata": {"labels": {"app": "storefront"}},
            "spec": {"containers": [{"name": "web", "image": "nignx:1.27"}]},
        },
    },
}
ALERT = {
    "labels": {
        "alertname": "KubeDeploymentReplicasMismatch",
        "namespace": "shop",
        "deployment": "storefront",
        "severity": "warning",
    },
    "startsAt": "2026-11-23T11:00:00Z",
}
RULES = "rules: [{name: all, match: {matchers: ['alertname=~\".+\"']}, analyzers: [claude], deadline: 30s}]\n"
"""In mode report."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Of `--output json`."""
        found: list[dict[str, Any]] = json.loads(self.out)["runs"]
        return found


async def investigate(*arguments: str | Path, columns: int = 200) -> Ended:
    """`clopus investigate` with these arguments, from its start to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOPUS_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "responder", "investigate", *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, "COLUMNS": str(columns)},
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Ended(code=process.returncode, out=out.decode(), err=err.decode())


def conclude(conclusion: str, **changes: Any) -> Turn:
    empty: dict[str, Any] = {"findings": [], "ruled_out": [], "unchecked": [], "proposals": []}
    answer = {"conclusion": conclusion, "summary": "as the script has it", **empty, **changes}
    return Turn(calls=(Call(name="conclude", arguments=answer),))


def sees_as_the_detectors_do(conversation: Conversation) -> Turn:
    """Two looks, of which one is on record; then the detectors' fault, and the image that they suggest."""
    if conversation.turn == 1:
        return Turn(calls=(PODS, QUOTA))
    found = re.search(r"finding (\S+) at", conversation.told)
    fault = found[1] if found is not None else "image.unknown"
    action = {
        "kind": "set_image",
        "target": {"kind": "Deployment", "namespace": "shop", "name": "storefront"},
        "container": "web",
        "image": "nginx:1.27",
    }
    return conclude(
        "fault_found",
        findings=[{"fault": fault, "container": "web", "cause": "a typo", "confidence": 0.9, "evidence": ["e1"]}],
        proposals=[{"answers": fault, "reason": "mends the typo", "evidence": ["e1"], "action": action}],
    )


def backends(url: str) -> dict[str, dict[str, Any]]:
    priced = {"usd_per_million_input": 3.0, "usd_per_million_output": 15.0}
    return {
        "analysis": {"retry_seconds": 0},
        "claude": {"model": "stand-in", "base_url": url, **priced},
        "openai_compatible": {"model": "stand-in", "base_url": f"{url}/v1", **priced},
    }


@pytest.fixture
def serve_model(tmp_path: Path) -> Callable[..., Any]:
    """A stub of a protocol that says what a script says, and a settings file that names it."""

    @asynccontextmanager
    async def served(protocol: str, script: Script) -> AsyncIterator[tuple[ProviderServer, Path]]:
        async with (MessagesApi if protocol == "claude" else ChatApi)(script) as server:
            config = tmp_path / f"{protocol}.yaml"
            config.write_text(json.dumps(backends(server.url)))
            yield server, config

    return served


@dataclass(kw_only=True)
class World:
    """A responder that has reported on an incident with two runs on record: the detectors' and a model's."""

    clopus: Any
    sandbox: Sandbox
    incident_id: str

    @property
    def source(self) -> tuple[str, ...]:
        token = self.clopus.directory / "operator-token"
        token.write_text("operator-token-0123456789")
        return (self.incident_id, "--url", f"http://127.0.0.1:{self.clopus.port}", "--token-file", str(token))

    async def everything(self) -> tuple[Any, ...]:
        """What is on record, and what the responder asked of the cluster."""
        paths = ("/api/v1/audit?limit=500", f"/api/v1/incidents/{self.incident_id}/reasoning", "/api/v1/plans")
        record = [(await self.clopus.call("GET", path))[1] for path in paths]
        return (*record, [event for event in self.sandbox.audit if event.user == RESPONDER])


@pytest.fixture
async def world(clopus: Any, until: Callable[..., Any]) -> AsyncIterator[World]:
    """`replay` writes with serve's own settings at hand, a cluster's address and token among them."""
    recorded = turns(Turn(calls=(PODS,)), conclude("unexplained"))
    async with Sandbox(namespaces=("shop",), speed=20) as sandbox, MessagesApi(recorded) as model:
        await sandbox.create(DEPLOYMENT)
        token = clopus.directory / "cluster-token"
        token.write_text(sandbox.add_token(RESPONDER, groups=("system:masters",)))
        clopus.sections["cluster"] |= {"api_url": sandbox.url, "token_file": str(token)}
        clopus.sections |= backends(model.url)
        (clopus.directory / "rules.yaml").write_text(RULES)
        await until(lambda: _waits(sandbox), "the image is pulled")
        await clopus.start()
        await clopus.call("POST", "/webhook/alertmanager", token="webhook-token-0123456789", body={"alerts": [ALERT]})
        (incident,) = await until(lambda: _reported(clopus), "the incident is not reported")
        yield World(clopus=clopus, sandbox=sandbox, incident_id=incident["id"])
        clopus.clean_up()


def _waits(sandbox: Sandbox) -> bool:
    pods = list(sandbox.store.list(BY_KIND["v1", "Pod"], "shop"))
    return "ImagePullBackOff" in json.dumps(pods, default=str)


async def _reported(clopus: Any) -> list[dict[str, Any]]:
    return [incident for incident in await clopus.incidents() if incident["outcome"]]


@pytest.mark.inv(32)
@pytest.mark.parametrize("protocol", MODELS)
async def test_a_replay_reaches_neither_the_record_nor_the_cluster(
    world: World, serve_model: Callable[..., Any], protocol: str
) -> None:
    before = await world.everything()
    async with serve_model(protocol, sees_as_the_detectors_do) as (server, config):
        settings = {**json.loads(world.clopus.config.read_text()), **json.loads(config.read_text())}
        config.write_text(json.dumps(settings))
        ended = await investigate(*world.source, "--replay", "--analyzer", protocol, "--config", config)
    assert ended.code == 0, ended.err
    assert len(server.requests) == 2
    assert await world.everything() == before


@pytest.mark.parametrize("protocol", MODELS)
async def test_a_model_is_shown_beside_the_runs_on_record(
    world: World, serve_model: Callable[..., Any], protocol: str
) -> None:
    async with serve_model(protocol, sees_as_the_detectors_do) as (_, config):
        source = (*world.source, "--replay", "--analyzer", protocol, "--model", "other", "--config", config)
        ended = await investigate(*source, "--output", "json")
    assert ended.code == 0, ended.err
    detectors, recorded, replayed = ended.runs
    assert [one["run"]["analyzer"] for one in ended.runs] == ["heuristic", "claude", protocol]
    assert [one["replayed"] for one in ended.runs] == [False, False, True]
    assert (recorded["looks_answered"], recorded["run"]["conclusion"]) == (1, "unexplained")
    assert (replayed["looks_answered"], replayed["looks_missing"]) == (1, ["quota {}"])
    assert replayed["run"]["model"] == "other"
    assert replayed["run"]["cost_usd"] > 0
    assert replayed["same_faults"] == [True]
    assert replayed["judged"] == [{"supported": True, "as_detectors": True, "tried": ""}], detectors["run"]


async def test_the_detectors_of_this_release_find_the_same_in_what_was_kept(world: World) -> None:
    ended = await investigate(*world.source, "--replay", "--analyzer", "heuristic", "--output", "json")
    assert ended.code == 0, ended.err
    recorded, _, replayed = ended.runs
    assert replayed["run"]["findings"] == recorded["run"]["findings"]
    assert replayed["run"]["proposals"] == recorded["run"]["proposals"]
    assert set(replayed["same_faults"]) == {True}


async def test_a_saved_recording_is_replayed_without_a_responder(world: World, tmp_path: Path) -> None:
    file = tmp_path / "recording.json"
    saved = await investigate(*world.source, "--replay", "--save", file)
    assert (saved.code, file.stat().st_mode & 0o777) == (0, 0o600), saved.err
    world.clopus.clean_up()
    ended = await investigate(world.incident_id, "--replay", "--record", file, "--analyzer", "heuristic")
    assert ended.code == 0, ended.err
    assert "REPLAY: heuristic" in ended.out


async def test_an_incident_that_nobody_knows_ends_it_with_status_1(world: World) -> None:
    _, *server = world.source
    ended = await investigate("inc-000000000000", *server, "--replay", "--analyzer", "heuristic")
    assert (ended.code, ended.out) == (1, "")
    assert "inc-000000000000" in ended.err


ROOT = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """A recording in a file; keyword arguments replace its fields."""

    def written(**changes: Any) -> Path:
        detected = Investigation(
            id="inv-1",
            incident_id="inc-1",
            number=1,
            analyzer="heuristic",
            started_at=AT,
            ended_at=AT,
            conclusion=Conclusion.UNEXPLAINED,
            summary="nothing known fits",
            evidence=(Evidence(id="e1", kind=EvidenceKind.EVENT, source="event", observed_at=AT, text="Unhealthy"),),
        )
        incident = Incident(id="inc-1", key=ROOT.key, root=ROOT, namespace="shop", opened_at=AT, updated_at=AT)
        snapshot = Snapshot(taken_at=AT, root=ROOT)
        found = Recording(incident=incident, snapshot=snapshot, snapshot_of="inv-1", investigations=(detected,))
        file = tmp_path / "recording.json"
        file.write_bytes(wire.dumps(replace(found, **changes)))
        return file

    return written


OFFLINE = ("inc-1", "--replay", "--analyzer")


async def test_without_a_snapshot_it_says_how_to_get_one(record: Callable[..., Path]) -> None:
    file = record(snapshot=None, problem="no snapshot of it is kept: analysis.keep_snapshot_days is over")
    ended = await investigate(*OFFLINE, "heuristic", "--record", file)
    assert (ended.code, ended.out) == (1, "")
    assert "analysis.keep_snapshot_days" in ended.err


@pytest.mark.parametrize("protocol", MODELS)
async def test_a_provider_that_does_not_answer_ends_it_with_status_1_and_the_reason(
    record: Callable[..., Path], tmp_path: Path, protocol: str
) -> None:
    config = tmp_path / "clopus.yaml"
    config.write_text(json.dumps(backends("http://127.0.0.1:1")))
    ended = await investigate(*OFFLINE, protocol, "--record", record(), "--config", config)
    assert ended.code == 1
    assert f"no answer: {protocol} did not answer: unreachable" in ended.err
    assert "NO ANSWER" in ended.out


async def test_a_cap_below_one_request_spends_nothing(
    record: Callable[..., Path], serve_model: Callable[..., Any]
) -> None:
    async with serve_model("claude", turns(conclude("unexplained"))) as (server, config):
        ended = await investigate(*OFFLINE, "claude", "--record", record(), "--config", config, "--max-usd", "0.0001")
    assert (ended.code, server.requests) == (1, [])
    assert "NO ANSWER: no further request fits under" in ended.out


async def test_an_answer_that_is_no_conclusion_is_shown_with_what_it_cost(
    record: Callable[..., Path], serve_model: Callable[..., Any]
) -> None:
    async with serve_model("claude", turns(conclude("recovered"))) as (_, config):
        ended = await investigate(*OFFLINE, "claude", "--record", record(), "--config", config, "--output", "json")
    assert ended.code == 1
    assert ended.runs[-1]["run"]["cost_usd"] > 0
    assert ended.runs[-1]["problem"] in ended.err


async def test_a_file_is_added_to_the_system_prompt(
    record: Callable[..., Path], serve_model: Callable[..., Any], tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.md"
    prompt.write_text("Everything here runs on ARM.")
    async with serve_model("openai_compatible", turns(conclude("unexplained"))) as (server, config):
        source = (*OFFLINE, "openai_compatible", "--record", record(), "--config", config)
        plain = await investigate(*source, "--output", "json")
        ended = await investigate(*source, "--prompt", prompt, "--output", "json")
    assert (plain.code, ended.code) == (0, 0), ended.err
    assert "Everything here runs on ARM." in server.requests[-1].conversation.system
    assert re.fullmatch(r"investigate-\d+ \(sha256 [0-9a-f]{16}\)", plain.runs[-1]["prompt"])
    assert plain.runs[-1]["prompt"] != ended.runs[-1]["prompt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inc-1", "--analyzer", "claude"), "--analyzer belongs to --replay"),
        (("inc-1", "--max-usd", "1"), "--max-usd belongs to --replay"),
        (("inc-1", "--replay"), "--replay needs --analyzer"),
        ((*OFFLINE, "gpt"), "'gpt' is not one of"),
        ((*OFFLINE, "heuristic", "--model", "m"), "--model is for models"),
        ((*OFFLINE, "claude"), "claude.model: no model is named: give --model"),
        ((*OFFLINE, "openai_compatible", "--model", "m"), "openai_compatible.usd_per_million_input: say what"),
        ((*OFFLINE, "claude", "--config", "absent.yaml"), "absent.yaml: cannot be read"),
        ((*OFFLINE, "heuristic", "--record", "absent.json"), "absent.json: cannot be read"),
    ],
)
async def test_what_is_wrong_with_the_command_ends_it_with_status_2(
    record: Callable[..., Path], arguments: tuple[str, ...], said: str
) -> None:
    offline = ("--record", record()) if "--replay" in arguments and "--record" not in arguments else ()
    ended = await investigate(*arguments, *offline)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"{}", "is no recording as --save writes it"), (b"\xff", "is no recording as --save writes it")],
)
async def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    file = tmp_path / "recording.json"
    file.write_bytes(body)
    ended = await investigate(*OFFLINE, "heuristic", "--record", file)
    assert (ended.code, ended.out) == (2, "")
    assert f"{file}: {said}" in ended.err


async def test_a_recording_of_another_incident_is_refused(record: Callable[..., Path]) -> None:
    ended = await investigate("inc-2", "--replay", "--analyzer", "heuristic", "--record", record())
    assert (ended.code, ended.out) == (2, "")
    assert "is of inc-1, not of inc-2" in ended.err
