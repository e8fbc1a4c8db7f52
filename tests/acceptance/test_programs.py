"""How programs end, and what is known of them then."""

import sys
import time
import uuid

import pytest
from tests.acceptance.programs import run, sessions_of


@pytest.fixture
def product():
    return f"p-{uuid.uuid4()}"


@pytest.fixture
def record(shared_service, product):
    def record(code, **variables):
        head = f"import datacat, os, sys, threading, time\nsession = datacat.create_session(product={product!r})\n"
        return run(head + code, shared_service.url, **variables), sessions_of(shared_service.url, product)

    return record


def names(session):
    return [event["name"] for event in session["events"]]


def test_a_program_that_reaches_its_end_is_ended_and_nothing_is_lost(record):
    done, (session,) = record("for n in range(20000): session.log_event('e', {'n': n})")
    assert (done.returncode, done.stderr) == (0, "")
    assert (session["status"], session["lost"]) == ("ended", 0)
    assert [event["data"]["n"] for event in session["events"]] == list(range(20000))


def test_a_program_that_wants_no_end_at_exit_stays_active(record):
    _, (session,) = record(
        "session.options = datacat.client.options.Options(url=session.options.url, end_at_exit=False)"
    )
    assert session["status"] == "active"


def test_an_uncaught_exception_is_recorded_before_the_hook_that_stood_there_runs(record):
    done, (session,) = record("def fail(): raise ValueError('boom')\nfail()")
    assert done.returncode == 1
    assert "ValueError: boom" in done.stderr
    (event,) = session["events"]
    assert (event["name"], event["level"], event["data"]["type"]) == (
        "uncaught_exception",
        "fatal",
        "ValueError",
    )
    assert "in fail" in event["data"]["traceback"]
    assert (session["status"], session["cause"]) == ("crashed", "exception")


def test_an_uncaught_exception_in_a_thread_is_recorded_and_the_program_goes_on(record):
    done, (session,) = record(
        "t = threading.Thread(target=lambda: 1 / 0, name='helper'); t.start(); t.join()"
    )
    assert "ZeroDivisionError" in done.stderr
    (event,) = session["events"]
    assert (event["level"], event["data"]["thread"]) == ("error", "helper")
    assert session["status"] == "ended"


def test_an_uncaught_exception_that_cannot_say_what_it_is_is_recorded_like_any(record):
    done, (session,) = record(
        "class Mute(Exception):\n    def __str__(self): return self.args[0].missing\n    __repr__ = __str__\n"
        "def fail(): raise Mute(3)\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
        "fail()"
    )
    assert done.returncode == 1
    assert names(session) == ["uncaught_exception"] * 2
    assert all("in fail" in event["data"]["traceback"] for event in session["events"])
    assert (session["status"], session["cause"]) == ("crashed", "exception")


LATER_HOOKS = {
    "one that prints": "sys.excepthook = lambda kind, error, trace: print('prettier', error, file=sys.stderr)\n",
    "of rich": "from rich.traceback import install; install()\n",
    "of typer": "import typer; app = typer.Typer()\n@app.command()\ndef main(): fail()\nfail_later = app\n",
}


@pytest.mark.parametrize("hook", LATER_HOOKS.values(), ids=LATER_HOOKS)
def test_an_uncaught_exception_is_recorded_though_another_hook_stands_in_the_place_of_ours(record, hook):
    code = "def fail(): raise ValueError('boom')\n" + hook + "globals().get('fail_later', fail)()"
    done, (session,) = record(code)
    assert done.returncode == 1
    assert "boom" in done.stderr
    assert (session["status"], session["cause"], session["exit"]["type"]) == (
        "crashed",
        "exception",
        "ValueError",
    )
    assert names(session) == ["uncaught_exception"]


def test_a_crash_whose_traceback_was_cut_short_is_a_crash(record):
    code = """
def fail():
    try: 1 / 0
    except ZeroDivisionError as error:
        error.__traceback__ = error.__traceback__.tb_next
        raise error from None
fail()
"""
    done, (session,) = record(code)
    assert (done.returncode, session["status"], session["exit"]["type"]) == (
        1,
        "crashed",
        "ZeroDivisionError",
    )


def test_what_a_finalizer_raises_at_the_end_ends_nothing(record):
    code = """
import weakref
class Thing: pass
thing = Thing()
weakref.finalize(thing, lambda: 1 / 0)
"""
    done, (session,) = record(code)
    assert (done.returncode, session["status"], session["cause"]) == (0, "ended", "clean")
    assert "ZeroDivisionError" in done.stderr


def test_an_exception_that_a_shell_has_noted_down_has_ended_nothing(record):
    code = """
def shell():
    try: 1 / 0
    except ZeroDivisionError as error: sys.last_value = error
shell()
"""
    done, (session,) = record(code)
    assert (done.returncode, session["status"], session["events"]) == (0, "ended", [])


