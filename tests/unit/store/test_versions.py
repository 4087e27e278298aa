"""The record of changes in its table: compared, paged, pruned, restorable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from responder.domain.errors import NotFound
from responder.domain.refs import ObjectRef
from responder.domain.versions import HIDDEN, ObjectVersion, VersionEvent
from responder.store import versions
from responder.store.connection import Connection
from responder.store.versions import NewVersion

CONFIG = ObjectRef(kind="ConfigMap", namespace="shop", name="app", uid="u-1")
NODE = ObjectRef(kind="Node", name="n1", uid="u-n")


@pytest.fixture
def put(con: Connection, make: Any) -> Callable[..., None]:
    """Append one version at a second; `body` None is a deletion."""

    def append(
        second: float,
        body: Mapping[str, Any] | None,
        *,
        ref: ObjectRef = CONFIG,
        event: VersionEvent = VersionEvent.CHANGED,
        hidden: Mapping[str, str] | None = None,
        max_bytes: int = 1000,
        **fields: Any,
    ) -> None:
        version = ObjectVersion(
            seq=0,
            ref=ref,
            event=VersionEvent.DELETED if body is None else event,
            seen_at=make.at(second),
            **{"restorable": body is not None} | fields,
        )
        new = NewVersion(
            version=version,
            digest=f"{second:064.0f}",
            body=b"" if body is None else orjson.dumps(body),
            hidden=hidden or {},
            max_bytes=max_bytes,
        )
        versions.append(con, [new])

    return append


def shown(con: Connection, **query: Any) -> tuple[ObjectVersion, ...]:
    return versions.page(con, **query)[0]


def test_a_version_comes_back_as_it_went_in(con: Connection, put: Any, make: Any) -> None:
    put(0, {"a": 1}, event=VersionEvent.SEEN)
    fields = {"changed_at": make.at(59), "manager": "helm", "resource_version": "7", "generation": 2**40}
    put(60, {"a": 2}, while_away=True, lost="redacted: x", restorable=False, **fields)
    (found,) = shown(con)
    assert found == ObjectVersion(
        seq=2,
        ref=CONFIG,
        event=VersionEvent.CHANGED,
        seen_at=make.at(60),
        while_away=True,
        differences=found.differences,
        lost="redacted: x",
        **fields,
    )
    assert [(d.path, d.before, d.after) for d in found.differences] == [("a", "1", "2")]
    assert versions.body(con, 2) == {"a": 2}


def test_each_version_of_a_batch_is_compared_with_the_one_before_it(con: Connection, make: Any) -> None:
    def new(value: int, event: VersionEvent) -> NewVersion:
        version = ObjectVersion(seq=0, ref=CONFIG, event=event, seen_at=make.at(value))
        return NewVersion(version=version, body=orjson.dumps({"a": value}))

    versions.append(con, [new(0, VersionEvent.SEEN), *(new(value, VersionEvent.CHANGED) for value in (1, 2))])
    assert [d.after for version in shown(con) for d in version.differences] == ["2", "1"]


def test_a_redacted_value_that_changed_is_told_by_its_place(con: Connection, put: Any) -> None:
    body = {"data": {"PASSWORD": "[redacted]", "TOKEN": "[redacted]"}}
    put(0, body, event=VersionEvent.SEEN, hidden={"data.PASSWORD": "1", "data.TOKEN": "1"})
    put(9, body, hidden={"data.PASSWORD": "2", "data.TOKEN": "1"})
    (found,) = shown(con)
    assert [(d.path, d.before, d.after) for d in found.differences] == [("data.PASSWORD", HIDDEN, HIDDEN)]


def test_the_newest_of_each_living_object_is_known(con: Connection, put: Any) -> None:
    put(0, {"a": 1}, event=VersionEvent.SEEN)
    put(1, {"a": 2})
    put(2, {"b": 1}, ref=NODE, event=VersionEvent.SEEN)
    put(3, None, ref=NODE)
    assert [tuple(known) for known in versions.latest(con)] == [("ConfigMap", "shop", "app", "u-1", f"{1:064}")]


def test_a_deletion_without_uid_takes_the_one_on_record(con: Connection, put: Any) -> None:
    put(0, {"a": 1}, event=VersionEvent.SEEN)
    put(1, None, ref=replace(CONFIG, uid=""))
    assert shown(con)[0].ref == CONFIG


def test_the_last_good_version_is_the_newest_that_is_whole(con: Connection, put: Any) -> None:
    put(0, {"a": 1}, event=VersionEvent.SEEN)
    put(1, {"a": 2})
    put(2, {"a": 3}, restorable=False, lost="redacted: a")
    put(3, None)
    good = versions.last_good(con, replace(CONFIG, uid=""))
    assert good is not None
    assert versions.body(con, good.seq) == {"a": 2}
    assert versions.last_good(con, NODE) is None


def test_a_body_that_was_not_kept_is_not_found(con: Connection, put: Any) -> None:
    put(0, {"a": "x" * 2000}, event=VersionEvent.SEEN)
    put(1, {"a": "y"})
    with pytest.raises(NotFound):
        versions.body(con, 1)
    with pytest.raises(NotFound):
        versions.body(con, 9)
    assert shown(con)[0].differences[0].after == '"y"'


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ({}, [5, 4, 2]),
        ({"kind": "Node"}, [4]),
        ({"namespace": "shop"}, [5, 2]),
        ({"name": "app"}, [5, 2]),
        ({"refs": (NODE,)}, [4]),
        ({"refs": (NODE, CONFIG)}, [5, 4, 2]),
        ({"kinds": (("ConfigMap", "shop"),)}, [5, 2]),
        ({"refs": (NODE,), "kinds": (("ConfigMap", "other"),)}, [4]),
        ({"incident_id": "inc-1"}, [2]),
        ({"incident_id": "inc-1", "refs": (NODE,)}, [4, 2]),
        ({"limit": 1}, [5]),
        ({"cursor": "5"}, [4, 2]),
    ],
)
def test_changes_are_paged_by_what_they_touch(con: Connection, put: Any, query: Any, seqs: list[int]) -> None:
    put(0, {"a": 1}, event=VersionEvent.SEEN)
    put(1, {"a": 2})
    put(2, {"b": 1}, ref=NODE, event=VersionEvent.SEEN)
    put(3, {"b": 2}, ref=NODE)
    put(4, {"a": 3})
    versions.link(con, "inc-1", [version for version in shown(con) if version.seq == 2])
    versions.link(con, "inc-1", [version for version in shown(con) if version.seq == 2])
    assert [version.seq for version in shown(con, **query)] == seqs


def test_a_time_is_that_of_the_change_where_it_is_known(con: Connection, put: Any, make: Any) -> None:
    put(0, {"a": 1}, event=VersionEvent.SEEN)
    put(100, {"a": 2}, changed_at=make.at(50), while_away=True)
    assert len(shown(con, since=make.at(50), until=make.at(50))) == 1
    assert shown(con, since=make.at(51)) == ()
    assert shown(con, until=make.at(49)) == ()


def test_pruning_keeps_the_newest_of_what_lives_and_what_may_be_restored(con: Connection, put: Any, make: Any) -> None:
    gone = replace(CONFIG, name="gone")
    long_gone = replace(CONFIG, name="long-gone")
    for ref in (CONFIG, gone, long_gone):
        put(0, {"a": 1}, ref=ref, event=VersionEvent.SEEN)
        put(1, {"a": 2}, ref=ref)
    put(2, None, ref=long_gone)
    put(100, None, ref=gone)
    put(101, {"b": 1}, ref=NODE, event=VersionEvent.SEEN)
    assert versions.prune(con, before=make.at(50), max_versions=50, max_total_bytes=10**6) == 5
    left = con.execute("SELECT ref_name, event FROM object_versions ORDER BY seq").fetchall()
    assert left == [("app", "changed"), ("gone", "changed"), ("gone", "deleted"), ("n1", "seen")]


@pytest.mark.parametrize("limits", [{"max_versions": 3}, {"max_total_bytes": 400}])
def test_pruning_goes_by_count_and_bytes_oldest_first(con: Connection, put: Any, make: Any, limits: Any) -> None:
    put(0, {"a": 0}, event=VersionEvent.SEEN)
    for number in range(1, 10):
        put(number, {"a": "x" * 20 + str(number)})
    versions.prune(con, before=make.at(-1), **{"max_versions": 50, "max_total_bytes": 10**6} | limits)
    assert [version.seq for version in shown(con)] == [10, 9, 8]


def test_what_an_incident_weighed_is_forgotten_with_the_version(con: Connection, put: Any, make: Any) -> None:
    put(0, {"a": 0}, event=VersionEvent.SEEN)
    put(1, {"a": 1})
    put(2, {"a": 2})
    versions.link(con, "inc-1", shown(con))
    versions.prune(con, before=make.at(99), max_versions=50, max_total_bytes=10**6)
    assert con.execute("SELECT version_seq FROM incident_changes").fetchall() == [(3,)]


def test_the_view_tells_the_differences_as_text(con: Connection, put: Any) -> None:
    put(0, {"a": 1, "b": 1}, event=VersionEvent.SEEN)
    put(1, {"a": 2, "b": "o'x"}, manager="helm")
    found = con.execute("SELECT kind, namespace, name, event, manager, differences FROM v_changes").fetchall()
    assert found == [("ConfigMap", "shop", "app", "changed", "helm", 'a: 1 -> 2; b: 1 -> "o\'x"')]
