-- Who may do what, where keys are asked for: see model/keys.py. A key that is revoked stays, so that it is
-- known to have been one, and so that the door does not open again with the last.
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,               -- JSON array
  digest BLOB NOT NULL,               -- SHA-256 of the secret
  created_at INTEGER NOT NULL,
  product TEXT,
  records_per_second INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
