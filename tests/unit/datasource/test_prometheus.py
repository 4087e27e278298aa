"""One instant query against a server that speaks Prometheus' HTTP API."""

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
from responder.datasource.prometheus import Limits, Prometheus
from responder.datasource.protocol import Datasource, Sample
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
    await client.close()