def test_a_thread_that_exits_is_as_silent_as_ever(record):
    done, (session,) = record("t = threading.Thread(target=lambda: sys.exit(5)); t.start(); t.join()")
    assert (done.returncode, done.stderr) == (0, "")
    assert (session["status"], session["events"]) == ("ended", [])


def test_the_words_that_a_program_leaves_with_are_the_verdict(record):
    done, (session,) = record("sys.exit('no config file')")
    assert (done.returncode, done.stderr) == (1, "no config file\n")
    assert session["exit"] == {
        "cause": "exit_code", "exit_code": 1, "message": "left with exit code 1", "said": "no config file",
    }  # fmt: skip


def test_a_block_that_was_called_off_has_not_crashed(record):
    code = """
import asyncio
async def job():
    with session: await asyncio.sleep(10)
async def main():
    try: await asyncio.wait_for(job(), 0.1)
    except TimeoutError: pass
asyncio.run(main())
"""
    _, (session,) = record(code)
    assert (session["status"], session["cause"], session["events"]) == ("ended", "clean", [])


def test_of_a_deep_recursion_the_innermost_frames_are_told_soon(record):
    code = "sys.setrecursionlimit(60_000)\ndef f(n): return f(n + 1)\nf(0)"
    began = time.monotonic()
    _, (session,) = record(code)
    assert time.monotonic() - began < 10
    assert (session["cause"], session["exit"]["type"]) == ("exception", "RecursionError")
    assert session["exit"]["traceback"].count("in f") <= 300


def test_a_program_that_is_killed_is_not_ended_by_us(record):
    done, (session,) = record("session.log_event('last words'); session.flush(); os.kill(os.getpid(), 9)")
    assert done.returncode == -9
    assert (session["status"], names(session)) == ("active", ["last words"])


def test_a_forked_child_is_a_session_of_its_own(record):
    done, found = record(
        "session.log_event('parent')\n"
        "if os.fork() == 0:\n    session.log_event('child'); session.end(); os._exit(0)\n"
        "os.wait(); session.log_event('parent again')"
    )
    assert done.returncode == 0, done.stderr
    parent = next(session for session in found if session["parent_session_id"] is None)
    (child,) = [session for session in found if session["parent_session_id"] == parent["id"]]
    assert names(parent) == ["parent", "parent again"]
    assert names(child) == ["child"]
    assert child["pid"] != parent["pid"]


def test_a_forked_child_can_be_silent(shared_service, product):
    code = f"""
        import datacat, os
        session = datacat.create_session(product={product!r}, in_forked_child="silent")
        if os.fork() == 0:
            session.log_event("child"); session.end(); os._exit(0)
        os.wait()
    """
    assert run(code, shared_service.url).returncode == 0
    (session,) = sessions_of(shared_service.url, product)
    assert names(session) == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_lose_nothing(shared_service, product, method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import datacat, multiprocessing, sys\n"
        "def work(n):\n"
        f"    s = session if {method!r} == 'fork' else datacat.create_session(product={product!r})\n"
        "    s.log_event('work', {'n': n})\n"
        f"    {'pass' if method == 'fork' else 's.end()'}\n"
        "if __name__ == '__main__':\n"
        f"    session = datacat.create_session(product={product!r})\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    children = [context.Process(target=work, args=(n,)) for n in range(3)]\n"
        "    [child.start() for child in children]\n"
        "    [child.join() for child in children]\n"
    )
    done = run(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')", shared_service.url) if method == "fork" else _script(program, shared_service.url)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = sessions_of(shared_service.url, product)
    assert sorted(event["data"]["n"] for session in found for event in session["events"]) == [0, 1, 2]
    assert {session["status"] for session in found} == {"ended"}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    ("raised", "status", "cause"),
    [("KeyError('child')", "crashed", "exception"), ("SystemExit(3)", "crashed", "exit_code"), ("SystemExit(0)", "ended", "clean")],
)  # fmt: skip
def test_what_a_child_of_multiprocessing_raises_is_how_it_ended(
    shared_service, product, tmp_path, method, raised, status, cause
):
    program = tmp_path / "program.py"
    program.write_text(
        "import datacat, multiprocessing\n"
        "def work():\n"
        f"    s = datacat.create_session(product={product!r})\n"
        "    s.log_event('work')\n"
        f"    raise {raised}\n"
        "if __name__ == '__main__':\n"
        f"    child = multiprocessing.get_context({method!r}).Process(target=work)\n"
        "    child.start()\n"
        "    child.join()\n"
    )
    assert _script(program, shared_service.url).returncode == 0
    (session,) = sessions_of(shared_service.url, product)
    if cause == "exception" and sys.version_info >= (3, 13):
        cause = "exit_code"  # a session that is made in such a child is told no more there
    assert (session["status"], session["cause"]) == (status, cause)
    if cause == "exception":
        assert session["exit"]["type"] == "KeyError"
        assert "in work" in session["exit"]["traceback"]


