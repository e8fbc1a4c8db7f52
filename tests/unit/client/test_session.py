import enum
import gc
import logging
import pathlib
import subprocess
import sys
import time

import pytest

import datacat
from datacat.client import hooks
from datacat.integrations.logging import Handler
from datacat.testing import CapturingTransport, FakeClock, capturing_session


def test_what_is_recorded_arrives_as_it_was():
    with capturing_session(product="editor", version="2", tags={"team": "a"}, clock=FakeClock()) as (
        session,
        sent,
    ):
        session.update_state({"window_state": {"open": ["w1"]}}, remove=["/memory"])
        session.log_event("saved", {"path": "a.txt"}, level="warning", message="slow")
        session.log_metric("fps", 59.8, tags=["scene:menu"])
        session.log_counter("jobs")
        session.log_gauge("heat", 3, unit="Cel")
        session.log_histogram("size", 7)
    start, state, event, *metrics, end = sent.records
    assert (start["product"], start["version"], start["tags"]) == ("editor", "2", ["team:a"])
    assert state["merge"] == {"window_state": {"open": ["w1"]}}
    assert state["remove"] == ["/memory"]
    assert (event["name"], event["data"], event["level"], event["message"]) == (
        "saved",
        {"path": "a.txt"},
        "warning",
        "slow",
    )
    assert [(each["name"], each.get("kind", "gauge"), each["value"]) for each in metrics] == [
        ("fps", "gauge", 59.8), ("jobs", "counter", 1.0), ("heat", "gauge", 3.0), ("size", "histogram", 7.0),
    ]  # fmt: skip
    assert end["type"] == "end"


def test_what_is_changed_afterwards_changes_nothing_that_was_recorded():
    data, state = {"list": [1]}, {"a": {"b": 1}}
    with capturing_session() as (session, sent):
        session.log_event("e", data)
        session.update_state(state)
        data["list"].append(2)
        state["a"]["b"] = 2
    assert sent.of("event")[0]["data"] == {"list": [1]}
    assert sent.of("state")[0]["merge"] == {"a": {"b": 1}}


class Colour(enum.Enum):
    RED = "red"


class Broken:
    def __repr__(self):
        raise RuntimeError("no")


def cyclic():
    value: dict[str, object] = {}
    value["self"] = value
    return value


def deep():
    value: object = 1
    for _ in range(200):
        value = {"d": value}
    return value


@pytest.mark.parametrize(
    "value",
    [object(), Broken(), {1, 2}, b"\xff", "\ud800", float("nan"), 1 << 200, Colour.RED, pathlib.Path("/a"), cyclic(), deep(),
     {("tuple", "key"): 1}, {None: 1}, ValueError("x"), [Broken()], {"k": "\ud800"}, time.localtime(), type, "x" * 3_000_000],
)  # fmt: skip
def test_no_value_raises_or_goes_out_as_anything_but_json_within_the_limits(value):
    with capturing_session() as (session, sent):
        session.log_event("odd", {"value": value})
        session.log_event("message", message="\ud800" * 3)
        session.log_event("next")
    assert [each["name"] for each in sent.of("event")] == ["odd", "message", "next"]


@pytest.mark.parametrize(
    "value", [Broken(), "\ud800", cyclic(), deep(), {("a",): 1}, pytest.param(10**5000, id="huge")]
)
def test_no_state_raises(value):
    with capturing_session() as (session, sent):
        session.update_state({"odd": value})
    (state,) = sent.of("state")
    assert "odd" in state["merge"]


@pytest.mark.parametrize(
    ("call", "error", "cure"),
    [
        (lambda s: s.log_event(7), TypeError, "name must be text"),
        (lambda s: s.log_event(""), ValueError, "1 to 200"),
        (lambda s: s.log_event("x" * 201), ValueError, "data or tags"),
        (lambda s: s.log_event("e", [1]), TypeError, "wrap it"),
        (lambda s: s.log_event("e", level="loud"), ValueError, "debug, info"),
        (lambda s: s.log_metric("m", "fast"), TypeError, "log text as an event"),
        (lambda s: s.log_metric("m", 1, tags="a"), TypeError, r"tags=\['a'\]"),
        (lambda s: s.log_metric("m", 1, tags=[1]), TypeError, "a tag must be text"),
        (lambda s: s.log_metric("m", 1, kind="speed"), ValueError, "gauge"),
        (lambda s: s.update_state([1]), TypeError, "mapping"),
        (lambda s: s.update_state({}, remove="/a"), TypeError, r"remove=\['/a'\]"),
        (lambda s: s.update_state({}, remove=["a"]), ValueError, "write '/a'"),
        (lambda s: s.start_heartbeat_monitor(timeout=0), ValueError, "more than 0"),
        (lambda s: s.log_exception(), ValueError, "except block"),
    ],
)
def test_wrong_arguments_raise_at_once_with_the_cure(call, error, cure):
    with capturing_session() as (session, _), pytest.raises(error, match=cure):
        call(session)


