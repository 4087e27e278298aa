"""What the settings name outside the process, and which of it is refused at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from responder import adapters
from responder.domain.errors import ConfigError
from responder.settings import Settings


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_without_its_url_there_is_no_prometheus() -> None:
    assert adapters.prometheus(settings()) is None


def test_a_check_that_asks_prometheus_wants_its_url() -> None:
    with pytest.raises(ConfigError, match=r"set prometheus\.url") as caught:
        adapters.prometheus(settings(watch={"checks": ["volume_nearly_full"]}))
    assert caught.value.key == "watch.checks"


def test_a_token_file_for_prometheus_must_be_readable(tmp_path: Path) -> None:
    missing = tmp_path / "token"
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        adapters.prometheus(settings(prometheus={"url": "http://prometheus:9090", "token_file": missing}))
    assert caught.value.key == "prometheus.token_file"


async def test_a_token_file_for_the_api_server_must_be_readable(tmp_path: Path) -> None:
    cluster = {"api_url": "https://127.0.0.1:6443", "token_file": tmp_path / "token"}
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        await adapters.api_server(settings(cluster=cluster))
    assert caught.value.key == "cluster.token_file"


def test_somebody_must_be_able_to_call() -> None:
    with pytest.raises(ConfigError, match="no credential is set") as caught:
        adapters.credentials(settings())
    assert caught.value.key == "auth"
