"""Every tool: its name, what a model is told of it, its arguments, and who answers.

The table is the same for every incident and every install, so that providers can keep it in their cache: a tool that
cannot work here answers with an error, it is not left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from responder.analyzer.llm.turn import ToolSpec
from responder.analyzer.tools.arguments import parse, schema
from responder.analyzer.tools.capacity import Quota, Top, quota, top
from responder.analyzer.tools.describing import Describe, Events, describe, events
from responder.analyzer.tools.logs import Logs, logs
from responder.analyzer.tools.look import Found, Look
from responder.analyzer.tools.metrics import MetricNow, MetricRange, metric_now, metric_range
from responder.analyzer.tools.objects import GetObject, ListObjects, get_object, list_objects
from responder.analyzer.tools.recorded import Changes, History, changes, history
from responder.analyzer.tools.relations import Endpoints, Owners, endpoints, owners
from responder.analyzer.tools.rollouts import RolloutDiff, RolloutHistory, rollout_diff, rollout_history
from responder.domain.manifest import Json

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tool(Generic[T]):
    name: str
    description: str
    arguments: type[T]
    handler: Callable[[Look, T], Awaitable[Found]]

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(name=self.name, description=self.description, parameters=schema(self.arguments))

    def prepared(self, sent: Json) -> Callable[[Look], Awaitable[Found]]:
        """The call, checked, before anything is asked of anyone. Raises Refused."""
        arguments = parse(self.arguments, sent)
        return lambda look: self.handler(look, arguments)


def _tool(handler: Callable[[Look, T], Awaitable[Found]], arguments: type[T], description: str) -> Tool[T]:
    name: str = handler.__name__
    return Tool(name=name, description=description, arguments=arguments, handler=handler)


_TABLE: tuple[Tool[Any], ...] = (
    _tool(
        describe,
        Describe,
        "Summary of one object, as kubectl describe: state, conditions, containers, and the events about it. "
        "Mostly the best first look.",
    ),
    _tool(get_object, GetObject, "One object whole, as YAML: the spec as it is now, status included."),
    _tool(list_objects, ListObjects, "Objects of a kind in the incident's namespace, each with its state in one line."),
    _tool(
        events, Events, "Kubernetes events of the incident's namespace, newest first. The cluster keeps about an hour."
    ),
    _tool(
        logs,
        Logs,
        "The end of a container's log. After a crash the reason stands in the previous one. grep searches more of it.",
    ),
    _tool(rollout_history, RolloutHistory, "Revisions of a workload, newest first, with images and ready pods."),
    _tool(rollout_diff, RolloutDiff, "What changed in the pod template between two revisions of a workload."),
    _tool(owners, Owners, "What controls an object, up to the workload, and what it controls, down to the pods."),
    _tool(endpoints, Endpoints, "A Service, its addresses with their readiness, and the pods that its selector picks."),
    _tool(quota, Quota, "ResourceQuotas, used and hard, and LimitRanges of the incident's namespace."),
    _tool(top, Top, "What containers use of CPU and memory now, beside their requests and limits."),
    _tool(
        metric_now,
        MetricNow,
        "A Prometheus metric of the incident's namespace, now. The query is composed from the arguments.",
    ),
    _tool(metric_range, MetricRange, "The same metric over the last minutes or hours, as points."),
    _tool(
        changes,
        Changes,
        "What people and other controllers changed in the incident's namespace, from Clopus's record: field, before "
        "and after, who, when. Most faults begin with a change.",
    ),
    _tool(
        history,
        History,
        "Earlier incidents of the same object or alert: when, which faults were found, which fixes were tried and how "
        "they went.",
    ),
)

TOOLS = MappingProxyType({tool.name: tool for tool in _TABLE})
SPECS = tuple(tool.spec for tool in _TABLE)
