-- A state for data whose metadata cannot be read: 3, damaged.
-- A released migration is never edited, comments included.

PRAGMA user_version = 8;

-- No row changes, only the text of the constraint, in the way of the migration before the last.
CREATE TABLE schema_changed (id INTEGER) STRICT;
DROP TABLE schema_changed;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, 'CHECK (state BETWEEN 0 AND 2)', 'CHECK (state BETWEEN 0 AND 3)')
WHERE type = 'table' AND name = 'artifact';
PRAGMA writable_schema = RESET;

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
       CASE a.state WHEN 0 THEN 'reserved' WHEN 1 THEN 'present' WHEN 2 THEN 'missing'
                    ELSE 'damaged' END                                  AS state,
       CASE a.origin WHEN 0 THEN 'recorded' ELSE 'scanned' END          AS origin,
       a.bytes                                                          AS bytes,
       a.files                                                          AS files,
       a.owner                                                          AS owner,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.written_at / 1000.0, 'unixepoch')  AS written_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.sealed_at / 1000.0, 'unixepoch')   AS sealed_at,
       nullif(lower(hex(a.content)), '')                                AS content_hash
FROM artifact AS a
JOIN run ON run.id = a.run_id
JOIN kind ON kind.id = a.kind_id
JOIN container ON container.id = a.container_id
LEFT JOIN dataset ON dataset.id = a.dataset_id
LEFT JOIN parameters ON parameters.id = a.parameters_id;
