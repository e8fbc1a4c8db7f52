"""``make bench``: every figure with its peer or its target, in one run; medians of several rounds."""

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import apsw

import datacat
from benchmarks import calls, export, lane, large, live, watching
from benchmarks.batches import request, send_all
from benchmarks.service import resident_mib, service
from datacat.client.transport import HttpTransport, Reply, TransportError

ROUNDS = 5


def main() -> None:
    """Run everything and print it as Markdown."""
    print(f"# Results\n\n{platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}, ")
    print(
        f"SQLite {apsw.sqlite_lib_version()}. Figures move from machine to machine: compare within a run.\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATACAT_JOURNAL_DIR"] = f"{folder}/journals"
        calls.measure()
        print("| what | figure | target or peer |\n| --- | --- | --- |")
        for durability in ("full", "normal"):
            with service(Path(folder) / f"{durability}.db", durability) as (url, process):
                batches(url, durability)
                if durability == "full":
                    drain(url)
                    shipper_share(url)
                    watching.measure(url, row)
                    live.measure(url, row)
                    growing(url)
                    row(
                        "resident memory of the service after all of it",
                        f"{resident_mib(process)} MiB",
                        "≤ 150 MiB",
                    )
        lane.measure(row)
        large.measure(row)
        export.measure(row)
        floor(Path(folder) / "floor.db")
        bytes_a_row(Path(folder) / "rows.db")


def row(what: str, figure: str, target: str) -> None:
    """One line of the table, at once."""
    print(f"| {what} | {figure} | {target} |", flush=True)


def batches(url: str, durability: str) -> None:
    """Batches of 500 into the durable store, four connections."""
    rates = []
    for _ in range(ROUNDS):
        logs = [
            [request(str(session), 1 + 500 * n) for n in range(100)]
            for session in (uuid.uuid4() for _ in range(4))
        ]
        with ThreadPoolExecutor(4) as senders:
            began = time.perf_counter()
            list(senders.map(send_all, [url] * 4, logs))
        rates.append(4 * 100 * 500 / (time.perf_counter() - began))
    row(
        f"batches of 500, 4 connections, durability {durability}",
        f"{statistics.median(rates):,.0f} records/s",
        "≥ 350,000",
    )


class Late(HttpTransport):
    """A server that is not there yet."""

    there = False

    def itself(self) -> "Late":
        """What makes a transport, made."""
        return self

    def send(self, session_id: str, body: bytes, timeout: float) -> Reply:
        """Send when it is."""
        if not self.there:
            raise TransportError("not yet")
        return super().send(session_id, body, timeout)


def drain(url: str) -> None:
    """From a program's buffer, through the shipper, into the durable store."""
    rates = []
    for _ in range(ROUNDS):
        server = Late(url)
        session = datacat.create_session(transport=partial(Late.itself, server), journal=True)
        for n in range(100_000):
            session.log_event("saved", {"n": n})
        server.there = True
        began = time.perf_counter()
        assert session.flush(60)
        rates.append(100_000 / (time.perf_counter() - began))
        session.end()
    row("drain of 100,000 records", f"{statistics.median(rates):,.0f} records/s", "≥ 50,000")


def growing(url: str) -> None:
    """One session up to a million records: its last tenth beside its first."""
    ratios = [one_growing(url) for _ in range(3)]
    row(
        "a session growing to 1,000,000 records: last tenth / first tenth",
        f"{statistics.median(ratios):.2f}",
        "≥ 0.9",
    )


def one_growing(url: str) -> float:
    """The rate of the last tenth beside that of the first."""
    session_id = str(uuid.uuid4())
    tenths = [
        send_all(url, [request(session_id, 1 + 500 * n) for n in range(200 * t, 200 * (t + 1))])
        for t in range(10)
    ]
    return tenths[0] / tenths[9]


def shipper_share(url: str) -> None:
    """What a program that records 1,000 times a second costs, beside the same program without."""
    code = """
import os, sys, time
import datacat
session = datacat.create_session(sys.argv[1])
time.sleep(0.5)
began = time.process_time()
for _ in range(200):
    for n in range(25 if sys.argv[2] == "on" else 0):
        session.log_event("saved", {"n": n})
    time.sleep(0.025)
print((time.process_time() - began) / 5)
"""
    shares = {
        mode: statistics.median(
            float(
                subprocess.run(
                    [sys.executable, "-c", code, url, mode], capture_output=True, check=True
                ).stdout
            )
            for _ in range(3)
        )
        for mode in ("on", "off")
    }
    row(
        "CPU of a program at 1,000 records/s, calls and shipper / at rest",
        f"{shares['on']:.1%} / {shares['off']:.1%} of a core",
        "≤ 3 %",
    )


def floor(path: Path) -> None:
    """The peer of the batches: json and sqlite3 of the standard library, one thread, no HTTP."""
    rates = []
    for round_ in range(ROUNDS):
        bodies = [request("x", 1 + 500 * n).partition(b"\r\n\r\n")[2] for n in range(100)]
        database = sqlite3.connect(path.with_name(f"floor{round_}.db"), isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(
            "CREATE TABLE record (session, n, time, name, value, PRIMARY KEY (session, n)) WITHOUT ROWID"
        )
        began = time.perf_counter()
        for body in bodies:
            rows = [json.loads(line) for line in body.split(b"\n")]
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO record VALUES (1, ?, ?, ?, ?)",
                [
                    (row["seq"], row["time"], row.get("name"), json.dumps(row.get("data", row.get("value"))))
                    for row in rows
                ],
            )
            database.execute("COMMIT")
        rates.append(50_000 / (time.perf_counter() - began))
        database.close()
    row(
        "peer: json and sqlite3 of the standard library, no HTTP",
        f"{statistics.median(rates):,.0f} records/s",
        "",
    )


def bytes_a_row(path: Path) -> None:
    """What a row costs on disk, indexes and all."""
    for kind, target in (("metric", 34), ("event", 76)):
        file = path.with_name(f"{kind}.db")
        from datacat.ingest.committer import commit
        from datacat.model.records import Batch, Origin
        from datacat.store.sqlite.writer import SqliteWriter
        from datacat.wire.ndjson import decode_batch

        writer = SqliteWriter(file, durability="normal")
        empty = file.stat().st_size
        session_id, count = str(uuid.uuid4()), 0
        for n in range(400):
            body = request(session_id, 1 + 500 * n).partition(b"\r\n\r\n")[2]
            records = [
                each for each in decode_batch(body) if each.__class__.__name__.lower() in (kind, "start")
            ]
            commit(writer, [Batch(session_id, Origin.API, records)], 1)
            count += len(records)
        writer.close()
        row(f"bytes on disk, a {kind}", f"{(file.stat().st_size - empty) / count:.1f}", f"≤ {target}")


if __name__ == "__main__":
    main()
