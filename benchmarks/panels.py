"""Every panel of every dashboard, with a million sessions stored; ``python -m benchmarks.panels [SESSIONS]``."""

import json
import random
import re
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Raw

from benchmarks.service import service
from datacat.grafana.dashboards import DASHBOARDS
from datacat.ingest.committer import commit
from datacat.model.records import Batch, End, Event, Exit, Metric, Origin, Record, Start
from datacat.store.sqlite.writer import SqliteWriter

SESSIONS = 1_000_000
ROWS = 10
"""Events of a session, and metrics."""
GROUP = 500
DAY = 86_400_000_000
DAYS = 90
LONG = 200_000
"""Events and metrics of the one long session that is looked at alone."""

TARGET = "≤ 300 ms"


def main() -> None:
    """Fill a database, and ask it."""
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panels.db"
        now = time.time_ns() // 1_000
        began = time.monotonic()
        long = fill(path, sessions, now)
        print(
            f"{sessions:,} sessions, {sessions * ROWS + LONG:,} points, {sessions * ROWS + LONG:,} events, "
            f"{path.stat().st_size / 1e9:.1f} GB, filled in {time.monotonic() - began:.0f} s\n"
        )
        with service(path, "normal") as (url, _):
            measure(url, long, now)
            lists(url, now)


def measure(url: str, session: str, now: int) -> None:
    """Ask each panel over its own time and over all that is stored, with and without a product."""
    print(
        "| dashboard, panel | its own time, ms | all 90 days, ms | and of one product, ms |\n| --- | --- | --- | --- |"
    )
    worst = 0.0
    for title, own, query in panels():
        took = [
            asking(url, query, {"product": product, "session": session}, now, days)
            for days, product in ((own, "*"), (DAYS, "*"), (DAYS, "product 1"))
        ]
        worst = max(worst, *took)
        print(f"| {title} | {' | '.join(f'{each:.1f}' for each in took)} |", flush=True)
    print(f"\nThe slowest: {worst:.0f} ms; target {TARGET}.")


def lists(url: str, now: int) -> None:
    """Ask for pages of a hundred sessions."""
    middle = f"{now - DAYS // 2 * DAY}.{uuid.UUID(int=1)}"
    print("\n| a page of `GET /api/sessions` | ms | target |\n| --- | --- | --- |")
    for title, query in (
        ("the newest", ""),
        ("from the middle on", f"cursor={middle}"),
        (
            "the crashed of one product, from the middle on",
            f"cursor={middle}&product=product+1&status=crashed",
        ),
    ):
        print(f"| {title} | {timed(f'{url}/api/sessions?{query}'):.1f} | ≤ 20 |", flush=True)


def panels() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Each panel's title, the days that its dashboard shows, and its query."""
    for dashboard in (make() for make in DASHBOARDS):
        days = 30 if dashboard["time"]["from"] == "now-30d" else 1
        for panel in dashboard["panels"]:
            yield f"{dashboard['uid']}, {panel['title']}", days, panel["targets"][0]
        for choice in dashboard["templating"]["list"]:
            title = f"{dashboard['uid']}, variable {choice['name']}"
            yield title, days, choice["query"]["infinityQuery"]


def url_of(query: dict[str, Any], values: dict[str, str]) -> str:
    """The path and query that the plugin would ask."""
    if "urlPath" in query:
        return f"{query['urlPath']}?{urllib.parse.urlencode(dict(query['params']))}"
    params = {
        each["key"]: re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], each["value"])
        for each in query["url_options"]["params"]
    }
    return f"{query['url']}?{urllib.parse.urlencode(params)}"


def asking(url: str, query: dict[str, Any], chosen: dict[str, str], now: int, days: int) -> float:
    """The median of five, in milliseconds."""
    values = {
        "version": "*",
        "environment": "*",
        "metric": "metric 1",
        "__timeFrom": str((now - days * DAY) // 1_000),
        "__timeTo": str(now // 1_000),
        **chosen,
    }
    return timed(url + url_of(query, values))


def timed(url: str) -> float:
    """The median of five, in milliseconds."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        with urllib.request.urlopen(url, timeout=120) as answer:
            json.loads(answer.read())
        took.append((time.perf_counter() - began) * 1_000)
    return statistics.median(took)


def fill(path: Path, sessions: int, now: int) -> str:
    """Sessions of 60 deployments over 90 days, and a long one, whose id is answered."""
    chance = random.Random(1)
    writer = SqliteWriter(path, durability="normal")
    for first in range(0, sessions, GROUP):
        numbers = range(first, min(first + GROUP, sessions))
        batches = [
            Batch(str(uuid.UUID(int=n + 1)), Origin.APP, program(chance, n, sessions, now)) for n in numbers
        ]
        commit(writer, batches, now)
    long = str(uuid.UUID(int=sessions + 1))
    begin = now - DAY
    records: list[Record] = [Start(seq=1, time=begin, product="product 1", version="1.1")]
    for n in range(LONG):
        at = begin + n * (DAY // LONG)
        records += [
            Metric(seq=2 * n + 2, time=at, name=f"metric {n % 4}", value=float(n % 100)),
            Event(seq=2 * n + 3, time=at, name=f"event {n % 20}", data=Raw(b'{"path":"a.txt"}')),
        ]
    for start in range(0, len(records), 5_000):
        commit(writer, [Batch(long, Origin.APP, [*records[start : start + 5_000]])], now)
    writer.close()
    return long


def program(chance: random.Random, number: int, of: int, now: int) -> list[Any]:
    """One session; the last few thousand still run, and some of those hang."""
    begin = now - DAY * DAYS + int(DAY * DAYS * number / of)
    step = 30_000_000
    records: list[Record] = [
        Start(
            seq=1,
            time=begin,
            product=f"product {number % 3}",
            version=f"1.{chance.randrange(10)}",
            environment=("live", "test")[number % 2],
        )
    ]
    for n in range(ROWS):
        at = begin + n * step
        records.append(
            Event(
                seq=len(records) + 1,
                time=at,
                name=f"event {chance.randrange(20)}",
                data=Raw(b'{"path":"a.txt"}'),
            )
        )
        records.append(Metric(seq=len(records) + 1, time=at, name=f"metric {n}", value=chance.random() * 100))
    end = begin + ROWS * step
    fate = chance.random()
    if fate < 0.02:
        stack = {
            "thread": "MainThread",
            "frames": [{"file": "a.py", "line": 3, "function": f"f{chance.randrange(40)}", "code": ""}],
        }
        data = json.dumps(
            {"monitor": "main", "seconds_since_heartbeat": 5, "kind": "blocked", "stacks": [stack]}
        )
        records.append(
            Event(
                seq=len(records) + 1,
                time=end,
                name="application_appears_hung",
                level="error",
                data=Raw(data.encode()),
            )
        )
    if number > of - 2_000:
        return records
    if 0.01 < fate < 0.03:
        details = Raw(b'{"signal":%d}' % chance.randrange(1, 12))
        records.append(Exit(seq=len(records) + 1, time=end, cause="signal", message="killed", data=details))
    else:
        records.append(End(seq=len(records) + 1, time=end))
    return records


if __name__ == "__main__":
    main()
