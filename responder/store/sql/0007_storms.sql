-- Incidents that several workloads share.

CREATE VIEW v_storms AS
SELECT
    id AS incident_id, CAST(opened_at AS DATE) AS day, opened_at, resolved_at, seconds_open,
    split_part(cause, '/', 1) AS cause_kind, cause, members, alerts, truncated_alerts, severity, state, outcome
FROM v_incidents
WHERE cause <> '';
COMMENT ON VIEW v_storms IS 'One row per incident that several workloads share: incident_id, day (of opening), opened_at, resolved_at, seconds_open, cause_kind (image, Node, ConfigMap, ..., or alertname: only the alert is common), cause, members (how many workloads), alerts, truncated_alerts, severity, state, outcome';
