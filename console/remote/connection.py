"""Calls, the event stream and, where there is one, the port-forward to one responder, and how well all that goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from console.remote.calls import in_thread
from console.remote.client import ApiError, Client, Unreachable
from console.remote.forward import Forward, Phase, Stand
from console.remote.link import Link
from console.remote.stream import EventReader, Timing

T = TypeVar("T")


class Connection:
    """From `start` to `stop`. `stream_moved` and `forward_moved` are called in threads of this connection."""

    def __init__(
        self,
        client: Client,
        *,
        stream_moved: Callable[[], None],
        forward_moved: Callable[[Stand], None],
        forward: Forward | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.client = client
        self.forward = forward
        self.reader = EventReader(client, told=stream_moved, timing=timing)
        self._tell_forward = forward_moved
        self._calls = Link()

    def start(self) -> None:
        if self.forward is not None:
            self.client.moved_to(0)
            self.forward.start(self._forward_moved)
        self.reader.start()

    def stop(self) -> None:
        self.reader.stop()
        self.end_forward()

    def end_forward(self) -> None:
        """From a signal handler too."""
        if self.forward is not None:
            self.forward.stop()

    @property
    def link(self) -> Link:
        return self._calls.fed(self.reader.feed)

    async def ask(self, call: Callable[[Client], T]) -> T:
        """One call to the API, off the loop. The link remembers whether the server answered.

        Raises ApiError: refused, or not reachable.
        """
        try:
            result = await self.ask_aside(call)
        except ApiError as exc:
            if _is_an_answer(exc):
                self._was_answered()
            else:
                self._was_not_answered(exc)
            raise
        self._was_answered()
        return result

    async def ask_aside(self, call: Callable[[Client], T]) -> T:
        """One call that has no say in how the link stands. Raises ApiError as `ask` does."""
        if self.forward is not None and self.forward.stand.phase is not Phase.UP:
            raise ApiError(self.forward.stand.told)
        return await in_thread(lambda: call(self.client))

    def _was_answered(self) -> None:
        if self._calls.problem:
            self.reader.hurry()
        if self.forward is not None:
            self.forward.trust()
        self._calls = self._calls.answered(datetime.now(UTC))

    def _was_not_answered(self, error: ApiError) -> None:
        self._calls = self._calls.failed(str(error), refused=error.status in (401, 403))
        if self.forward is not None and isinstance(error, Unreachable):
            self.forward.doubt()

    def _forward_moved(self, stand: Stand) -> None:
        """Whoever listens on the port from now on, it is not ours."""
        self.client.moved_to(stand.port)
        self._tell_forward(stand)


def _is_an_answer(error: ApiError) -> bool:
    """The server stands and said no to this one thing, not to everything."""
    return error.is_refusal and error.status not in (401, 403)
