-- Sessions that are gone, and whose rows are still to be taken away, a few at a time: see removal.py.
CREATE TABLE removed (
  key INTEGER PRIMARY KEY,            -- the session's, which no other may have meanwhile
  deployment INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- Why sessions were removed, how many and when last.
CREATE TABLE removal (
  reason TEXT PRIMARY KEY,            -- asked, age or size
  sessions INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
