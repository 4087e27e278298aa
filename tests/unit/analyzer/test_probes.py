"""Probes: corrected toward what is known, never removed, never guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from responder.domain.action import ProbeKind, SetProbe

REFUSED = (
    'Readiness probe failed: Get "http://10.0.0.5:{0}/healthz": dial tcp 10.0.0.5:{0}: connect: connection refused'
)
NOT_FOUND = "{0} probe failed: HTTP probe failed with statuscode: 404"
LIVE = ProbeKind.LIVENESS


def unready(build, message, *, container, **fields):
    events = (build.event("Unhealthy", message),)
    status = build.running(seconds=600, ready=False)
    return build.diagnose(build.broken(status, container=container, events=events, **fields))


def test_a_readiness_port_becomes_the_only_one_that_is_declared(build):
    container = build.container(ports={80: ""}, probes=(build.probe(port=8080),))
    found = unready(build, REFUSED.format(8080), container=container)
    assert found.findings[0].signature == "probe.wrong_port"
    assert found.proposals[0].action == SetProbe(target=build.root, container="web", probe=ProbeKind.READINESS, port=80)


def test_a_readiness_port_becomes_the_one_that_the_program_says_it_listens_on(build):
    container = build.container(probes=(build.probe(port=8080),))
    log = build.log("Server listening on http://0.0.0.0:3000", previous=False)
    found = unready(build, REFUSED.format(8080), container=container, excerpts=(log,))
    assert found.proposals[0].action.port == 3000


def test_two_declared_ports_are_not_chosen_from(build):
    container = build.container(ports={80: "", 9090: ""}, probes=(build.probe(port=8080),))
    found = unready(build, REFUSED.format(8080), container=container)
    assert (found.findings[0].signature, found.proposals) == ("probe.refused", ())


def test_a_refusal_on_the_port_that_the_program_listens_on_does_not_move_the_probe(build):
    container = build.container(ports={8080: "", 9090: ""}, probes=(build.probe(port=8080),))
    log = build.log("listening on :8080", previous=False)
    found = unready(build, REFUSED.format(8080), container=container, excerpts=(log,))
    assert found.proposals == ()


def test_a_404_alone_does_not_tell_the_right_path(build):
    container = build.container(ports={80: ""}, probes=(build.probe(port=80, path="/is_ready"),))
    found = unready(build, NOT_FOUND.format("Readiness"), container=container)
    assert (found.findings[0].signature, found.proposals) == ("probe.wrong_path", ())


def test_the_path_of_the_ready_revision_is_taken(build):
    container = build.container(probes=(build.probe(path="/nope"),))
    before = build.container(probes=(build.probe(path="/ready"),))
    found = unready(build, NOT_FOUND.format("Readiness"), container=container, before=before)
    assert found.proposals[0].action.path == "/ready"
    assert found.proposals[1].action.kind == "undo_rollout"


def test_the_path_of_another_probe_that_passes_is_taken(build):
    probes = (build.probe(path="/nope"), build.probe(LIVE, path="/live"))
    found = unready(build, NOT_FOUND.format("Readiness"), container=build.container(probes=probes))
    assert found.proposals[0].action.path == "/live"


def test_two_probes_that_both_fail_vouch_for_nothing(build):
    probes = (build.probe(path="/is_ready"), build.probe(LIVE, path="/get_status"))
    events = tuple(build.event("Unhealthy", NOT_FOUND.format(kind)) for kind in ("Readiness", "Liveness"))
    status = build.running(seconds=20, ready=False, restarts=3, last_terminated=build.ended(137, "Error"))
    found = build.diagnose(build.broken(status, container=build.container(probes=probes), events=events))
    assert [finding.signature for finding in found.findings] == ["probe.wrong_path", "probe.wrong_path"]
    assert found.proposals == ()


def test_the_one_health_route_of_the_log_is_taken(build):
    log = build.log("[GIN-debug] GET    /actuator/health  --> h", "[GIN-debug] GET /orders --> o", previous=False)
    container = build.container(probes=(build.probe(path="/nope"),))
    found = unready(build, NOT_FOUND.format("Readiness"), container=container, excerpts=(log,))
    assert found.proposals[0].action.path == "/actuator/health"


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", "probe.app_unhealthy"),
        (
            'Readiness probe failed: Get "https://10.0.0.5:8080/": http: server gave HTTP response to HTTPS client',
            "probe.wrong_scheme",
        ),
        (
            'Readiness probe failed: Get "http://10.0.0.5:8080/healthz": context deadline exceeded',
            "probe.timeout",
        ),
    ],
)
def test_a_probe_that_reaches_the_program_is_not_changed(build, message, signature):
    found = unready(build, message, container=build.container(probes=(build.probe(path=""),)))
    assert (found.findings[0].signature, found.proposals) == (signature, ())


def test_an_exec_probe_is_reported(build):
    probe = build.probe(mechanism="exec", path="", port=0, command=("sh", "-c", "exit 1"))
    found = unready(build, "Readiness probe failed: ", container=build.container(probes=(probe,)))
    assert (found.findings[0].signature, found.proposals) == ("probe.exec_failing", ())


def killed_early(build, container, *lines, **fields):
    events = (
        build.event("Unhealthy", REFUSED.format(8080).replace("Readiness", "Liveness")),
        build.event("Killing", "Container web failed liveness probe, will be restarted", type_="Normal"),
    )
    status = build.crashing(ended=build.ended(137, "Error", lived=30))
    logs = (build.log(*lines),)
    return build.diagnose(build.broken(status, container=container, events=events, excerpts=logs, **fields))


def test_a_program_killed_while_it_starts_gets_a_longer_first_delay(build):
    container = build.container(ports={8080: ""}, probes=(build.probe(LIVE, period_seconds=5, failure_threshold=3),))
    found = killed_early(build, container, "Starting web", "Loading caches, please wait")
    assert found.findings[0].signature == "probe.too_early"
    assert found.proposals[0].action.initial_delay_seconds == 60


def test_a_startup_probe_gets_more_tries_and_no_delay(build):
    probe = build.probe(ProbeKind.STARTUP, period_seconds=5, failure_threshold=2)
    events = (build.event("Unhealthy", REFUSED.format(8080).replace("Readiness", "Startup")),)
    status = build.crashing(ended=build.ended(137, "Error", lived=11))
    container = build.container(ports={8080: ""}, probes=(probe,))
    logs = (build.log("Starting web", "Loading caches, please wait"),)
    action = build.diagnose(build.broken(status, container=container, events=events, excerpts=logs)).proposals[0].action
    assert (action.failure_threshold, action.initial_delay_seconds) == (12, -1)


def test_the_patience_of_the_ready_revision_is_taken_back(build):
    container = build.container(ports={8080: ""}, probes=(build.probe(LIVE, period_seconds=5),))
    before = build.container(probes=(build.probe(LIVE, initial_delay_seconds=90),))
    found = killed_early(build, container, "up", before=before)
    assert found.proposals[0].action.initial_delay_seconds == 90


def test_a_program_that_was_up_and_stopped_answering_gets_no_longer_delay(build):
    container = build.container(ports={8080: ""}, probes=(build.probe(LIVE),))
    found = killed_early(build, container, "Starting web", "listening on :8080", "deadlock")
    assert found.proposals == ()


def test_a_probe_that_a_sibling_passes_is_not_at_fault(build):
    template = build.template(build.container(ports={80: ""}, probes=(build.probe(port=8080),)))
    sick = build.pod(build.running(seconds=600, ready=False), template=template)
    well = build.pod(name="web-b-2", template=template)
    events = (build.event("Unhealthy", REFUSED.format(8080)),)
    assert build.diagnose(build.snapshot(sick, well, events=events)).proposals == ()


def test_old_probe_events_of_a_container_that_is_ready_are_the_past(build):
    container = build.container(probes=(build.probe(),))
    pod = build.pod(template=build.template(container))
    found = build.diagnose(build.snapshot(pod, events=(build.event("Unhealthy", NOT_FOUND.format("Readiness")),)))
    assert found.conclusion == "recovered"


def test_the_event_of_another_container_is_not_taken_for_this_one(build):
    side = build.container("side", probes=(build.probe(port=9000),))
    web = build.container(ports={80: ""}, probes=(build.probe(port=8080),))
    pod = build.pod(
        build.running(seconds=600, ready=False), build.running("side", seconds=600), template=build.template(web, side)
    )
    events = (build.event("Unhealthy", REFUSED.format(9000)),)
    found = build.diagnose(build.snapshot(pod, events=events))
    assert found.proposals == ()
    assert found.conclusion == "unexplained"


def test_a_named_port_that_nobody_declares_becomes_the_declared_one(build):
    probe = replace(build.probe(), port=0, port_name="http")
    container = build.container(ports={8080: "web"}, probes=(probe,))
    found = unready(build, "Readiness probe errored: couldn't find port http", container=container)
    assert found.proposals[0].action.port == 8080


def test_a_probe_that_nobody_answers_between_two_crashes_is_a_consequence(build):
    container = build.container(ports={80: ""}, probes=(build.probe(port=8080),))
    status = build.running(seconds=3, ready=False, restarts=6, last_terminated=build.ended(1, before=5))
    events = (build.event("Unhealthy", REFUSED.format(8080)),)
    snapshot = build.broken(status, container=container, events=events, logs=["panic: boom"])
    found = build.diagnose(snapshot)
    assert [finding.signature for finding in found.findings] == ["crash.unfixable"]
