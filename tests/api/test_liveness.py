import time
import uuid

from datacat.wire.codec import encode


def until(api, session_id, status):
    deadline = time.monotonic() + 20
    while (session := api.get(session_id))["status"] != status:
        assert time.monotonic() < deadline, session
        time.sleep(0.05)
    return session


def test_a_session_that_promised_a_second_and_is_silent_is_lost_and_active_when_it_speaks(api):
    session_id = str(uuid.uuid4())
    path = f"/api/sessions/{session_id}/records"
    start = encode({"seq": 1, "time": 1, "type": "start", "contact_timeout": 1.0})
    assert api.call("POST", path, start)[0] == 200
    lost = until(api, session_id, "lost")
    assert (lost["active"], [event["name"] for event in lost["events"]]) == (False, ["contact_lost"])
    assert api.call("POST", path, b"")[1] == {"accepted": 0, "duplicates": 0, "last_seq": 1, "rejected": []}
    assert api.get(session_id)["status"] == "active"


def test_a_session_that_promised_nothing_is_never_lost(api):
    promised, silent = api.create(contact_timeout=0.1), api.create()
    until(api, promised, "lost")
    assert api.get(silent)["status"] == "active"
