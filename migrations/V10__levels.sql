-- Levels of a pyramid, iterations that an array holds, and the space on disk.
-- A released migration is never edited, comments included.

PRAGMA user_version = 10;

-- Paths of the levels in the group that is the artifact, as a JSON array; NULL: no pyramid.
ALTER TABLE artifact ADD COLUMN levels TEXT;
ALTER TABLE removed ADD COLUMN levels TEXT;
ALTER TABLE image ADD COLUMN levels TEXT;

-- Iterations that the array says it holds, as a JSON array; NULL: it says none.
ALTER TABLE artifact ADD COLUMN iterations TEXT;
ALTER TABLE removed ADD COLUMN iterations TEXT;
ALTER TABLE image ADD COLUMN iterations TEXT;

-- Bytes that files and folders take on disk, a file with several links once; NULL: not counted.
ALTER TABLE artifact ADD COLUMN disk_bytes INTEGER;
ALTER TABLE removed ADD COLUMN disk_bytes INTEGER;
ALTER TABLE image ADD COLUMN disk_bytes INTEGER;

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
       a.disk_bytes                                                     AS disk_bytes,
       a.owner                                                          AS owner,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.written_at / 1000.0, 'unixepoch')  AS written_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.sealed_at / 1000.0, 'unixepoch')   AS sealed_at,
       nullif(lower(hex(a.content)), '')                                AS content_hash,
       a.levels                                                         AS levels,
       a.iterations                                                     AS iterations,
       metadata.text ->> '$.shape'                                      AS shape,
       metadata.text ->> '$.chunks'                                     AS chunks,
       metadata.text ->> '$.shards'                                     AS shards,
       metadata.text ->> '$.dtype'                                      AS dtype,
       metadata.text ->> '$.fill_value'                                 AS fill_value,
       metadata.text ->> '$.compressor'                                 AS compressor,
       a.chunks                                                         AS chunks_there,
       metadata.chunks                                                  AS chunks_expected
FROM artifact AS a
JOIN run ON run.id = a.run_id
JOIN kind ON kind.id = a.kind_id
JOIN container ON container.id = a.container_id
LEFT JOIN dataset ON dataset.id = a.dataset_id
LEFT JOIN parameters ON parameters.id = a.parameters_id
LEFT JOIN metadata ON metadata.id = a.metadata_id;
