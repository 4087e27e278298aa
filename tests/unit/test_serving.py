from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from responder.serving import Server


@pytest.mark.parametrize("turns", range(6))
async def test_who_calls_at_the_last_moment_is_not_left_on_the_line(turns):
    server = Server(web.AppRunner(web.Application(), access_log=None))
    port = await server.open("127.0.0.1", 0)
    # Blocking, so that the system has accepted them all and the loop has seen none of them.
    callers = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(6)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await server.close()
    try:
        assert [_last_word(caller) for caller in callers] == [b""] * 6
    finally:
        for caller in callers:
            caller.close()


async def test_a_server_that_was_never_opened_closes():
    await Server(web.AppRunner(web.Application())).close()


async def test_an_address_in_use_is_an_os_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(web.AppRunner(web.Application()))
        with pytest.raises(OSError, match="in use"):
            await server.open("127.0.0.1", taken.getsockname()[1])
        await server.close()


def _last_word(caller):
    """b'' from a server that hung up."""
    try:
        return caller.recv(1)
    except ConnectionResetError:
        return b""