NO_SECONDS = [float("inf"), float("nan"), -1, 10**5000, True, "5", b"5"]


@pytest.mark.parametrize("value", [*NO_SECONDS, None, 0], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["timeout", "check_interval"])
def test_a_monitor_takes_no_seconds_that_cannot_be_waited_for(name, value):
    expected = pytest.raises((TypeError, ValueError), match=f"^{name} must be .* seconds.*, found ")
    with capturing_session() as (session, _), expected:
        session.start_heartbeat_monitor(**{name: value})


@pytest.mark.parametrize("value", NO_SECONDS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["exit_timeout", "contact_timeout", "process_metrics"])
def test_create_session_takes_no_seconds_that_cannot_be_waited_for(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be .* seconds.*, found "):
        datacat.create_session(watchdog=True, **{name: value})


@pytest.mark.parametrize(
    "value", [float("inf"), 1e9, -1, 10**5000, True, None, "5"], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("name", ["max_journal_bytes", "max_buffer_bytes"])
def test_create_session_takes_no_bytes_that_cannot_be_counted(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be .* bytes.*, found "):
        datacat.create_session(**{name: value})


def test_nothing_need_be_waited_for_at_the_end():
    with capturing_session(exit_timeout=0, contact_timeout=None) as (session, _):
        session.log_event("e")


@pytest.mark.parametrize("name", ["ä" * 64, "a" * 128, "a\0b"])
def test_a_monitor_has_no_name_that_is_another_from_outside(name):
    with capturing_session() as (session, _), pytest.raises(ValueError, match="at most 127 bytes of UTF-8"):
        session.start_heartbeat_monitor(name=name)


def test_a_monitors_name_may_be_as_long_as_it_is_read_from_outside():
    with capturing_session() as (session, _):
        session.start_heartbeat_monitor(name="ä" * 63 + "a")


def test_wrong_arguments_of_create_session_raise_at_once():
    with pytest.raises(ValueError, match="http://"):
        datacat.create_session("localhost:8080")
    with pytest.raises(TypeError, match="it has"):
        datacat.create_session(colour="red")
    with pytest.raises(datacat.InvalidInput, match="UUID"):
        datacat.create_session(session_id="x")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_metric_that_is_no_finite_number_becomes_an_event_that_says_so(value):
    with capturing_session() as (session, sent):
        session.log_metric("loss", value, tags=["a"])
    (event,) = sent.of("event")
    assert (event["name"], event["level"], event["data"]["metric"]) == (
        "metric_not_finite",
        "warning",
        "loss",
    )


@pytest.mark.parametrize("wrong", [{"name": ""}, {"tags": "text"}])
def test_a_timer_that_is_told_something_wrong_says_so_before_its_block(wrong):
    ran = []
    with (
        capturing_session() as (session, _),
        pytest.raises((TypeError, ValueError)),
        session.timer(**{"name": "t"} | wrong),
    ):
        ran.append(True)
    assert not ran


def test_a_timer_measures_a_block_and_a_function_also_when_they_fail():
    with capturing_session() as (session, sent):
        with session.timer("block"):
            pass

        @session.timer("function")
        def fail():
            raise KeyError

        with pytest.raises(KeyError):
            fail()
    assert [(each["name"], each["kind"], each["unit"]) for each in sent.of("metric")] == [
        ("block", "timer", "s"), ("function", "timer", "s"),
    ]  # fmt: skip


def test_an_exception_in_the_block_is_recorded_and_goes_on():
    sent = CapturingTransport()
    with pytest.raises(ZeroDivisionError), datacat.create_session(transport=lambda: sent):
        _ = 1 / 0
    (event,) = sent.of("event")
    assert event["data"]["type"] == "ZeroDivisionError"
    assert "_ = 1 / 0" in event["data"]["traceback"]


class Mute(Exception):
    def __str__(self):
        return self.args[0].missing

    __repr__ = __str__


class MuteInterrupt(BaseException):
    __str__ = __repr__ = Mute.__str__


def test_an_exception_that_cannot_say_what_it_is_is_recorded_like_any():
    with capturing_session() as (session, sent):
        session.log_exception(Mute(3))
        session.log_event("message", message=Mute(3))  # type: ignore[arg-type]  # as a program may
        session.log_event("data", {"error": Mute(3)})
    first, second, third = sent.of("event")
    expected = f"{Mute!r}, which cannot say what it is"
    assert (first["message"], first["data"]["type"], first["data"]["message"]) == (expected, "Mute", expected)
    assert second["message"] == expected
    assert third["data"] == {"error": f"Mute: {expected}"}


@pytest.mark.parametrize("error", [Mute(3), MuteInterrupt(3)])
def test_an_exception_that_cannot_say_what_it_is_goes_its_way_out_of_the_block(error):
    sent = CapturingTransport()
    with pytest.raises(type(error)) as caught, datacat.create_session(transport=lambda: sent):
        raise error
    assert caught.value is error
    (said,) = sent.of("exit")
    assert (said["cause"], said["data"]["type"]) == ("exception", type(error).__qualname__)


def test_an_exception_that_is_empty_is_one():
    class Empty(Exception):
        def __len__(self):
            return 0

    with capturing_session() as (session, sent):
        session.log_exception(Empty())
    assert sent.of("event")[0]["data"]["type"].endswith("Empty")


def test_records_after_the_end_are_still_sent_and_a_second_end_is_nothing():
    with capturing_session() as (session, sent):
        session.end()
        session.log_event("late")
        session.end()
        assert session.flush()
    assert [each["type"] for each in sent.records] == ["start", "end", "event"]


def test_what_waits_for_a_fork_to_be_over_is_not_said_to_be_with_the_server():
    with capturing_session() as (session, sent):
        session.log_event("before")
        session.on_fork()
        session.log_event("meanwhile")
        assert not session.flush(0.01)
        session.on_forked()
        assert session.flush()
        assert [each["name"] for each in sent.of("event")] == ["before", "meanwhile"]


def test_log_records_become_events_and_our_own_are_left_out():
    with capturing_session() as (session, sent):
        logger = logging.getLogger("editor.files")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        handler = Handler(session)
        logger.addHandler(handler)
        logging.getLogger("datacat.client").addHandler(handler)
        logger.debug("not this")
        logger.warning("disk at %d %%", 93, extra={"drive": "c", "logger": "mine"})
        try:
            raise OSError("gone")
        except OSError:
            logger.exception("could not save")
        logging.getLogger("datacat.client").error("nor this")
        logger.removeHandler(handler)
        logging.getLogger("datacat.client").removeHandler(handler)
    events = sent.of("event")
    assert [(each["name"], each["level"], each["message"]) for each in events] == [
        ("editor.files", "warning", "disk at 93 %"),
        ("editor.files", "error", "could not save"),
    ]
    assert (events[0]["data"]["drive"], events[0]["data"]["logger"]) == ("c", "editor.files")
    assert events[1]["data"]["exception"]["type"] == "OSError"


def test_disabled_means_no_thread_and_no_record(monkeypatch):
    import threading

    monkeypatch.setenv("DATACAT_DISABLED", "1")
    before = threading.active_count()
    session = datacat.create_session()
    with session:
        session.log_event("e")
        session.update_state({})
        session.start_heartbeat_monitor()
        session.heartbeat()
        with session.timer("t"), session.pause_heartbeat_monitor():
            session.log_metric("m", 1)
        assert session.flush()
        assert session.session_id
    session.end()
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(3), KeyboardInterrupt()])
def test_disabled_the_programs_own_exception_goes_its_way(monkeypatch, error):
    monkeypatch.setenv("DATACAT_DISABLED", "1")
    with pytest.raises(type(error)) as caught, datacat.create_session():
        raise error
    assert caught.value is error


def test_the_server_being_down_is_not_noticed_by_the_program():
    session = datacat.create_session("http://127.0.0.1:9", exit_timeout=0.2)
    longest = 0.0
    for n in range(2000):
        began = time.perf_counter()
        session.log_event("e", {"n": n})
        longest = max(longest, time.perf_counter() - began)
    assert longest < 0.5
    began = time.monotonic()
    session.end()
    assert time.monotonic() - began < 2


def test_importing_the_client_imports_nothing_of_the_server():
    heavy = [
        "litestar",
        "uvicorn",
        "apsw",
        "typer",
        "rich",
        "httptools",
        "uvloop",
        "zstandard",
        "datacat.server",
        "datacat.store",
    ]
    code = f"import sys, datacat; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_a_session_that_is_let_go_of_is_collected():
    gc.collect()
    with capturing_session() as (session, _):
        session.log_event("e")


def test_a_group_of_exceptions_is_told_with_what_it_is_made_of():
    inner = ExceptionGroup("inner", [KeyError("b"), *(OSError() for _ in range(20))])
    described = hooks.describe(ExceptionGroup("outer", [ValueError("a"), inner]))
    assert described["exceptions"] == ["ValueError: a", "KeyError: 'b'", *["OSError"] * 8]
    assert "exceptions" not in hooks.describe(ValueError("a"))
