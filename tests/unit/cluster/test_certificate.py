"""When a server's certificate ends, from one TLS handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder import sandbox
from responder.cluster.certificate import certificate_ends
from responder.domain.errors import ClusterUnavailable

CERTIFICATE = Path(sandbox.__file__).with_name("simulation_only_tls.pem")
ENDS = datetime(2126, 10, 30, 12, 49, 2, tzinfo=UTC)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server with a self-signed certificate, which says nothing."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_end_is_read_from_the_certificate_that_the_server_shows(port: int) -> None:
    assert await certificate_ends(f"https://127.0.0.1:{port}/api", str(CERTIFICATE)) == ENDS


async def test_a_certificate_that_nobody_vouches_for_is_not_believed(port: int) -> None:
    with pytest.raises(ClusterUnavailable, match="certificate of 127"):
        await certificate_ends(f"https://127.0.0.1:{port}", None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://", ""])
async def test_without_tls_there_is_none(url: str) -> None:
    assert await certificate_ends(url, None) is None


async def test_where_nobody_listens_nothing_is_known() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(ClusterUnavailable, match="certificate of 127"):
            await certificate_ends(f"https://127.0.0.1:{port}", str(CERTIFICATE))


async def test_a_file_of_authorities_that_is_not_there_is_an_error_of_the_domain(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailable, match="certificate of localhost"):
        await certificate_ends("https://localhost:1", str(tmp_path / "ca.pem"))
