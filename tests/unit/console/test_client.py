"""What a server that is broken can answer, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from console.remote.client import ApiError, Client


class Broken(BaseHTTPRequestHandler):
    status = 500
    body = b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing is logged."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "Internal Server Error"),
        (b"\xff\xfe", "Internal Server Error"),
        (b"[1]", "Internal Server Error"),
        (b"[" * 100_000, "Internal Server Error"),
        (b'{"detail": "out of paper"}', "out of paper"),
    ],
)
def test_a_refusal_is_told_whatever_its_body_is(
    url: str, body: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "body", body)
    with pytest.raises(ApiError, match=f"^{told} \\(HTTP 500\\)$"):
        Client(url).get(dict, "/x")


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[" * 100_000, b"null", b'"text"'])
def test_an_answer_that_is_something_else_is_told(url: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "status", 200)
    monkeypatch.setattr(Broken, "body", body)
    with pytest.raises(ApiError, match="answered something else than the API describes"):
        Client(url).get(dict, "/x")
