-- Tables. Times are TIMESTAMP in UTC. Nested values are JSON text, whatever people count or filter by is a column.
-- Tables whose rows change carry no index and no key: the one writer keeps them unique, and index corruption under
-- updates is the class of fault that the engine's tracker shows most. Rows of the others are never updated.

-- One row per alert received that was not a duplicate. Order: seq.
CREATE TABLE alerts (
    seq           BIGINT    NOT NULL,
    fingerprint   VARCHAR   NOT NULL,
    source        VARCHAR   NOT NULL,
    status        VARCHAR   NOT NULL,  -- firing, resolved; '' when quarantined
    alertname     VARCHAR   NOT NULL,
    namespace     VARCHAR   NOT NULL,
    severity      VARCHAR   NOT NULL,
    starts_at     TIMESTAMP,           -- NULL when quarantined
    ends_at       TIMESTAMP,
    labels        VARCHAR   NOT NULL,  -- JSON object
    annotations   VARCHAR   NOT NULL,  -- JSON object
    generator_url VARCHAR   NOT NULL,
    receiver      VARCHAR   NOT NULL,
    group_key     VARCHAR   NOT NULL,
    truncated     INTEGER   NOT NULL,  -- alerts of the group that the sender left out
    received_at   TIMESTAMP NOT NULL,
    state         VARCHAR   NOT NULL CHECK (state IN ('pending', 'processed', 'quarantined')),
    reason        VARCHAR   NOT NULL,
    raw           VARCHAR   NOT NULL   -- only when quarantined: the alert as it came
);

CREATE TABLE incidents (
    id               VARCHAR   NOT NULL,
    key              VARCHAR   NOT NULL,
    root_kind        VARCHAR,            -- NULL where the alert names no object; likewise below
    root_namespace   VARCHAR,
    root_name        VARCHAR,
    root_uid         VARCHAR,
    state            VARCHAR   NOT NULL,
    outcome          VARCHAR   NOT NULL,
    summary          VARCHAR   NOT NULL,
    severity         VARCHAR   NOT NULL,
    namespace        VARCHAR   NOT NULL,
    rule             VARCHAR   NOT NULL,
    mode             VARCHAR   NOT NULL,
    labels           VARCHAR   NOT NULL, -- JSON object
    opened_at        TIMESTAMP NOT NULL,
    updated_at       TIMESTAMP NOT NULL,
    resolved_at      TIMESTAMP,
    attempts         INTEGER   NOT NULL,
    truncated_alerts INTEGER   NOT NULL
);

CREATE TABLE incident_alerts (
    incident_id VARCHAR NOT NULL,
    alert_seq   BIGINT  NOT NULL
);

-- Which rule spoke for an incident, and why.
CREATE TABLE decisions (
    incident_id VARCHAR   NOT NULL,
    decided_at  TIMESTAMP NOT NULL,
    rule        VARCHAR   NOT NULL,  -- '' when none matched
    rule_mode   VARCHAR   NOT NULL,  -- what the rule says
    mode        VARCHAR   NOT NULL,  -- what is left of it under the ceilings
    rule_set    VARCHAR   NOT NULL,  -- digest
    why         VARCHAR   NOT NULL   -- JSON list of sentences
);

CREATE TABLE investigations (
    id          VARCHAR   NOT NULL,
    incident_id VARCHAR   NOT NULL,
    number      INTEGER   NOT NULL,
    analyzer    VARCHAR   NOT NULL,
    started_at  TIMESTAMP NOT NULL,
    ended_at    TIMESTAMP NOT NULL,
    conclusion  VARCHAR   NOT NULL,
    summary     VARCHAR   NOT NULL,
    ruled_out   VARCHAR   NOT NULL,  -- JSON list; likewise below
    unchecked   VARCHAR   NOT NULL,
    proposals   VARCHAR   NOT NULL,
    cost_usd    DOUBLE    NOT NULL
);

