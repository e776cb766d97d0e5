-- As of when bytes and files were counted, so that what has grown since is counted anew.
-- A released migration is never edited, comments included.

PRAGMA user_version = 13;

-- Newest modification time of the folders and files of the data when they were counted, in
-- milliseconds since 1970. It is compared with the disk only: history and removals do without, and a
-- restore counts anew. NULL: never counted, or by a version that did not note it.
ALTER TABLE artifact ADD COLUMN counted INTEGER;
