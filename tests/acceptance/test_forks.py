"""Forks, threads, signal handlers and the end of the interpreter: no deadlock, and never two writers in one journal."""

import os
import signal
import subprocess
import sys
import time
import urllib.request

import msgspec
import pytest
from tests.acceptance.programs import run, sessions_of


def numbers(session):
    return [event["data"]["n"] for event in session["events"] if event["name"] == "e"]


def test_forks_in_the_middle_of_four_busy_threads_lose_nothing_on_either_side(service, journals):
    code = """
        import datacat, os, threading
        session = datacat.create_session(product="forking", exit_timeout=30)
        going = True
        counts = [0] * 4
        def log(thread):
            while going:
                session.log_event("t", {"thread": thread, "n": counts[thread]})
                counts[thread] += 1
        threads = [threading.Thread(target=log, args=(thread,)) for thread in range(4)]
        [thread.start() for thread in threads]
        for child in range(25):
            pid = os.fork()
            if pid == 0:
                for n in range(20):
                    session.log_event("e", {"n": n})
                session.end()
                os._exit(0)
            os.waitpid(pid, 0)
        going = False
        [thread.join() for thread in threads]
        assert session.flush(60)
        print(counts)
    """
    done = run(code, service.url, timeout=110)
    assert (done.returncode, done.stderr) == (0, "")
    counts: list[int] = msgspec.json.decode(done.stdout)
    found = sessions_of(service.url, "forking")
    (parent,) = [session for session in found if session["parent_session_id"] is None]
    children = [session for session in found if session["parent_session_id"] == parent["id"]]
    for thread in range(4):
        logged = [event["data"]["n"] for event in parent["events"] if event["data"]["thread"] == thread]
        assert logged == list(range(counts[thread]))
    assert len(children) == 25
    assert all(numbers(child) == list(range(20)) for child in children)
    assert {session["status"] for session in found} == {"ended"}
    assert list(journals.iterdir()) == []


def test_a_child_that_records_nothing_leaves_nothing(service, journals):
    done = run(
        "import datacat, os\nsession = datacat.create_session(product='quiet')\n"
        "if os.fork() == 0: os._exit(0)\nos.wait()\nsession.log_event('e', {'n': 0})",
        service.url,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(sessions_of(service.url, "quiet")) == 1
    assert list(journals.iterdir()) == []


def test_what_other_hooks_record_in_the_child_belongs_to_the_child(service, journals):
    code = """
        import datacat, os
        os.register_at_fork(after_in_child=lambda: session.log_event("e", {"n": 1}))  # before ours
        session = datacat.create_session(product="hooked")
        session.log_event("e", {"n": 0})
        if os.fork() == 0:
            session.end()
            os._exit(0)
        os.wait()
        session.log_event("e", {"n": 2})
    """
    done = run(code, service.url)
    assert (done.returncode, done.stderr) == (0, "")
    found = sessions_of(service.url, "hooked")
    assert sorted(map(numbers, found)) == [[0, 2], [1]]


def test_workers_of_gunicorn_are_sessions_of_their_own(service, journals, tmp_path):
    (tmp_path / "app.py").write_text(
        "import datacat, os\n"
        "session = datacat.create_session(product='web')\n"
        "session.log_event('loaded')\n"
        "def app(environ, start_response):\n"
        "    session.log_event('request', {'pid': os.getpid()})\n"
        "    start_response('200 OK', [])\n"
        "    return [str(os.getpid()).encode()]\n"
    )
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--log-file", "-", "app:app"]  # fmt: skip
    log = tmp_path / "gunicorn.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=tmp_path,
            stderr=output,
            stdout=output,
            env={**os.environ, "DATACAT_URL": service.url},
        )
    try:
        deadline = time.monotonic() + 30
        while "Listening at: " not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        url = log.read_text().partition("Listening at: ")[2].split()[0]
        pids: set[int] = set()
        while len(pids) < 2:
            assert time.monotonic() < deadline, log.read_text()
            pids.add(int(urllib.request.urlopen(url).read()))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    found = sessions_of(service.url, "web")
    (master,) = [session for session in found if session["parent_session_id"] is None]
    workers = [session for session in found if session["parent_session_id"] == master["id"]]
    assert {worker["pid"] for worker in workers} == pids
    for worker in workers:
        assert {event["data"]["pid"] for event in worker["events"]} == {worker["pid"]}
        assert worker["status"] == "ended"


