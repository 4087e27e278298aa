"""What Jobs and CronJobs say about themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.jobs import NAMES, conditions
from responder.conditions.model import Condition, Severity, Surroundings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AROUND = Surroundings(now=NOW)


def failed(at: str = "2026-11-23T11:40:00Z", reason: str = "BackoffLimitExceeded") -> dict[str, Any]:
    message = "Job has reached the specified backoff limit"
    return {"type": "Failed", "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}


def job(*listed: dict[str, Any], spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Job",
        "metadata": {"name": "import", "namespace": "shop", "uid": "u-1"},
        "spec": spec or {},
        "status": {"conditions": list(listed), **status},
    }


def born(body: dict[str, Any], at: str) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "creationTimestamp": at}}


def cron_job(
    schedule: str = "*/5 * * * *",
    *,
    scheduled: str = "2026-11-23T11:55:00Z",
    succeeded: str | None = "2026-11-23T11:50:20Z",
    active: int = 0,
    suspend: bool = False,
) -> dict[str, Any]:
    runs = [{"kind": "Job", "name": f"import-{n}"} for n in range(active)]
    return {
        "kind": "CronJob",
        "metadata": {"name": "import", "namespace": "shop", "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"schedule": schedule, "suspend": suspend},
        "status": {"lastScheduleTime": scheduled, "lastSuccessfulTime": succeeded, "active": runs},
    }


def names(found: tuple[Condition, ...]) -> list[str]:
    return [condition.name for condition in found]


STOPPED = {"suspend": True}
SUSPENDED = {"type": "Suspended", "status": "True", "lastTransitionTime": "2026-11-23T11:00:00Z"}
QUEUED = {"name": "import", "labels": {"kueue.x-k8s.io/queue-name": "batch"}}

TOLD = [
    *(
        pytest.param(job(failed(reason=reason)), "JobFailed", id=reason)
        for reason in (
            "BackoffLimitExceeded",
            "DeadlineExceeded",
            "PodFailurePolicy",
            "MaxFailedIndexesExceeded",
            "FailedIndexes",
        )
    ),
    pytest.param(job(failed(at="2026-11-22T12:00:01Z")), "JobFailed", id="failed nearly a day ago"),
    pytest.param(job({"type": "Failed", "status": "True"}), "JobFailed", id="failed, nobody says when"),
    pytest.param(job(SUSPENDED, spec=STOPPED, startTime="2026-11-23T10:00:00Z"), "JobSuspended", id="suspended"),
    pytest.param(job(SUSPENDED, spec=STOPPED, failed=1), "JobSuspended", id="suspended after a failed pod"),
    pytest.param(
        born(job(SUSPENDED, spec=STOPPED), "2026-11-23T10:40:00Z"), "JobSuspended", id="suspended long after creation"
    ),
    pytest.param(cron_job(suspend=True), "CronJobSuspended", id="suspended CronJob"),
    pytest.param(cron_job(succeeded="2026-11-22T09:00:00Z"), "CronJobNotSucceeding", id="no success for a day"),
    pytest.param(
        cron_job(succeeded="2026-11-22T09:00:00Z", active=1), "CronJobNotSucceeding", id="no success, one runs"
    ),
    pytest.param(cron_job(succeeded=None), "CronJobNotSucceeding", id="never a success"),
    pytest.param(
        cron_job("@daily", scheduled="2026-11-23T00:00:00Z", succeeded="2026-11-21T00:20:00Z"),
        "CronJobNotSucceeding",
        id="a day left out",
    ),
    pytest.param(
        cron_job("0 3 * * 1", scheduled="2026-11-23T03:00:00Z", succeeded="2026-11-16T03:20:00Z"),
        "CronJobNotSucceeding",
        id="the last weekly run",
    ),
    pytest.param(cron_job(active=3), "CronJobPilingUp", id="three runs at once"),
]

QUIET = [
    pytest.param(job(failed(at="2026-11-22T11:59:59Z")), id="failed more than a day ago: history"),
    pytest.param(job({"type": "Failed", "status": "False"}), id="not failed"),
    pytest.param(job({"type": "Complete", "status": "True"}, succeeded=1), id="complete"),
    pytest.param(job(active=1, failed=2), id="still trying"),
    pytest.param(job(SUSPENDED, spec=STOPPED), id="suspended, nobody knows since when it exists"),
    pytest.param(born(job(SUSPENDED, spec=STOPPED), "2026-11-23T10:59:59Z"), id="created suspended"),
    pytest.param(job(SUSPENDED, spec={**STOPPED, "managedBy": "example.com/queue"}, failed=1), id="managed elsewhere"),
    pytest.param({**job(SUSPENDED, spec=STOPPED, failed=1), "metadata": QUEUED}, id="queued"),
    pytest.param(job({"type": "Complete", "status": "True"}, spec=STOPPED, succeeded=1), id="suspended once done"),
    pytest.param(cron_job(), id="healthy CronJob"),
    pytest.param(cron_job(active=2), id="two runs"),
    pytest.param(cron_job(scheduled="", succeeded=None), id="never scheduled"),
    pytest.param(
        cron_job("0 3 * * *", scheduled="2026-11-23T03:00:00Z", succeeded="2026-11-22T03:20:00Z", active=1),
        id="today's run is on its way",
    ),
    pytest.param(
        cron_job("0 3 * * *", scheduled="2026-10-25T03:00:00Z", succeeded="2026-10-24T02:00:30Z", active=1),
        id="the day on which summer time ends",
    ),
    pytest.param(
        cron_job("0 3 1 * *", scheduled="2026-11-01T03:00:00Z", succeeded="2026-10-01T03:20:00Z", active=1),
        id="a monthly run on its way",
    ),
    pytest.param(
        cron_job("0 3 1 * *", scheduled="2026-11-01T03:00:00Z", succeeded="2026-11-01T03:20:00Z"), id="monthly, done"
    ),
    pytest.param({}, id="nothing"),
]


@pytest.mark.parametrize(("body", "name"), TOLD)
def test_a_fault_is_told_under_its_name(body: dict[str, Any], name: str) -> None:
    assert names(conditions(body, AROUND)) == [name]
    assert name in NAMES


@pytest.mark.parametrize("body", QUIET)
def test_what_is_as_it_should_be_is_not_told(body: dict[str, Any]) -> None:
    assert conditions(body, AROUND) == ()


def test_a_failed_job_counts_at_once_from_when_it_failed() -> None:
    (found,) = conditions(job(failed()), AROUND)
    assert (found.since, found.age_seconds) == (datetime(2026, 11, 23, 11, 40, tzinfo=UTC), 0)


def test_a_failed_job_is_told_in_the_servers_words() -> None:
    (found,) = conditions(job(failed()), AROUND)
    assert found.summary == "Job import failed: BackoffLimitExceeded; Job has reached the specified backoff limit"


def test_the_last_success_of_a_cron_job_is_named() -> None:
    (found,) = conditions(cron_job(succeeded="2026-11-22T09:00:00Z"), AROUND)
    assert found.summary == "CronJob import does not succeed: the last success was at 2026-11-22 09:00 UTC"


@pytest.mark.parametrize("body", [cron_job(suspend=True), job(SUSPENDED, spec=STOPPED, failed=1), cron_job(active=3)])
def test_what_somebody_may_have_meant_is_information(body: dict[str, Any]) -> None:
    assert [found.severity for found in conditions(body, AROUND)] == [Severity.INFO]


@pytest.mark.parametrize("schedule", ["TZ=Europe/Berlin 0 3 * * *", "CRON_TZ=UTC */5 * * * ?", "@hourly", "@daily"])
def test_schedules_of_every_day_are_known(schedule: str) -> None:
    body = cron_job(schedule, succeeded="2026-11-22T11:00:00Z")
    assert names(conditions(body, AROUND)) == []
