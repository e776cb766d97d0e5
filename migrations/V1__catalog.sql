-- The catalog of one base directory: a row for each artifact, strings kept once.
-- Read it from outside through `artifact_view`; the tables behind it may change.
-- Times are milliseconds since 1970-01-01 UTC, sizes are bytes.
-- A released migration is never edited, comments included.

PRAGMA application_id = 1681093479; -- 0x6433_7367, "d3sg"
PRAGMA user_version = 1;

-- Which registry this is. One row.
CREATE TABLE registry (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    id         TEXT NOT NULL,    -- random; a base directory that keeps its catalog elsewhere names it
    created_at INTEGER NOT NULL
) STRICT;

-- What an artifact can be. Numbers are for the rows, names for people.
CREATE TABLE kind (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO kind (id, name) VALUES
    (1, 'prediction'),
    (2, 'output'),
    (3, 'input-raw'),
    (4, 'input-gt'),
    (5, 'best'),
    (6, 'snapshot'),
    (7, 'snapshot-container'),
    (8, 'validation-container'),
    (9, 'array');

-- Strings that many artifacts share. A string stays when its last artifact goes.
CREATE TABLE run (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE dataset (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE parameters (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- A zarr or N5 folder of a run; `path` is relative to the base directory, parts joined by '/'.
CREATE TABLE container (
    id     INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id),
    path   TEXT NOT NULL UNIQUE
) STRICT;

-- One row an artifact. An id is never given out twice.
CREATE TABLE artifact (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id        INTEGER NOT NULL REFERENCES run (id),
    kind_id       INTEGER NOT NULL REFERENCES kind (id),
    iteration     INTEGER,                              -- NULL: the kind has none
    dataset_id    INTEGER REFERENCES dataset (id),      -- NULL: the kind has none, or recorded without
    parameters_id INTEGER REFERENCES parameters (id),   -- NULL: the kind has none
    container_id  INTEGER NOT NULL REFERENCES container (id),
    array         TEXT NOT NULL,                        -- path in the container; '': the container itself
    origin        INTEGER NOT NULL CHECK (origin IN (0, 1)),    -- 0 recorded by a caller, 1 read by a scan
    state         INTEGER NOT NULL CHECK (state IN (0, 1, 2)),  -- 0 reserved, 1 present, 2 missing
    bytes         INTEGER CHECK (bytes >= 0),           -- NULL: never counted
    files         INTEGER CHECK (files >= 0),           -- NULL: never counted
    recorded_at   INTEGER NOT NULL,
    written_at    INTEGER,                              -- NULL: no data seen yet
    sealed_at     INTEGER                               -- NULL: the writer never said that it is whole
) STRICT;

-- Path decides: a key has one path, so one row a path is also one row a key.
CREATE UNIQUE INDEX artifact_path ON artifact (container_id, array);
-- Every selection goes run by run, in this order.
CREATE INDEX artifact_key ON artifact (run_id, iteration, kind_id, dataset_id, parameters_id);
-- What a refresh looks at; small, because most rows are present.
CREATE INDEX artifact_unseen ON artifact (run_id) WHERE state <> 1;

-- Everything as text, for sqlite3, DuckDB and pandas.
CREATE VIEW artifact_view AS
SELECT a.id                                                             AS id,
       run.name                                                         AS run,
       kind.name                                                        AS kind,
       a.iteration                                                      AS iteration,
       dataset.name                                                     AS dataset,
       parameters.text                                                  AS parameters,
       container.path                                                   AS container,
       nullif(a.array, '')                                              AS array,
       iif(a.array = '', container.path, container.path || '/' || a.array) AS path,
       CASE a.state WHEN 0 THEN 'reserved' WHEN 1 THEN 'present' ELSE 'missing' END AS state,
       CASE a.origin WHEN 0 THEN 'recorded' ELSE 'scanned' END          AS origin,
       a.bytes                                                          AS bytes,
       a.files                                                          AS files,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.written_at / 1000.0, 'unixepoch')  AS written_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.sealed_at / 1000.0, 'unixepoch')   AS sealed_at
FROM artifact AS a
JOIN run ON run.id = a.run_id
JOIN kind ON kind.id = a.kind_id
JOIN container ON container.id = a.container_id
LEFT JOIN dataset ON dataset.id = a.dataset_id
LEFT JOIN parameters ON parameters.id = a.parameters_id;
