import gzip
import uuid

import pytest
import zstandard

from datacat.wire.codec import encode


def log(first, last):
    records = [{"seq": 1, "time": 1, "type": "start", "product": "editor"}]
    records += [{"seq": n, "time": n, "type": "event", "name": f"e{n}"} for n in range(2, last + 1)]
    return b"\n".join(encode(record) for record in records[first - 1 :])


@pytest.fixture
def path():
    return f"/api/sessions/{uuid.uuid4()}/records"


def events(api, path):
    return [event["name"] for event in api.get(path.split("/")[3])["events"]]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_a_batch_creates_its_session_in_any_encoding(api, path, encoding, pack):
    status, answer = api.call("POST", path, pack(log(1, 3)), content_encoding=encoding)
    assert (status, answer) == (200, {"accepted": 3, "duplicates": 0, "last_seq": 3, "rejected": []})
    assert events(api, path) == ["e2", "e3"]


def test_a_batch_sent_again_is_skipped(api, path):
    api.call("POST", path, log(1, 3))
    assert api.call("POST", path, log(1, 4))[1] == {
        "accepted": 1,
        "duplicates": 3,
        "last_seq": 4,
        "rejected": [],
    }
    assert events(api, path) == ["e2", "e3", "e4"]


def test_a_gap_is_409_with_the_last_number(api, path):
    api.call("POST", path, log(1, 3))
    status, problem = api.call("POST", path, log(5, 6))
    assert (status, problem["code"], problem["last_seq"]) == (409, "sequence_gap", 3)


def test_a_log_of_an_unknown_session_that_begins_later_is_409_from_the_start(api, path):
    status, problem = api.call("POST", path, log(5, 6))
    assert (status, problem["last_seq"]) == (409, 0)


def test_a_bad_record_is_rejected_by_number_and_counted(api, path):
    body = (
        log(1, 2)
        + b'\n{"seq":3,"time":1,"type":"event"}\n'
        + encode({"seq": 4, "time": 1, "type": "event", "name": "e4"})
    )
    answer = api.call("POST", path, body)[1]
    assert (answer["accepted"], answer["last_seq"]) == (3, 4)
    assert [(each["seq"], each["code"]) for each in answer["rejected"]] == [(3, "missing_field")]
    assert api.get(path.split("/")[3])["lost"] == 1


def test_the_watchdog_numbers_its_own_records(api, path):
    api.call("POST", path, log(1, 2))
    record = encode({"seq": 1, "time": 1, "type": "event", "name": "seen"})
    assert api.call("POST", path, record, Datacat_Origin="watchdog")[1]["last_seq"] == 1


@pytest.mark.parametrize("origin", ["api", "moon", ""])
def test_an_unknown_origin_is_422(api, path, origin):
    status, problem = api.call("POST", path, log(1, 2), Datacat_Origin=origin)
    assert (status, problem["code"]) == (422, "unknown_origin")
