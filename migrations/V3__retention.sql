-- Retention: what must stay and why, what was measured of it, who wrote it.
-- A released migration is never edited, comments included.

PRAGMA user_version = 3;

-- Checkpoints: one file each, `<run>/checkpoints/iterations/<iteration>`.
INSERT INTO kind (id, name) VALUES (10, 'checkpoint');

-- The number of the user whose the data is; NULL: nobody looked.
ALTER TABLE artifact ADD COLUMN owner INTEGER;
ALTER TABLE removed ADD COLUMN owner INTEGER;

-- When anything was last restored: a plan from before that is refused.
CREATE INDEX removed_restored ON removed (restored_at) WHERE restored_at IS NOT NULL;

-- A named reason to keep artifacts. What it binds stands in `pin_scope` and `pinned`.
CREATE TABLE pin (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT NOT NULL UNIQUE,
    reason    TEXT NOT NULL,
    pinned_at INTEGER NOT NULL,
    user      TEXT NOT NULL,
    host      TEXT NOT NULL,
    pid       INTEGER NOT NULL
) STRICT;

-- Iterations of a run that a pin binds, with whatever is recorded there later. Both ends NULL: the
-- whole run, also what has no iteration.
CREATE TABLE pin_scope (
    pin_id INTEGER NOT NULL REFERENCES pin (id),
    run_id INTEGER NOT NULL REFERENCES run (id),
    first  INTEGER,                              -- NULL: from the lowest
    last   INTEGER                               -- NULL: to the highest
) STRICT;

CREATE UNIQUE INDEX pin_scope_run ON pin_scope (
    run_id, pin_id, ifnull(first, -9223372036854775808), ifnull(last, 9223372036854775807)
);
CREATE INDEX pin_scope_pin ON pin_scope (pin_id);

-- Artifacts that a pin binds one by one. A row stays where its artifact is removed by force, so
-- that it is bound again when it is restored.
CREATE TABLE pinned (
    artifact_id INTEGER NOT NULL,
    pin_id      INTEGER NOT NULL REFERENCES pin (id),
    PRIMARY KEY (artifact_id, pin_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX pinned_pin ON pinned (pin_id);

-- Names of what is measured, such as `voi`.
CREATE TABLE metric (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What was measured of an iteration, or of one dataset or parameter set of it.
CREATE TABLE score (
    run_id        INTEGER NOT NULL REFERENCES run (id),
    metric_id     INTEGER NOT NULL REFERENCES metric (id),
    iteration     INTEGER NOT NULL,
    dataset_id    INTEGER REFERENCES dataset (id),      -- NULL: of every dataset
    parameters_id INTEGER REFERENCES parameters (id),   -- NULL: of every parameter set
    value         REAL,                                 -- NULL: not a number
    scored_at     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX score_key ON score (
    run_id, metric_id, iteration, ifnull(dataset_id, 0), ifnull(parameters_id, 0)
);

-- Everything as text, for sqlite3, DuckDB and pandas.
DROP VIEW artifact_view;
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
       a.owner                                                          AS owner,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.written_at / 1000.0, 'unixepoch')  AS written_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.sealed_at / 1000.0, 'unixepoch')   AS sealed_at
FROM artifact AS a
JOIN run ON run.id = a.run_id
JOIN kind ON kind.id = a.kind_id
JOIN container ON container.id = a.container_id
LEFT JOIN dataset ON dataset.id = a.dataset_id
LEFT JOIN parameters ON parameters.id = a.parameters_id;

CREATE VIEW pin_view AS
SELECT pin.name                                                         AS name,
       pin.reason                                                       AS reason,
       strftime('%Y-%m-%dT%H:%M:%fZ', pin.pinned_at / 1000.0, 'unixepoch') AS pinned_at,
       pin.user                                                         AS user,
       run.name                                                         AS run,
       s.first                                                          AS first_iteration,
       s.last                                                           AS last_iteration,
       NULL                                                             AS artifact_id
FROM pin JOIN pin_scope AS s ON s.pin_id = pin.id JOIN run ON run.id = s.run_id
UNION ALL
SELECT pin.name, pin.reason,
       strftime('%Y-%m-%dT%H:%M:%fZ', pin.pinned_at / 1000.0, 'unixepoch'),
       pin.user, NULL, NULL, NULL, pinned.artifact_id
FROM pin JOIN pinned ON pinned.pin_id = pin.id;

CREATE VIEW score_view AS
SELECT run.name                                                         AS run,
       s.iteration                                                      AS iteration,
       dataset.name                                                     AS dataset,
       parameters.text                                                  AS parameters,
       metric.name                                                      AS metric,
       s.value                                                          AS value,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.scored_at / 1000.0, 'unixepoch')   AS scored_at
FROM score AS s
JOIN run ON run.id = s.run_id
JOIN metric ON metric.id = s.metric_id
LEFT JOIN dataset ON dataset.id = s.dataset_id
LEFT JOIN parameters ON parameters.id = s.parameters_id;
