"""A whole responder as a process of its own: `clopus serve`, and the drill analyzer beside the shipped ones.

    python -m benchmarks.responder_process SETTINGS_FILE

Prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clusters import Access
from benchmarks.processes import child, ready, wait_for_parent
from console.remote.client import Client, path_of
from responder.analyzer.drill import DrillAnalyzer
from responder.app import Responder, utc_now
from responder.domain.action import Action, SetImage
from responder.domain.incident import Incident
from responder.domain.snapshot import Snapshot
from responder.domain.views import IncidentDetail, IncidentPage
from responder.settings import load_settings
from responder.telemetry import configure_logging

DRILLED = "Deployment/shop/checkout"
_TOKENS = {"webhook": "webhook-token-0123456789", "operator": "operator-token-0123456789"}


@dataclass(frozen=True, kw_only=True)
class Running:
    pid: int
    sender: Client
    operator: Client

    def post(self, body: dict[str, object]) -> None:
        self.sender.send(dict, "POST", "/webhook/alertmanager", body)

    def incident(self, key: str) -> Incident | None:
        page = self.operator.get(IncidentPage, path_of("incidents"), q=key)
        return next((incident for incident in page.incidents if incident.key == key), None)

    def detail(self, incident: Incident) -> IncidentDetail:
        return self.operator.get(IncidentDetail, path_of("incidents", incident.id))


@contextmanager
def responder(
    directory: Path, access: Access, rules: str, *, sections: Mapping[str, Mapping[str, object]] | None = None
) -> Iterator[Running]:
    """A responder on the cluster until the end of the block. `sections` of the settings replace those given here."""
    for name, text in (
        ("webhook", f"alertmanager:{_TOKENS['webhook']}"),
        ("operator", f"olga:{_TOKENS['operator']}"),
        ("cluster", access.token),
        ("rules.yaml", rules),
    ):
        (directory / name).write_text(text, encoding="utf-8")
    settings = {
        "server": {"host": "127.0.0.1", "port": 0},
        "auth": {
            "webhook_token_file": str(directory / "webhook"),
            "operator_tokens_file": str(directory / "operator"),
        },
        "store": {"path": str(directory / "clopus.duckdb")},
        "cluster": {"api_url": access.url, "token_file": str(directory / "cluster"), "own_namespace": "clopus"}
        | ({"ca_file": access.ca_file} if access.ca_file else {}),
        "rules": {"paths": [str(directory / "rules.yaml")]},
        "log": {"level": "warning"},
        "watch": {"enabled": False},
    }
    path = directory / "clopus.yaml"
    path.write_text(json.dumps({**settings, **(sections or {})}), encoding="utf-8")
    with child("benchmarks.responder_process", str(path)) as process:
        yield Running(
            pid=process.pid,
            sender=Client(process.said, token=_TOKENS["webhook"]),
            operator=Client(process.said, token=_TOKENS["operator"]),
        )


def _wrong_image(snapshot: Snapshot) -> Action:
    return SetImage(target=snapshot.root, container="app", image="registry.example/shop/web:9.9")


async def _serve(path: Path) -> None:
    settings = load_settings(path, {})
    configure_logging(level=settings.log.level)
    drill = DrillAnalyzer({DRILLED: _wrong_image}, now=utc_now)
    running = await Responder.start(settings, analyzers={"drill": drill})
    ready(running.url)
    await asyncio.to_thread(wait_for_parent)
    await running.stop()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
