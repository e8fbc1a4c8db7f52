-- What a program is called in all: the three together are few, and sessions and sums point at them.
CREATE TABLE deployment (
  key INTEGER PRIMARY KEY,
  product TEXT,
  version TEXT,
  environment TEXT
) STRICT;

-- NULLs are never equal in a UNIQUE, and no name is the number 0.
CREATE UNIQUE INDEX deployment_named
ON deployment (ifnull(product, 0), ifnull(version, 0), ifnull(environment, 0));

INSERT INTO deployment (product, version, environment)
SELECT DISTINCT product, version, environment FROM session;

ALTER TABLE session ADD COLUMN deployment INTEGER NOT NULL DEFAULT 0;
UPDATE session SET deployment = (
  SELECT d.key FROM deployment AS d
  WHERE ifnull(d.product, 0) = ifnull(session.product, 0)
    AND ifnull(d.version, 0) = ifnull(session.version, 0)
    AND ifnull(d.environment, 0) = ifnull(session.environment, 0));

-- The newest of any deployments and any statuses are merged from ranges of this one.
CREATE INDEX session_listed ON session (deployment, status, created_at);
-- Those that run are few beside those that have run.
CREATE INDEX session_running ON session (deployment, created_at) WHERE status IN ('active', 'hung');

-- Sums over the sessions that began in an hour or a day: see model/tally.py.
CREATE TABLE session_sum (
  length INTEGER NOT NULL,            -- of the span of time, in microseconds, as all here
  start INTEGER NOT NULL,             -- its first moment, a multiple of its length
  deployment INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  active INTEGER NOT NULL,
  hung_now INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  crashed INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  hung INTEGER NOT NULL,
  hang_duration INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  PRIMARY KEY (length, start, deployment)
) STRICT, WITHOUT ROWID;

INSERT INTO session_sum
SELECT length.value, created_at / length.value * length.value, deployment, count(*),
  sum(status = 'active'), sum(status = 'hung'), sum(status = 'ended'), sum(status = 'crashed'),
  sum(status = 'lost'), sum(hangs > 0), sum(CAST(round(hang_seconds * 1000000) AS INTEGER)),
  sum(iif(status IN ('active', 'hung'), 0, max(0, coalesce(ended_at, updated_at) - created_at)))
FROM session, json_each('[3600000000, 86400000000]') AS length
GROUP BY 1, 2, 3;

-- What a series did over all sessions of a deployment, in spans of four lengths. Many spans hold one
-- point alone: of it only the value is written, as total.
CREATE TABLE metric_sum (
  series INTEGER NOT NULL,
  level INTEGER NOT NULL,             -- of the span, from 0, the shortest: see METRIC_SPANS in sums.py
  number INTEGER NOT NULL,            -- of the span: its first moment divided by its length
  deployment INTEGER NOT NULL,
  points INTEGER NOT NULL,
  total REAL NOT NULL,
  last_at INTEGER NOT NULL,           -- microseconds after the span's first moment
  low REAL,
  high REAL,
  last REAL,
  PRIMARY KEY (series, level, number, deployment)
) STRICT, WITHOUT ROWID;

INSERT INTO metric_sum
WITH point AS (
  SELECT m.series, span.key AS level, m.time / span.value AS number, s.deployment,
    m.time % span.value AS at, m.value
  FROM metric AS m JOIN session AS s ON s.key = m.session,
    json_each('[10000000, 120000000, 1200000000, 14400000000]') AS span
), latest AS (
  SELECT series, level, number, deployment, max(at) AS last_at, value AS last
  FROM point GROUP BY 1, 2, 3, 4
), sums AS (
  SELECT series, level, number, deployment, count(*) AS points, total(value) AS total,
    min(value) AS low, max(value) AS high
  FROM point GROUP BY 1, 2, 3, 4
)
SELECT series, level, number, deployment, points, total, last_at,
  iif(points > 1, low, NULL), iif(points > 1, high, NULL), iif(points > 1, last, NULL)
FROM sums JOIN latest USING (series, level, number, deployment);

-- The newest events of any names are merged from ranges of the first, those that matter from the second.
CREATE INDEX event_named ON event (name, time);
CREATE INDEX event_severe ON event (level, time) WHERE level > 1;
