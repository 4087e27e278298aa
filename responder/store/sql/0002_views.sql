-- Views for people who write SQL. Their columns change only with a note in the CHANGELOG.
-- Durations are seconds, times are UTC, ratios are 0 to 1 and NULL where nothing was judged yet.

-- Last look at each execution that decided something: what became of it.
-- execution_id, verdict (passed, failed, unknown, reverted, progressed), reason, judged_at
CREATE VIEW v_verdicts AS
SELECT execution_id, verdict_kind AS verdict, verdict_reason AS reason, recorded_at AS judged_at
FROM verifications
WHERE verdict_kind <> 'pending'
QUALIFY row_number() OVER (PARTITION BY execution_id ORDER BY number DESC) = 1;
COMMENT ON VIEW v_verdicts IS 'One row per judged execution: execution_id, verdict, reason, judged_at';

-- One row per incident. alerts, investigations, plans and executions are counts; seconds_open runs to the resolution.
CREATE VIEW v_incidents AS
SELECT
    i.id, i.key, i.root_kind, i.root_namespace, i.root_name, i.state, i.outcome, i.summary, i.severity, i.namespace,
    i.rule, i.mode, i.opened_at, i.updated_at, i.resolved_at,
    date_diff('millisecond', i.opened_at, i.resolved_at) / 1000.0 AS seconds_open,
    coalesce(a.n, 0) AS alerts, coalesce(v.n, 0) AS investigations, coalesce(p.n, 0) AS plans,
    coalesce(e.n, 0) AS executions, i.truncated_alerts
FROM incidents i
LEFT JOIN (SELECT incident_id, count(*) AS n FROM incident_alerts GROUP BY incident_id) a ON a.incident_id = i.id
LEFT JOIN (SELECT incident_id, count(*) AS n FROM investigations GROUP BY incident_id) v ON v.incident_id = i.id
LEFT JOIN (SELECT incident_id, count(*) AS n FROM plans GROUP BY incident_id) p ON p.incident_id = i.id
LEFT JOIN (SELECT incident_id, count(*) AS n FROM executions GROUP BY incident_id) e ON e.incident_id = i.id;
COMMENT ON VIEW v_incidents IS 'One row per incident: id, key, root_kind, root_namespace, root_name, state, outcome, summary, severity, namespace, rule, mode, opened_at, updated_at, resolved_at, seconds_open, counts of alerts, investigations, plans and executions, truncated_alerts';

-- Time to resolution, per day of resolution, namespace and rule.
CREATE VIEW v_mttr AS
SELECT
    CAST(resolved_at AS DATE) AS day, namespace, rule, count(*) AS incidents,
    avg(seconds_open) AS mean_seconds, median(seconds_open) AS median_seconds,
    quantile_cont(seconds_open, 0.95) AS p95_seconds
FROM v_incidents
WHERE resolved_at IS NOT NULL
GROUP BY ALL;
COMMENT ON VIEW v_mttr IS 'Time to resolution per day (of resolution), namespace and rule: incidents, mean_seconds, median_seconds, p95_seconds';

-- How long plans waited for each approval.
CREATE VIEW v_approval_latency AS
SELECT
    p.id AS plan_id, p.incident_id, i.rule, p.action_kind AS action, p.risk, a.approver, a.kind AS approval,
    p.created_at AS proposed_at, a.decided_at,
    date_diff('millisecond', p.created_at, a.decided_at) / 1000.0 AS seconds
FROM approvals a
JOIN plans p ON p.id = a.plan_id
LEFT JOIN incidents i ON i.id = p.incident_id;
COMMENT ON VIEW v_approval_latency IS 'One row per approval: plan_id, incident_id, rule, action, risk, approver, approval (human or policy), proposed_at, decided_at, seconds';

-- What became of applied changes. A change that uncovered the next fault (progressed) did its work: it counts as passed.
CREATE VIEW v_fix_success AS
SELECT
    p.action_kind AS action, coalesce(i.rule, '') AS rule, coalesce(v.analyzer, '') AS analyzer,
    count(*) AS executions,
    count(*) FILTER (r.verdict IN ('passed', 'progressed')) AS passed,
    count(*) FILTER (r.verdict IN ('failed', 'unknown', 'reverted')) AS failed,
    count(*) FILTER (b.plan_id IS NOT NULL) AS rolled_back,
    count(*) FILTER (r.verdict IN ('passed', 'progressed')) / nullif(count(r.verdict), 0) AS success_ratio
FROM executions e
JOIN plans p ON p.id = e.plan_id
LEFT JOIN incidents i ON i.id = e.incident_id
LEFT JOIN investigations v ON v.id = p.investigation_id
LEFT JOIN v_verdicts r ON r.execution_id = e.id
LEFT JOIN (SELECT DISTINCT plan_id FROM executions WHERE kind = 'rollback' AND outcome = 'applied') b
    ON b.plan_id = e.plan_id
WHERE e.kind = 'apply' AND e.outcome <> 'not_applied'
GROUP BY ALL;
COMMENT ON VIEW v_fix_success IS 'Applied changes per action, rule and analyzer: executions, passed (verified, or uncovered the next fault), failed (also unknown and reverted), rolled_back, success_ratio over those judged';

-- What investigations cost, per day of their start and analyzer.
CREATE VIEW v_cost AS
SELECT
    CAST(started_at AS DATE) AS day, analyzer, count(*) AS investigations, sum(cost_usd) AS cost_usd,
    sum(date_diff('millisecond', started_at, ended_at)) / 1000.0 AS seconds
FROM investigations
GROUP BY ALL;
COMMENT ON VIEW v_cost IS 'Cost per day (of start) and analyzer: investigations, cost_usd, seconds spent';

-- The reasoning chain. Order by incident_id, investigation, step. evidence is a JSON list of ids.
CREATE VIEW v_reasoning AS
SELECT
    v.incident_id, v.id AS investigation_id, v.number AS investigation, v.analyzer, v.conclusion,
    s.number AS step, s.kind, s.recorded_at, s.text, s.evidence
FROM steps s
JOIN investigations v ON v.id = s.investigation_id;
COMMENT ON VIEW v_reasoning IS 'One row per step of the reasoning chain: incident_id, investigation_id, investigation (its number), analyzer, conclusion, step, kind, recorded_at, text, evidence (JSON list of ids)';

-- What each rule did. rule is '' for incidents that no rule spoke for.
CREATE VIEW v_rule_activity AS
SELECT
    d.rule, count(*) AS decisions, count(DISTINCT d.incident_id) AS incidents,
    coalesce(max(p.n), 0) AS plans, coalesce(max(e.n), 0) AS executions, max(d.decided_at) AS last_decided_at
FROM decisions d
LEFT JOIN (
    SELECT i.rule, count(*) AS n FROM plans JOIN incidents i ON i.id = plans.incident_id GROUP BY i.rule
) p ON p.rule = d.rule
LEFT JOIN (
    SELECT i.rule, count(*) AS n FROM executions JOIN incidents i ON i.id = executions.incident_id
    WHERE executions.kind = 'apply' GROUP BY i.rule
) e ON e.rule = d.rule
GROUP BY d.rule;
COMMENT ON VIEW v_rule_activity IS 'Per rule ('''' = none matched): decisions, incidents, plans, executions (applied changes), last_decided_at';
