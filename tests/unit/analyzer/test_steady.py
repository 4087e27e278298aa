"""The first question: is the fault still there?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from responder.domain.investigation import Conclusion


def test_a_healthy_workload_is_recovered_and_nothing_is_proposed(build):
    found = build.diagnose(build.snapshot(build.pod()), alertname="Watchdog")
    assert found.conclusion is Conclusion.RECOVERED
    assert (found.findings, found.proposals) == ((), ())


def test_restarts_last_states_and_old_events_are_the_past(build):
    past = build.ended(137, "OOMKilled", before=3500, lived=60)
    status = build.running(seconds=3400, restarts=14, last_terminated=past)
    event = build.event("BackOff", "Back-off restarting failed container", seconds=3500)
    found = build.diagnose(build.snapshot(build.pod(status), events=(event,), logs=(build.log("panic: boom"),)))
    assert found.conclusion is Conclusion.RECOVERED
    assert "14 restarts" in found.summary


@pytest.mark.parametrize(
    ("running", "lived", "restarts", "conclusion"),
    [
        (200, 30, 5, Conclusion.RECOVERED),
        (60, 30, 5, Conclusion.UNFIXABLE),
        (240, 200, 5, Conclusion.UNFIXABLE),
        (600, 200, 5, Conclusion.RECOVERED),
        (310, 900, 1, Conclusion.RECOVERED),
    ],
)
def test_a_restart_counts_as_past_only_after_a_crash_period(build, running, lived, restarts, conclusion):
    past = build.ended(1, before=running + 1, lived=lived)
    status = build.running(seconds=running, restarts=restarts, last_terminated=past)
    snapshot = build.snapshot(build.pod(status), logs=(build.log("fatal: boom"),))
    assert build.diagnose(snapshot).conclusion is conclusion


def test_a_container_between_two_crashes_is_not_well(build):
    past = build.ended(137, "OOMKilled", before=12)
    status = build.running(seconds=10, restarts=6, last_terminated=past)
    container = build.container(memory_limit="64Mi")
    found = build.diagnose(build.broken(status, container=container))
    assert found.findings[0].signature == "memory.oom_killed"
    assert found.proposals


def test_one_restart_of_a_container_that_is_ready_again_proposes_nothing_yet(build):
    past = build.ended(137, "OOMKilled", before=12)
    status = build.running(seconds=10, restarts=1, last_terminated=past)
    found = build.diagnose(build.broken(status, container=build.container(memory_limit="64Mi")))
    assert (found.conclusion, found.proposals) == (Conclusion.UNSETTLED, ())


def test_one_restart_that_has_not_outlived_the_crash_is_answered(build):
    past = build.ended(137, "OOMKilled", before=4, lived=30)
    status = build.running(seconds=3, restarts=1, last_terminated=past)
    found = build.diagnose(build.broken(status, container=build.container(memory_limit="64Mi")))
    assert [proposal.action.kind for proposal in found.proposals] == ["set_resources"]


def test_pods_that_have_just_started_are_not_called_recovered(build):
    found = build.diagnose(build.snapshot(build.pod(build.running(seconds=5))))
    assert found.conclusion is Conclusion.UNSETTLED


def test_a_rollout_that_the_controller_has_not_seen_is_not_steady(build):
    snapshot = build.snapshot(build.pod(), workload={"generation": 3})
    assert build.diagnose(snapshot).conclusion is not Conclusion.RECOVERED


def test_evicted_pods_that_were_replaced_do_not_keep_a_workload_unwell(build):
    left = build.pod(name="web-b-0", phase="Failed", reason="Evicted", conditions=())
    found = build.diagnose(build.snapshot(build.pod(), left, desired=1))
    assert found.conclusion is Conclusion.RECOVERED


def test_a_workload_that_is_gone_has_nothing_to_look_at(build):
    found = build.diagnose(replace(build.snapshot(), gone=True))
    assert found.conclusion is Conclusion.NOT_APPLICABLE


def test_a_workload_scaled_to_zero_is_told_and_left_alone(build):
    found = build.diagnose(build.snapshot(desired=0))
    assert [finding.signature for finding in found.findings] == ["rollout.scaled_to_zero"]
    assert found.proposals == ()


def test_unseen_pods_are_not_taken_for_well_ones(build):
    snapshot = build.snapshot(desired=2, workload={"ready": 2, "available": 2}, unchecked=(build.unread("pods"),))
    found = build.diagnose(snapshot)
    assert found.conclusion is Conclusion.UNEXPLAINED
    assert any(item.what == "pods" for item in found.unchecked)


def test_a_complete_job_is_recovered(build):
    found = build.diagnose(build.job(build.waiting("", terminated=build.ended(0, "Completed")), condition="Complete"))
    assert found.conclusion is Conclusion.RECOVERED


def test_a_ready_bare_pod_is_recovered(build):
    assert build.diagnose(build.bare_pod(build.running())).conclusion is Conclusion.RECOVERED
