"""A revision that has no pods left: whether it served is told by the kubelet's events about the pods it had."""

from __future__ import annotations

from dataclasses import replace

import pytest

from responder.analyzer.history import with_service

STARTED = ("Started", "Started container web", 300, 1)
STOPPED = ("Killing", "Stopping container web", 60, 1)


def served(build, *told, pod="web-a8-x1", **fields):
    """Whether revision 8 is known to have served, after these events: reason, message, seconds ago, count."""
    events = [
        replace(event, first_at=event.last_at, count=count)
        for reason, message, seconds, count in told
        for event in (build.event(reason, message, pod=pod, seconds=seconds),)
    ]
    revision = replace(build.revision(8, build.template()), **fields)
    return with_service((revision,), events)[0].served_until is not None


@pytest.mark.parametrize(
    "told",
    [
        pytest.param((STARTED, STOPPED), id="ran for minutes until it was stopped"),
        pytest.param((STOPPED,), id="started longer ago than events are kept"),
    ],
)
def test_a_pod_that_ran_without_complaint_until_it_was_stopped_shows_that_its_revision_served(build, told):
    assert served(build, *told)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param((), id="no event"),
        pytest.param((STARTED,), id="never stopped"),
        pytest.param((("Started", "Started container web", 80, 1), STOPPED), id="ran for a moment only"),
        pytest.param((("Started", "Started container web", 300, 2), STOPPED), id="was restarted"),
        pytest.param((STARTED, ("BackOff", "Back-off restarting failed container", 100, 3), STOPPED), id="crashed"),
        pytest.param((STARTED, ("Unhealthy", "Readiness probe failed", 100, 3), STOPPED), id="was never ready"),
        pytest.param((("Killing", "Container web failed liveness probe, will be restarted", 60, 1),), id="unhealthy"),
    ],
)
def test_anything_else_proves_no_service(build, told):
    assert not served(build, *told)


def test_pods_of_another_revision_say_nothing(build):
    assert not served(build, STARTED, STOPPED, pod="web-a9-x1")


def test_pods_of_a_stateful_set_have_the_same_names_in_every_revision(build):
    revision = build.revision(8, build.template())
    of_set = replace(revision.ref, kind="ControllerRevision", name="web")
    assert not served(build, STARTED, STOPPED, pod="web-0", ref=of_set)
