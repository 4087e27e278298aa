"""Instant and range queries against a server that speaks Prometheus' HTTP API."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.conditions.proactive import VOLUMES_QUERY
from responder.datasource.prometheus import MAX_POINTS, Limits, Prometheus
from responder.datasource.protocol import Datasource, Point, Sample, Series
from responder.domain.errors import ConfigError, DatasourceUnavailable

AT = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)
PATIENCE_SECONDS = 30.0


def vector(*series: dict[str, Any], **more: Any) -> str:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}, **more})


def series(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [AT.timestamp(), value]}


@pytest.fixture
async def prometheus(stub: Any) -> AsyncIterator[Prometheus]:
    client = Prometheus(stub.url)
    yield client
    await client.close()


async def test_a_vector_becomes_samples(stub: Any, prometheus: Datasource) -> None:
    stub.body = vector(series("0.93", namespace="shop", persistentvolumeclaim="data"), series("1e-3", namespace="x"))
    assert await prometheus.instant("volumes") == (
        Sample(labels={"namespace": "shop", "persistentvolumeclaim": "data"}, value=0.93, at=AT),
        Sample(labels={"namespace": "x"}, value=0.001, at=AT),
    )


async def test_the_query_and_its_time_are_sent_as_a_form(stub: Any, prometheus: Prometheus) -> None:
    stub.body = vector()
    await prometheus.instant('up{job="api"} + 1')
    await prometheus.instant("up", AT)
    assert stub.forms == [{"query": 'up{job="api"} + 1'}, {"query": "up", "time": f"{AT.timestamp():.3f}"}]


async def test_a_scalar_is_one_sample_without_labels(stub: Any, prometheus: Prometheus) -> None:
    stub.body = json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [AT.timestamp(), "42"]}})
    assert await prometheus.instant("scalar(x)") == (Sample(labels={}, value=42.0, at=AT),)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "", "many"])
async def test_what_is_no_finite_number_is_passed_over(stub: Any, prometheus: Prometheus, value: str) -> None:
    stub.body = vector(series(value, name="odd"), series("1", name="sound"))
    assert [sample.labels["name"] for sample in await prometheus.instant("x")] == ["sound"]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"metric": {}, "histogram": [1, {"count": "3"}]}, id="a native histogram"),
        pytest.param({"metric": {}, "value": ["soon", "1"]}, id="a time that is none"),
        pytest.param({"metric": {}, "value": [1e300, "1"]}, id="a time outside the calendar"),
        pytest.param({"metric": {}, "value": []}, id="an empty value"),
        pytest.param({"metric": {}}, id="no value"),
        pytest.param(7, id="no series"),
    ],
)
async def test_a_malformed_series_does_not_take_the_others_with_it(stub: Any, prometheus: Prometheus, odd: Any) -> None:
    stub.body = vector(odd, series("1"))
    assert [sample.value for sample in await prometheus.instant("x")] == [1.0]


def matrix(*series: Any) -> str:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}})


def seconds(after: float) -> float:
    return AT.timestamp() + after


async def test_a_matrix_becomes_series(stub: Any, prometheus: Datasource) -> None:
    stub.body = matrix({"metric": {"pod": "web-1"}, "values": [[seconds(0), "1"], [seconds(60), "2.5"]]})
    assert await prometheus.range("x", AT, AT + timedelta(minutes=1), timedelta(minutes=1)) == (
        Series(
            labels={"pod": "web-1"},
            points=(Point(at=AT, value=1.0), Point(at=AT + timedelta(minutes=1), value=2.5)),
        ),
    )


async def test_a_range_is_sent_as_a_form(stub: Any, prometheus: Prometheus) -> None:
    stub.body = matrix()
    await prometheus.range("up", AT, AT + timedelta(hours=1), timedelta(seconds=15))
    start, end = f"{seconds(0):.3f}", f"{seconds(3600):.3f}"
    assert stub.forms == [{"query": "up", "start": start, "end": end, "step": "15"}]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([[seconds(0), "NaN"], [seconds(60), "+Inf"]], id="no finite number"),
        pytest.param([["soon", "1"], [1e300, "1"], [], 7, None], id="no points"),
        pytest.param("12", id="no list"),
        pytest.param(None, id="nothing"),
    ],
)
async def test_a_series_without_a_point_is_passed_over(stub: Any, prometheus: Prometheus, values: Any) -> None:
    stub.body = matrix({"metric": {}, "values": values}, 7, {"metric": {}, "values": [[seconds(0), "1"]]})
    found = await prometheus.range("x", AT, AT + timedelta(minutes=1), timedelta(minutes=1))
    assert [[point.value for point in series.points] for series in found] == [[1.0]]


@pytest.mark.parametrize(
    ("length", "step"),
    [(60.0, 0.0), (60.0, -1.0), (-60.0, 1.0), (MAX_POINTS + 1.0, 1.0)],
    ids=["no step", "a step back", "an end before the start", "too many points"],
)
async def test_steps_that_lead_nowhere_or_are_too_many_are_not_sent(
    stub: Any, prometheus: Prometheus, length: float, step: float
) -> None:
    with pytest.raises(ValueError, match="is no range"):
        await prometheus.range("x", AT, AT + timedelta(seconds=length), timedelta(seconds=step))
    assert stub.forms == []


async def test_a_vector_is_no_answer_for_a_range(stub: Any, prometheus: Prometheus) -> None:
    stub.body = vector(series("1"))
    with pytest.raises(DatasourceUnavailable, match="vector where a matrix was asked for"):
        await prometheus.range("x", AT, AT, timedelta(seconds=1))


async def test_warnings_and_notes_of_the_server_are_kept(stub: Any, prometheus: Prometheus) -> None:
    stub.body = vector(series("1"), warnings=["store-2 did not answer"], infos=["metric might not be a counter"])
    answer = await prometheus.ask("x")
    assert answer.warnings == ("store-2 did not answer", "metric might not be a counter")
    assert len(answer.samples) == 1


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(
            400,
            '{"status":"error","errorType":"bad_data","error":"1:5: parse error: unexpected end of input"}',
            "400 bad_data: 1:5: parse error: unexpected end of input",
            id="a query it cannot read",
        ),
        pytest.param(
            422,
            '{"status":"error","errorType":"execution","error":"too many samples"}',
            "too many samples",
            id="refused",
        ),
        pytest.param(503, '{"status":"error","errorType":"timeout","error":"query timed out"}', "timed out", id="late"),
        pytest.param(200, '{"status":"error","errorType":"internal","error":"broken"}', "internal: broken", id="200"),
        pytest.param(502, "<html>Bad Gateway</html>", "502 <html>Bad Gateway</html>", id="a proxy in between"),
        pytest.param(401, "Unauthorized", "401 Unauthorized", id="no right"),
        pytest.param(302, "", "302", id="a redirect"),
        pytest.param(200, "[]", "200", id="another shape"),
        pytest.param(200, vector()[:-3], "200", id="cut off"),
        pytest.param(
            200,
            '{"status":"success","data":{"resultType":"matrix","result":[]}}',
            "matrix where a vector was asked for",
            id="a matrix",
        ),
        pytest.param(200, '{"status":"success"}', "nothing where a vector was asked for", id="no data"),
    ],
)
async def test_an_answer_without_samples_is_an_error_in_the_servers_words(
    stub: Any, prometheus: Prometheus, status: int, body: str, words: str
) -> None:
    stub.status, stub.body, stub.headers = status, body, {"Location": "/elsewhere"} if status == 302 else {}
    with pytest.raises(DatasourceUnavailable) as caught:
        await prometheus.instant("x")
    assert words in str(caught.value)


async def test_long_words_are_cut(stub: Any, prometheus: Prometheus) -> None:
    stub.status, stub.body = 500, "x" * 100_000
    with pytest.raises(DatasourceUnavailable) as caught:
        await prometheus.instant("x")
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
async def test_an_answer_beyond_the_limit_is_not_read_to_its_end(stub: Any, packed: bool) -> None:
    body = vector(*(series("1", n=str(n)) for n in range(2000))).encode()
    stub.body = gzip.compress(body) if packed else body
    stub.headers = {"Content-Encoding": "gzip"} if packed else {}
    client = Prometheus(stub.url, limits=Limits(answer=20_000))
    with pytest.raises(DatasourceUnavailable, match="more than 20000 bytes"):
        await client.instant("x")
    await client.close()


async def test_a_server_that_hangs_is_given_up(stub: Any) -> None:
    released = asyncio.Event()
    stub.hold = released.wait
    client = Prometheus(stub.url, limits=Limits(request=0.05))
    with pytest.raises(DatasourceUnavailable, match=r"did not answer within 0\.05 s"):
        await client.instant("x")
    released.set()
    await client.close()


async def test_a_server_that_is_away_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        client = Prometheus(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(DatasourceUnavailable, match="ClientConnectorError"):
            await client.instant("x")
        await client.close()


async def test_a_renewed_token_is_sent_with_the_next_query(stub: Any, tmp_path: Path) -> None:
    stub.body, token = vector(), tmp_path / "token"
    client = Prometheus(stub.url, token_file=token)
    token.write_text("first\n")
    await client.instant("x")
    token.write_text("second\n")
    await client.instant("x")
    await client.close()
    assert stub.tokens == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("content", [None, b"", b"two words", b"one\ntwo", b"\xff\xfe"])
async def test_without_a_usable_token_nothing_is_sent(stub: Any, tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    client = Prometheus(stub.url, token_file=token)
    with pytest.raises(DatasourceUnavailable, match="holds no token"):
        await client.instant("x")
    await client.close()
    assert stub.forms == []


async def test_a_password_in_the_url_is_sent_but_not_told(stub: Any) -> None:
    stub.status, stub.body = 500, "no"
    client = Prometheus(stub.url.replace("http://", "http://olga:hunter2@"))
    with pytest.raises(DatasourceUnavailable) as caught:
        await client.instant("x")
    await client.close()
    assert stub.tokens[0].startswith("Basic ")
    assert "hunter2" not in str(caught.value)


async def test_a_token_goes_before_a_password_in_the_url(stub: Any, tmp_path: Path) -> None:
    stub.body, token = vector(), tmp_path / "token"
    token.write_text("first")
    client = Prometheus(stub.url.replace("http://", "http://olga:hunter2@"), token_file=token)
    await client.instant("x")
    await client.close()
    assert stub.tokens == ["Bearer first"]


async def test_a_url_that_is_none_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"prometheus\.url"):
        Prometheus("http://127.0.0.1:99999999")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real Prometheus that scrapes nothing."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("needs the prometheus binary (Debian package prometheus)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    arguments = (
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([binary, *arguments], stdout=log, stderr=log)
    yield f"http://{address}"
    process.terminate()
    process.wait(20)


async def test_a_real_prometheus_answers_and_refuses(server: str) -> None:
    client = Prometheus(server)
    at = datetime.now(UTC) - timedelta(minutes=1)
    query = 'label_replace(vector(0.97), "namespace", "shop", "", "")'
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                found = await client.instant(query, at)
                break
            except DatasourceUnavailable:
                await asyncio.sleep(0.1)
    assert [(sample.labels, sample.value) for sample in found] == [({"namespace": "shop"}, 0.97)]
    assert abs(found[0].at - at) < timedelta(milliseconds=2)
    assert [sample.value for sample in await client.instant("scalar(vector(3))")] == [3.0]
    assert await client.instant("vector(0) / vector(0)") == ()
    assert await client.instant(VOLUMES_QUERY) == ()
    with pytest.raises(DatasourceUnavailable, match=r"400 bad_data: .*parse error"):
        await client.instant("sum(")
    with pytest.raises(DatasourceUnavailable, match="matrix"):
        await client.instant("up[5m]")
    (series_found,) = await client.range("vector(3)", at, at + timedelta(seconds=30), timedelta(seconds=15))
    assert [point.value for point in series_found.points] == [3.0, 3.0, 3.0]
    await client.close()