CREATE TABLE steps (
    investigation_id VARCHAR   NOT NULL,
    number           INTEGER   NOT NULL,
    kind             VARCHAR   NOT NULL,
    recorded_at      TIMESTAMP NOT NULL,
    text             VARCHAR   NOT NULL,
    evidence         VARCHAR   NOT NULL  -- JSON list of ids
);

CREATE TABLE evidence (
    investigation_id  VARCHAR   NOT NULL,
    position          INTEGER   NOT NULL,
    id                VARCHAR   NOT NULL,
    kind              VARCHAR   NOT NULL,
    source            VARCHAR   NOT NULL,
    subject_kind      VARCHAR,
    subject_namespace VARCHAR,
    subject_name      VARCHAR,
    subject_uid       VARCHAR,
    observed_at       TIMESTAMP NOT NULL,
    text              VARCHAR   NOT NULL,
    truncated         BOOLEAN   NOT NULL
);

CREATE TABLE findings (
    investigation_id  VARCHAR NOT NULL,
    position          INTEGER NOT NULL,  -- from 1, most confident first
    signature         VARCHAR NOT NULL,
    subject_kind      VARCHAR NOT NULL,
    subject_namespace VARCHAR NOT NULL,
    subject_name      VARCHAR NOT NULL,
    subject_uid       VARCHAR NOT NULL,
    container         VARCHAR NOT NULL,
    about             VARCHAR NOT NULL,  -- what tells faults of one signature in one container apart
    cause             VARCHAR NOT NULL,
    confidence        DOUBLE  NOT NULL,
    evidence          VARCHAR NOT NULL,  -- JSON list of ids
    fixable           BOOLEAN NOT NULL
);

CREATE TABLE plans (
    id               VARCHAR   NOT NULL,
    incident_id      VARCHAR   NOT NULL,
    investigation_id VARCHAR   NOT NULL,
    finding          VARCHAR   NOT NULL,
    action_kind      VARCHAR   NOT NULL,
    action           VARCHAR   NOT NULL,  -- JSON object
    reason           VARCHAR   NOT NULL,
    diff             VARCHAR   NOT NULL,
    risk             VARCHAR   NOT NULL,
    reversible       BOOLEAN   NOT NULL,
    warnings         VARCHAR   NOT NULL,  -- JSON list; likewise below
    restores_not     VARCHAR   NOT NULL,
    checks           VARCHAR   NOT NULL,
    state            VARCHAR   NOT NULL,
    digest           VARCHAR   NOT NULL,
    created_at       TIMESTAMP NOT NULL,
    expires_at       TIMESTAMP NOT NULL,
    approvers_needed INTEGER   NOT NULL
);

CREATE TABLE changes (
    plan_id          VARCHAR NOT NULL,
    position         INTEGER NOT NULL,
    target_kind      VARCHAR NOT NULL,
    target_namespace VARCHAR NOT NULL,
    target_name      VARCHAR NOT NULL,
    target_uid       VARCHAR NOT NULL,
    verb             VARCHAR NOT NULL,
    resource_version VARCHAR NOT NULL,
    base_hash        VARCHAR NOT NULL,
    patch            VARCHAR NOT NULL,  -- JSON list of operations; likewise below
    inverse          VARCHAR NOT NULL,
    replicas_at_risk INTEGER NOT NULL
);

CREATE TABLE approvals (
    id         VARCHAR   NOT NULL,
    plan_id    VARCHAR   NOT NULL,
    digest     VARCHAR   NOT NULL,
    approver   VARCHAR   NOT NULL,
    kind       VARCHAR   NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    consumed   BOOLEAN   NOT NULL
);

