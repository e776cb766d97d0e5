-- The rows of one item of a removal, without going through all that the removal took.
-- A released migration is never edited, comments included.

PRAGMA user_version = 12;

CREATE INDEX removed_item ON removed (removal_id, item);
