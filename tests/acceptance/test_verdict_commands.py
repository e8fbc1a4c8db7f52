"""``datacat show`` and ``datacat tail --problems`` as a person meets them."""

import json
import os
import signal
import subprocess
import sys
import uuid
from typing import Any

import pytest
import urllib3
from tests.forks import run_datacat

from datacat.client.api import DatacatClient

START = 1_732_363_200_000_000
STACKS = [
    {
        "thread": "loader",
        "frames": [{"file": "/app/loader.py", "line": 3, "function": "load", "code": "read()"}],
    },
    {
        "thread": "MainThread",
        "frames": [
            {"file": "/app/worker.py", "line": 31, "function": "main", "code": "time.sleep(99)  # [red]"}
        ],
    },
]
TASK = {"task": "Task-2", "coroutine": "serve", "file": "/app/server.py", "line": 8, "function": "serve"}
AWAITING = {
    "task": "Task-3", "coroutine": "fetch",
    "frames": [
        {"file": "/app/server.py", "line": 5, "function": "fetch", "code": "await queue.get()"},
        {"file": "/usr/lib/python3.11/asyncio/queues.py", "line": 158, "function": "Queue.get", "code": "await getter"},
    ],
}  # fmt: skip
HANG = {
    "seconds_since_heartbeat": 2, "kind": "blocked", "thread": "MainThread", "stacks": STACKS,
    "asyncio": {"running": "Task-1", "tasks": 3, "pending": [TASK, AWAITING, "strange"]},
}  # fmt: skip
USED = {"user_seconds": 1.5, "max_rss_bytes": 4096}
TOLD: list[dict[str, Any]] = [
    {
        "type": "start",
        "product": "editor",
        "version": "2.3.1",
        "pid": 4711,
        "tags": ["gpu:a100", "night"],
        "parent_session_id": "01934f5e-0000-7000-8000-0000000000aa",
    },
    {"type": "state", "merge": {"window": {"open": ["w1"], "size": 5}}},
    {"type": "state", "merge": {"window": {"open": ["w2"]}}},
    {"type": "metric", "name": "fps", "value": 59.8, "tags": ["scene:menu"]},
    {"type": "event", "name": "saved", "message": "to \x1b[2J disk", "data": {"path": "a.txt"}},
    {
        "type": "event",
        "name": "uncaught_exception",
        "level": "error",
        "message": "boom",
        "data": {
            "thread": "loader",
            "traceback": "Traceback:\n  File worker.py, line 8, in load\nValueError: boom",
        },
    },
    {"type": "event", "name": "application_appears_hung", "level": "error", "data": HANG},
    {
        "type": "exit",
        "cause": "signal",
        "data": {"signal": 9, "stderr": "line one\nthe last line\n", "resource_usage": USED},
    },
]
SECONDS = [0, 1, 60, 60, 60, 61, 62, 72]


@pytest.fixture
def crashed(shared_service):
    """A session that was killed while it hung."""
    session_id = str(uuid.uuid4())
    lines = [
        json.dumps({"seq": seq, "time": START + second * 1_000_000, **record})
        for seq, (second, record) in enumerate(zip(SECONDS, TOLD, strict=True), 1)
    ]
    path = f"{shared_service.url}/api/sessions/{session_id}/records"
    assert urllib3.request("POST", path, body="\n".join(lines)).status == 200
    return session_id


def datacat(service, *arguments):
    return run_datacat(*arguments, environ={**os.environ, "DATACAT_URL": service.url})


def test_show_tells_the_verdict_first_and_where_it_stood(shared_service, crashed):
    done = datacat(shared_service, "show", crashed[:13])
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]
    assert lines[0] == "CRASHED crashed: killed by SIGKILL while hung for 12.0 s in main (worker.py:31)"
    assert lines[1] == "editor 2.3.1 pid 4711"
    threads = [line for line in lines if line in ("MainThread", "loader")]
    assert threads == ["MainThread", "loader"]
    for line in (
        "worker.py:31 main time.sleep(99) # [red]",
        "event loop running Task-1, 3 tasks",
        "Task-2 serve awaits serve (server.py:8)",
        "Task-3 fetch awaits Queue.get (server.py:5) await queue.get()",
        "part of 01934f5e-0000-7000-8000-0000000000aa",
        "tags gpu:a100, night",
        "resource_usage user seconds 1.5, max rss bytes 4096",
        "the last line",
        '12:01:00.000Z saved to �[2J disk {"path":"a.txt"}',
        '- /window/open ["w1"]',
        '+ /window/open ["w2"]',
        "File worker.py, line 8, in load",
        "fps {scene:menu} ▁ 59.8",
    ):
        assert line in lines, done.stdout
    assert "\x1b" not in done.stdout


