-- Investigations by language models: what they cost, and runs that are on record while they go on.

-- A run is on record while it goes on: it has no end yet.
ALTER TABLE investigations ALTER COLUMN ended_at DROP NOT NULL;
ALTER TABLE investigations ADD COLUMN model VARCHAR DEFAULT '';
ALTER TABLE investigations ADD COLUMN usage_input_tokens BIGINT;        -- NULL: an analyzer without a model; likewise below
ALTER TABLE investigations ADD COLUMN usage_cache_read_tokens BIGINT;
ALTER TABLE investigations ADD COLUMN usage_cache_write_tokens BIGINT;
ALTER TABLE investigations ADD COLUMN usage_output_tokens BIGINT;
ALTER TABLE investigations ADD COLUMN provider_seconds DOUBLE DEFAULT 0;

ALTER TABLE steps ADD COLUMN seq BIGINT DEFAULT 0;  -- from 1 over all investigations, in the order of the commits
ALTER TABLE steps ADD COLUMN turn INTEGER DEFAULT 0;
ALTER TABLE steps ADD COLUMN tool VARCHAR DEFAULT '';
ALTER TABLE steps ADD COLUMN call VARCHAR DEFAULT '';
ALTER TABLE steps ADD COLUMN usage_input_tokens BIGINT;                 -- NULL: nothing was counted; likewise below
ALTER TABLE steps ADD COLUMN usage_cache_read_tokens BIGINT;
ALTER TABLE steps ADD COLUMN usage_cache_write_tokens BIGINT;
ALTER TABLE steps ADD COLUMN usage_output_tokens BIGINT;
ALTER TABLE steps ADD COLUMN cost_usd DOUBLE DEFAULT 0;
ALTER TABLE steps ADD COLUMN seconds DOUBLE DEFAULT 0;
ALTER TABLE steps ADD COLUMN stop_reason VARCHAR DEFAULT '';

UPDATE steps SET seq = numbered.seq
FROM (
    SELECT rowid AS row, row_number() OVER (ORDER BY recorded_at, investigation_id, number) AS seq FROM steps
) numbered
WHERE steps.rowid = numbered.row;

ALTER TABLE findings ADD COLUMN unsupported BOOLEAN DEFAULT FALSE;

ALTER TABLE decisions ADD COLUMN consulted VARCHAR DEFAULT '[]';        -- JSON list of {analyzer, answered, why}

-- One row per request to a provider: its worst case until it is settled, what it used afterwards.
CREATE TABLE model_spending (
    id                 VARCHAR   NOT NULL,
    investigation_id   VARCHAR   NOT NULL,
    analyzer           VARCHAR   NOT NULL,
    model              VARCHAR   NOT NULL,
    namespace          VARCHAR   NOT NULL,
    recorded_at        TIMESTAMP NOT NULL,  -- of the reservation
    tokens             BIGINT    NOT NULL,
    cost_usd           DOUBLE    NOT NULL,
    settled            BOOLEAN   NOT NULL,
    input_tokens       BIGINT,              -- NULL until it is settled; likewise below
    cache_read_tokens  BIGINT,
    cache_write_tokens BIGINT,
    output_tokens      BIGINT
);

-- As before, with the model at the end.
CREATE OR REPLACE VIEW v_fix_success AS
SELECT
    p.action_kind AS action, coalesce(i.rule, '') AS rule, coalesce(v.analyzer, '') AS analyzer,
    count(*) AS executions,
    count(*) FILTER (r.verdict IN ('passed', 'progressed')) AS passed,
    count(*) FILTER (r.verdict IN ('failed', 'unknown', 'reverted')) AS failed,
    count(*) FILTER (b.plan_id IS NOT NULL) AS rolled_back,
    count(*) FILTER (r.verdict IN ('passed', 'progressed')) / nullif(count(r.verdict), 0) AS success_ratio,
    coalesce(v.model, '') AS model
FROM executions e
JOIN plans p ON p.id = e.plan_id
LEFT JOIN incidents i ON i.id = e.incident_id
LEFT JOIN investigations v ON v.id = p.investigation_id
LEFT JOIN v_verdicts r ON r.execution_id = e.id
LEFT JOIN (SELECT DISTINCT plan_id FROM executions WHERE kind = 'rollback' AND outcome = 'applied') b
    ON b.plan_id = e.plan_id
WHERE e.kind = 'apply' AND e.outcome <> 'not_applied'
GROUP BY ALL;
COMMENT ON VIEW v_fix_success IS 'Applied changes per action, rule, analyzer and model: executions, passed (verified, or uncovered the next fault), failed (also unknown and reverted), rolled_back, success_ratio over those judged, model ('''' = an analyzer without one)';

-- What investigations cost, per day of their start, analyzer and model. A run that goes on has no cost yet.
CREATE OR REPLACE VIEW v_cost AS
SELECT
    CAST(started_at AS DATE) AS day, analyzer, count(*) AS investigations, sum(cost_usd) AS cost_usd,
    coalesce(sum(date_diff('millisecond', started_at, ended_at)), 0) / 1000.0 AS seconds,
    model, CAST(coalesce(sum(r.n), 0) AS BIGINT) AS requests,
    CAST(coalesce(sum(usage_input_tokens), 0) AS BIGINT) AS input_tokens,
    CAST(coalesce(sum(usage_cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
    CAST(coalesce(sum(usage_cache_write_tokens), 0) AS BIGINT) AS cache_write_tokens,
    CAST(coalesce(sum(usage_output_tokens), 0) AS BIGINT) AS output_tokens,
    sum(usage_cache_read_tokens)
        / nullif(sum(usage_input_tokens + usage_cache_read_tokens + usage_cache_write_tokens), 0) AS cached_share,
    sum(provider_seconds) AS provider_seconds
FROM investigations v
LEFT JOIN (SELECT investigation_id, count(*) AS n FROM model_spending GROUP BY investigation_id) r
    ON r.investigation_id = v.id
GROUP BY day, analyzer, model;
COMMENT ON VIEW v_cost IS 'Cost per day (of start), analyzer and model: investigations, cost_usd, seconds spent, model ('''' = an analyzer without one), requests to its provider, input_tokens (neither read from the cache nor written to it), cache_read_tokens, cache_write_tokens, output_tokens, cached_share of all input, provider_seconds (of the seconds, spent waiting for the provider)';

-- As before, with what tells of a model at the end.
CREATE OR REPLACE VIEW v_reasoning AS
SELECT
    v.incident_id, v.id AS investigation_id, v.number AS investigation, v.analyzer, v.conclusion,
    s.number AS step, s.kind, s.recorded_at, s.text, s.evidence,
    v.model, s.turn, s.tool, s.call, s.usage_input_tokens AS input_tokens,
    s.usage_cache_read_tokens AS cache_read_tokens, s.usage_cache_write_tokens AS cache_write_tokens,
    s.usage_output_tokens AS output_tokens, s.cost_usd, s.seconds, s.stop_reason
FROM steps s
JOIN investigations v ON v.id = s.investigation_id;
COMMENT ON VIEW v_reasoning IS 'One row per step of the reasoning chain: incident_id, investigation_id, investigation (its number), analyzer, conclusion, step, kind, recorded_at, text, evidence (JSON list of ids), model, turn (reply of the model, 0 = outside of one), tool, call (ties a tool''s result to its call), input_tokens, cache_read_tokens, cache_write_tokens, output_tokens (NULL = not counted), cost_usd, seconds, stop_reason';
