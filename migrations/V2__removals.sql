-- Removals: what was taken away, and whether it can come back.
-- A released migration is never edited, comments included.

PRAGMA user_version = 2;

-- One row a removal. Its data lies in `.dalsegno/trash/<id>/` until it is purged or restored.
CREATE TABLE removal (
    id          TEXT PRIMARY KEY,
    removed_at  INTEGER NOT NULL,
    user        TEXT NOT NULL,
    host        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    reason      TEXT,                                            -- NULL: none was given
    state       INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)),  -- 0 kept, 1 being purged, 2 purged, 3 restored
    purge_after INTEGER,                                         -- NULL: when the trash is emptied
    ended_at    INTEGER                                          -- NULL: not purged or restored in full
) STRICT, WITHOUT ROWID;

-- What every open for writing looks at.
CREATE INDEX removal_open ON removal (state) WHERE state < 2;

-- What a removal moved: a folder's number in the trash and its path, relative to the base directory.
CREATE TABLE moved (
    removal_id TEXT NOT NULL REFERENCES removal (id),
    item       INTEGER NOT NULL,
    path       TEXT NOT NULL,
    PRIMARY KEY (removal_id, item)
) STRICT, WITHOUT ROWID;

-- The whole row of each artifact that a removal took, as it was.
CREATE TABLE removed (
    removal_id    TEXT NOT NULL REFERENCES removal (id),
    artifact_id   INTEGER NOT NULL,
    item          INTEGER,                                       -- number in the trash; NULL: there was no data
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
    restored_at   INTEGER,                                       -- NULL: not restored
    PRIMARY KEY (removal_id, artifact_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX removed_path ON removed (container_id, array);

-- Everything as text, for sqlite3, DuckDB and pandas.
CREATE VIEW removal_view AS
SELECT r.id                                                             AS id,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.removed_at / 1000.0, 'unixepoch')  AS removed_at,
       r.user                                                           AS user,
       r.host                                                           AS host,
       r.pid                                                            AS pid,
       r.reason                                                         AS reason,
       CASE r.state WHEN 0 THEN 'kept' WHEN 1 THEN 'purging' WHEN 2 THEN 'purged'
                    ELSE 'restored' END                                 AS state,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.purge_after / 1000.0, 'unixepoch') AS purge_after,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_at / 1000.0, 'unixepoch')    AS ended_at,
       (SELECT count(*) FROM removed WHERE removed.removal_id = r.id)   AS artifacts
FROM removal AS r;
