"""Which kinds are watched, and what for."""

from __future__ import annotations

import pytest

from responder.cluster.resources import RESOURCES
from responder.detector.kinds import JUDGED_KINDS, OPTIONAL_KINDS, is_namespaced, watched_kinds
from responder.detector.record import RECORDED_KINDS

EXPIRY = frozenset({"certificate_expiry"})


def test_without_the_record_only_what_is_judged_is_watched() -> None:
    assert watched_kinds(record=False, checks=frozenset()) == JUDGED_KINDS


def test_with_the_record_each_kind_is_watched_once() -> None:
    found = watched_kinds(record=True, checks=EXPIRY)
    assert set(found) == {*JUDGED_KINDS, *RECORDED_KINDS, "Certificate"}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("checks", "watched"), [(EXPIRY, True), (frozenset({"single_replica"}), False)])
def test_certificates_are_watched_only_for_their_check(checks: frozenset[str], watched: bool) -> None:
    assert ("Certificate" in watched_kinds(record=False, checks=checks)) is watched


def test_what_a_cluster_may_not_know_is_never_needed() -> None:
    assert not OPTIONAL_KINDS & {*JUDGED_KINDS, *RECORDED_KINDS}


def test_every_kind_has_an_address_at_the_api_server() -> None:
    assert set(watched_kinds(record=True, checks=EXPIRY)) <= set(RESOURCES)


@pytest.mark.parametrize(("kind", "expected"), [("Pod", True), ("Event", True), ("Node", False), ("Namespace", False)])
def test_nodes_and_namespaces_are_in_no_namespace(kind: str, expected: bool) -> None:
    assert is_namespaced(kind) is expected
