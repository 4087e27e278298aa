"""Rules in force follow the files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from responder.domain.errors import ConfigErrors
from responder.rules.reload import LiveRules

ONE = "rules: [{name: one, match: {alerts: [A]}}]"
TWO = "rules: [{name: two, match: {alerts: [A]}}]"
BAD = "rules: [{name: two, match: {alerts: [A]}, mode: autonmous}]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(ONE)
    return file


def save(file: Path, content: str) -> None:
    file.write_text(content)


def names(live: LiveRules) -> list[str]:
    return [rule.name for rule in live.rule_set.rules]


async def test_a_good_set_takes_the_place_of_the_old_one(file: Path) -> None:
    live = LiveRules([file])
    save(file, TWO)
    assert await live.reload()
    assert names(live) == ["two"]


@pytest.mark.inv(52)
@pytest.mark.parametrize("content", [BAD, "", "rules:"])
async def test_a_bad_set_never_replaces_a_good_one(file: Path, content: str) -> None:
    live = LiveRules([file])
    digest = live.rule_set.digest
    save(file, content)
    assert not await live.reload()
    assert live.rule_set.digest == digest
    assert isinstance(live.error, ConfigErrors)


@pytest.mark.inv(52)
async def test_a_mended_set_clears_the_error(file: Path) -> None:
    live = LiveRules([file])
    save(file, BAD)
    await live.reload()
    save(file, ONE)
    await live.reload()
    assert live.error is None


def test_a_bad_first_set_stops_the_start(file: Path) -> None:
    save(file, BAD)
    with pytest.raises(ConfigErrors):
        LiveRules([file])


@pytest.mark.inv(52)
async def test_a_config_map_swap_is_seen_by_itself(tmp_path: Path) -> None:
    for version, content in (("..1", ONE), ("..2", TWO)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "rules.yaml").write_text(content)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "rules.yaml").symlink_to("..data/rules.yaml")
    live, stop, seen = LiveRules([tmp_path]), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(20):
        tasks.create_task(live.watch(lambda _: seen.set(), stop))
        while names(live) != ["two"]:  # the watcher may start after the first swap: swap until it has seen one
            (tmp_path / "..tmp").symlink_to("..2")
            (tmp_path / "..tmp").replace(tmp_path / "..data")
            await asyncio.wait({asyncio.ensure_future(seen.wait())}, timeout=1)
            seen.clear()
        stop.set()
