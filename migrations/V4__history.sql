-- History: every change of the catalog, who made it and why, and each artifact before and after.
-- Rows are only ever added; each operation carries the SHA-256 of the one before it.
-- A released migration is never edited, comments included.

PRAGMA user_version = 4;

-- Who changes the catalog: a row for each process that did.
CREATE TABLE agent (
    id      INTEGER PRIMARY KEY,
    user    TEXT NOT NULL,
    host    TEXT NOT NULL,
    pid     INTEGER NOT NULL,
    command TEXT,             -- NULL: not known
    job     TEXT,             -- NULL: in no batch job
    version TEXT NOT NULL
) STRICT;

-- One row a change, numbered from 1 without a gap.
CREATE TABLE operation (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    agent_id INTEGER NOT NULL REFERENCES agent (id),
    action   TEXT NOT NULL,
    reason   TEXT,                                         -- NULL: none was given
    detail   TEXT,                                         -- JSON; NULL: the images say it all
    images   INTEGER NOT NULL,                             -- number of rows in `image`
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Artifacts as they were before an operation, and as they were after it. The columns are those of
-- `artifact`.
CREATE TABLE image (
    operation_id  INTEGER NOT NULL REFERENCES operation (id) DEFERRABLE INITIALLY DEFERRED,
    number        INTEGER NOT NULL,
    artifact_id   INTEGER NOT NULL,
    side          INTEGER NOT NULL CHECK (side IN (0, 1)), -- 0 before, 1 after
    run_id        INTEGER NOT NULL REFERENCES run (id),
    kind_id       INTEGER NOT NULL REFERENCES kind (id),
    iteration     INTEGER,
    dataset_id    INTEGER REFERENCES dataset (id),
    parameters_id INTEGER REFERENCES parameters (id),
    container_id  INTEGER NOT NULL REFERENCES container (id),
    array         TEXT NOT NULL,
    origin        INTEGER NOT NULL,
    state         INTEGER NOT NULL,
    bytes         INTEGER,
    files         INTEGER,
    recorded_at   INTEGER NOT NULL,
    written_at    INTEGER,
    sealed_at     INTEGER,
    owner         INTEGER,
    PRIMARY KEY (operation_id, number)
) STRICT, WITHOUT ROWID;

-- The history of an artifact.
CREATE INDEX image_artifact ON image (artifact_id);

CREATE TRIGGER agent_stays_as_it_is BEFORE UPDATE ON agent
BEGIN SELECT raise(ABORT, 'history is only added to'); END;
CREATE TRIGGER agent_stays BEFORE DELETE ON agent
BEGIN SELECT raise(ABORT, 'history is only added to'); END;
CREATE TRIGGER operation_stays_as_it_is BEFORE UPDATE ON operation
BEGIN SELECT raise(ABORT, 'history is only added to'); END;
CREATE TRIGGER operation_stays BEFORE DELETE ON operation
BEGIN SELECT raise(ABORT, 'history is only added to'); END;
CREATE TRIGGER image_stays_as_it_is BEFORE UPDATE ON image
BEGIN SELECT raise(ABORT, 'history is only added to'); END;
CREATE TRIGGER image_stays BEFORE DELETE ON image
BEGIN SELECT raise(ABORT, 'history is only added to'); END;

-- Everything as text, for sqlite3, DuckDB and pandas.
CREATE VIEW history_view AS
SELECT o.id                                                             AS operation,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.at / 1000.0, 'unixepoch')       AS at,
       o.action                                                         AS action,
       agent.user                                                       AS user,
       agent.host                                                       AS host,
       agent.pid                                                        AS pid,
       agent.command                                                    AS command,
       agent.job                                                        AS job,
       agent.version                                                    AS version,
       o.reason                                                         AS reason,
       o.detail                                                         AS detail,
       a.artifact_id                                                    AS artifact_id,
       CASE a.side WHEN 0 THEN 'before' WHEN 1 THEN 'after' END         AS side,
       run.name                                                         AS run,
       kind.name                                                        AS kind,
       a.iteration                                                      AS iteration,
       dataset.name                                                     AS dataset,
       parameters.text                                                  AS parameters,
       iif(a.array = '', container.path, container.path || '/' || a.array) AS path,
       CASE a.state WHEN 0 THEN 'reserved' WHEN 1 THEN 'present' WHEN 2 THEN 'missing' END
                                                                        AS state,
       a.bytes                                                          AS bytes,
       a.files                                                          AS files
FROM operation AS o
JOIN agent ON agent.id = o.agent_id
LEFT JOIN image AS a ON a.operation_id = o.id
LEFT JOIN run ON run.id = a.run_id
LEFT JOIN kind ON kind.id = a.kind_id
LEFT JOIN container ON container.id = a.container_id
LEFT JOIN dataset ON dataset.id = a.dataset_id
LEFT JOIN parameters ON parameters.id = a.parameters_id;
