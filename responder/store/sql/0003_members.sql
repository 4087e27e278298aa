-- One cause over many workloads: one incident with members.

ALTER TABLE incidents ADD COLUMN cause VARCHAR DEFAULT '';      -- '' where the incident is about one object alone
ALTER TABLE incidents ADD COLUMN members INTEGER DEFAULT 0;

-- Key of the object that the alert is about: of a shared incident, which of its members.
ALTER TABLE incident_alerts ADD COLUMN member VARCHAR DEFAULT '';

CREATE TABLE incident_members (
    incident_id VARCHAR   NOT NULL,
    kind        VARCHAR   NOT NULL,
    namespace   VARCHAR   NOT NULL,  -- '' for cluster-scoped kinds
    name        VARCHAR   NOT NULL,
    uid         VARCHAR   NOT NULL,  -- '' where only the name was known
    joined_at   TIMESTAMP NOT NULL
);

-- What an incident of one object could have in common with others, as seen when it was opened.
CREATE TABLE incident_causes (
    incident_id VARCHAR NOT NULL,
    cause       VARCHAR NOT NULL
);

-- As before, with cause and members at the end.
CREATE OR REPLACE VIEW v_incidents AS
SELECT
    i.id, i.key, i.root_kind, i.root_namespace, i.root_name, i.state, i.outcome, i.summary, i.severity, i.namespace,
    i.rule, i.mode, i.opened_at, i.updated_at, i.resolved_at,
    date_diff('millisecond', i.opened_at, i.resolved_at) / 1000.0 AS seconds_open,
    coalesce(a.n, 0) AS alerts, coalesce(v.n, 0) AS investigations, coalesce(p.n, 0) AS plans,
    coalesce(e.n, 0) AS executions, i.truncated_alerts, i.cause, i.members
FROM incidents i
LEFT JOIN (SELECT incident_id, count(*) AS n FROM incident_alerts GROUP BY incident_id) a ON a.incident_id = i.id
LEFT JOIN (SELECT incident_id, count(*) AS n FROM investigations GROUP BY incident_id) v ON v.incident_id = i.id
LEFT JOIN (SELECT incident_id, count(*) AS n FROM plans GROUP BY incident_id) p ON p.incident_id = i.id
LEFT JOIN (SELECT incident_id, count(*) AS n FROM executions GROUP BY incident_id) e ON e.incident_id = i.id;
COMMENT ON VIEW v_incidents IS 'One row per incident: id, key, root_kind, root_namespace, root_name, state, outcome, summary, severity, namespace, rule, mode, opened_at, updated_at, resolved_at, seconds_open, counts of alerts, investigations, plans and executions, truncated_alerts, cause (shared by several workloads; empty otherwise), members (how many workloads)';
