"""Phase and conditions of a pod, from the state of its containers."""

import pytest

from responder.sandbox.podstatus import (
    ContainerKind,
    ContainerView,
    PodView,
    Running,
    State,
    Terminated,
    Waiting,
    conditions,
    phase,
    render,
)

NOW = "2026-01-02T03:04:05Z"
CREATING = Waiting(reason="ContainerCreating")
CRASHING = Waiting(reason="CrashLoopBackOff")
UP = Running(started_at=NOW)


def ended(code: int) -> Terminated:
    return Terminated(exit_code=code, reason="Completed", started_at=NOW, finished_at=NOW)


def main(state: State, *, last: Terminated | None = None, ready: bool = False) -> ContainerView:
    return ContainerView(name="app", image="a", state=state, last=last, ready=ready, started=ready)


def init(state: State) -> ContainerView:
    return ContainerView(name="prepare", image="a", kind=ContainerKind.INIT, state=state)


def view(*containers: ContainerView, policy: str = "Always") -> PodView:
    return PodView(restart_policy=policy, containers=containers, start_time=NOW, sandbox_ready=True, pod_ip="10.0.0.9")


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (view(main(CREATING)), "Pending"),
        (view(main(UP)), "Running"),
        (view(main(CRASHING, last=ended(1))), "Running"),
        (view(main(ended(0))), "Running"),
        (view(main(ended(0)), policy="OnFailure"), "Succeeded"),
        (view(main(ended(0)), policy="Never"), "Succeeded"),
        (view(main(ended(1)), policy="Never"), "Failed"),
        (view(main(ended(1)), policy="OnFailure"), "Running"),
        (view(init(UP), main(CREATING)), "Pending"),
        (view(init(CRASHING), main(CREATING)), "Pending"),
        (view(init(ended(1)), main(CREATING), policy="Never"), "Failed"),
        (view(init(ended(0)), main(UP)), "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(pod: PodView, expected: str) -> None:
    assert phase(pod) == expected


def condition(pod: PodView, kind: str) -> tuple[str, str]:
    found = next(c for c in conditions(pod, (), NOW) if c["type"] == kind)
    return found["status"], found.get("message", "")


def test_an_unready_container_is_named_by_the_ready_condition() -> None:
    assert condition(view(main(UP)), "Ready") == ("False", "containers with unready status: [app]")
    assert condition(view(main(UP, ready=True)), "Ready") == ("True", "")


def test_an_unfinished_init_container_is_named_by_the_initialized_condition() -> None:
    pod = view(init(UP), main(CREATING))
    assert condition(pod, "Initialized") == ("False", "containers with incomplete status: [prepare]")


def test_a_condition_keeps_its_date_while_its_status_stays() -> None:
    before = conditions(view(main(UP)), (), "2026-01-01T00:00:00Z")
    after = {c["type"]: c["lastTransitionTime"] for c in conditions(view(main(UP, ready=True)), tuple(before), NOW)}
    assert after["Ready"] == NOW
    assert after["PodScheduled"] == "2026-01-01T00:00:00Z"


def test_conditions_of_others_are_kept() -> None:
    foreign = {"type": "DisruptionTarget", "status": "True"}
    assert foreign in conditions(view(main(UP)), (foreign,), NOW)


def test_a_container_shows_its_state_and_its_last_end() -> None:
    status = render(view(main(CRASHING, last=ended(1))), (), NOW)
    shown = status["containerStatuses"][0]
    assert shown["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert shown["lastState"]["terminated"]["exitCode"] == 1
