"""A database that is taken away, replaced, or shared while the service runs."""

import re
import uuid

import apsw
import pytest
import urllib3
from tests.faults.quick import QuickService

from datacat.client.api import DatacatClient
from datacat.ingest.committer import commit
from datacat.model.errors import RequestFailed
from datacat.model.records import Batch, Origin, Start
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


def refusal(call) -> tuple[int | None, str]:
    with pytest.raises(RequestFailed) as caught:
        call()
    return caught.value.status, caught.value.code


def ready(service: QuickService) -> int:
    return urllib3.request("GET", f"{service.url}/readyz", retries=False).status


def names(client: DatacatClient, session_id: str) -> list[str]:
    return [event["name"] for event in client.get_session(session_id)["events"]]


def test_nothing_is_promised_for_a_database_that_was_taken_away_until_it_is_back(service, tmp_path):
    client = DatacatClient(service.url)
    session_id = client.register_session(product="p")
    client.log_event(session_id, "before")
    for file in (service.database, tmp_path / "datacat.db-wal"):
        assert ready(service) == 200
        file.rename(tmp_path / "elsewhere")
        assert refusal(lambda: client.log_event(session_id, "into the void")) == (503, "store_unavailable")
        assert ready(service) == 503
        assert names(client, session_id)[:1] == ["before"]
        (tmp_path / "elsewhere").rename(file)
        client.log_event(session_id, "after")
    assert names(client, session_id) == ["before", "after", "after"]
    assert service.stop() in (0, -15)
    reader = SqliteReader(service.database, connections=1)
    assert [event.name for event in reader.events(session_id, 0, 9)] == ["before", "after", "after"]
    reader.close()


def test_a_database_that_was_replaced_is_not_written_to_and_served_after_a_start(service, tmp_path):
    client = DatacatClient(service.url)
    client.register_session(product="old")
    other = SqliteWriter(tmp_path / "other.db")
    commit(other, [Batch(str(uuid.uuid4()), Origin.APP, [Start(seq=1, time=1, product="new")])], 1)
    other.close()
    (tmp_path / "other.db").rename(service.database)
    assert refusal(lambda: client.register_session(product="lost")) == (503, "store_unavailable")
    service.kill()
    (tmp_path / "datacat.db-wal").unlink()
    service.start()
    assert [session["product"] for session in client.get_all_sessions()] == ["new"]


def test_two_services_on_one_database_answer_as_one(service):
    other = QuickService(service.database)
    session_id = str(uuid.uuid4())

    def post(to: QuickService, first: int) -> tuple[int, dict[str, object]]:
        lines = [
            b'{"seq":%d,"time":1,"type":"event","name":"e","data":{"n":%d}}' % (n, n)
            for n in range(first, first + 10)
        ]
        if first == 1:
            lines[0] = b'{"seq":1,"time":1,"type":"start","product":"p"}'
        answer = urllib3.request(
            "POST", f"{to.url}/api/sessions/{session_id}/records", body=b"\n".join(lines)
        )
        return answer.status, answer.json()

    for turn, first in enumerate((1, 11, 21, 21, 31, 21, 41)):
        status, answer = post((service, other)[turn % 2], first)
        assert (status, answer["rejected"]) == (200, [])
        assert answer["duplicates"] == (10 if turn in (3, 5) else 0)
    stored = DatacatClient(service.url).get_session(session_id)["events"]
    assert [event["data"]["n"] for event in stored] == list(range(2, 51))
    assert other.stop() in (0, -15)


def test_a_garbled_page_is_told_by_the_calls_that_meet_it_and_the_others_go_on(service):
    client = DatacatClient(service.url)
    hurt, whole = client.register_session(product="hurt"), client.register_session(product="whole")
    for n in range(100):
        client.log_event(hurt, "e", {"n": n, "text": "x" * 1000})
    client.log_event(whole, "e")
    service.stop()
    database = apsw.Connection(str(service.database))
    leaves = "SELECT pgoffset, pgsize FROM dbstat WHERE name = 'event' AND pagetype = 'leaf' ORDER BY pageno"
    offset, size = list(database.execute(leaves))[3]
    database.close()
    with service.database.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * size)
    service.start()
    url = f"{service.url}/api/sessions/{hurt}"
    told = urllib3.request("GET", f"{url}/events", retries=False, headers={"X-Request-ID": "mine-7"})
    assert (told.status, told.json()["code"]) == (500, "store_error")
    assert re.search(r"is damaged.*\(request mine-7\)", told.json()["detail"])
    (logged,) = [line for line in service.log_file.read_text().splitlines() if "mine-7" in line]
    assert "is damaged" in logged
    with pytest.raises(
        urllib3.exceptions.ProtocolError
    ):  # it had begun: what is no whole answer must not look like one
        urllib3.request("GET", url, retries=False)
    client.log_event(whole, "f")
    assert names(client, whole) == ["e", "f"]
