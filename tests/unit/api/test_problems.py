"""Every error of the family has an answer, and none that Alertmanager would drop by mistake."""

from __future__ import annotations

import pytest

from responder.api.problems import STATUS_BY_ERROR, problem_of
from responder.detector.webhook import BodyLate, NotAccepting
from responder.domain.errors import ResponderError, TemporaryError


def _family(root: type[ResponderError]) -> list[type[ResponderError]]:
    return [root, *(member for child in root.__subclasses__() for member in _family(child))]


@pytest.mark.inv(2)
def test_no_error_is_answered_429_or_with_a_redirect() -> None:
    assert not {status for status in STATUS_BY_ERROR.values() if status == 429 or 300 <= status < 400}


@pytest.mark.inv(2)
@pytest.mark.parametrize("kind", [*_family(TemporaryError)], ids=lambda kind: kind.__name__)
def test_whatever_may_work_later_is_503_with_retry_after(kind: type[TemporaryError]) -> None:
    response = problem_of(kind("later", delay_seconds=2.4), instance="/x")
    assert response is not None
    assert (response.status, response.headers["Retry-After"]) == (503, "3")


def test_the_webhooks_own_errors_are_temporary() -> None:
    assert {NotAccepting, BodyLate} <= set(_family(TemporaryError))
