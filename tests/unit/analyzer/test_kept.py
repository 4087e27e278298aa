"""Snapshots as they are kept: the same again, and no secret in them."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime

import orjson
import pytest

from responder.analyzer.kept import MAX_BYTES, pack, unpack
from responder.domain.manifest import LiveObject
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import LogExcerpt, Snapshot
from responder.domain.workload import EventRecord, Revision, parse_pod, parse_template, parse_workload
from responder.redact.placeholders import Placeholders

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
POD = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="u2")
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
LAST = "kubectl.kubernetes.io/last-applied-configuration"
PASSWORD = "correct-horse"


def snapshot(
    *,
    value: str = "8080",
    name: str = "PORT",
    log: str = "listens",
    message: str = "Killing",
    args: tuple[str, ...] = ("--verbose",),
) -> Snapshot:
    """One container's variable, arguments and log, and an event, wherever a snapshot has them."""
    env = [{"name": name, "value": value}]
    template = {"spec": {"containers": [{"name": "app", "image": "web:1", "env": env, "args": list(args)}]}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "annotations": {LAST: json.dumps(template)}},
        "spec": {"template": template},
    }
    live = LiveObject(ref=WEB, resource_version="1", generation=1, body=body)
    parsed = parse_template(template)
    revision = Revision(ref=WEB, number=1, current=True, template=parsed, raw_template=template)
    return Snapshot(
        taken_at=AT,
        root=WEB,
        workload=parse_workload(live),
        live=live,
        pods=(parse_pod({"metadata": {"name": "web-1", "namespace": "shop", "uid": "u2"}, **template}),),
        revisions=(revision,),
        events=(EventRecord(type="Warning", reason="Failed", message=message, subject=POD),),
        logs=(LogExcerpt(pod=POD, container="app", previous=True, text=log),),
        config_maps={"app": ("port",)},
    )


def packed(found: Snapshot) -> bytes:
    body = pack(found, Placeholders())
    assert body is not None
    return body


def test_one_without_secrets_comes_back_as_it_was() -> None:
    assert unpack(packed(snapshot())) == snapshot()


@pytest.mark.inv(47)
@pytest.mark.parametrize(
    "found",
    [
        snapshot(name="DB_PASSWORD", value=PASSWORD),
        snapshot(name="HARMLESS", value=TOKEN),
        snapshot(log=f"token {TOKEN} refused"),
        snapshot(message=f"cannot pull with {TOKEN}"),
        snapshot(args=(f"--password={PASSWORD}",)),
        snapshot(args=("--token", TOKEN)),
        snapshot(log=f"postgres://shop:{PASSWORD}@db/shop"),
    ],
    ids=["env by name", "env by form", "log", "event", "argument by name", "argument by form", "URL"],
)
def test_no_secret_is_kept(found: Snapshot) -> None:
    body = zlib.decompress(packed(found)).decode()
    assert TOKEN not in body
    assert PASSWORD not in body
    assert unpack(packed(found)).root == WEB


def test_what_is_no_secret_by_name_is_kept() -> None:
    workload = unpack(packed(snapshot(name="PORT", value="9090"))).workload
    assert workload is not None
    assert workload.template.containers[0].env == {"PORT": "9090"}


def test_the_same_secret_keeps_one_name() -> None:
    found = unpack(packed(snapshot(log=f"a {TOKEN}", message=f"b {TOKEN}")))
    assert found.logs[0].text.removeprefix("a ") == found.events[0].message.removeprefix("b ")


def test_one_that_is_too_large_is_not_kept() -> None:
    assert pack(snapshot(log="x" * MAX_BYTES), Placeholders()) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"no zlib", zlib.compress(b"{"), zlib.compress(orjson.dumps({"root": 1}))],
    ids=["empty", "not packed", "no JSON", "another form"],
)
def test_what_cannot_be_read_is_said(body: bytes) -> None:
    with pytest.raises(ValueError, match="the kept snapshot cannot be read"):
        unpack(body)
