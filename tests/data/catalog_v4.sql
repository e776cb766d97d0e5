-- A catalog of version 4, as the program of that version wrote it: two arrays scanned and sealed, one
-- recorded, a score, a pin, a removal that is kept. Its history ends with
-- b66e01704175ecf3392cfb4b49a2b8b56b452da670d695c2df9cc9bf688feec4.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE refinery_schema_history(
             version int4 PRIMARY KEY,
             name VARCHAR(255),
             applied_on VARCHAR(255),
             checksum VARCHAR(255));
INSERT INTO refinery_schema_history VALUES(1,'catalog','2026-11-22T22:08:16.78174959Z','10924794403012014910');
INSERT INTO refinery_schema_history VALUES(2,'removals','2026-11-22T22:08:16.781772304Z','16608386497877669714');
INSERT INTO refinery_schema_history VALUES(3,'retention','2026-11-22T22:08:16.781774837Z','17499182987811170776');
INSERT INTO refinery_schema_history VALUES(4,'history','2026-11-22T22:08:16.781777261Z','3143758867965795954');
CREATE TABLE registry (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    id         TEXT NOT NULL,    -- random; a base directory that keeps its catalog elsewhere names it
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO registry VALUES(1,'558474f0-1c4f-41bc-8018-fc9df0de2afb',1795385296750);
CREATE TABLE kind (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO kind VALUES(1,'prediction');
INSERT INTO kind VALUES(2,'output');
INSERT INTO kind VALUES(3,'input-raw');
INSERT INTO kind VALUES(4,'input-gt');
INSERT INTO kind VALUES(5,'best');
INSERT INTO kind VALUES(6,'snapshot');
INSERT INTO kind VALUES(7,'snapshot-container');
INSERT INTO kind VALUES(8,'validation-container');
INSERT INTO kind VALUES(9,'array');
INSERT INTO kind VALUES(10,'checkpoint');
CREATE TABLE run (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO run VALUES(1,'r');
CREATE TABLE dataset (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO dataset VALUES(1,'a');
CREATE TABLE parameters (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO parameters VALUES(1,'t=0.5');
CREATE TABLE container (
    id     INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id),
    path   TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO container VALUES(1,1,'r/validation.zarr');
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
, owner INTEGER) STRICT;
INSERT INTO artifact VALUES(1,1,1,1,1,NULL,1,'1/a/prediction',1,1,23,2,1795385296866,1795385296743,1795385296941,0);
INSERT INTO artifact VALUES(3,1,2,3,1,1,1,'3/a/output/t=0.5',0,0,NULL,NULL,1795385296905,NULL,NULL,NULL);
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
INSERT INTO removal VALUES('20261122-220817-12d96f',1795385297051,'root','node1',4876,'superseded',0,NULL,NULL);
CREATE TABLE moved (
    removal_id TEXT NOT NULL REFERENCES removal (id),
    item       INTEGER NOT NULL,
    path       TEXT NOT NULL,
    PRIMARY KEY (removal_id, item)
) STRICT, WITHOUT ROWID;
INSERT INTO moved VALUES('20261122-220817-12d96f',0,'r/validation.zarr/2/a/prediction');
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
    restored_at   INTEGER, owner INTEGER,                                       -- NULL: not restored
    PRIMARY KEY (removal_id, artifact_id)
) STRICT, WITHOUT ROWID;
INSERT INTO removed VALUES('20261122-220817-12d96f',2,0,1,1,2,1,NULL,1,'2/a/prediction',1,1,23,2,1795385296866,1795385296743,1795385296941,NULL,0);
CREATE TABLE pin (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT NOT NULL UNIQUE,
    reason    TEXT NOT NULL,
    pinned_at INTEGER NOT NULL,
    user      TEXT NOT NULL,
    host      TEXT NOT NULL,
    pid       INTEGER NOT NULL
) STRICT;
INSERT INTO pin VALUES(1,'paper','figure 3',1795385297023,'root','node1',4874);
CREATE TABLE pin_scope (
    pin_id INTEGER NOT NULL REFERENCES pin (id),
    run_id INTEGER NOT NULL REFERENCES run (id),
    first  INTEGER,                              -- NULL: from the lowest
    last   INTEGER                               -- NULL: to the highest
) STRICT;
INSERT INTO pin_scope VALUES(1,1,1,1);
CREATE TABLE pinned (
    artifact_id INTEGER NOT NULL,
    pin_id      INTEGER NOT NULL REFERENCES pin (id),
    PRIMARY KEY (artifact_id, pin_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE metric (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO metric VALUES(1,'voi');
CREATE TABLE score (
    run_id        INTEGER NOT NULL REFERENCES run (id),
    metric_id     INTEGER NOT NULL REFERENCES metric (id),
    iteration     INTEGER NOT NULL,
    dataset_id    INTEGER REFERENCES dataset (id),      -- NULL: of every dataset
    parameters_id INTEGER REFERENCES parameters (id),   -- NULL: of every parameter set
    value         REAL,                                 -- NULL: not a number
    scored_at     INTEGER NOT NULL
) STRICT;
INSERT INTO score VALUES(1,1,1,1,NULL,0.29999999999999998889,1795385296989);
CREATE TABLE agent (
    id      INTEGER PRIMARY KEY,
    user    TEXT NOT NULL,
    host    TEXT NOT NULL,
    pid     INTEGER NOT NULL,
    command TEXT,             -- NULL: not known
    job     TEXT,             -- NULL: in no batch job
    version TEXT NOT NULL
) STRICT;
INSERT INTO agent VALUES(1,'root','node1',4854,'../dalsegno-v4 --base base scan',NULL,'0.1.0');
INSERT INTO agent VALUES(2,'root','node1',4862,'../dalsegno-v4 --base base record output --run r --iteration 3 --dataset a --parameters t=0.5',NULL,'0.1.0');
INSERT INTO agent VALUES(3,'root','node1',4865,'../dalsegno-v4 --base base seal --run r --kind prediction',NULL,'0.1.0');
INSERT INTO agent VALUES(4,'root','node1',4873,'../dalsegno-v4 --base base score --run r --iteration 1 --dataset a voi=0.3',NULL,'0.1.0');
INSERT INTO agent VALUES(5,'root','node1',4874,'../dalsegno-v4 --base base pin paper --reason figure 3 --run r --iteration 1',NULL,'0.1.0');
INSERT INTO agent VALUES(6,'root','node1',4876,'../dalsegno-v4 --base base rm --run r --iteration 2 --yes --trash --reason superseded',NULL,'0.1.0');
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
INSERT INTO operation VALUES(1,1795385296866,1,'scan',NULL,NULL,2,X'e7573d68249e78ebb07a657c9cacb9bdc24f000fcddd59c56ff40429bd7e6e2b');
INSERT INTO operation VALUES(2,1795385296905,2,'record',NULL,NULL,1,X'4e5715f2ed38f4d27e7a60248485ba61710fc685a790baf74dbbaac90cca1917');
INSERT INTO operation VALUES(3,1795385296941,3,'seal',NULL,NULL,4,X'3c21a64bd2dabe8ae749dec8af17efc4dec6516f7c239051898eba6c1f073d3c');
INSERT INTO operation VALUES(4,1795385296989,4,'score',NULL,'{"run":"r","iteration":1,"dataset":"a","parameters":null,"metric":"voi","before":null,"after":0.3}',0,X'e5bef621e382f1fa0164d947550e369bd9d9c87d5ec8bea8c6789683da432870');
INSERT INTO operation VALUES(5,1795385297023,5,'pin','figure 3','{"pin":"paper","new":true,"scopes":[{"run":"r","first":1,"last":1}],"artifacts":[]}',0,X'46067bba34a27b4f952fb5bd4303461d4ffa82c1d3bbc6574ec0b6642ca374b3');
INSERT INTO operation VALUES(6,1795385297051,6,'remove','superseded','{"removal":"20261122-220817-12d96f","state":"kept","purge_after":null}',1,X'b66e01704175ecf3392cfb4b49a2b8b56b452da670d695c2df9cc9bf688feec4');
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
INSERT INTO image VALUES(1,0,1,1,1,1,1,1,NULL,1,'1/a/prediction',1,1,NULL,NULL,1795385296866,1795385296743,NULL,0);
INSERT INTO image VALUES(1,1,2,1,1,1,2,1,NULL,1,'2/a/prediction',1,1,NULL,NULL,1795385296866,1795385296743,NULL,0);
INSERT INTO image VALUES(2,0,3,1,1,2,3,1,1,1,'3/a/output/t=0.5',0,0,NULL,NULL,1795385296905,NULL,NULL,NULL);
INSERT INTO image VALUES(3,0,2,0,1,1,2,1,NULL,1,'2/a/prediction',1,1,NULL,NULL,1795385296866,1795385296743,NULL,0);
INSERT INTO image VALUES(3,1,2,1,1,1,2,1,NULL,1,'2/a/prediction',1,1,23,2,1795385296866,1795385296743,1795385296941,0);
INSERT INTO image VALUES(3,2,1,0,1,1,1,1,NULL,1,'1/a/prediction',1,1,NULL,NULL,1795385296866,1795385296743,NULL,0);
INSERT INTO image VALUES(3,3,1,1,1,1,1,1,NULL,1,'1/a/prediction',1,1,23,2,1795385296866,1795385296743,1795385296941,0);
INSERT INTO image VALUES(6,0,2,0,1,1,2,1,NULL,1,'2/a/prediction',1,1,23,2,1795385296866,1795385296743,1795385296941,0);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('artifact',3);
INSERT INTO sqlite_sequence VALUES('pin',1);
CREATE UNIQUE INDEX artifact_path ON artifact (container_id, array);
CREATE INDEX artifact_key ON artifact (run_id, iteration, kind_id, dataset_id, parameters_id);
CREATE INDEX artifact_unseen ON artifact (run_id) WHERE state <> 1;
CREATE INDEX removal_open ON removal (state) WHERE state < 2;
CREATE INDEX removed_path ON removed (container_id, array);
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
CREATE INDEX removed_restored ON removed (restored_at) WHERE restored_at IS NOT NULL;
CREATE UNIQUE INDEX pin_scope_run ON pin_scope (
    run_id, pin_id, ifnull(first, -9223372036854775808), ifnull(last, 9223372036854775807)
);
CREATE INDEX pin_scope_pin ON pin_scope (pin_id);
CREATE INDEX pinned_pin ON pinned (pin_id);
CREATE UNIQUE INDEX score_key ON score (
    run_id, metric_id, iteration, ifnull(dataset_id, 0), ifnull(parameters_id, 0)
);
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
COMMIT;
PRAGMA application_id = 1681093479;
PRAGMA user_version = 4;
