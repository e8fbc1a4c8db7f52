"""``datacat run``: it sees how any program ends, and the program does not notice it."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from tests.acceptance.faults import little_memory
from tests.acceptance.programs import NOBODY, sessions_of

from datacat.client.api import DatacatClient
from datacat.client.journal_reader import JournalReader
from datacat.model.clock import SystemClock

RUN = [sys.executable, "-m", "datacat", "run"]


@pytest.fixture
def product():
    return f"p-{uuid.uuid4()}"


def python(code):
    return [sys.executable, "-c", textwrap.dedent(code)]


def start(url, product, command, *, flags=(), prefix=(), **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    line = [*prefix, *RUN, "--url", url, *(["--product", product] if product else []), *flags, "--", *command]
    return subprocess.Popen(line, **options)


def run(url, product, command, **options):
    process = start(url, product, command, **options)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def flush(url):
    command = [sys.executable, "-m", "datacat", "flush", "--url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def records(journals):
    """What the parent wrote of the one program that was run."""
    (folder,) = journals.glob("*.parent")
    reader = JournalReader(folder, folder.stem, SystemClock())
    found = [msgspec.json.decode(entry.line) for entry in reader.read(0, 10**6, 1000)]
    reader.close()
    return found


def names(session):
    return [event["name"] for event in session["events"]]


@pytest.mark.parametrize(
    ("command", "code", "status", "cause"),
    [
        (["sh", "-c", "exit 0"], 0, "ended", "clean"),
        (["sh", "-c", "exit 3"], 3, "crashed", "exit_code"),
        (["sh", "-c", "kill -KILL $$"], -signal.SIGKILL, "crashed", "signal"),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM, "crashed", "signal"),
        (python("import ctypes; ctypes.string_at(0)"), -signal.SIGSEGV, "crashed", "signal"),
        (python("import os; os.abort()"), -signal.SIGABRT, "crashed", "signal"),
    ],
    ids=["exit-0", "exit-3", "kill", "term", "segv", "abort"],
)
def test_how_a_program_ends_is_recorded_and_is_our_end_too(
    shared_service, journals, product, command, code, status, cause
):
    done = run(shared_service.url, product, command)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")
    (session,) = sessions_of(shared_service.url, product)
    assert (session["status"], session["cause"]) == (status, cause)
    assert list(journals.iterdir()) == []


def test_a_program_that_is_interrupted_has_not_crashed(journals):
    assert run(NOBODY, "p", ["sh", "-c", "kill -INT $$"]).returncode == -signal.SIGINT
    assert records(journals)[-1]["cause"] == "interrupted"


def test_what_is_given_is_recorded_before_the_program_ends(shared_service, journals, product):
    flags = ["--version", "2.3", "--environment", "staging", "--tag", "team:a", "--tag", "b"]
    process = start(
        shared_service.url, product, ["sh", "-c", "read line"], flags=flags, stdin=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not (found := sessions_of(shared_service.url, product)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (session,) = found
    assert (session["version"], session["environment"], session["tags"]) == (
        "2.3",
        "staging",
        ["team:a", "b"],
    )
    assert session["status"] == "active"
    process.communicate(b"\n", timeout=30)
    assert process.returncode == 0


OF_A_SMALL_PARENT = ["sh", "-c", '"$@"; exit $?', "sh"]
"""What a process is said to have used at most begins with what the one had that started it."""


def test_the_exit_tells_what_was_used_and_what_was_printed_last(journals):
    code = """
        import sys
        hoard = bytearray(300_000_000)
        for n in range(200):
            print(f"line {n}", file=sys.stderr)
        sys.exit("no space left")
    """
    done = run(NOBODY, "p", python(code), prefix=OF_A_SMALL_PARENT)
    assert done.returncode == 1
    last = records(journals)[-1]
    assert last["message"].startswith("left with exit code 1 after ")
    data = last["data"]
    assert data["exit_code"] == 1
    assert data["stderr"].splitlines()[-2:] == ["line 199", "no space left"]
    assert len(data["stderr"].splitlines()) == 50
    assert data["wall_seconds"] >= 0.05
    assert data["resource_usage"]["max_rss_bytes"] > 300_000_000
    assert data["resource_usage"]["user_seconds"] > 0


CORES = ["sh", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "sh"]


def test_a_core_is_told(journals, tmp_path):
    done = run(NOBODY, "p", ["sh", "-c", "kill -ABRT $$"], prefix=CORES, cwd=tmp_path)
    assert done.returncode == -signal.SIGABRT
    told = records(journals)[-1]["data"]["core_dumped"]
    in_a_file = not Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/"))
    assert told == bool(list(tmp_path.glob("core*"))) or not in_a_file


def test_we_leave_no_core_of_our_own(journals, tmp_path):
    done = run(NOBODY, "p", ["sh", "-c", "ulimit -c 0; kill -ABRT $$"], prefix=CORES, cwd=tmp_path)
    assert done.returncode == -signal.SIGABRT
    assert list(tmp_path.glob("core*")) == []


def test_a_program_killed_for_want_of_memory_is_told_from_one_that_somebody_killed(journals):
    code = """
        import os
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1024) * 1024))
    """
    with little_memory(160) as prefix:
        assert run(NOBODY, "p", python(code), prefix=prefix).returncode == -signal.SIGKILL
    last = records(journals)[-1]
    assert (last["cause"], last["data"]["signal_name"]) == ("oom", "SIGKILL")


# Its stderr


def test_stderr_passes_unchanged_and_at_once(journals):
    code = r"""
        import os, sys
        os.write(2, b"half a line \xff\x00")
        sys.stdin.readline()
        os.write(2, bytes(range(256)) * 4000)
    """
    process = start(NOBODY, "p", python(code), stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert os.read(process.stderr.fileno(), 100) == b"half a line \xff\x00"
    _, err = process.communicate(b"go on\n", timeout=30)
    assert err == bytes(range(256)) * 4000


def test_input_and_output_are_the_programs_own(journals):
    data = os.urandom(300_000)
    process = start(NOBODY, "p", ["cat"], stdin=subprocess.PIPE)
    out, err = process.communicate(data, timeout=30)
    assert (out, err) == (data, b"")


def read_all(terminal):
    """All that is printed on a terminal until its last writer has gone."""
    printed = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            printed += data
    os.close(terminal)
    return printed


def test_a_program_whose_stderr_is_a_terminal_has_a_terminal_of_the_same_size(journals):
    code = r"""
        import os, sys
        size = os.get_terminal_size(2)
        print(f"\x1b[31m{sys.stderr.isatty()} {size.columns} {size.lines}\x1b[0m", file=sys.stderr)
    """
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", "91", "rows", "17"], stdin=theirs, check=True)
    process = start(NOBODY, "p", python(code), stderr=theirs)
    os.close(theirs)
    assert read_all(ours) == b"\x1b[31mTrue 91 17\x1b[0m\r\n"
    assert process.wait(30) == 0
    process.communicate()
    assert records(journals)[-1]["data"]["stderr"] == "True 91 17"


def test_a_stderr_that_is_left_alone_is_the_programs_own(journals):
    ours, theirs = os.pipe()
    command = python("import os; print(os.readlink('/proc/self/fd/2'))")
    done = run(NOBODY, "p", command, flags=["--no-stderr"], stderr=theirs)
    assert done.stdout.decode().strip() == str(Path(f"/proc/self/fd/{ours}").readlink())
    os.close(ours)
    os.close(theirs)
    assert "stderr" not in records(journals)[-1]["data"]


def test_a_grandchild_that_keeps_stderr_open_keeps_nobody(journals):
    began = time.monotonic()
    process = start(NOBODY, "p", ["sh", "-c", "sleep 60 & echo $!; echo last >&2"], stderr=subprocess.PIPE)
    assert process.wait(30) == 0
    assert time.monotonic() - began < 20
    assert process.stdout is not None
    assert process.stderr is not None
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert process.stderr.read() == b"last\n"
    process.communicate()
    assert records(journals)[-1]["data"]["stderr"] == "last"


def test_a_program_whose_stderr_nobody_reads_any_more_meets_that_itself(journals):
    process = start(
        NOBODY, "p", ["sh", "-c", "read line; while echo x >&2; do :; done"], stdin=subprocess.PIPE
    )
    assert process.stderr is not None
    process.stderr.close()
    process.stderr = None
    process.communicate(b"\n", timeout=30)
    assert process.returncode == -signal.SIGPIPE


# Signals

COUNTING = r"""
    import os, signal, sys, time
    seen = []
    for number in (1, 2, 3, 10, 12, 15):
        signal.signal(number, lambda number, _: seen.append(number))
    print("ready", flush=True)
    while not seen:
        time.sleep(0.01)
    time.sleep(0.3)
    print(*seen, flush=True)
