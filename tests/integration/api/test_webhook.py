"""The webhook over a real socket and a real store: what is answered, and what is on disk by then."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from responder.store import alerts
from responder.store.store import Store
from responder.telemetry import Metrics

PAYLOADS = Path(__file__).parents[2] / "fixtures" / "payloads"
ONE = {
    "alerts": [
        {"status": "firing", "labels": {"alertname": "A", "namespace": "shop"}, "startsAt": "2026-11-23T11:00:00Z"}
    ]
}


def many(count: int, *, padding: int = 0) -> dict[str, object]:
    return {
        "alerts": [
            {
                "labels": {"alertname": "A", "namespace": "shop", "pod": f"web-{number}"},
                "annotations": {"description": "x" * padding},
                "startsAt": "2026-11-23T11:00:00Z",
            }
            for number in range(count)
        ]
    }


async def refusals(metrics: Metrics, reason: str) -> float:
    return metrics.registry.get_sample_value("clopus_webhook_refused_total", {"reason": reason}) or 0.0


@pytest.mark.inv(1)
async def test_a_2xx_means_that_the_alerts_are_in_the_store(api: Any, store: Store) -> None:
    answer = await api.post_alerts((PAYLOADS / "alertmanager-0.25-posted.json").read_bytes())
    assert (answer.status, answer.json) == (200, {"accepted": 2, "duplicates": 0, "quarantined": 0, "warnings": []})
    assert await store.read(alerts.counts) == (2, 0, 2, 0)
    assert api.pipeline.woken == 1


@pytest.mark.inv(4)
async def test_the_same_body_again_is_recorded_as_duplicates(api: Any) -> None:
    await api.post_alerts(ONE)
    assert (await api.post_alerts(ONE)).json["duplicates"] == 1
    assert api.pipeline.woken == 1


@pytest.mark.inv(8, 9)
async def test_a_poison_pill_is_quarantined_and_its_neighbours_are_accepted(
    api: Any, store: Store, metrics: Metrics
) -> None:
    body = many(99)
    body["alerts"].insert(50, {"labels": {"alertname": None}})  # type: ignore[attr-defined]
    answer = await api.post_alerts(body)
    assert (answer.status, answer.json["quarantined"]) == (200, 1)
    counts = await store.read(alerts.counts)
    assert counts == (100, 0, 99, 1)
    assert metrics.registry.get_sample_value("clopus_alerts_total", {"result": "accepted"}) == 100.0


@pytest.mark.inv(3)
async def test_ten_thousand_alerts_of_eight_megabytes_are_accepted(api: Any, store: Store) -> None:
    body = json.dumps(many(10_000, padding=680)).encode()
    assert len(body) > 8_000_000
    assert (await api.post_alerts(body)).json["accepted"] == 10_000
    assert (await store.read(alerts.counts)).pending == 10_000


@pytest.mark.inv(10)
async def test_no_alerts_is_a_success_that_changes_nothing(api: Any, store: Store) -> None:
    answer = await api.post_alerts({"alerts": []})
    assert (answer.status, answer.json["accepted"]) == (200, 0)
    assert (await store.read(alerts.counts)).accepted == 0


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", "", "nonsense"])
async def test_the_content_type_does_not_matter(api: Any, content_type: str) -> None:
    assert (await api.post_alerts(ONE, headers={"Content-Type": content_type})).status == 200


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_body_is_read(api: Any, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    data = compress(json.dumps(ONE).encode())
    assert (await api.post_alerts(data, headers={"Content-Encoding": encoding})).json["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"null", {}),
        (b"[]", {}),
        (b"{}", {}),
        (b"[" * 200_000, {}),
        (b"\xff\xfe", {}),
        ((PAYLOADS / "bad-01-kubernaut-not-json.txt").read_bytes(), {}),
        ((PAYLOADS / "bad-02-opensre-no-alerts-array.json").read_bytes(), {}),
        (b"this is no gzip", {"Content-Encoding": "gzip"}),
        (gzip.compress(b"{}" * 100, mtime=0)[:-20], {"Content-Encoding": "gzip"}),
        (b'{"alerts": []', {"Content-Encoding": "rot13"}),
    ],
)
async def test_a_body_that_can_never_succeed_gets_400(
    api: Any, metrics: Metrics, body: bytes, headers: dict[str, str]
) -> None:
    answer = await api.post_alerts(body, headers=headers)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await refusals(metrics, "invalid") == 1


@pytest.mark.inv(3)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_gets_413_and_is_reported(
    serve: Callable[..., Any], metrics: Metrics, chunked: bool
) -> None:
    api = await serve(webhook_max_bytes=10_000)
    data = json.dumps(many(1, padding=20_000)).encode()
    answer = await api("POST", "/webhook/alertmanager", by="alertmanager", data=_chunks(data) if chunked else data)
    assert (answer.status, answer.json["type"]) == (413, "urn:clopus:problem:body-too-large")
    assert api.too_large == [10_000 if chunked else len(data)]
    assert await refusals(metrics, "too_large") == 1


async def test_a_compression_bomb_stops_at_the_limit(serve: Callable[..., Any]) -> None:
    api = await serve(webhook_max_bytes=100_000)
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    assert (await api.post_alerts(bomb, headers={"Content-Encoding": "gzip"})).status == 413


@pytest.mark.inv(2)
async def test_not_ready_answers_503_with_retry_after(serve: Callable[..., Any], metrics: Metrics) -> None:
    api = await serve(not_ready=lambda: ("standby",))
    answer = await api.post_alerts(ONE)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert await refusals(metrics, "overloaded") == 1


@pytest.mark.inv(2)
async def test_a_store_that_is_closed_answers_503(api: Any, store: Store, metrics: Metrics) -> None:
    store.close()
    answer = await api.post_alerts(ONE)
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert await refusals(metrics, "store") == 1


@pytest.mark.inv(1, 2)
async def test_a_commit_of_unknown_outcome_answers_503_and_wakes_the_pipeline(
    api: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "the head of the chain cannot be synced")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", refuse)
        assert (await api.post_alerts(ONE)).status == 503
    assert (await store.read(alerts.counts)).pending == 1
    assert api.pipeline.woken == 1


@pytest.mark.inv(47)
async def test_secrets_that_alerts_bring_along_are_not_stored(api: Any, store: Store) -> None:
    secrets = ("AKIAIOSFODNN7EXAMPL1", "hunter2", "s3cr3t", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "tok-en-1")
    aws, password, credential, jwt, token = secrets
    good = {
        "labels": {"alertname": "A", "namespace": "shop", "api_token": token, "line": f"key {aws}"},
        "annotations": {
            "summary": f"login failed\n{aws}",
            "description": f"started with password={password}",
            "database": f"postgres://app:{credential}@db/x",
            "header": jwt,
            "nested": {"client_secret": password},
        },
        "generatorURL": f"http://admin:{credential}@prometheus/graph?access_token={token}&g0.tab=1",
    }
    bad = {"labels": {**good["labels"], "number": 1}, "annotations": good["annotations"], "startsAt": aws}
    answer = await api.post_alerts({"groupKey": f'{{}}:{{password="{password}"}}', "alerts": [good, bad]})
    assert (answer.json["accepted"], answer.json["quarantined"]) == (2, 1)
    rows = str(await store.read(lambda con: con.execute("SELECT COLUMNS(*)::VARCHAR FROM alerts").fetchall()))
    assert not [secret for secret in secrets if secret in rows]
    assert "prometheus/graph" in rows


@pytest.mark.inv(2, 9)
async def test_bodies_beyond_what_memory_may_hold_are_asked_to_come_again(
    serve: Callable[..., Any], store: Store, metrics: Metrics
) -> None:
    api = await serve(webhook_max_pending=1)
    reader, writer = await _open_slow_request(api.port, announced=1_000)
    answer = await api.post_alerts(ONE)
    assert (answer.status, answer.json["type"]) == (503, "urn:clopus:problem:queue-full")
    writer.close()
    await reader.read()
    assert (await store.read(alerts.counts)).accepted == 0


@pytest.mark.inv(2, 51)
async def test_a_body_that_does_not_arrive_in_time_gets_503_and_the_connection_ends(
    serve: Callable[..., Any],
) -> None:
    api = await serve(body_timeout_seconds=0.2)
    reader, writer = await _open_slow_request(api.port, announced=1_000)
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 503")
    writer.close()


async def test_a_body_that_breaks_off_stores_nothing(api: Any, store: Store) -> None:
    _, writer = await _open_slow_request(api.port, announced=1_000)
    writer.close()
    await writer.wait_closed()
    assert (await api.post_alerts(ONE)).status == 200
    assert (await store.read(alerts.counts)).accepted == 1


@pytest.mark.parametrize(("by", "status"), [("", 401), ("vera", 403), ("olga", 403), ("alertmanager", 200)])
@pytest.mark.inv(50)
async def test_only_the_webhook_credential_posts_alerts(api: Any, by: str, status: int) -> None:
    answer = await api("POST", "/webhook/alertmanager", by=by, data=json.dumps(ONE))
    assert answer.status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(api: Any, method: str) -> None:
    assert (await api(method, "/webhook/alertmanager", by="alertmanager")).status == 405


async def _open_slow_request(port: int, *, announced: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A webhook request whose body never comes; returns once the server asks for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /webhook/alertmanager HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Authorization: Bearer webhook-token-0123456789\r\n" + f"Content-Length: {announced}\r\n\r\n".encode()
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b'{"alerts"')
    await writer.drain()
    return reader, writer


async def _chunks(data: bytes) -> Any:
    for start in range(0, len(data), 4_096):
        yield data[start : start + 4_096]
