"""One real control plane for the session, one namespace per test; for contract tests the sandbox in its place, too."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parent))  # `rig` is a program of its own and no part of any installed package

from rig import binaries
from rig.api import Api, unique
from rig.controlplane import ControlPlane
from rig.world import World, real_world, sandbox_world

_control_plane_assets = pytest.StashKey[Path | binaries.Missing]()
_alertmanager_assets = pytest.StashKey[Path | binaries.Missing]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A real control plane is slow ground: what `sandbox_suffices` marks has a sibling that proves the same there."""
    spared = [
        item
        for item in items
        if item.get_closest_marker("sandbox_suffices")
        and isinstance(item, pytest.Function)
        and "control plane" in item.callspec.params.values()
    ]
    config.hook.pytest_deselected(items=spared)
    items[:] = [item for item in items if item not in spared]
    _set_each_stage_once(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """What a module leaves to the collector is collected with it, and told there."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()


def _set_each_stage_once(items: list[pytest.Item]) -> None:
    """Where the stage of a module is a parameter beside others of its scope, pytest goes by the others too when it
    sorts, and would set up the same stages again and again. Only last can that be put right."""
    places: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if _stage_of(item) is not None:
            places.setdefault(item.nodeid.partition("::")[0], []).append(index)
    for indices in places.values():
        found = [items[index] for index in indices]
        stages = list(dict.fromkeys(map(_stage_of, found)))
        found.sort(key=lambda item: stages.index(_stage_of(item)))
        for index, item in zip(indices, found, strict=True):
            items[index] = item


def _stage_of(item: pytest.Item) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("stage") if _is_ours(item) and callspec is not None else None


def _is_ours(item: pytest.Item) -> bool:
    return item.path.is_relative_to(Path(__file__).parent)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what the selected tests will start: here, because minutes of compiling are no part of any test's time."""
    if session.config.option.collectonly:
        return
    items = [item for item in session.items if isinstance(item, pytest.Function)]
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        if any(item.get_closest_marker("cluster") or "control_plane" in item.fixturenames for item in items):
            session.config.stash[_control_plane_assets] = _found(binaries.control_plane)
        if any("alertmanager_assets" in item.fixturenames for item in items):
            session.config.stash[_alertmanager_assets] = _found(binaries.alertmanager)


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """Skips where no control plane can be had; fails instead where `CLOPUS_REQUIRE_CONTROL_PLANE=1` demands one."""
    with ControlPlane(_present(pytestconfig, _control_plane_assets, binaries.control_plane)) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """A namespace of the test's own. Nothing removes it: the whole control plane goes at the end."""
    return control_plane.create_namespace()


@pytest.fixture(params=["sandbox", pytest.param("control plane", marks=pytest.mark.cluster)])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """The API server under contract: each test that asks for it runs against the sandbox and the real one."""
    async with aiohttp.ClientSession() as session:
        if request.param == "sandbox":
            async with Sandbox(nodes=0) as sandbox:
                api = Api(url=sandbox.url, token=sandbox.token, ca_file=None, namespace=unique("test"), session=session)
                await api.expect("POST", "/api/v1/namespaces", {"metadata": {"name": api.namespace}})
                yield api
        else:
            real: ControlPlane = request.getfixturevalue("control_plane")
            yield Api(
                url=real.url,
                token=real.admin_token,
                ca_file=real.ca_file,
                namespace=real.create_namespace(),
                session=session,
            )


@pytest.fixture
async def cluster(api: Api) -> AsyncIterator[KubernetesCluster]:
    """The adapter, with an administrator's rights."""
    adapter = KubernetesCluster(Client.from_token(url=api.url, token=api.token, ca_file=api.ca_file))
    yield adapter
    await adapter.close()


@pytest.fixture(params=["sandbox", pytest.param("control plane", marks=pytest.mark.cluster)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A namespace, a simulated node and a responder with the rights of `clopus rbac`: on the sandbox and for real.

    `@pytest.mark.namespace(labels={...})` gives the namespace its labels.
    """
    marker = request.node.get_closest_marker("namespace")
    labels = marker.kwargs["labels"] if marker else {}
    if request.param == "sandbox":
        async with sandbox_world(tmp_path, labels) as world:
            yield world
    else:
        async with real_world(request.getfixturevalue("control_plane"), tmp_path, labels) as world:
            yield world


@pytest.fixture(scope="session")
def alertmanager_assets(pytestconfig: pytest.Config) -> Path:
    """The directory of the newest supported `alertmanager` and `amtool`."""
    return _present(pytestconfig, _alertmanager_assets, binaries.alertmanager)


@pytest.fixture(scope="session")
def debian_alertmanager() -> Path:
    """The distribution's `prometheus-alertmanager`, the oldest supported release."""
    try:
        return binaries.debian_alertmanager()
    except binaries.Missing as exc:
        pytest.skip(str(exc))


def _found(find: Callable[..., Path]) -> Path | binaries.Missing:
    try:
        return find(build=True)
    except binaries.Missing as exc:
        return exc


def _present(config: pytest.Config, key: pytest.StashKey[Path | binaries.Missing], find: Callable[..., Path]) -> Path:
    found = config.stash.get(key, None) or _found(find)  # a test may ask for the fixture by name only when it runs
    if isinstance(found, Path):
        return found
    if os.environ.get("CLOPUS_REQUIRE_CONTROL_PLANE") == "1":
        pytest.fail(str(found))
    pytest.skip(str(found))
