"""What counts as news, and what the cache costs."""

from __future__ import annotations

import pytest

from responder.cluster.cache import REMEMBERED_DELETIONS, ObjectCache


def put(
    cache: ObjectCache, name: str = "a", *, uid: str = "u1", version: int | None = 5, namespace: str = "ns"
) -> None:
    cache.put(namespace, name, uid=uid, version=version, body={"metadata": {"name": name}})


def test_what_was_put_is_there_until_it_is_removed() -> None:
    cache = ObjectCache()
    put(cache)
    assert cache.get("ns", "a") == {"metadata": {"name": "a"}}
    assert len(cache) == 1
    removed = cache.remove("ns", "a")
    assert removed is not None
    assert (removed.uid, len(cache), cache.get("ns", "a")) == ("u1", 0, None)


def test_an_object_that_is_not_there_is_none() -> None:
    cache = ObjectCache()
    assert cache.get("ns", "a") is None
    assert cache.remove("ns", "a") is None


def test_items_are_those_of_a_namespace_or_all() -> None:
    cache = ObjectCache()
    put(cache, "a", namespace="one")
    put(cache, "a", namespace="two")
    assert [key for key, _ in cache.items()] == [("one", "a"), ("two", "a")]
    assert [key for key, _ in cache.items("two")] == [("two", "a")]


def test_the_cache_may_change_while_it_is_read() -> None:
    cache = ObjectCache()
    put(cache, "a")
    put(cache, "b")
    for (namespace, name), _ in cache.items():
        cache.remove(namespace, name)
    assert len(cache) == 0


def test_a_dropped_namespace_is_gone() -> None:
    cache = ObjectCache()
    put(cache, "a", namespace="one")
    put(cache, "a", namespace="two")
    cache.drop("one")
    assert [key for key, _ in cache.items()] == [("two", "a")]


@pytest.mark.parametrize(
    ("uid", "version", "outdated"),
    [("u1", 4, True), ("u1", 5, True), ("u1", 6, False), ("u2", 4, True), ("u2", 6, False), ("u1", None, False)],
)
def test_an_event_about_a_known_object_is_news_when_it_is_newer(uid: str, version: int | None, outdated: bool) -> None:
    cache = ObjectCache()
    put(cache, uid="u1", version=5)
    assert cache.outdated("ns", "a", uid=uid, version=version) is outdated


@pytest.mark.parametrize(
    ("uid", "version", "outdated"), [("u1", 6, True), ("u1", 7, True), ("u1", 8, False), ("u2", 6, False)]
)
def test_a_deleted_object_does_not_come_back_by_an_old_event(uid: str, version: int, outdated: bool) -> None:
    cache = ObjectCache()
    cache.bury("u1", 7)
    assert cache.outdated("ns", "a", uid=uid, version=version) is outdated


def test_an_event_older_than_a_whole_list_is_no_news() -> None:
    cache = ObjectCache()
    cache.complete(10)
    assert cache.outdated("ns", "a", uid="u1", version=10)
    assert not cache.outdated("ns", "a", uid="u1", version=11)


def test_of_an_object_in_doubt_every_version_is_news() -> None:
    cache = ObjectCache()
    put(cache, version=5)
    cache.doubt("ns", "a")
    assert not cache.outdated("ns", "a", uid="u1", version=5)


def test_remembered_deletions_are_bounded() -> None:
    cache = ObjectCache()
    for number in range(REMEMBERED_DELETIONS + 1):
        cache.bury(f"u{number}", 7)
    assert not cache.outdated("ns", "a", uid="u0", version=6)
    assert cache.outdated("ns", "a", uid="u1", version=6)