"""


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 15])
def test_signals_are_passed_on_once(journals, number):
    process = start(NOBODY, "p", python(COUNTING))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"%d\n" % number, b"")


def test_a_program_that_ends_by_a_signal_that_was_passed_on_ends_us_by_it(shared_service, journals, product):
    process = start(shared_service.url, product, ["sh", "-c", "echo ready; exec sleep 60"])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    (session,) = sessions_of(shared_service.url, product)
    assert (session["status"], session["cause"]) == ("crashed", "signal")


def test_a_signal_that_is_ignored_stays_so_for_the_program(journals):
    command = python("import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)")
    done = run(NOBODY, "p", command, prefix=["sh", "-c", 'trap "" HUP; exec "$@"', "sh"])
    assert done.stdout == b"True\n"


def test_the_program_begins_with_no_signal_blocked_and_only_our_files(journals):
    code = """
        import os, signal
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []), sorted(map(int, os.listdir("/proc/self/fd")))[:-1])
    """
    assert run(NOBODY, "p", python(code)).stdout == b"set() [0, 1, 2]\n"


def at_a_terminal(code, *arguments):
    """A program that has a terminal to itself."""
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-c", textwrap.dedent(code), *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    return process, ours


def read_until(terminal, word):
    printed = b""
    while word not in printed:
        printed += os.read(terminal, 4096)
    return printed


def test_ctrl_c_reaches_the_program_once(journals):
    become = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
    process, terminal = at_a_terminal(become, *RUN, "--url", NOBODY, "--", *python(COUNTING))
    read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    printed = read_all(terminal)
    assert process.wait(30) == 0
    assert printed.splitlines()[-1].removeprefix(b"^C") == b"2"


SHELL = """
    import os, signal, subprocess, sys
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = subprocess.Popen(sys.argv[1:], process_group=0)
    os.tcsetpgrp(0, job.pid)
    _, status = os.waitpid(job.pid, os.WUNTRACED)
    print("stopped", os.WIFSTOPPED(status), flush=True)
    os.killpg(job.pid, signal.SIGCONT)
    print("code", job.wait(), flush=True)
