"""The rules in force, and which of them would speak for an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.requests import Query, read_body
from responder.api.services import SERVICES
from responder.domain.alert import AlertSource
from responder.domain.rule import Mode, Rule
from responder.domain.views import Explanation, RulePage, RuleView


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    labels: Mapping[str, str]
    """Of the alert; `owner_kind` and `owner_name` stand for the root object."""
    source: AlertSource = AlertSource.ALERTMANAGER


async def list_rules(request: web.Request) -> web.Response:
    Query(request, ())
    rule_set = request.app[SERVICES].pipeline.rule_set
    return answer(RulePage(digest=rule_set.digest, rules=tuple(_view(rule) for rule in rule_set.rules)))


async def explain(request: web.Request) -> web.Response:
    pipeline = request.app[SERVICES].pipeline
    asked = await read_body(request, ExplainRequest)
    result = pipeline.explain(dict(asked.labels), asked.source.value)
    mode = result.rule.mode if result.rule is not None else Mode.REPORT
    return answer(
        Explanation(
            rule=result.rule.name if result.rule is not None else "",
            mode=mode.value,
            effective_mode=pipeline.effective_mode(mode, asked.labels.get("namespace", "")).value,
            why=result.why,
        )
    )


def _view(rule: Rule) -> RuleView:
    return RuleView(
        name=rule.name,
        mode=rule.mode.value,
        actions=rule.actions,
        alerts=rule.match.alerts,
        matchers=tuple(str(matcher) for matcher in rule.match.matchers),
        max_risk=rule.max_risk.value,
        file=rule.file,
        line=rule.line,
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/rules",
        handler=list_rules,
        role=Role.VIEWER,
        summary="The rules in force, in order of precedence.",
        answer=RulePage,
    ),
    Endpoint(
        method="POST",
        path="/api/v1/rules/explain",
        handler=explain,
        role=Role.VIEWER,
        summary="Which rule speaks for an alert with these labels, and why.",
        body=ExplainRequest,
        answer=Explanation,
    ),
)
