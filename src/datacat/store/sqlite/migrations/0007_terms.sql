-- By what sessions are found, each once a session: its host (h:), its tags (t:), the names of its events (e:) and the
-- words in its names and messages (w:). The sessions of a term stand in the order in which they began.
CREATE TABLE term (
  term TEXT NOT NULL,
  created_at INTEGER NOT NULL,        -- the session's
  session INTEGER NOT NULL,
  PRIMARY KEY (term, created_at, session)
) STRICT, WITHOUT ROWID;

INSERT INTO term SELECT 'h:' || hostname, created_at, key FROM session WHERE hostname IS NOT NULL;
INSERT OR IGNORE INTO term SELECT 't:' || tag.value, created_at, session.key FROM session, json_each(tags) AS tag;
INSERT OR IGNORE INTO term
SELECT 'w:' || word.value, s.created_at, s.key
FROM session AS s, json_each(words(
  s.product, s.version, s.environment, s.hostname, s.tags, json_extract(s.exit, '$.message'))) AS word;
INSERT OR IGNORE INTO term
SELECT 'e:' || name.name, s.created_at, s.key
FROM (SELECT DISTINCT session, name FROM event) AS e
  JOIN name ON name.key = e.name JOIN session AS s ON s.key = e.session;
INSERT OR IGNORE INTO term
SELECT 'w:' || word.value, s.created_at, s.key
FROM (SELECT DISTINCT session, name, message FROM event) AS e
  JOIN name ON name.key = e.name JOIN session AS s ON s.key = e.session,
  json_each(words(name.name, e.message)) AS word;

-- Other orders than by beginning, of the sessions that have a place in them.
CREATE INDEX session_ended_at ON session (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX session_duration ON session (ended_at - created_at) WHERE ended_at IS NOT NULL;
CREATE INDEX session_hung ON session (CAST(hang_seconds * 1000000 AS INTEGER)) WHERE hangs > 0;
