"""Server, network and disk in trouble: nothing is lost, nothing comes twice, and the program notices nothing."""

import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.acceptance.faults import FaultyProxy, bound_by_permissions, small_disk
from tests.acceptance.programs import NOBODY, run, sessions_of

from datacat.client.api import DatacatClient
from datacat.client.journal_root import used_bytes

# A call that the system interrupted for another program says nothing about us.
TIMED = """
import datacat, resource, sys, time
count, product, timeout, pause = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
session = datacat.create_session(product=product)
data = {"path": "a.txt"}
longest = 0.0
for n in range(count):
    taken_away = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
    began = time.perf_counter()
    session.log_event("e", {"n": n})
    took = time.perf_counter() - began
    if resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw == taken_away:
        longest = max(longest, took)
    if n % 50 == 0:
        time.sleep(pause)
print(longest)
session.flush(timeout)
session.end()
"""


def start(code, url, *arguments, prefix=(), **variables):
    command = [*prefix, sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DATACAT_URL": url, **variables},
    )


def finished(program, timeout=90):
    out, err = program.communicate(timeout=timeout)
    assert program.returncode == 0, err
    return out, err


def flush(*flags):
    command = [sys.executable, "-m", "datacat", "flush", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def numbers(url, product):
    (session,) = sessions_of(url, product)
    assert session["lost"] == 0
    return [event["data"]["n"] for event in session["events"] if event["name"] == "e"]


def test_a_server_that_is_down_for_the_whole_life_gets_everything_afterwards(service, journals):
    service.kill()
    began = time.monotonic()
    out, _ = finished(start(TIMED, service.url, 3000, "alone", 0, 0.005))
    assert float(out) <= 0.010
    assert time.monotonic() - began < 20
    service.start()
    done = flush()
    assert (done.returncode, done.stdout) == (0, "delivered 3,002 records of 1 program\n")
    assert numbers(service.url, "alone") == list(range(3000))
    assert sessions_of(service.url, "alone")[0]["status"] == "ended"


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_network_and_the_server_do_everything_arrives_once(service, journals, seed):
    kinds = ["refuse", "cut", "lose", "slow", "500", "503"]
    random.Random(seed).shuffle(kinds)
    # After each fault a request gets through, so that the waits between the tries stay short.
    proxy = FaultyProxy(service.port, [each for kind in kinds for each in (kind, "")])
    out, _ = finished(start(TIMED, proxy.url, 5000, "faulty", 60, 0.1))
    proxy.close()
    assert sorted(proxy.done) == sorted(kinds)
    assert numbers(service.url, "faulty") == list(range(5000))
    assert float(out) <= 0.010


def test_a_server_killed_in_the_middle_of_requests_gets_everything_once(service, journals):
    program = start(TIMED, service.url, 8000, "steady", 60, 0.01)
    for _ in range(4):
        time.sleep(0.4)
        service.kill()
        time.sleep(0.2)
        service.start()
    out, _ = finished(program)
    assert numbers(service.url, "steady") == list(range(8000))
    assert float(out) <= 0.010


def test_a_server_that_speaks_no_tls_is_told_and_nothing_is_lost(service, journals):
    out, err = finished(start(TIMED, service.url.replace("http:", "https:"), 1000, "tls", 0.3, 0.005))
    assert float(out) <= 0.010
    assert err.count("does not answer") == 1
    done = flush("--url", service.url)
    assert done.returncode == 0, done.stdout
    assert numbers(service.url, "tls") == list(range(1000))


PATIENT = """
import datacat, sys
session = datacat.create_session(product=sys.argv[1])
for n in range(int(sys.argv[2])):
    session.log_event("e", {"n": n})
print("recorded", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[2]), 2 * int(sys.argv[2])):
    session.log_event("e", {"n": n})
assert session.flush(60)
session.end()
"""


def patient(url, product, count, *, prefix=(), **variables):
    program = subprocess.Popen(
        [*prefix, sys.executable, "-W", "error", "-c", PATIENT, product, str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DATACAT_URL": url, **variables},
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stdout.readline() == "recorded\n"
    return program


def wait_until_it_ships(program):
    """Its shipper has looked, and can read what is written whatever becomes of the directory."""
    deadline = time.monotonic() + 30
    files = Path("/proc", str(program.pid), "fd")
    while sum(str(file.readlink()).endswith(".log") for file in files.iterdir()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def go_on(program):
    _, err = program.communicate("go on\n", timeout=90)
    assert program.returncode == 0, err
    return err


def test_a_full_disk_is_told_once_and_nothing_is_lost(service, tmp_path):
    with small_disk(tmp_path / "disk", 1) as disk:
        service.kill()
        program = patient(service.url, "full", 20_000, DATACAT_JOURNAL_DIR=str(disk))
        time.sleep(0.5)
        service.start()
        err = go_on(program)
        assert numbers(service.url, "full") == list(range(40_000))
    assert err.count("cannot be written") == 1
    assert "No space left" in err
    (session,) = sessions_of(service.url, "full")
    assert [event["level"] for event in session["events"] if event["name"] == "journal_unavailable"] == [
        "warning"
    ]


def test_a_disk_that_cannot_be_written_is_told_once_and_nothing_is_lost(service, tmp_path):
    with small_disk(tmp_path / "disk", 1) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        program = patient(service.url, "readonly", 1000, DATACAT_JOURNAL_DIR=str(disk / "journals"))
        err = go_on(program)
    assert err.count("cannot be written") == 1
    assert numbers(service.url, "readonly") == list(range(2000))


def test_a_directory_removed_under_a_program_is_made_anew(service, journals):
    service.kill()
    program = patient(service.url, "removed", 300)
    (folder,) = journals.iterdir()
    wait_until_it_ships(program)
    subprocess.run(["rm", "-rf", str(journals)], check=True)
    time.sleep(0.5)
    service.start()
    go_on(program)
    assert numbers(service.url, "removed") == list(range(600))
    assert not folder.exists()


def test_permissions_taken_away_under_a_program_are_no_trouble(service, journals):
    service.kill()
    program = patient(service.url, "forbidden", 500, prefix=bound_by_permissions())
    (folder,) = journals.iterdir()
    wait_until_it_ships(program)
    folder.chmod(0)
    journals.chmod(0)
    service.start()
    go_on(program)
    journals.chmod(0o700)
    folder.chmod(0o700)
    assert numbers(service.url, "forbidden") == list(range(1000))


def test_a_segment_cut_short_under_a_program_is_no_trouble_and_what_is_gone_is_told(service, journals):
    service.kill()
    program = patient(service.url, "short", 100)
    (segment,) = journals.glob("*/*.log")
    os.truncate(segment, 100)
    service.start()
    go_on(program)
    (session,) = sessions_of(service.url, "short")
    found = [event["data"]["n"] for event in session["events"] if event["name"] == "e"]
    assert found[-100:] == list(range(100, 200))
    assert len(found) + session["lost"] >= 200


def test_the_budget_holds_and_what_had_to_go_is_counted_in_the_session(service, journals):
    code = """
        import datacat, sys
        session = datacat.create_session(product="much", max_journal_bytes=2**21, max_buffer_bytes=2**20)
        for n in range(60_000):
            session.log_metric("m", n)
            session.log_event("e", {"n": n})
        import time; time.sleep(1)
        print(session.stats.dropped)
    """
    out, _ = finished(start(code, NOBODY))
    assert "metric" in out
    assert used_bytes(journals) <= 2**21
    done = flush("--url", service.url)
    assert done.returncode == 0, done.stdout
    (session,) = sessions_of(service.url, "much")
    assert session["lost"] > 0
    assert len(session["events"]) + len(session["metrics"]) + session["lost"] == 120_000
    assert session["events"][-1]["data"]["n"] == 59_999
    assert session["status"] == "ended"


def test_what_is_new_does_not_wait_for_what_was_left(service, journals):
    code = "import datacat\ns = datacat.create_session(product='old')\nfor n in range(200_000): s.log_event('e', {'n': n})"
    assert run(code, NOBODY).returncode == 0
    began = time.monotonic()
    done = run(
        "import datacat, time\ns = datacat.create_session(product='new')\ns.log_event('e')\n"
        "began = time.monotonic()\nassert s.flush(10)\nprint(time.monotonic() - began)",
        service.url,
    )
    assert float(done.stdout) < 3, time.monotonic() - began
    assert flush("--url", service.url).returncode == 0
    assert numbers(service.url, "old") == list(range(200_000))


def test_a_journal_of_another_version_is_set_aside_with_a_clear_message(journals, service):
    folder = journals / "01934f5e-0000-7000-8000-000000000001"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text('{"journal": 99, "session_id": "x"}')
    (folder / "00000001.log").write_bytes(b"from the future")
    done = flush()
    assert done.returncode == 1
    assert "journal version 99" in done.stdout
    kept = journals / f"{folder.name}.set-aside"
    assert (kept / "00000001.log").read_bytes() == b"from the future"
    assert flush().stdout.startswith("nothing waits")


def test_a_flush_leaves_running_programs_their_journals(service, journals):
    program = patient(NOBODY, "running", 100)
    assert flush("--url", service.url).stdout.startswith("nothing waits")
    assert len(list(journals.iterdir())) == 1
    program.kill()
    program.communicate()
    assert flush("--url", service.url).returncode == 0
    assert numbers(service.url, "running") == list(range(100))


def test_a_flush_whose_server_is_not_there_says_so_and_keeps_everything(journals):
    assert run("import datacat\ndatacat.create_session(product='p').log_event('e')", NOBODY).returncode == 0
    done = flush()
    assert done.returncode == 1
    assert "http://127.0.0.1:9 does not answer" in done.stdout
    assert "1 journal kept" in done.stdout
    assert len(list(journals.glob("*/*.log"))) == 1


def test_the_plain_client_reads_what_was_delivered(service, journals):
    assert (
        run(
            "import datacat\nwith datacat.create_session(product='p') as s: s.log_event('e')", service.url
        ).returncode
        == 0
    )
    (session,) = DatacatClient(service.url).get_all_sessions()
    assert session["status"] == "ended"
    assert list(journals.iterdir()) == []
