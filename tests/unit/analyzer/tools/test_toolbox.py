"""The table of tools, and that no call whatever leads out of the incident's namespace."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder.analyzer.llm.turn import Given, Observation, Tools
from responder.analyzer.tools import Scope, Toolbox, ToolOptions
from responder.analyzer.tools.table import SPECS, TOOLS
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.incident import Incident
from responder.domain.refs import ObjectRef
from responder.redact.placeholders import Placeholders
from responder.sandbox.sandbox import Sandbox

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
OBJECTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: shop}
stringData: {password: planted}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: bank}
data: {BALANCE: "1000000"}
"""


class House:
    """A sandbox and a toolbox on a loop of their own, so that a table of many calls needs no new ones."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.sandbox = Sandbox(namespaces=("shop", "bank"), kubelet=False, controllers=False)
        self.run(self.sandbox.__aenter__())
        self.run(self.sandbox.apply_yaml(OBJECTS))
        self.cluster = self.run(self._connected())
        self.tools = self.run(self._toolbox())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, name: str, arguments: Any) -> Observation:
        found: Observation = self.run(self.tools.call(name, arguments))
        return found

    def close(self) -> None:
        self.run(self.cluster.close())
        self.run(self.sandbox.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _connected(self) -> KubernetesCluster:
        return KubernetesCluster(Client.from_token(url=self.sandbox.url, token=self.sandbox.token))

    async def _toolbox(self) -> Toolbox:
        incident = Incident(id="inc-1", key=WEB.key, root=WEB, namespace="shop", opened_at=T0, updated_at=T0)
        return Toolbox(
            cluster=self.cluster,
            datasource=None,
            store=None,
            scope=Scope(incident=incident, namespace="shop", nodes=frozenset({"node-1"})),
            secrets=Placeholders(),
            options=ToolOptions(),
            now=lambda: T0,
        )


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    opened = House()
    yield opened
    opened.close()


def test_a_toolbox_is_what_the_loop_looks_with(house: House) -> None:
    tools: Tools = house.tools
    assert tools.specs is SPECS


def test_the_names_are_what_providers_take_and_every_schema_is_closed() -> None:
    assert all(re.fullmatch(r"[a-z_]{1,40}", name) for name in TOOLS)
    assert all(spec.description for spec in SPECS)
    assert all(spec.parameters["additionalProperties"] is False for spec in SPECS)
    assert len({spec.name for spec in SPECS}) == len(SPECS) == len(TOOLS)


def test_no_tool_takes_a_namespace_and_none_writes() -> None:
    assert not [spec.name for spec in SPECS if "namespace" in spec.parameters["properties"]]


def test_a_tool_that_is_not_there_is_refused_with_those_that_are(house: House) -> None:
    found = house.call("get_objects", {})
    assert found.given is Given.REFUSED
    assert "did you mean get_object?" in found.text
    assert "rollout_diff" in found.text


_WORDS = st.sampled_from(
    [
        *("web", "bank", "kube-system", "default", "../bank", "web/../../bank", "bank/web", "%2e%2e%2fbank", "web?x=1"),
        *("*", "", "node-1", "node-2", "shop", "Secret", "Pod", "ConfigMap", "Namespace", "Node", "Deployment"),
        *("StorageClass", "PersistentVolume", "Event", "metadata.namespace=bank", "app=web", "app=web&x=y", "up"),
        *("web\n", "ｗｅｂ", "web#", "web;bank", "namespaces/bank/secrets"),
    ]
)
_VALUES = st.recursive(
    _WORDS | st.text(max_size=20) | st.integers() | st.booleans() | st.none() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_PROPERTIES = {name: sorted(tool.spec.parameters["properties"]) for name, tool in TOOLS.items()}


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, Any]:
    """Mostly well-formed calls with hostile values, and some that are not well formed at all."""
    name = draw(st.sampled_from(sorted(TOOLS)))
    properties = [*_PROPERTIES[name], *draw(st.lists(st.sampled_from(["namespace", "path", "url"]), max_size=1))]
    chosen = draw(st.lists(st.sampled_from(properties or ["namespace"]), unique=True, max_size=5))
    return name, {one: draw(_VALUES) for one in (*chosen, *TOOLS_NEED[name])}


TOOLS_NEED = {name: tuple(tool.spec.parameters["required"]) for name, tool in TOOLS.items()}


def _allowed(event: Any) -> bool:
    if event.resource == "secrets" or event.verb not in ("get", "list"):
        return False
    if event.namespace:
        return bool(event.namespace == "shop")
    return (event.resource, event.name) in {("namespaces", "shop"), ("nodes", "node-1")}


@pytest.mark.inv(43)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=_calls())
def test_no_call_whatever_asks_for_anything_outside_of_the_incident(house: House, call: tuple[str, Any]) -> None:
    before = len(house.sandbox.audit)
    found = house.call(*call)
    assert [event for event in house.sandbox.audit[before:] if not _allowed(event)] == []
    assert "1000000" not in found.text
    assert "planted" not in found.text


@pytest.mark.inv(43)
@pytest.mark.parametrize("name", ["get_object", "describe", "owners"])
@pytest.mark.parametrize("kind", ["Pod", "Deployment", "ConfigMap", "Namespace", "Node", "PersistentVolume", "Secret"])
@pytest.mark.parametrize("target", ["bank", "node-2", "kube-system", "web", "../bank", "elsewhere"])
def test_no_object_outside_of_the_incident_is_asked_for(house: House, name: str, kind: str, target: str) -> None:
    before = len(house.sandbox.audit)
    house.call(name, {"kind": kind, "name": target})
    assert [event for event in house.sandbox.audit[before:] if not _allowed(event)] == []


def test_what_was_asked_for_was_asked_of_the_server(house: House) -> None:
    before = len(house.sandbox.audit)
    assert house.call("get_object", {"kind": "Deployment", "name": "web"}).given is Given.SEEN
    assert [(e.verb, e.resource, e.namespace) for e in house.sandbox.audit[before:]] == [("get", "deployments", "shop")]
