-- Only where: SELECT 1 FROM pragma_table_info('metric_sum') WHERE name = 'length'
-- 0003 was written anew, with another metric_sum, after databases had been made with it. What was added since then stands
-- in the wrong columns, so the sums are made anew of the points.
DROP TABLE metric_sum;

CREATE TABLE metric_sum (
  series INTEGER NOT NULL,
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  deployment INTEGER NOT NULL,
  points INTEGER NOT NULL,
  total REAL NOT NULL,
  last_at INTEGER NOT NULL,
  low REAL,
  high REAL,
  last REAL,
  PRIMARY KEY (series, level, number, deployment)
) STRICT, WITHOUT ROWID;

INSERT INTO metric_sum
WITH whose AS (
  SELECT key, deployment FROM session UNION ALL SELECT key, deployment FROM removed
), point AS (
  SELECT m.series, span.key AS level, m.time / span.value AS number, whose.deployment,
    m.time % span.value AS at, m.value
  FROM metric AS m JOIN whose ON whose.key = m.session,
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
