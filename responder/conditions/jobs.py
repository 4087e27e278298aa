"""What Jobs and CronJobs say about themselves.

A failed Job stays failed for as long as it exists; it is news for a day, then history. Whether a CronJob missed a run
takes its schedule, which nobody parses here: what is told is what the times and the list of active Jobs leave no doubt
about. Schedules that cannot be read and missed start times come as events.
Fields: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from responder.conditions.messages import moment
from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import is_deleted, sentence, status_condition
from responder.domain.manifest import Manifest, flag, items, mapping, number, ref_of, text

NAMES: Mapping[str, str] = {
    "CronJobNotSucceeding": "A CronJob's runs have not succeeded lately",
    "CronJobPilingUp": "Several runs of a CronJob are active at once",
    "CronJobSuspended": "A CronJob is suspended",
    "JobFailed": "A Job has failed for good",
    "JobSuspended": "A Job was suspended after it had started",
}

HISTORY = timedelta(hours=24)
"""A Job that failed longer ago is history."""
SUSPENDED_SECONDS = 3600.0
BORN_SUSPENDED = timedelta(minutes=1)
"""So soon after its creation the controller says of a Job that it was suspended from the first."""
PILING_SECONDS = 900.0
PILE = 3  # active runs of one CronJob
LAST_RUN_SECONDS = 3600.0
LAG_SECONDS = 300.0

# A day, the hour by which summer time ends, and an hour for the run itself.
_LONGEST_DAILY_GAP = timedelta(hours=26)
_EVERY_DAY = frozenset({"@daily", "@midnight", "@hourly"})


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    if is_deleted(body):
        return ()
    match text(body, "kind"):
        case "Job":
            return (*_failed_job(body, around), *_suspended_job(body))
        case "CronJob":
            return tuple(_cron_job(body))
        case _:
            return ()


def _failed_job(body: Manifest, around: Surroundings) -> Iterator[Condition]:
    failed = status_condition(body, "Failed")
    if not failed.holds or (failed.since is not None and around.now - failed.since > HISTORY):
        return
    yield Condition(
        name="JobFailed",
        about=ref_of(body),
        summary=sentence(f"Job {text(body, 'metadata', 'name')} failed", failed.reason, failed.message),
        since=failed.since,
    )


def _suspended_job(body: Manifest) -> Iterator[Condition]:
    if not flag(body, "spec", "suspend") or _is_finished(body) or not _has_started(body) or _is_queued(body):
        return
    yield Condition(
        name="JobSuspended",
        about=ref_of(body),
        severity=Severity.INFO,
        summary=f"Job {text(body, 'metadata', 'name')} was suspended after it had started",
        since=status_condition(body, "Suspended").since,
        age_seconds=SUSPENDED_SECONDS,
    )


def _is_finished(body: Manifest) -> bool:
    return any(status_condition(body, kind).holds for kind in ("Complete", "Failed", "SuccessCriteriaMet"))


def _has_started(body: Manifest) -> bool:
    """The controller takes `startTime` away from a Job that is suspended: without a count, only a suspension that came
    well after the creation shows that it ran."""
    counts = (number(body, "status", key) for key in ("active", "succeeded", "failed"))
    if moment(body, "status", "startTime") is not None or any(counts):
        return True
    since, created = status_condition(body, "Suspended").since, moment(body, "metadata", "creationTimestamp")
    return since is not None and created is not None and since - created > BORN_SUSPENDED


def _is_queued(body: Manifest) -> bool:
    """True where a queueing controller suspends and resumes the Job as capacity comes and goes."""
    return bool(text(body, "metadata", "labels", "kueue.x-k8s.io/queue-name") or text(body, "spec", "managedBy"))


def _cron_job(body: Manifest) -> Iterator[Condition]:
    name, active = text(body, "metadata", "name"), sum(1 for _ in items(body, "status", "active"))
    if flag(body, "spec", "suspend"):
        yield Condition(
            name="CronJobSuspended",
            about=ref_of(body),
            severity=Severity.INFO,
            summary=f"CronJob {name} is suspended",
            age_seconds=SUSPENDED_SECONDS,
        )
        return
    yield from _not_succeeding(body, active)
    if active >= PILE:
        yield Condition(
            name="CronJobPilingUp",
            about=ref_of(body),
            severity=Severity.INFO,
            summary=f"{active} runs of CronJob {name} are active at once",
            age_seconds=PILING_SECONDS,
        )


def _not_succeeding(body: Manifest, active: int) -> Iterator[Condition]:
    scheduled, succeeded = moment(body, "status", "lastScheduleTime"), moment(body, "status", "lastSuccessfulTime")
    before = succeeded or moment(body, "metadata", "creationTimestamp")
    if scheduled is None or before is None:
        return
    # The last run is over once nothing is active; while a daily one is, only an earlier run can have failed.
    over = active == 0 and scheduled > before
    if not (scheduled - before > _LONGEST_DAILY_GAP if _runs_daily(body) else over):
        return
    said = f"the last success was at {succeeded:%Y-%m-%d %H:%M} UTC" if succeeded else "no run has ever succeeded"
    yield Condition(
        name="CronJobNotSucceeding",
        about=ref_of(body),
        summary=f"CronJob {text(body, 'metadata', 'name')} does not succeed: {said}",
        age_seconds=LAG_SECONDS if _runs_daily(body) else LAST_RUN_SECONDS,
    )


def _runs_daily(body: Manifest) -> bool:
    """True for a schedule that comes round on every day of the year."""
    schedule = text(mapping(body, "spec"), "schedule").strip()
    fields = [field for field in schedule.split() if not field.startswith(("TZ=", "CRON_TZ="))]
    return schedule in _EVERY_DAY or (len(fields) == 5 and all(field in ("*", "?") for field in fields[2:]))
