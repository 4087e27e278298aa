"""Which failures of a provider are worth another attempt, and when."""

from __future__ import annotations

import pytest

from responder.analyzer.llm.retry import is_passing, pause, repeated
from responder.analyzer.llm.turn import PASSING, ProviderError, Refusal


class Scripted:
    """Attempts that end as told, on a clock that only sleeping moves."""

    def __init__(self, *ends: ProviderError | str) -> None:
        self._ends = list(ends)
        self.attempts = 0
        self.now = 0.0
        self.slept: list[float] = []
        self.failed: list[tuple[Refusal, float | None]] = []

    async def attempt(self) -> str:
        self.attempts += 1
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if isinstance(end, ProviderError):
            raise end
        return end

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def told(self, error: ProviderError, again_in: float | None) -> None:
        self.failed.append((error.refusal, again_in))

    async def run(self, *, limit: float = 60.0, worthwhile: bool = True) -> str:
        return await repeated(
            self.attempt,
            limit_seconds=limit,
            failed=self.told,
            worthwhile=lambda: worthwhile,
            monotonic=lambda: self.now,
            sleep=self.sleep,
            fraction=lambda: 1.0,
        )


def _error(refusal: Refusal, retry_after: float | None = None) -> ProviderError:
    return ProviderError(refusal, "no", retry_after=retry_after)


@pytest.mark.parametrize("refusal", list(Refusal))
def test_only_what_may_pass_is_tried_again(refusal: Refusal) -> None:
    assert is_passing(_error(refusal)) == (refusal in PASSING)


def test_no_other_error_is_tried_again() -> None:
    assert not is_passing(ValueError())


@pytest.mark.parametrize(
    ("attempt", "retry_after", "fraction", "seconds"),
    [
        (1, None, 0.0, 0.5),
        (1, None, 1.0, 1.0),
        (2, None, 1.0, 2.0),
        (4, None, 0.5, 6.0),
        (6, None, 1.0, 20.0),
        (10_000, None, 1.0, 20.0),
        (1, 17.0, 1.0, 17.0),
        (5, 2.0, 1.0, 16.0),
        (1, 3600.0, 0.0, 3600.0),
    ],
)
def test_pauses_double_up_to_a_limit_and_keep_what_the_provider_asks(
    attempt: int, retry_after: float | None, fraction: float, seconds: float
) -> None:
    assert pause(attempt, retry_after=retry_after, fraction=fraction) == seconds


@pytest.mark.inv(41)
async def test_attempts_go_on_until_an_answer() -> None:
    run = Scripted(_error(Refusal.OVERLOADED), _error(Refusal.FAILED), "answer")
    assert await run.run() == "answer"
    assert run.slept == [1.0, 2.0]
    assert run.failed == [(Refusal.OVERLOADED, 1.0), (Refusal.FAILED, 2.0)]


@pytest.mark.inv(41)
async def test_no_attempt_begins_after_the_limit() -> None:
    run = Scripted(_error(Refusal.UNREACHABLE))
    with pytest.raises(ProviderError):
        await run.run(limit=10.0)
    assert run.slept == [1.0, 2.0, 4.0]
    assert run.failed[-1] == (Refusal.UNREACHABLE, None)


@pytest.mark.inv(41)
@pytest.mark.parametrize("error", [_error(Refusal.RATE_LIMITED, 61.0), _error(Refusal.REJECTED)])
async def test_what_would_not_help_is_given_up_at_once(error: ProviderError) -> None:
    run = Scripted(error)
    with pytest.raises(ProviderError):
        await run.run()
    assert (run.attempts, run.slept, run.failed) == (1, [], [(error.refusal, None)])


async def test_what_is_not_worthwhile_is_given_up_at_once() -> None:
    run = Scripted(_error(Refusal.OVERLOADED))
    with pytest.raises(ProviderError):
        await run.run(worthwhile=False)
    assert run.attempts == 1
