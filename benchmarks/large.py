"""Questions to a database that is large: a million sessions, ten million events; filled by SQL, asked over HTTP."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import urllib3

from benchmarks.service import resident_mib, service
from datacat.store.sqlite.writer import SqliteWriter

SESSIONS, BUSY, EVENTS = 1_000_000, 1_000, 10_000
"""Sessions in all, those among them that have events, and how many events each of these has."""

ROUNDS = 30
BEGIN = 1_732_380_000_000_000

_FILL = f"""
WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < 6)
INSERT INTO deployment (key, product, version, environment, last_seen)
SELECT n, iif(n % 2, 'editor', 'game'), '1.' || n, 'prod', {BEGIN} FROM each;

WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < {SESSIONS})
INSERT INTO session (key, id, created_at, updated_at, ended_at, status, cause, hung_at_end, product, version, environment,
  hostname, tags, state_bytes, events, metrics, changes, lost, last_seq, said_goodbye, deployment)
SELECT n, randomblob(16), {BEGIN} + n * 1000000, {BEGIN} + n * 1000000 + 60000000, {BEGIN} + n * 1000000 + 60000000,
  iif(n % 20 = 0, 'crashed', 'ended'), iif(n % 20 = 0, 'signal', 'clean'), 0, iif((n % 6 + 1) % 2, 'editor', 'game'),
  '1.' || (n % 6 + 1), 'prod', 'host-' || n % 100, '[]', 2, iif(n > {SESSIONS - BUSY}, {EVENTS}, 0), 0, 0, 0, '{{}}', 1, n % 6 + 1
FROM each;

INSERT INTO session_sum
SELECT length.value, created_at / length.value * length.value, deployment, count(*), 0, 0, sum(status = 'ended'),
  sum(status = 'crashed'), 0, 0, 0, sum(ended_at - created_at)
FROM session, json_each('[3600000000, 86400000000]') AS length GROUP BY 1, 2, 3;

INSERT INTO term SELECT 'h:' || hostname, created_at, key FROM session ORDER BY 1, 2, 3;
INSERT INTO name (key, name) VALUES (1, 'saved'), (2, 'loaded'), (3, 'failed');

WITH RECURSIVE each (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM each WHERE n < {EVENTS - 1})
INSERT INTO event (session, n, time, name, level, data)
SELECT s.key, each.n, s.created_at + each.n * 1000, each.n % 3 + 1, iif(each.n % 100, 1, 3), '{{"n":' || each.n || '}}'
FROM session AS s CROSS JOIN each WHERE s.key > {SESSIONS - BUSY};
"""


def measure(row: Callable[[str, str, str], None]) -> None:
    """Fill, start, ask."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.db"
        SqliteWriter(path, durability="normal").close()
        database = apsw.Connection(str(path))
        database.pragma("synchronous", "off")
        began = time.perf_counter()
        with database:
            database.execute(_FILL)
        last = next(iter(database.execute("SELECT lower(hex(id)) FROM session ORDER BY key DESC LIMIT 1")))[0]
        database.close()
        filled = time.perf_counter() - began
        with service(path, "normal") as (url, process):
            pool = urllib3.PoolManager()
            cursor = pool.request("GET", f"{url}/api/sessions?limit=1").json()["next"]
            far = f"{BEGIN + 300_000 * 1_000_000}{cursor[cursor.index('.') :]}"
            stored = f"{SESSIONS:,} sessions, {BUSY * EVENTS:,} events"
            for what, path_, target in (
                ("the first page of sessions, with counts", "/api/sessions?limit=100", "≤ 20 ms"),
                ("a page in the middle", f"/api/sessions?limit=100&cursor={far}", "≤ 20 ms"),
                (
                    "crashed sessions of a product",
                    "/api/sessions?limit=100&status=crashed&product=game",
                    "≤ 20 ms",
                ),
                ("sessions of a host", "/api/sessions?limit=100&hostname=host-7", "≤ 20 ms"),
                ("the longest", "/api/sessions?limit=100&sort=longest", "≤ 20 ms"),
                ("a session's last 1,000 events", f"/api/sessions/{_id(last)}/events?limit=1000", "≤ 5 ms"),
                ("products", "/api/products", ""),
            ):
                row(f"{what}; {stored} stored", f"{_median(pool, url + path_) * 1e3:.1f} ms", target)
            row(f"resident memory of the service with {stored}", f"{resident_mib(process)} MiB", "≤ 150 MiB")
        row(f"(filling took {filled:.0f} s)", "", "")


def _id(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _median(pool: urllib3.PoolManager, url: str) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        response = pool.request("GET", url)
        took.append(time.perf_counter() - began)
        assert response.status == 200, response.data
    return statistics.median(took)