def test_what_a_forked_child_raises_in_the_session_of_its_parent_is_how_it_ended(record):
    done, found = record("""
import multiprocessing
def work():
    session.log_event("in child")
    raise KeyError("child")
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
""")
    assert "KeyError" in done.stderr
    by_parent = {session["parent_session_id"] is None: session for session in found}
    assert (by_parent[True]["status"], by_parent[True]["cause"]) == ("ended", "clean")
    assert (by_parent[False]["status"], by_parent[False]["cause"]) == ("crashed", "exception")


def test_what_is_handled_where_a_child_is_forked_is_not_the_childs(record):
    done, found = record("""
import multiprocessing
def work():
    session.log_event("in child")
try:
    raise ValueError("handled in the parent")
except ValueError:
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
print(child.exitcode)
""")
    assert done.stdout.strip() == "0", done.stderr
    assert [(session["status"], session["cause"]) for session in found] == [("ended", "clean")] * 2


def test_a_child_of_multiprocessing_that_records_nothing_is_no_session(record):
    done, found = record("""
import multiprocessing
fork = multiprocessing.get_context("fork")
with fork.Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
child = fork.Process(target=abs, args=(-3,))
child.start()
child.join()
""")
    assert done.stdout.strip() == "[1, 2]", done.stderr
    assert [(session["status"], session["cause"]) for session in found] == [("ended", "clean")]


def _script(program, url):
    return run(
        f"import subprocess, sys; sys.exit(subprocess.call([{sys.executable!r}, {str(program)!r}]))", url
    )


def test_the_founding_heartbeat_flow(record):
    code = """
session.start_heartbeat_monitor(timeout=0.5, check_interval=0.1)
for _ in range(3):
    session.heartbeat(); time.sleep(0.05)
def stuck_here(): time.sleep(1.2)
stuck_here()
session.heartbeat()
time.sleep(0.3)
"""
    _, (session,) = record(code)
    assert names(session) == ["application_appears_hung", "application_recovered"]
    hung, recovered = (event["data"] for event in session["events"])
    assert 0.5 <= hung["seconds_since_heartbeat"] < 1.2
    assert hung["timeout"] == 0.5
    main = next(stack for stack in hung["stacks"] if stack["thread"] == "MainThread")
    assert main["frames"][-1]["function"] == "stuck_here"
    assert 1.0 < recovered["seconds_hung"] < 2.5
    assert session["status"] == "ended"
    assert session["last_heartbeat_at"]


def test_a_thread_that_waits_in_no_python_at_the_end_of_the_interpreter_has_not_ended(record):
    code = """
import atexit
session.start_heartbeat_monitor(timeout=0.3, check_interval=0.1)
atexit.register(time.sleep, 1.5)
"""
    _, (session,) = record(code)
    hung = session["events"][0]["data"]
    assert (hung["thread"], hung.get("thread_ended"), hung["kind"]) == ("MainThread", None, "blocked")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what is read there is empty")
def test_no_file_of_ours_takes_the_place_of_a_standard_one_that_is_closed(shared_service, product):
    code = f"""
import os
for file in range(3):
    os.close(file)
import datacat
session = datacat.create_session(product={product!r}, watchdog=True)
session.start_heartbeat_monitor()
session.log_event("e")
found = []
for file in range(3):
    for use in lambda: os.write(file, b"x"), lambda: os.read(file, 1):
        try:
            found.append(use())
        except OSError as error:
            found.append(error.strerror)
session.update_state({{"found": found}})
session.end()
"""
    run(code, shared_service.url)
    (session,) = sessions_of(shared_service.url, product)
    assert session["state"]["found"] == ["Bad file descriptor"] * 6
    assert [event["name"] for event in session["events"]] == ["e"]


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_a_signal_that_the_program_blocks_and_waits_for_is_taken_by_no_thread_of_ours(
    shared_service, product
):
    code = f"""
import datacat, os, signal
session = datacat.create_session(product={product!r}, watchdog=True)
session.start_heartbeat_monitor(timeout=0.1, check_interval=0.05)
session.flush()
before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
for number in signal.SIGUSR1, signal.SIGTERM:
    os.kill(os.getpid(), number)
    session.log_event(signal.Signals(signal.sigwait([number])).name)
print(before)
"""
    done = run(code, shared_service.url)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
    (session,) = sessions_of(shared_service.url, product)
    assert {"SIGUSR1", "SIGTERM"} <= set(names(session))


def test_nothing_is_recorded_when_it_is_turned_off(record):
    done, found = record("session.log_event('e'); session.end()", DATACAT_DISABLED="1")
    assert (done.returncode, found) == (0, [])


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that would abort")
def test_a_program_without_files_ends_as_it_would_whatever_its_threads_do(record):
    code = """
import resource, threading
session.flush()
def go_on():
    while True: time.sleep(0.0001)
for _ in range(4):
    threading.Thread(target=go_on, daemon=True).start()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
"""
    done, _ = record(code)
    assert done.returncode == 0, done.stderr
