"""The one layer that repeats a request to a provider. The SDKs' own retries are off.

Only what may pass is tried again (`turn.PASSING`), with exponential backoff and jitter, and never beyond the limit: a
provider that asks for a longer pause than is left is given up at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from responder.analyzer.llm.turn import PASSING, ProviderError

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 20.0

Failed: TypeAlias = Callable[[ProviderError, float | None], Awaitable[None]]
"""Told of each attempt that came to nothing, and in how many seconds the next follows; None: no other follows."""


def is_passing(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.refusal in PASSING


def pause(attempt: int, *, retry_after: float | None, fraction: float) -> float:
    """Seconds between attempt number `attempt`, from 1, and the next; `fraction` is random, 0 to 1.

    Half of the pause is fixed and half is jitter, so that runs that failed together do not come back together.
    """
    backoff = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE_SECONDS)
    return max(backoff * (1 + fraction) / 2, retry_after or 0.0)


async def repeated(
    attempt: Callable[[], Awaitable[T]],
    *,
    limit_seconds: float,
    failed: Failed,
    worthwhile: Callable[[], bool],
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    fraction: Callable[[], float] = random.random,
) -> T:
    """The first whole answer. Attempts begin within `limit_seconds` of the first one, or not at all.

    `worthwhile` is asked after each failure: False gives up whatever time is left.

    Raises:
        ProviderError: the last attempt's.
    """
    began = monotonic()

    def wait(state: RetryCallState) -> float:
        error = _error(state)
        return pause(state.attempt_number, retry_after=error.retry_after, fraction=fraction())

    def stop(state: RetryCallState) -> bool:
        return monotonic() - began + state.upcoming_sleep > limit_seconds

    async def before_sleep(state: RetryCallState) -> None:
        await failed(_error(state), state.upcoming_sleep)

    retrying = AsyncRetrying(
        sleep=sleep,
        wait=wait,
        stop=stop,
        before_sleep=before_sleep,
        retry=retry_if_exception(lambda error: is_passing(error) and worthwhile()),
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except ProviderError as exc:
        await failed(exc, None)
        raise


def _error(state: RetryCallState) -> ProviderError:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, ProviderError):
        raise TypeError("only a ProviderError is waited for")
    return error
