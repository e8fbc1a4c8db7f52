"""An asyncio event loop, seen from the thread that watches it.

asyncio is heavy, and loaded only where the program has done so.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from datacat.client.stacks import described_frame
from datacat.client.text import text_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

_MOST_TASKS: Final = 50
_MOST_FRAMES: Final = 10
"""Of what a task awaits, the innermost."""

_RUNNERS: Final = frozenset({"Runner.run", "Runner.close"})
"""By these a loop is found that has no frame of its own, as uvloop's."""

_FOR_TASKS: Final = frozenset(
    {("asyncio.taskgroups", "__aexit__"), ("asyncio.taskgroups", "_aexit"), ("asyncio.tasks", "_wait")}
    | ({("asyncio.tasks", "wait_for")} if sys.version_info < (3, 12) else set())
)
"""Functions of asyncio that wait for tasks by a future of their own."""

_ASK_THE_SYSTEM: Final = frozenset({"selectors", "asyncio.windows_events"})


Listener = Callable[[BaseException, str], None]
"""Told an exception, and of what: a task, or what the loop says it was."""

Handler = Callable[["AbstractEventLoop", dict[str, Any]], object]


class _Hearing:
    """An exception handler of an event loop that tells who listens before the program's own, or the loop's, has it.

    One for all: a handler for each of a thousand sessions, one after another in the same loop, would call the next too deep.
    """

    def __init__(self, before: Handler | None) -> None:
        self._before = before
        self._listeners: dict[Listener, Callable[[], bool]] = {}

    def add(self, listener: Listener, wanted: Callable[[], bool]) -> None:
        """Tell it as long as it is wanted."""
        self._listeners = {each: still for each, still in self._listeners.items() if still()}
        self._listeners[listener] = wanted

    def __call__(self, loop: "AbstractEventLoop", context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            task: Any = context.get("task") or context.get("future")
            name = text_of(task.get_name() if hasattr(task, "get_name") else context.get("message"))
            for listener, wanted in self._listeners.items():
                if wanted():
                    listener(error, name)
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


class EventLoop:
    """The running event loop.

    Raises:
        RuntimeError: none is running.
    """

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()

    def beat_every(
        self, seconds: float, wanted: Callable[[], bool], beat: Callable[[str], None], name: str
    ) -> None:
        """Beat at each turn that the loop takes ``seconds`` after the last, as long as it is ``wanted``."""

        def turn() -> None:
            if wanted():
                beat(name)
                self._loop.call_later(seconds, turn)

        turn()

    def hear(self, listener: Listener, wanted: Callable[[], bool]) -> None:
        """Have ``listener`` told of each exception that nobody caught or will ask for, as long as it is ``wanted``.

        All else stays as it is.
        """
        handler = self._loop.get_exception_handler()
        if not isinstance(handler, _Hearing):
            handler = _Hearing(handler)
            self._loop.set_exception_handler(handler)
        handler.add(listener, wanted)

    def runs(self) -> bool:
        """Whether it turns, or should."""
        return self._loop.is_running()

    def describe(self, thread: int) -> dict[str, Any]:
        """The tasks.

        Returns:
            ``{"asyncio": {"running": name, "idle": bool, "tasks": n, "pending": [{"task", "coroutine", "file", "line",
            "function", "frames", "for_tasks"}]}}``; ``idle`` is that the loop waits for what wakes one of them,
            ``frames`` what a task awaits, outermost frame first, and ``for_tasks`` that this is other tasks.
        """
        return _tasks_of(self._loop, _frame_of(thread))


def tasks_in(thread: int) -> dict[str, Any]:
    """What the event loop that runs in the thread of this ident has to do, see :meth:`EventLoop.describe`; empty for none."""
    frame = _frame_of(thread)
    loop = _loop_in(frame)
    return {} if loop is None else _tasks_of(loop, frame)


def _tasks_of(loop: "AbstractEventLoop", frame: FrameType | None) -> dict[str, Any]:
    import asyncio  # it is loaded: a loop of it runs

    running = asyncio.current_task(loop)
    tasks = [task for task in asyncio.all_tasks(loop) if task is not running]
    pending = sorted(tasks, key=asyncio.Task.get_name)[:_MOST_TASKS]
    return {
        "asyncio": {
            "running": running.get_name() if running else None,
            "idle": running is None and _waits(frame),
            "tasks": len(tasks) + (running is not None),
            "pending": [_described(task) for task in pending],
        }
    }


def _frame_of(thread: int) -> FrameType | None:
    return sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to ask


def _loop_in(frame: FrameType | None) -> "AbstractEventLoop | None":
    while frame is not None:
        module, function = _module(frame), frame.f_code.co_qualname
        if module == "asyncio.base_events" and function == "BaseEventLoop.run_forever":
            loop: AbstractEventLoop = frame.f_locals["self"]
            return loop
        if module == "asyncio.runners" and function in _RUNNERS:
            # Asked for it by its method, a runner that has none yet makes one.
            return getattr(frame.f_locals["self"], "_loop", None)
        frame = frame.f_back
    return None


def _waits(frame: FrameType | None) -> bool:
    """Whether it is the event loop that waits there; what it called may wait for the system, too."""
    caller = frame
    while caller is not None and _module(caller) in _ASK_THE_SYSTEM:
        caller = caller.f_back
    if frame is None or caller is None:
        return False
    if caller is frame:
        return _module(frame) == "asyncio.runners"
    return caller.f_code.co_qualname == "BaseEventLoop._run_once"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _described(task: "Task[Any]") -> dict[str, Any]:
    coroutine = task.get_coro()
    described: dict[str, Any] = {
        "task": task.get_name(),
        "coroutine": getattr(coroutine, "__qualname__", type(coroutine).__name__),
    }
    if frames := _awaited(coroutine):
        stands = described_frame(frames[0])
        described |= {key: stands[key] for key in ("file", "line", "function")}
        described["frames"] = [described_frame(frame) for frame in frames[-_MOST_FRAMES:]]
    if _waits_for_tasks(task, frames):
        described["for_tasks"] = True
    return described


def _waits_for_tasks(task: "Task[Any]", frames: list[FrameType]) -> bool:
    """Whether what it awaits is other tasks, each of which is told itself: by name, gathered, or in a group."""
    waiter = getattr(task, "_fut_waiter", None)
    if hasattr(waiter, "get_coro") or hasattr(waiter, "_children"):
        return True
    return bool(frames) and (_module(frames[-1]), frames[-1].f_code.co_name) in _FOR_TASKS


def _awaited(coroutine: Any) -> list[FrameType]:
    """The frames of a coroutine and of what it awaits."""
    frames: list[FrameType] = []
    while coroutine is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(coroutine, f"{kind}_frame")), None)
        frame = getattr(coroutine, f"{kind}_frame", None)
        if frame is None:  # a future, or what is not written in Python
            break
        frames.append(frame)
        coroutine = getattr(coroutine, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
    return frames
