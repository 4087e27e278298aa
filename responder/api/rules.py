"""The rules in force, what became of their decisions, and which of them would speak for an alert."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.requests import Query, read_body
from responder.api.services import SERVICES, Services
from responder.domain.alert import AlertSource
from responder.domain.rule import Mode, Rule
from responder.domain.trust import trust
from responder.domain.views import Explanation, RuleAnswer, RulePage, RuleRecord, RuleView
from responder.rules import matcher
from responder.store import rule_records

KEPT_SECONDS = 2.0
"""Consoles ask after every event that concerns them: however many they are, the record is counted once in this time."""


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    labels: Mapping[str, str]
    """Of the alert; `owner_kind` and `owner_name` stand for the root object."""
    source: AlertSource = AlertSource.ALERTMANAGER


class RuleRecords:
    """The record of every rule, counted when it is asked for and kept for a moment."""

    def __init__(self) -> None:
        self._known: Mapping[str, RuleRecord] = {}
        self._counted_at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, services: Services) -> Mapping[str, RuleRecord]:
        """Raises StoreUnavailable."""
        async with self._lock:
            if time.monotonic() - self._counted_at >= KEPT_SECONDS:
                now = services.now()
                self._known = await services.store.read(lambda con: rule_records.all_records(con, now))
                self._counted_at = time.monotonic()
            return self._known


RECORDS = web.AppKey("rule_records", RuleRecords)


async def list_rules(request: web.Request) -> web.Response:
    Query(request, ())
    services = request.app[SERVICES]
    rule_set = services.pipeline.rule_set
    records = await request.app[RECORDS].get(services)
    views = (_view(rule, records.get(rule.name, RuleRecord())) for rule in rule_set.rules)
    return answer(RulePage(digest=rule_set.digest, rules=tuple(views)))


async def explain(request: web.Request) -> web.Response:
    pipeline = request.app[SERVICES].pipeline
    asked = await read_body(request, ExplainRequest)
    labels, source = dict(asked.labels), asked.source.value
    result = pipeline.explain(labels, source)
    mode = result.rule.mode if result.rule is not None else Mode.REPORT
    return answer(
        Explanation(
            rule=result.rule.name if result.rule is not None else "",
            mode=mode.value,
            effective_mode=pipeline.effective_mode(mode, labels.get("namespace", "")).value,
            why=result.why,
            asked=_asked(pipeline.explain_each(labels, source)),
        )
    )


def _asked(explanations: tuple[matcher.Explanation, ...]) -> tuple[RuleAnswer, ...]:
    """Up to the one that speaks: those after it are never asked."""
    last = next((place for place, one in enumerate(explanations) if one.wins), len(explanations))
    return tuple(
        RuleAnswer(
            rule=one.rule.name,
            mode=one.rule.mode.value,
            file=one.rule.file,
            line=one.rule.line,
            matches=one.matches,
            reason=one.reason,
        )
        for one in explanations[: last + 1]
    )


def _view(rule: Rule, record: RuleRecord) -> RuleView:
    return RuleView(
        name=rule.name,
        mode=rule.mode,
        actions=rule.actions,
        alerts=rule.match.alerts,
        matchers=tuple(str(each) for each in rule.match.matchers),
        max_risk=rule.max_risk.value,
        file=rule.file,
        line=rule.line,
        sources=rule.match.sources,
        exclude=rule.exclude,
        images=rule.images,
        approval=rule.approval,
        budget=rule.budget,
        analyzers=rule.analyzers,
        deadline_seconds=rule.deadline_seconds,
        verify=rule.verify,
        notify=rule.notify,
        record=record,
        trust=trust(rule.mode, record),
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/rules",
        handler=list_rules,
        role=Role.VIEWER,
        summary="The rules in force, in order of precedence, each with its record.",
        answer=RulePage,
    ),
    Endpoint(
        method="POST",
        path="/api/v1/rules/explain",
        handler=explain,
        role=Role.VIEWER,
        summary="Which rule speaks for an alert with these labels, and why; why those before it do not.",
        body=ExplainRequest,
        answer=Explanation,
    ),
)
