-- Arrays: what their metadata says, and how many of their chunks are there.
-- A released migration is never edited, comments included.

PRAGMA user_version = 9;

-- What the metadata of arrays says; those of a run mostly say the same. A text stays when its last
-- array goes.
CREATE TABLE metadata (
    id     INTEGER PRIMARY KEY,
    text   TEXT NOT NULL UNIQUE,               -- JSON with shape, chunks, shards, dtype, fill_value, compressor, keys
    chunks INTEGER CHECK (chunks >= 0)         -- chunks, or shards, if all are there; NULL: unknown
) STRICT;

-- Of `metadata`. A row whose number is not there says nothing of its metadata, so no key is declared,
-- which each insert would check. NULL: no array, not read yet, or it cannot be read.
ALTER TABLE artifact ADD COLUMN metadata_id INTEGER;
ALTER TABLE removed ADD COLUMN metadata_id INTEGER;
ALTER TABLE image ADD COLUMN metadata_id INTEGER;

-- Chunks, or shards, that are there. NULL: never counted, or they cannot be told from other files.
ALTER TABLE artifact ADD COLUMN chunks INTEGER CHECK (chunks >= 0);
ALTER TABLE removed ADD COLUMN chunks INTEGER;
ALTER TABLE image ADD COLUMN chunks INTEGER;

-- Which chunks were there at the seal, as the module `array` writes a set. NULL: all of them, or
-- unknown.
ALTER TABLE artifact ADD COLUMN sealed_chunks BLOB;
ALTER TABLE removed ADD COLUMN sealed_chunks BLOB;
ALTER TABLE image ADD COLUMN sealed_chunks BLOB;

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
       nullif(lower(hex(a.content)), '')                                AS content_hash,
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
