-- What the detectors looked at, so that another analyzer can be tried on it later.

CREATE TABLE snapshots (
    investigation_id VARCHAR   NOT NULL,
    taken_at         TIMESTAMP NOT NULL,
    body             BLOB      NOT NULL   -- JSON of the wire, redacted, zlib
);
