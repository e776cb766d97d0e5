-- The state of an artifact is checked as a range.
-- A released migration is never edited, comments included.

PRAGMA user_version = 6;

-- For a list of three values SQLite fills a table each time that a row is inserted, which was a
-- fifth of what a scan computes. No row changes, only the text of the constraint; the documentation of
-- ALTER TABLE has this way for that. Other connections read the schema anew after a table came and
-- went.
CREATE TABLE schema_changed (id INTEGER) STRICT;
DROP TABLE schema_changed;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, 'CHECK (state IN (0, 1, 2))', 'CHECK (state BETWEEN 0 AND 2)')
WHERE type = 'table' AND name = 'artifact';
PRAGMA writable_schema = RESET;
