"""What one model is asked and what it costs, as metrics: the only place of this package that counts.

`exchange` tells of each request when it has ended, `looks` of each look. What stands in windows of time is the store's
and is set by `responder.analyzers`.
"""

from __future__ import annotations

from typing import Final

from responder.analyzer.llm.budget import Charge
from responder.analyzer.llm.turn import Given, Refusal
from responder.domain.investigation import Usage
from responder.telemetry import Metrics

ANSWERED: Final = "answered"
GIVEN_UP: Final = "given_up"
"""The run ended while the request was on its way. Other outcomes are the refusals."""


class Meter:
    """Of one analyzer. Its series exist from the start, so that the first refusal is a rise and not a beginning."""

    def __init__(self, metrics: Metrics, analyzer: str) -> None:
        self._metrics = metrics
        self._analyzer = analyzer
        for outcome in (ANSWERED, GIVEN_UP, *Refusal):
            metrics.model_requests.labels(analyzer=analyzer, outcome=str(outcome))
        for given in Given:
            metrics.model_tool_calls.labels(analyzer=analyzer, given=given.value)
        metrics.model_request_seconds.labels(analyzer=analyzer)
        metrics.model_cost.labels(analyzer=analyzer)
        self._tokens(Usage())

    def requested(self, outcome: str, *, seconds: float, charge: Charge) -> None:
        """One request to the provider has ended, `seconds` after it was sent; time spent on the record is not in it."""
        metrics, analyzer = self._metrics, self._analyzer
        metrics.model_requests.labels(analyzer=analyzer, outcome=outcome).inc()
        metrics.model_request_seconds.labels(analyzer=analyzer).observe(seconds)
        metrics.model_cost.labels(analyzer=analyzer).inc(charge.usd)
        self._tokens(charge.usage)

    def looked(self, given: Given, count: int = 1) -> None:
        self._metrics.model_tool_calls.labels(analyzer=self._analyzer, given=given.value).inc(count)

    def _tokens(self, usage: Usage) -> None:
        for kind, count in (
            ("input", usage.input_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
            ("output", usage.output_tokens),
        ):
            self._metrics.model_tokens.labels(analyzer=self._analyzer, kind=kind).inc(count)
