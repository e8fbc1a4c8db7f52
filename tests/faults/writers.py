"""Clients that write as fast as they are answered, and know what they were answered.

A plain call is never sent again, so what was not answered may be there or not. A batch is sent again
until it is answered, so in the end all of it must be there once. After a fault, :meth:`Writers.check`
holds what the service has against what it said.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from msgspec import json

from datacat.client.api import DatacatClient

SESSION_LENGTH = 150
"""Records in one session of a batch writer; then it begins another."""


class Writer(threading.Thread):
    """One connection."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.answered = self.refused = 0
        self.failure: BaseException | None = None
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, retries=False, timeout=60)

    def run(self) -> None:
        try:
            self.write()
        except BaseException as error:  # noqa: BLE001  # it is raised where the writers are checked
            self.failure = error

    def write(self) -> None:
        """Write until told to stop."""
        raise NotImplementedError

    def check(self, client: DatacatClient) -> None:
        """Hold what is stored against what was answered."""
        raise NotImplementedError

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """The status and the answer; 0 when it is not known what became of the request."""
        try:
            response = self._pool.request("POST", path, body=body)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.005)
            return 0, None
        assert response.status in (200, 503), (response.status, response.data)
        if response.status == 503:
            assert int(response.headers["Retry-After"]) >= 1
            self.refused += 1
            time.sleep(0.005)
        else:
            self.answered += 1
        return response.status, json.decode(response.data)


class PlainWriter(Writer):
    """Events and metrics by plain calls, each sent once, to one session after another."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(port, seed)
        self.sessions: dict[str, dict[int, int]] = {}

    def write(self) -> None:
        while not self.stopping.is_set():
            session_id = str(uuid.UUID(int=self.random.getrandbits(128)))
            if self.post("/api/sessions", json.encode({"id": session_id, "product": "plain"}))[0] == 200:
                fates = self.sessions[session_id] = {}
                self._fill(f"/api/sessions/{session_id}", fates)

    def _fill(self, path: str, fates: dict[int, int]) -> None:
        for n in range(SESSION_LENGTH):
            if self.stopping.is_set():
                return
            if n % 2:
                body = {"name": "m", "value": n, "tags": [str(n % 10)]}
                fates[n], _ = self.post(f"{path}/metrics", json.encode(body))
            else:
                body = {"name": "e", "data": {"n": n, "text": "x" * self.random.randrange(200)}}
                fates[n], _ = self.post(f"{path}/events", json.encode(body))

    def check(self, client: DatacatClient) -> None:
        for session_id, fates in self.sessions.items():
            found = client.get_session(session_id)
            stored = [event["data"]["n"] for event in found["events"]]
            stored += [int(metric["value"]) for metric in found["metrics"]]
            assert len(stored) == len(set(stored)), "a plain call is stored twice"
            missing = {n for n, status in fates.items() if status == 200} - set(stored)
            assert not missing, f"answered, and not stored: {sorted(missing)[:10]}"
            refused = {n for n, status in fates.items() if status == 503} & set(stored)
            assert not refused, f"refused, and stored: {sorted(refused)[:10]}"


class BatchWriter(Writer):
    """Exactly-once batches of one session after another."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(port, seed)
        self.sessions: dict[str, int] = {}

    def write(self) -> None:
        while not self.stopping.is_set():
            session_id = str(uuid.UUID(int=self.random.getrandbits(128)))
            self.sessions[session_id] = known = 0
            while known < SESSION_LENGTH:
                last = min(known + self.random.randint(1, 40), SESSION_LENGTH)
                body = b"\n".join(_line(seq) for seq in range(known + 1, last + 1))
                status, answer = self.post(f"/api/sessions/{session_id}/records", body)
                if status == 200:
                    # What a longer batch before brought, to which no answer came, is known too.
                    assert (answer["last_seq"] >= last, answer["rejected"]) == (True, [])
                    assert answer["accepted"] + answer["duplicates"] == last - known
                    self.sessions[session_id] = known = answer["last_seq"]
                elif self.stopping.is_set():
                    return

    def check(self, client: DatacatClient) -> None:
        for session_id, known in self.sessions.items():
            if not known:
                continue
            found = client.get_session(session_id)
            stored = sorted(
                [event["data"]["seq"] for event in found["events"]]
                + [int(metric["value"]) for metric in found["metrics"]]
            )
            last = max(known, stored[-1] if stored else 0)
            assert stored == [seq for seq in range(2, last + 1) if seq % 3 and seq != SESSION_LENGTH]
            assert last - known <= 40, "more is there than was ever sent"
            for rows, of in ((found["events"], "events"), (found["metrics"], "metrics")):
                assert rows == sorted(rows, key=lambda row: row["timestamp"]), f"{of} out of order"
            if known == SESSION_LENGTH:
                assert found["status"] == "ended"
                assert found["state"]["seq"] == SESSION_LENGTH // 3 * 3 - (SESSION_LENGTH % 3 == 0) * 3


def _line(seq: int) -> bytes:
    record: dict[str, Any] = {"seq": seq, "time": seq}
    if seq == 1:
        record |= {"type": "start", "product": "batches"}
    elif seq == SESSION_LENGTH:
        record |= {"type": "end"}
    elif seq % 3 == 0:
        record |= {"type": "state", "merge": {"seq": seq}}
    elif seq % 3 == 1:
        record |= {"type": "event", "name": "e", "data": {"seq": seq}}
    else:
        record |= {"type": "metric", "name": "m", "value": seq, "tags": [str(seq % 10)]}
    return json.encode(record)


class Writers:
    """Several at once.

    Args:
        port: the service's.
        seed: of all that is random in what they write.
    """

    def __init__(self, port: int, seed: int, *, plain: int = 3, batches: int = 3) -> None:
        self._all: list[Writer] = [PlainWriter(port, seed * 100 + n) for n in range(plain)]
        self._all += [BatchWriter(port, seed * 100 + 50 + n) for n in range(batches)]

    @property
    def answered(self) -> int:
        """Requests that were answered 200."""
        return sum(writer.answered for writer in self._all)

    @property
    def refused(self) -> int:
        """Requests that were answered 503, with the seconds to wait."""
        return sum(writer.refused for writer in self._all)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """They write while the block lasts; the service must be up at its end."""
        for writer in self._all:
            writer.start()
        try:
            yield
        finally:
            for writer in self._all:
                writer.stopping.set()
            for writer in self._all:
                writer.join(60)
        for writer in self._all:
            if writer.failure is not None:
                raise writer.failure

    def wait_for_more(self, seconds: float = 60) -> None:
        """Until one more request has been answered."""
        before, deadline = self.answered, time.monotonic() + seconds
        while self.answered == before and not any(writer.failure for writer in self._all):
            assert time.monotonic() < deadline, "nothing is answered any more"
            time.sleep(0.005)

    def check(self, url: str) -> None:
        """Hold what the service has against what it said."""
        client = DatacatClient(url, timeout=60)
        for writer in self._all:
            writer.check(client)