def test_show_says_once_where_many_threads_stand_and_a_recursion_turns(shared_service):
    turn = {"file": "/app/tree.py", "line": 8, "function": "walk", "code": "walk(child)"}
    leaf = {"file": "/app/tree.py", "line": 6, "function": "walk", "code": "lock.acquire()"}
    wait = {"file": "/lib/queue.py", "line": 171, "function": "Queue.get", "code": "wait()"}
    pool = [{"thread": f"pool-{number}", "frames": [wait]} for number in range(7)]
    stacks = [*pool, {"thread": "MainThread", "frames": [turn] * 49 + [leaf]}]
    session_id = str(uuid.uuid4())
    told: list[dict[str, Any]] = [
        {"type": "start", "product": "tree"},
        {
            "type": "event",
            "name": "application_appears_hung",
            "level": "error",
            "data": {**HANG, "stacks": stacks},
        },
    ]
    lines = [json.dumps({"seq": seq, "time": START, **record}) for seq, record in enumerate(told, 1)]
    path = f"{shared_service.url}/api/sessions/{session_id}/records"
    assert urllib3.request("POST", path, body="\n".join(lines)).status == 200
    shown = datacat(shared_service, "show", session_id).stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    began = lines.index("MainThread")
    assert lines[began : began + 5] == [
        "MainThread",
        "tree.py:8 walk walk(child) 49 times",
        "tree.py:6 walk lock.acquire()",
        "pool-0, pool-1, pool-2, pool-3, pool-4 and 2 more alike",
        "queue.py:171 Queue.get wait()",
    ]


def test_show_says_of_how_much_it_shows_the_first(shared_service):
    session_id = str(uuid.uuid4())
    told: list[dict[str, Any]] = [
        {"type": "start", "product": "wide"},
        {"type": "state", "merge": {f"key_{number}": number for number in range(41)}},
        *({"type": "metric", "name": f"metric_{number}", "value": 1} for number in range(42)),
        {"type": "exit", "cause": "exit_code", "data": {"exit_code": 3, "stderr": "line\n" * 43}},
    ]
    lines = [json.dumps({"seq": seq, "time": START, **record}) for seq, record in enumerate(told, 1)]
    path = f"{shared_service.url}/api/sessions/{session_id}/records"
    assert urllib3.request("POST", path, body="\n".join(lines)).status == 200
    shown = datacat(shared_service, "show", session_id).stdout
    for words in (
        "Its state the first 40 of 41; --json has all",
        "Its metrics the first 40 of 42; --json has all",
        "stderr  the last 40 of 43; --json has all",
    ):
        assert words in shown


def test_show_says_of_which_day_an_event_is_where_it_is_not_the_last(shared_service):
    session_id = str(uuid.uuid4())
    told = [
        (0, {"type": "start", "product": "weekly"}),
        (1, {"type": "event", "name": "begun"}),
        (86_400 * 3, {"type": "event", "name": "done"}),
        (86_400 * 3, {"type": "end"}),
    ]
    lines = [
        json.dumps({"seq": seq, "time": START + second * 1_000_000, **record})
        for seq, (second, record) in enumerate(told, 1)
    ]
    path = f"{shared_service.url}/api/sessions/{session_id}/records"
    assert urllib3.request("POST", path, body="\n".join(lines)).status == 200
    shown = datacat(shared_service, "show", session_id).stdout
    assert "  2024-11-23 12:00:01.000Z begun" in shown
    assert "\n  12:00:00.000Z done" in shown


def test_show_tells_a_counter_by_what_was_added_last(shared_service):
    client = DatacatClient(shared_service.url)
    session_id = client.register_session("counting")
    for added in (5, 2):
        client.log_metric(session_id, "jobs", added, kind="counter")
    assert "jobs  █▁  +2\n" in datacat(shared_service, "show", session_id).stdout


def test_show_as_json_is_the_dossier(shared_service, crashed):
    found = json.loads(datacat(shared_service, "show", crashed, "--json").stdout)
    assert found["verdict"]["cause"] == "killed_while_hung"


def test_show_of_an_unknown_session_says_so_and_leaves_with_1(shared_service):
    session_id = str(uuid.uuid4())
    done = datacat(shared_service, "show", session_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no session {session_id} is known" in done.stderr


@pytest.mark.parametrize("command", [["show", "01934f5e"], ["tail"], ["tail", "--problems"]])
def test_a_service_that_is_not_there_is_told(command):
    done = run_datacat(*command, "--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_tail_shows_problems_as_they_come_and_ends_at_ctrl_c(service):
    process = subprocess.Popen(
        [sys.executable, "-m", "datacat", "tail", "--problems", "--json", "--url", service.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = f"{service.url}/api/sessions/{uuid.uuid4()}"
    assert process.stdout is not None
    told: list[dict[str, Any]] = [
        {"type": "start", "product": "editor"},
        {"type": "event", "name": "application_appears_hung"},
        {"type": "event", "name": "application_recovered", "data": {"seconds_hung": 3}},
    ]
    for seq, record in enumerate(told, 1):
        body = json.dumps({"seq": seq, "time": START, **record})
        assert urllib3.request("POST", f"{path}/records", body=body).status == 200
        if seq == 2:
            hang = json.loads(process.stdout.readline())
    over = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    assert (hang["kind"], hang["end"]) == ("hang", None)
    assert (over["id"], over["seconds"]) == (hang["id"], 3.0)
    assert (process.returncode, complaint) == (0, "")
