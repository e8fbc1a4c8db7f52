-- One row a run. Times are microseconds since the Unix epoch, UTC.
CREATE TABLE session (
  key INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,            -- the UUID's 16 bytes
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ended_at INTEGER,
  status TEXT NOT NULL,
  cause TEXT,
  hung_at_end INTEGER NOT NULL,
  hung_monitors TEXT NOT NULL,        -- JSON array
  product TEXT,
  version TEXT,
  environment TEXT,
  hostname TEXT,
  machine_id TEXT,
  pid INTEGER,
  tags TEXT NOT NULL,                 -- JSON array
  parent_session_id TEXT,
  state_bytes INTEGER NOT NULL,       -- a bound on the state's size, see model/fold.py
  events INTEGER NOT NULL,            -- how many rows there are, and so the next row's number
  metrics INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  last_event TEXT,
  last_event_at INTEGER,
  last_heartbeat_at INTEGER,
  last_seq TEXT NOT NULL              -- JSON object: the last record number of each origin
) STRICT;

-- Names and whole metric series are written once and pointed at: a row stays small.
CREATE TABLE name (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE series (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  unit TEXT NOT NULL,                 -- '' for none: NULLs are never equal in a UNIQUE
  tags TEXT NOT NULL,                 -- JSON array
  UNIQUE (name, tags, kind, unit)
) STRICT;

-- n counts a session's rows from 0 in the order of commit: reading a session is reading a range.
CREATE TABLE event (
  session INTEGER NOT NULL,
  n INTEGER NOT NULL,
  time INTEGER NOT NULL,
  name INTEGER NOT NULL,
  level INTEGER NOT NULL,
  message TEXT,
  data TEXT,                          -- JSON object; NULL when empty
  PRIMARY KEY (session, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
  session INTEGER NOT NULL,
  n INTEGER NOT NULL,
  time INTEGER NOT NULL,
  series INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (session, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE change (
  session INTEGER NOT NULL,
  n INTEGER NOT NULL,
  time INTEGER NOT NULL,
  merge TEXT NOT NULL,                -- JSON object
  remove TEXT,                        -- JSON array of JSON Pointers; NULL for none
  checkpoint TEXT,                    -- the whole state after this change, every 64th time
  PRIMARY KEY (session, n)
) STRICT, WITHOUT ROWID;

-- The few rows that a state is rebuilt from are found without walking the changes.
CREATE INDEX change_checkpoint ON change (session, n) WHERE checkpoint IS NOT NULL;
