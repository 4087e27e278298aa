"""What became of every rule's decisions, in one pass over the record. What that means is told by `domain.trust`.

An incident counts for the rule that spoke for it last; a plan, and what was written by it, for the rule that had spoken
when it was made. Verdicts count as in `v_fix_success`: a change that uncovered the next fault has passed, one that
nobody could judge has not. A write whose outcome is unknown has not passed either; one that is not judged yet says
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from responder import wire
from responder.domain.views import RuleRecord
from responder.store.connection import Connection
from responder.store.rows import from_timestamp, to_timestamp

_DAY = timedelta(hours=24)
_RECENT = 5
_COLUMNS = tuple(item.name for item in fields(RuleRecord))

_SQL = f"""
WITH proposing AS (
    SELECT DISTINCT incident_id FROM investigations WHERE proposals <> '[]'
), counted AS (
    SELECT i.rule, count(*) AS incidents, count(p.incident_id) AS proposed,
        count(*) FILTER (i.opened_at >= $day) AS incidents_day
    FROM incidents i LEFT JOIN proposing p ON p.incident_id = i.id
    GROUP BY i.rule
), newest AS (
    SELECT rule, max(decided_at) AS last_at, arg_max(incident_id, decided_at) AS last_incident
    FROM decisions GROUP BY rule
), latest AS (
    SELECT n.*, i.state || CASE i.outcome WHEN '' THEN '' ELSE ' ' || i.outcome END AS last_outcome
    FROM newest n LEFT JOIN incidents i ON i.id = n.last_incident
), ruled AS MATERIALIZED (
    SELECT p.id, any_value(p.state) AS state, any_value(p.created_at) AS created_at,
        coalesce(arg_max(d.rule, d.decided_at), '') AS rule
    FROM plans p LEFT JOIN decisions d ON d.incident_id = p.incident_id AND d.decided_at <= p.created_at
    GROUP BY p.id
), planned AS (
    SELECT r.rule, count(*) AS plans, count(a.plan_id) AS approved_by_people,
        count(*) FILTER (r.state = 'rejected') AS rejected
    FROM ruled r LEFT JOIN (SELECT DISTINCT plan_id FROM approvals WHERE kind = 'human') a ON a.plan_id = r.id
    GROUP BY r.rule
), written AS MATERIALIZED (
    SELECT r.rule, r.created_at AS planned_at, e.intent_at, e.id, e.outcome, v.verdict,
        b.plan_id IS NOT NULL AS taken_back,
        CASE WHEN e.outcome = 'unknown' OR b.plan_id IS NOT NULL OR v.verdict IN ('failed', 'unknown', 'reverted')
            THEN TRUE WHEN v.verdict IN ('passed', 'progressed') THEN FALSE END AS is_bad
    FROM executions e
    JOIN ruled r ON r.id = e.plan_id
    LEFT JOIN v_verdicts v ON v.execution_id = e.id
    LEFT JOIN (SELECT DISTINCT plan_id FROM executions WHERE kind = 'rollback' AND outcome = 'applied') b
        ON b.plan_id = e.plan_id
    WHERE e.kind = 'apply' AND e.outcome <> 'not_applied'
), applied AS (
    SELECT rule, count(*) FILTER (outcome = 'applied') AS applied,
        count(*) FILTER (verdict IN ('passed', 'progressed')) AS passed,
        count(*) FILTER (verdict IN ('failed', 'unknown', 'reverted')) AS failed,
        count(*) FILTER (taken_back) AS taken_back
    FROM written GROUP BY rule
), judged AS MATERIALIZED (
    SELECT rule, planned_at, is_bad, row_number() OVER (PARTITION BY rule ORDER BY intent_at DESC, id DESC) AS place
    FROM written WHERE is_bad IS NOT NULL
), broken AS (
    SELECT rule, coalesce(min(place) FILTER (is_bad), count(*) + 1) AS place, least(count(*), {_RECENT}) AS recent,
        count(*) FILTER (is_bad AND place <= {_RECENT}) AS recent_bad
    FROM judged GROUP BY rule
), streak AS (
    SELECT b.rule, b.place - 1 AS passed_in_a_row, b.recent, b.recent_bad,
        (SELECT min(j.planned_at) FROM judged j WHERE j.rule = b.rule AND j.place < b.place) AS began_at
    FROM broken b
), refused AS (
    SELECT r.rule, count(*) AS rejected_since
    FROM ruled r LEFT JOIN streak s ON s.rule = r.rule
    WHERE r.state = 'rejected' AND (s.began_at IS NULL OR r.created_at >= s.began_at)
    GROUP BY r.rule
)
SELECT rule, {", ".join(_COLUMNS)}
FROM counted
FULL JOIN latest USING (rule)
FULL JOIN planned USING (rule)
FULL JOIN applied USING (rule)
FULL JOIN streak USING (rule)
FULL JOIN refused USING (rule)
"""


def all_records(con: Connection, now: datetime) -> dict[str, RuleRecord]:
    """Rule name -> its record; '' is what no rule spoke for. A rule that never spoke is not there."""
    rows = con.execute(_SQL, {"day": to_timestamp(now - _DAY)}).fetchall()
    return {name: _record(values) for name, *values in rows}


def _record(values: Sequence[object]) -> RuleRecord:
    known = {column: value for column, value in zip(_COLUMNS, values, strict=True) if value is not None}
    if isinstance(at := known.get("last_at"), datetime):
        known["last_at"] = from_timestamp(at)
    return wire.from_json(RuleRecord, known)
