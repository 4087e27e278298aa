"""A record with many incidents, made in a moment: what a list of them is measured against.

The rows are written by SQL, past the pipeline: no alerts, investigations or plans belong to them. They are spread over
namespaces, rules, severities, modes and states as a year of a busy cluster would leave them: nine in ten are over.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from responder.store.rows import to_timestamp
from responder.store.store import Connection, Store

UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
"""When the newest incident was opened, unless told otherwise."""

SECONDS_APART = 311

_IDENTITY = """
    'inc-' || translate(
        lower(to_base(epoch(opened_at)::BIGINT, 32, 7) || to_base((hash(number) >> 2)::BIGINT % 33554432, 32, 5)),
        '0123456789abcdefghijklmnopqrstuv', '0123456789abcdefghjkmnpqrstvwxyz'
    )"""
"""As `domain.ids` makes them, with a hash where chance would be."""

_ROWS = f"""
INSERT INTO incidents BY NAME
WITH facts AS (
    SELECT
        number, (hash(number * 7 + 1) >> 2)::BIGINT AS dice,
        $until::TIMESTAMP - to_seconds((number * {SECONDS_APART})::BIGINT) AS opened_at,
        ['shop', 'payments', 'search', 'billing', 'observability', 'kube-system', 'team-a-staging', 'team-b-prod']
            [1 + number % 8] AS namespace,
        ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob'][1 + number // 6 % 4] AS root_kind,
        ['checkout', 'ledger', 'storefront', 'assets', 'indexer', 'gateway'][1 + number % 6] || '-' || number % 997
            AS root_name,
        ['KubePodCrashLooping', 'KubeContainerWaiting', 'KubeDeploymentReplicasMismatch', 'KubeJobFailed']
            [1 + number // 5 % 4] AS alertname
    FROM range($count) AS numbers(number)
), words AS (
    SELECT
        *, CASE WHEN dice % 100 < 90 THEN 'resolved' WHEN dice % 100 < 96 THEN 'escalated'
            WHEN dice % 100 < 98 THEN 'suppressed'
            ELSE ['open', 'investigating', 'awaiting_approval', 'executing', 'verifying'][1 + dice // 100 % 5] END
            AS state,
        ['critical', 'error', 'warning', 'warning', 'warning', 'info', ''][1 + dice // 500 % 7] AS severity
    FROM facts
)
SELECT
    {_IDENTITY} AS id, root_kind || '/' || namespace || '/' || root_name AS key, root_kind, namespace AS root_namespace,
    root_name, uuid()::VARCHAR AS root_uid, state,
    CASE state WHEN 'resolved' THEN ['fixed', 'recovered', 'alert_resolved'][1 + dice // 4000 % 3]
        WHEN 'escalated' THEN ['unexplained', 'refused', 'rolled_back', 'no_rule'][1 + dice // 4000 % 4]
        WHEN 'suppressed' THEN 'silenced' ELSE '' END AS outcome,
    root_kind || ' ' || root_name || ' of ' || namespace || ': container web of ' || 1 + dice % 9
        || ' pods waits in a loop of restarts since image registry.example/' || namespace || '/' || root_name || ':1.'
        || dice // 9 % 90 || ' was set' AS summary,
    severity, namespace,
    ['crash-loops', 'mistyped-image', 'failed-jobs', 'replicas', ''][1 + dice // 20000 % 5] AS rule,
    ['report', 'dry-run', 'autonomous', ''][1 + dice // 100000 % 4] AS mode,
    to_json({{
        'alertname': alertname, 'cluster': 'prod-eu-1', 'container': 'web', 'namespace': namespace,
        'pod': root_name || '-' || lower(to_base(dice % 33554432, 32, 5)), 'prometheus': 'monitoring/k8s',
        'severity': severity
    }})::VARCHAR AS labels,
    opened_at, opened_at + INTERVAL 2 MINUTE AS updated_at,
    CASE state WHEN 'resolved' THEN opened_at + INTERVAL 2 MINUTE END AS resolved_at,
    dice % 2 AS attempts, 0 AS truncated_alerts, '' AS cause, 0 AS members
FROM words
ORDER BY number DESC
"""


def add(con: Connection, count: int, until: datetime = UNTIL) -> None:
    """Insert `count` incidents, the newest opened at `until`, one every `SECONDS_APART` seconds before it."""
    con.execute(_ROWS, {"count": count, "until": to_timestamp(until)})


def fill(path: Path, count: int, until: datetime = UNTIL) -> None:
    """Make a store at `path` that holds `count` incidents. Outside of an event loop; inside of one, `add` is the job
    for `Store.write`."""
    with Store.open(path) as store:
        asyncio.run(store.write(lambda con: add(con, count, until)))
