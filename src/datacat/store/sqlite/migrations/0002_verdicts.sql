-- What the watchers said, and what it adds up to: see model/verdict.py.
ALTER TABLE session ADD COLUMN exit TEXT;                               -- JSON object
ALTER TABLE session ADD COLUMN said_goodbye INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN ended_by TEXT;                           -- an origin
ALTER TABLE session ADD COLUMN hangs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN hang_seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN first_hang_at INTEGER;
ALTER TABLE session ADD COLUMN recent_hangs TEXT NOT NULL DEFAULT '[]'; -- JSON array
ALTER TABLE session ADD COLUMN contact_timeout REAL;                    -- seconds
ALTER TABLE session ADD COLUMN times_lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN silent_since INTEGER;
ALTER TABLE session DROP COLUMN hung_monitors;

-- The earlier rule made no difference between the two ways to end: every end was final.
UPDATE session SET said_goodbye = 1 WHERE status = 'ended';

-- One row a hang, a crash or a loss of contact; the highest key is what was heard of last.
CREATE TABLE problem (
  key INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  kind TEXT NOT NULL,                 -- hang, crash or lost
  number INTEGER NOT NULL,            -- counts the session's problems of this kind from 1
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  seconds REAL,
  monitor TEXT,
  detail TEXT NOT NULL,               -- a hang's kind, a crash's cause
  fingerprint TEXT,
  title TEXT NOT NULL,
  evidence TEXT,                      -- JSON object, as the watcher sent it
  UNIQUE (session, kind, number)
) STRICT;

INSERT INTO problem (session, kind, number, started_at, ended_at, detail, fingerprint, title)
SELECT key, 'crash', 1, ended_at, ended_at, cause, cause, cause FROM session WHERE status = 'crashed';

CREATE INDEX problem_fingerprint ON problem (kind, fingerprint, started_at);
CREATE INDEX problem_started_at ON problem (kind, started_at);
CREATE INDEX session_created_at ON session (created_at);

-- When a session that promised contact is overdue; one that promised nothing costs nothing here.
CREATE INDEX session_due ON session (updated_at + CAST(contact_timeout * 1000000 AS INTEGER))
WHERE contact_timeout IS NOT NULL AND status IN ('active', 'hung');
