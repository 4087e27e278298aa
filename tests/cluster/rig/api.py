"""The API server that a contract test talks to, whichever it is: set-up requests over HTTP, as an administrator."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

DEADLINE = 30.0  # seconds that `until` waits


@dataclass(frozen=True, kw_only=True)
class Api:
    url: str
    token: str
    ca_file: Path | None
    namespace: str
    """Of the test's own."""
    session: aiohttp.ClientSession

    async def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        context = ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else True
        data = None if body is None else aiohttp.JsonPayload(body, content_type=content_type)
        async with self.session.request(method, self.url + path, data=data, headers=headers, ssl=context) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else await response.text()

    async def expect(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """As `request`, for what must succeed."""
        status, answer = await self.request(method, path, body, content_type=content_type)
        assert 200 <= status < 300, f"{method} {path} was answered with {status}: {answer}"
        return answer

    async def create(self, kind_path: str, body: Any) -> Any:
        """`kind_path` is `api/v1/configmaps` or `apis/apps/v1/deployments`: an object in the test's namespace."""
        root, _, plural = kind_path.rpartition("/")
        return await self.expect("POST", f"/{root}/namespaces/{self.namespace}/{plural}", body)

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """Reads `path` until the condition holds; the last answer. Fails with it after the deadline."""
        answer: Any = None
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    status, answer = await self.request("GET", path)
                    if status == 200 and condition(answer):
                        return answer
                    await asyncio.sleep(0.05)
        except TimeoutError as exc:
            raise AssertionError(f"{path} did not get there within {DEADLINE:.0f} s: {answer}") from exc


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