def test_signal_handlers_that_record_in_the_middle_of_recording_lose_nothing(service, journals):
    code = """
        import datacat, itertools, signal
        session = datacat.create_session(product="interrupted")
        handled = itertools.count()
        last = 0
        def handler(*_):
            global last
            last = next(handled)
            session.log_event("signal", {"n": last})
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        n = 0
        while last < 500:
            session.log_event("e", {"n": n})
            n += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert session.flush(30)
        print(n, next(handled))
    """
    done = run(code, service.url)
    assert (done.returncode, done.stderr) == (0, "")
    (session,) = sessions_of(service.url, "interrupted")
    assert session["lost"] == 0
    logged, handled = map(int, done.stdout.split())
    assert numbers(session) == list(range(logged))
    # A handler may be interrupted itself, so their order is not ours to say.
    signals = sorted(event["data"]["n"] for event in session["events"] if event["name"] == "signal")
    assert signals == list(range(handled))


def test_recording_from_threads_destructors_and_exit_handlers_while_the_interpreter_ends(service, journals):
    code = """
        import atexit, datacat, threading
        class Late:
            def __del__(self):
                session.log_event("destructor")
        atexit.register(lambda: session.log_event("before ours"))
        session = datacat.create_session(product="ending")
        atexit.register(lambda: session.log_event("after ours"))
        def log():
            while True:
                session.log_event("thread")
        threading.Thread(target=log, daemon=True).start()
        late = Late()
    """
    done = run(code, service.url)
    assert (done.returncode, done.stderr) == (0, "")
    (session,) = sessions_of(service.url, "ending")
    assert session["status"] == "ended"
    assert session["lost"] == 0
    assert "after ours" in {event["name"] for event in session["events"]}


def test_a_fork_in_the_middle_of_starting_the_watchdog_leaves_a_child_that_can_import_what_it_likes(
    service, journals
):
    code = """
        import os, sys, time
        sys.modules.pop("subprocess", None)
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "subprocess":
                    time.sleep(0.5)
        import datacat
        sys.meta_path.insert(0, Slow())
        session = datacat.create_session(product="slowly", watchdog=True)
        time.sleep(0.1)
        if (child := os.fork()) == 0:
            import subprocess
            session.log_event("e", {"n": 0})
            session.end()
            os._exit(0)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run(code, service.url)
    assert (done.returncode, done.stderr) == (0, "")
    (child,) = [each for each in sessions_of(service.url, "slowly") if each["parent_session_id"]]
    assert numbers(child) == [0]


def test_a_silent_child_touches_nothing_of_its_parent_and_may_fork_itself(service, journals):
    code = """
import datacat, os
from datacat.client import hooks, pulse
for how in ("silent", "ended"):
    session = datacat.create_session(product=how, watchdog=True, in_forked_child="silent" if how == "silent" else "new_session")
    session._watchdog.wait(30)
    session.start_heartbeat_monitor(timeout=60, check_interval=0.001)
    session.log_event("before")
    if how == "ended":
        session._finish("end", datacat.model.records.End(time=1), waiting=False)
    numbers = session._pulse._numbers
    before = [numbers[pulse.STATE], numbers[pulse.GOODBYE]]
    for _ in range(30):
        if (child := os.fork()) == 0:
            session.log_event("in the child")
            session.start_heartbeat_monitor(timeout=60)
            session.heartbeat()
            if (grandchild := os.fork()) == 0:
                os._exit(0)
            os.waitpid(grandchild, 0)
            hooks._at_exit()
            session.end()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert [numbers[pulse.STATE], numbers[pulse.GOODBYE]] == before, how
    session.end()