"""


@pytest.mark.parametrize("how", ["key", "by itself"])
def test_a_shell_can_stop_and_continue_the_program(journals, how):
    code = """
        import os, signal, sys, time
        continued = []
        signal.signal(signal.SIGCONT, lambda *_: continued.append(1))
        print("ready", flush=True)
        if sys.argv[1] == "by itself":
            os.kill(os.getpid(), signal.SIGTSTP)
        while not continued:
            time.sleep(0.01)
        sys.exit(5)
    """
    process, terminal = at_a_terminal(SHELL, *RUN, "--url", NOBODY, "--", *python(code), how)
    printed = read_until(terminal, b"ready")
    if how == "key":
        os.write(terminal, b"\x1a")
    printed += read_all(terminal)
    assert process.wait(30) == 0, printed
    assert b"stopped True" in printed
    assert b"code 5" in printed


# What cannot be run


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [("/no/such/program", 127, b"there is no program"), ("/etc/passwd", 126, b"cannot be executed")],
)
def test_what_cannot_be_run_is_told_and_recorded_as_a_crash(shared_service, journals, file, code, words):
    product = f"nightly-{uuid.uuid4()}"
    done = run(shared_service.url, product, [file])
    assert done.returncode == code
    assert words in done.stderr
    assert file.encode() in done.stderr
    (session,) = sessions_of(shared_service.url, product)
    assert (session["status"], session["cause"], session["pid"]) == ("crashed", "exit_code", None)
    assert session["exit"]["exit_code"] == code
    assert words.decode() in session["exit"]["message"]
    sentence = DatacatClient(shared_service.url).get_dossier(session["id"])["verdict"]["sentence"]
    assert sentence == f"crashed: exit code {code}: {session['exit']['message']}"
    assert list(journals.iterdir()) == []


def test_a_quick_program_is_known_by_the_name_that_it_gives_itself(shared_service, journals):
    product = f"own-{uuid.uuid4()}"
    code = f"import datacat, os; datacat.create_session(product={product!r}); os._exit(3)"
    for _ in range(5):
        run(shared_service.url, None, [sys.executable, "-c", code])
    found = sessions_of(shared_service.url, product)
    assert [(session["status"], session["exit"]["exit_code"]) for session in found] == [("crashed", 3)] * 5


def test_where_recording_is_turned_off_the_program_takes_our_place(journals):
    done = run(NOBODY, "p", ["sh", "-c", "exit 7"], env={**os.environ, "DATACAT_DISABLED": "1"})
    assert done.returncode == 7
    assert run(NOBODY, "p", ["/no/such"], env={**os.environ, "DATACAT_DISABLED": "1"}).returncode == 127
    assert not journals.exists()


# The server in trouble


def test_what_the_server_could_not_be_told_is_flushed_later(service, journals):
    service.kill()
    began = time.monotonic()
    assert run(service.url, "p", ["sh", "-c", "exit 3"]).returncode == 3
    assert time.monotonic() - began < 15
    service.start()
    done = flush(service.url)
    assert done.returncode == 0, done.stdout
    (session,) = sessions_of(service.url, "p")
    assert (session["status"], session["cause"]) == ("crashed", "exit_code")


def test_a_parent_that_is_killed_leaves_what_it_knew_as_the_parents(service, journals):
    process = start(NOBODY, "p", ["sh", "-c", "echo $$; exec sleep 60"])
    assert process.stdout is not None
    child = int(process.stdout.readline())
    while not (list(journals.glob("*.parent/*.log")) and records(journals)):
        time.sleep(0.01)
    process.kill()
    process.wait(30)
    os.kill(child, signal.SIGKILL)
    process.communicate()
    assert flush(service.url).returncode == 0
    (session,) = sessions_of(service.url, "p")
    assert (session["status"], session["pid"]) == ("active", child)


# A program that records too


def test_a_python_program_records_into_the_session_of_its_run(shared_service, journals, product):
    code = f"""
        import datacat
        session = datacat.create_session(product={product!r}, version="7")
        session.log_event("saved")
    """
    assert run(shared_service.url, None, python(code)).returncode == 0
    (session,) = sessions_of(shared_service.url, product)
    assert (session["version"], names(session), session["status"]) == ("7", ["saved"], "ended")
    assert list(journals.iterdir()) == []


def test_the_last_words_of_a_killed_python_program_are_delivered_by_its_parent(
    shared_service, journals, product
):
    code = """
        import datacat, os
        session = datacat.create_session()
        session.log_event("last words")
        os.write(2, b"and on stderr")
        os.kill(os.getpid(), 9)
    """
    assert run(shared_service.url, product, python(code)).returncode == -signal.SIGKILL
    (session,) = sessions_of(shared_service.url, product)
    assert (names(session), session["cause"]) == (["last words"], "signal")
    assert (session["exit"]["signal"], session["exit"]["stderr"]) == (signal.SIGKILL, "and on stderr")
    assert list(journals.iterdir()) == []


@pytest.mark.parametrize("up", [True, False])
def test_of_several_python_programs_one_has_the_session_and_others_are_below_it(service, journals, up):
    (journals.parent / "program.py").write_text(
        "import datacat, os, sys\n"
        "session = datacat.create_session()\n"
        "session.log_event(sys.argv[1])\n"
        "if sys.argv[1] == 'a' and os.fork() == 0:\n"
        "    session.log_event('forked'); session.end(); os._exit(0)\n"
        "if sys.argv[1] == 'a': os.wait()\n"
    )
    program = f"{sys.executable} {journals.parent / 'program.py'}"
    command = ["sh", "-c", f"{program} a; {program} b; exit 4"]
    assert run(service.url if up else NOBODY, "p", command).returncode == 4
    assert flush(service.url).returncode == 0
    found = DatacatClient(service.url).get_all_sessions()
    (session,) = [each for each in found if each["product"] == "p"]
    assert names(session) == ["a"]
    others = [each for each in found if each["id"] != session["id"]]
    assert {each["parent_session_id"] for each in others} == {session["id"]}
    assert sorted(map(names, others)) == [["b"], ["forked"]]
    assert sum(each["lost"] for each in found) == 0


def test_the_stacks_of_an_interpreter_that_fell_over_stand_beside_its_signal(
    shared_service, journals, product
):
    code = "import ctypes, datacat; datacat.create_session(); ctypes.string_at(0)"
    assert run(shared_service.url, product, python(code)).returncode == -signal.SIGSEGV
    (session,) = sessions_of(shared_service.url, product)
    assert (session["cause"], session["exit"]["signal"]) == ("interpreter_crash", signal.SIGSEGV)
    assert "string_at" in session["exit"]["dump"]


def test_an_exit_code_that_the_program_could_not_know_corrects_what_it_said(
    shared_service, journals, product
):
    code = "import datacat; datacat.create_session(); raise SystemExit(3)"
    assert run(shared_service.url, product, python(code)).returncode == 3
    (session,) = sessions_of(shared_service.url, product)
    assert (session["status"], session["cause"]) == ("crashed", "exit_code")


def test_a_run_within_a_run_is_below_it(shared_service, journals, product):
    inner = [*RUN, "--product", f"{product}-inner", "--", "sh", "-c", "exit 5"]
    assert run(shared_service.url, product, inner).returncode == 5
    (outer,) = sessions_of(shared_service.url, product)
    (below,) = sessions_of(shared_service.url, f"{product}-inner")
    assert below["parent_session_id"] == outer["id"]


def test_a_program_that_does_not_record_is_known_by_its_file(shared_service, journals, tmp_path):
    file = tmp_path / f"program-{uuid.uuid4()}"
    file.write_text("#!/bin/sh\nexit 0\n")
    file.chmod(0o755)
    assert run(shared_service.url, None, [str(file)]).returncode == 0
    (session,) = sessions_of(shared_service.url, file.name)
    assert session["cause"] == "clean"