CREATE TABLE executions (
    id                      VARCHAR   NOT NULL,
    plan_id                 VARCHAR   NOT NULL,
    incident_id             VARCHAR   NOT NULL,
    kind                    VARCHAR   NOT NULL,
    change_target_kind      VARCHAR   NOT NULL,
    change_target_namespace VARCHAR   NOT NULL,
    change_target_name      VARCHAR   NOT NULL,
    change_target_uid       VARCHAR   NOT NULL,
    change_verb             VARCHAR   NOT NULL,
    change_resource_version VARCHAR   NOT NULL,
    change_base_hash        VARCHAR   NOT NULL,
    change_patch            VARCHAR   NOT NULL,  -- JSON list of operations; likewise below
    change_inverse          VARCHAR   NOT NULL,
    change_replicas_at_risk INTEGER   NOT NULL,
    requested_by            VARCHAR   NOT NULL,
    intent_at               TIMESTAMP NOT NULL,
    baseline_ready          INTEGER   NOT NULL,
    baseline_desired        INTEGER   NOT NULL,
    baseline_restarts       BIGINT    NOT NULL,
    outcome                 VARCHAR   NOT NULL,
    outcome_at              TIMESTAMP,
    detail                  VARCHAR   NOT NULL,
    resource_version_after  VARCHAR   NOT NULL,
    generation_after        BIGINT    NOT NULL,
    base_hash_after         VARCHAR   NOT NULL
);

CREATE TABLE verifications (
    execution_id          VARCHAR   NOT NULL,
    number                INTEGER   NOT NULL,
    recorded_at           TIMESTAMP NOT NULL,
    elapsed_seconds       DOUBLE    NOT NULL,
    verdict_kind          VARCHAR   NOT NULL,
    verdict_reason        VARCHAR   NOT NULL,
    verdict_other_manager VARCHAR   NOT NULL,
    verdict_healthy       BOOLEAN   NOT NULL,
    verdict_regression    BOOLEAN   NOT NULL,
    ready                 INTEGER   NOT NULL,
    desired               INTEGER   NOT NULL,
    restarts              BIGINT    NOT NULL
);

-- The chain of every decision. Rows are only ever added; each digest covers the row and the digest before it.
CREATE TABLE audit (
    seq         BIGINT    NOT NULL,  -- from 1 without gaps
    recorded_at TIMESTAMP NOT NULL,
    actor       VARCHAR   NOT NULL,
    event       VARCHAR   NOT NULL,
    incident_id VARCHAR   NOT NULL,
    subject     VARCHAR   NOT NULL,
    detail      VARCHAR   NOT NULL,  -- JSON
    previous    VARCHAR   NOT NULL,
    digest      VARCHAR   NOT NULL
);

CREATE TABLE rule_sets (
    digest    VARCHAR   NOT NULL,
    loaded_at TIMESTAMP NOT NULL,
    files     VARCHAR   NOT NULL  -- JSON list
);

-- What others changed: one row per version of an object that was seen.
CREATE TABLE object_versions (
    uid              VARCHAR   NOT NULL,
    kind             VARCHAR   NOT NULL,
    namespace        VARCHAR   NOT NULL,
    name             VARCHAR   NOT NULL,
    resource_version VARCHAR   NOT NULL,
    generation       BIGINT    NOT NULL,
    base_hash        VARCHAR   NOT NULL,
    manager          VARCHAR   NOT NULL,
    seen_at          TIMESTAMP NOT NULL,
    body             VARCHAR   NOT NULL  -- JSON object
);

-- Ceilings and kill switch. The row with the highest revision holds.
CREATE TABLE modes (
    revision          BIGINT  NOT NULL,
    ceiling           VARCHAR NOT NULL,
    namespaces        VARCHAR NOT NULL,  -- JSON object: namespace -> ceiling
    kill_switch       BOOLEAN NOT NULL,
    breakers          VARCHAR NOT NULL,  -- JSON object: namespace or * -> why
    breakers_reset_at TIMESTAMP,
    reason            VARCHAR NOT NULL,
    set_by            VARCHAR NOT NULL
);

CREATE TABLE silences (
    id           VARCHAR   NOT NULL,
    incident_key VARCHAR   NOT NULL,  -- '' when matchers decide
    matchers     VARCHAR   NOT NULL,  -- JSON list
    author       VARCHAR   NOT NULL,
    comment      VARCHAR   NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP NOT NULL
);
