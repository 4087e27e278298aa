-- What others changed. The table of 0001 was never written to: it gets the shape that the record needs.

DROP TABLE object_versions;

-- One row per version of an object that was seen. Rows are added and pruned, never updated. Order: seq.
CREATE TABLE object_versions (
    seq              BIGINT    NOT NULL,
    ref_kind         VARCHAR   NOT NULL,
    ref_namespace    VARCHAR   NOT NULL,
    ref_name         VARCHAR   NOT NULL,
    ref_uid          VARCHAR   NOT NULL,
    event            VARCHAR   NOT NULL,  -- seen, created, changed, deleted
    seen_at          TIMESTAMP NOT NULL,
    changed_at       TIMESTAMP,           -- as the cluster tells; NULL: unknown
    manager          VARCHAR   NOT NULL,  -- '' : unknown
    resource_version VARCHAR   NOT NULL,
    generation       BIGINT    NOT NULL,
    while_away       BOOLEAN   NOT NULL,
    differences      VARCHAR   NOT NULL,  -- JSON list
    more_differences INTEGER   NOT NULL,
    restorable       BOOLEAN   NOT NULL,
    lost             VARCHAR   NOT NULL,
    digest           VARCHAR   NOT NULL,  -- of the object before redaction, shortened; tells whether it changed
    hidden           VARCHAR   NOT NULL,  -- JSON object: path of a redacted value -> digest of it
    body             VARCHAR   NOT NULL,  -- JSON object, redacted; '' where it was too large
    body_bytes       INTEGER   NOT NULL
);

-- The versions that an investigation weighed.
CREATE TABLE incident_changes (
    incident_id VARCHAR NOT NULL,
    version_seq BIGINT  NOT NULL
);

-- What changed, one row per change. Order by seq. differences is text: `path: before -> after; ...`.
CREATE VIEW v_changes AS
SELECT
    seq, seen_at, changed_at, ref_kind AS kind, ref_namespace AS namespace, ref_name AS name, event, manager,
    while_away,
    array_to_string(list_transform(
        from_json(differences, '[{"path": "VARCHAR", "before": "VARCHAR", "after": "VARCHAR"}]'),
        lambda d: d.path || ': ' || d.before || ' -> ' || d.after), '; ') AS differences,
    restorable, lost
FROM object_versions
WHERE event <> 'seen';
COMMENT ON VIEW v_changes IS 'One row per change to an object: seq, seen_at, changed_at (NULL: unknown), kind, namespace, name, event (created, changed, deleted), manager ('''' = unknown), while_away, differences (path: before -> after; ...), restorable, lost';
