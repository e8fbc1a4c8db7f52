"""An asyncio event loop, seen from the thread that watches it."""

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable
from typing import Any, Final

_MOST_TASKS: Final = 50


class EventLoop:
    """The running event loop.

    Raises:
        RuntimeError: none is running.
    """

    def __init__(self) -> None:
        self._loop: AbstractEventLoop = asyncio.get_running_loop()

    def beat_every(
        self, seconds: float, wanted: Callable[[], bool], beat: Callable[[str], None], name: str
    ) -> None:
        """Beat at each turn that the loop takes ``seconds`` after the last, as long as it is ``wanted``."""

        def turn() -> None:
            if wanted():
                beat(name)
                self._loop.call_later(seconds, turn)

        turn()

    def runs(self) -> bool:
        """Whether it turns, or should."""
        return self._loop.is_running()

    def describe(self) -> dict[str, Any]:
        """The tasks: ``{"asyncio": {"running": name, "pending": [{"task", "coroutine", "file", "line", "function"}], "tasks": n}}``."""
        running = asyncio.current_task(self._loop)
        tasks = [task for task in asyncio.all_tasks(self._loop) if task is not running]
        return {
            "asyncio": {
                "running": running.get_name() if running else None,
                "tasks": len(tasks) + (running is not None),
                "pending": [_described(task) for task in sorted(tasks, key=Task.get_name)[:_MOST_TASKS]],
            }
        }


def _described(task: "Task[Any]") -> dict[str, Any]:
    coroutine = task.get_coro()
    described: dict[str, Any] = {
        "task": task.get_name(),
        "coroutine": getattr(coroutine, "__qualname__", type(coroutine).__name__),
    }
    if stack := task.get_stack(limit=1):
        frame = stack[-1]
        described |= {
            "file": frame.f_code.co_filename,
            "line": frame.f_lineno,
            "function": frame.f_code.co_qualname,
        }
    return described