"""
    done = run(code, service.url)
    assert (done.returncode, done.stderr) == (0, "")
    for how in ("silent", "ended"):
        (session,) = sessions_of(service.url, how)
        assert [event["name"] for event in session["events"]] == ["before"]
        assert session["status"] == "ended"


def test_threads_that_fork_at_the_same_time_hold_up_nobody(service, journals):
    code = """
import datacat, os, threading
session = datacat.create_session(product="forks")
def fork():
    for n in range(40):
        session.log_event("about to fork")
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
threads = [threading.Thread(target=fork) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
session.log_event("after")
session.end()
"""
    done = run(code, service.url, timeout=100)
    assert done.returncode == 0, done.stderr
    parent = next(
        session for session in sessions_of(service.url, "forks") if session["parent_session_id"] is None
    )
    assert [event["name"] for event in parent["events"]] == ["about to fork"] * 160 + ["after"]
    assert (parent["status"], parent["lost"]) == ("ended", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="what is open is looked up in /proc")
def test_a_child_holds_nothing_of_what_its_parent_was_delivering(service, journals):
    code = """
        import os, signal, subprocess, sys
        from pathlib import Path
        from datacat.client.journal_root import leftover_folders, open_leftover
        from datacat.model.clock import SystemClock
        dead = "import datacat, os; datacat.create_session('http://127.0.0.1:9').log_event('said'); os._exit(0)"
        subprocess.run([sys.executable, "-c", dead], check=True)
        (folder,) = leftover_folders(Path(os.environ["DATACAT_JOURNAL_DIR"]))
        held = open_leftover(folder, SystemClock())
        heard, said = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(said, b".")
            signal.pause()
        os.read(heard, 1)
        held.close()
        free = open_leftover(folder, SystemClock())
        files = f"/proc/{child}/fd"
        left = [each for each in os.listdir(files) if str(folder) in os.readlink(f"{files}/{each}")]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(free is not None, left)
    """
    done = run(code, service.url, timeout=60)
    assert (done.returncode, done.stdout) == (0, "True []\n"), done.stderr


@pytest.mark.parametrize("watched", [False, True])
def test_a_signal_handler_that_forks_in_the_middle_of_a_fork_holds_up_nobody(service, journals, watched):
    code = f"""
        import os, signal
        armed = []
        def handler(*_):
            session.log_event("about to fork")
            inner = os.fork()
            if inner:
                os.waitpid(inner, 0)
        def interrupt():  # it stands before ours, so it comes after it
            if armed:
                armed.pop()
                signal.raise_signal(signal.SIGUSR1)
        os.register_at_fork(before=interrupt)
        import datacat
        signal.signal(signal.SIGUSR1, handler)
        session = datacat.create_session(product="forks", watchdog={watched})
        if session._watchdog:
            session._watchdog.wait(30)
        session.log_event("before")
        armed.append(True)
        if (child := os.fork()) == 0:
            session.log_event("in the child")
            session.end()
            os._exit(0)
        os.waitpid(child, 0)
        session.log_event("after")
        session.end()
    """
    done = run(code, service.url)
    assert done.returncode == 0
    assert "datacat" not in done.stderr  # logging says that it cannot let go twice
    found = sessions_of(service.url, "forks")
    (first,) = [each for each in found if each["parent_session_id"] is None]
    assert [event["name"] for event in first["events"]] == ["before", "about to fork", "after"]
    # Both forked; and the child of the handler's fork went on with the other.
    assert sorted(each["events"][-1]["name"] for each in found) == [
        "after",
        "after",
        "in the child",
        "in the child",
    ]
    assert {(each["status"], each["lost"]) for each in found} == {("ended", 0)}
