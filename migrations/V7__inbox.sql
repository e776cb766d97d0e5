-- The inbox: how far each of its files was folded into the catalog.
-- A released migration is never edited, comments included.

PRAGMA user_version = 7;

-- A file is folded in one transaction with its row here, and unlinked or set aside afterwards: so
-- notes are folded once, however often that is interrupted. The row goes after its file.
CREATE TABLE folded (
    name    TEXT PRIMARY KEY,                              -- of the file in the inbox
    bytes   INTEGER NOT NULL CHECK (bytes >= 0),           -- of its beginning, that were folded
    refused INTEGER NOT NULL CHECK (refused IN (0, 1))     -- 1: with a line that was refused
) STRICT, WITHOUT ROWID;
