"""Logs and metrics. What is measured is decided here; when, by the rooms that do the work.

Logs are JSON lines: a constant message, key-value pairs, and the incident's id bound for a whole step. Metrics follow
https://prometheus.io/docs/practices/naming/; no label ever carries text from an alert, so that the number of series
is bounded whatever arrives.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0)


class Metrics:
    """All metrics of one process, on a registry of its own so that tests can run several side by side."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.alerts = Counter(
            "clopus_alerts",
            "Alerts by what became of them; accepted = processed + pending + quarantined.",
            ["result"],  # accepted, duplicate, processed, quarantined
            registry=registry,
        )
        self.alerts_pending = Gauge(
            "clopus_alerts_pending", "Alerts committed and not yet folded into an incident.", registry=registry
        )
        self.webhook_refused = Counter(
            "clopus_webhook_refused",
            "Webhook bodies refused, by reason.",
            ["reason"],  # too_large, invalid, overloaded, store, unauthorized
            registry=registry,
        )
        self.http_seconds = Histogram(
            "clopus_http_request_seconds",
            "Time to answer a request.",
            ["route", "method", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.http_errors = Counter("clopus_http_errors", "Requests that ended in an error of ours.", registry=registry)
        self.incidents = Gauge("clopus_incidents", "Incidents by state.", ["state"], registry=registry)
        self.incidents_opened = Counter("clopus_incidents_opened", "Incidents opened.", registry=registry)
        self.investigations = Counter(
            "clopus_investigations",
            "Investigations by analyzer and conclusion.",
            ["analyzer", "conclusion"],
            registry=registry,
        )
        self.investigation_seconds = Histogram(
            "clopus_investigation_seconds",
            "Time an investigation took.",
            ["analyzer"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.analyzer_failures = Counter(
            "clopus_analyzer_failures",
            "Investigations that came to no answer, so that the detectors' stands.",
            ["analyzer", "error"],
            registry=registry,
        )
        self.plans = Counter(
            "clopus_plans", "Plans by action and state they reached.", ["action", "state"], registry=registry
        )
        self.executions = Counter(
            "clopus_executions", "Writes by action, kind and outcome.", ["action", "kind", "outcome"], registry=registry
        )
        self.verifications = Counter(
            "clopus_verifications", "Final verdicts by action.", ["action", "verdict"], registry=registry
        )
        self.reconcile_seconds = Histogram(
            "clopus_reconcile_seconds", "Time of one step of one incident.", buckets=_SECONDS, registry=registry
        )
        self.reconcile_errors = Counter(
            "clopus_reconcile_errors", "Steps that failed, by class of error.", ["error"], registry=registry
        )
        self.queue_depth = Gauge("clopus_queue_depth", "Incidents that wait for a step.", registry=registry)
        self.watches = Gauge("clopus_watches", "Watches by kind of object.", ["kind"], registry=registry)
        self.watch_live = Gauge(
            "clopus_watches_live",
            "Watches that are complete and up to date; fewer than clopus_watches: trouble goes unseen.",
            ["kind"],
            registry=registry,
        )
        self.watch_objects = Gauge("clopus_watch_objects", "Objects in the caches.", ["kind"], registry=registry)
        self.watch_relists = Gauge(
            "clopus_watch_relists", "Complete lists after the first one, since the start.", ["kind"], registry=registry
        )
        self.watch_failures = Gauge(
            "clopus_watch_failures", "Lists and watches that failed, since the start.", ["kind"], registry=registry
        )
        self.watch_undelivered = Gauge(
            "clopus_watch_undelivered",
            "News of a watch that Clopus failed to take in, since the start; a fault of Clopus.",
            ["kind"],
            registry=registry,
        )
        self.watch_last_event_age = Gauge(
            "clopus_watch_last_event_age_seconds", "Time since the newest event of a kind.", ["kind"], registry=registry
        )
        self.watch_lag_seconds = Histogram(
            "clopus_watch_lag_seconds",
            "Time from what an Event tells to its arrival.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.watch_errors = Counter(
            "clopus_watch_errors",
            "Objects that could not be judged, and parts of the watch that began anew; faults of Clopus.",
            registry=registry,
        )
        self.changes_recorded = Counter(
            "clopus_changes_recorded", "Versions of objects recorded, by event.", ["event"], registry=registry
        )
        self.commits = Counter("clopus_store_commits", "Commits of the store.", registry=registry)
        self.commit_seconds = Histogram(
            "clopus_store_commit_seconds", "Time of one group commit.", buckets=_SECONDS, registry=registry
        )
        self.store_errors = Counter("clopus_store_errors", "Commits that failed.", registry=registry)
        self.rules_loaded = Gauge("clopus_rules", "Rules of the active set.", registry=registry)
        self.rules_reload_failed = Gauge(
            "clopus_rules_reload_failed", "1 while the files on disk are not what is active.", registry=registry
        )
        self.kill_switch = Gauge("clopus_kill_switch", "1 while no write may start.", registry=registry)
        self.breaker_open = Gauge(
            "clopus_breaker_open", "1 while autonomous mode is lowered by a breaker.", registry=registry
        )
        self._add_models(registry)
        self._add_queries(registry)

    def _add_models(self, registry: CollectorRegistry) -> None:
        self.model_requests = Counter(
            "clopus_model_requests",
            "Requests to providers of language models: answered, given_up with their run, or why they were refused.",
            ["analyzer", "outcome"],
            registry=registry,
        )
        self.model_request_seconds = Histogram(
            "clopus_model_request_seconds",
            "Time of one request to a provider, whatever became of it.",
            ["analyzer"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.model_tokens = Counter(
            "clopus_model_tokens",
            "Tokens that models are charged for; at the most where a count is missing or cannot be.",
            ["analyzer", "kind"],  # input, cache_read, cache_write, output
            registry=registry,
        )
        self.model_cost = Counter(
            "clopus_model_cost_usd", "What models are charged for, US dollars.", ["analyzer"], registry=registry
        )
        self.model_tool_calls = Counter(
            "clopus_model_tool_calls",
            "Looks that models asked for: seen, error (could not be read), refused.",
            ["analyzer", "given"],
            registry=registry,
        )
        self.model_breaker_open = Gauge(
            "clopus_model_breaker_open",
            "1 from too many refusals of a provider until it answers again.",
            ["analyzer"],
            registry=registry,
        )
        self.model_spent = Gauge(
            "clopus_model_spent_usd",
            "Spent or reserved by all models in the last hour and the last 24 hours, US dollars.",
            ["window"],  # hour, day
            registry=registry,
        )
        self.model_limit = Gauge(
            "clopus_model_limit_usd", "At which no further request is sent, US dollars.", ["window"], registry=registry
        )
        self.model_places_taken = Gauge(
            "clopus_model_places_taken", "Incidents that wait for an answer of a model.", registry=registry
        )

    def _add_queries(self, registry: CollectorRegistry) -> None:
        self.queries = Counter(
            "clopus_queries",
            "Operators' statements: answered, truncated (at a limit), refused, too_large, given_up, busy, unavailable.",
            ["outcome"],
            registry=registry,
        )
        self.query_seconds = Histogram(
            "clopus_query_seconds",
            "Time to answer a statement, its turn and its copy of the record included.",
            buckets=_SECONDS,
            registry=registry,
        )


def configure_logging(*, level: str = "info", as_json: bool = True) -> None:
    """Set up structlog and the standard library's loggers to write to standard error."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    tail: list[structlog.types.Processor] = [structlog.processors.format_exc_info] if as_json else []
    structlog.configure(
        processors=[*shared, *tail, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail, renderer],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines name the room they come from."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=name)
    return logger


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
