-- Which metadata file a row was read from, so that a file that did not change is not read again.
-- A released migration is never edited, comments included.

PRAGMA user_version = 11;

-- A number made of the file's inode, times and size, and of what the row says of its content; see
-- the module `known`. A row that was changed otherwise fits no file, so it is read again, and
-- history and removals do without. NULL: no array, or the file is to be read again.
ALTER TABLE artifact ADD COLUMN metadata_file INTEGER;
