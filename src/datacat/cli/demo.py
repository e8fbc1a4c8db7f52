"""``datacat demo``: a service, three programs that it records, and what there is to see."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datacat.cli.service import NOT_IN_A_LINE, STYLES, client_of, terminal
from datacat.client.api import DatacatClient
from datacat.model.errors import RequestFailed

EXAMPLES: Final = ("editor.py", "worker.py", "vanishing.py")
_START_TIMEOUT: Final = 20.0
_LOOK_EVERY: Final = 0.3
_VERDICT_WITHIN: Final = 5.0
"""Seconds that the watchdog of the program that was killed is given; where there is none, its journal speaks."""


def demo(
    port: Annotated[int, typer.Option(help="The port of the demo's service.")] = 8080,
    examples: Annotated[Path, typer.Option(help="Where the example programs are.")] = Path("examples"),
    stay: Annotated[
        bool | None, typer.Option(help="Keep serving after the summary. [default: when at a terminal]")
    ] = None,
) -> None:
    """Watch three real programs being recorded; one hangs and recovers, one vanishes."""
    console = terminal()
    missing = [name for name in EXAMPLES if not (examples / name).is_file()]
    if missing:
        _fail(
            console,
            f"there is no {missing[0]} in {examples.absolute()}: run the demo in a checkout of datacat",
        )
    if _taken(port):
        _fail(
            console,
            f"port {port} is taken: stop what listens there, or choose another: "
            f"make demo PORT={port + 1} (datacat demo --port {port + 1})",
        )
    # Whoever ends the demo ends all of it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="datacat-demo-") as folder,
            _service(console, port, folder) as url,
        ):
            console.print(f"datacat records on [bold]{url}[/] — three programs start now\n")
            with _programs(examples, url, folder) as running:
                client = client_of(url)
                seen = _follow(console, client, running, lambda: _deliver_leftovers(folder))
            _summarise(console, client, seen)
            if sys.stdout.isatty() if stay is None else stay:
                invite(console, seen, url)
                while True:
                    time.sleep(3600)
            console.print("The service has ended with them; --stay keeps it, to look around.", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("\nThe demo is over; nothing is left running.")


def _fail(console: Console, message: str) -> None:
    console.print(f"[red]datacat demo: {escape(message)}[/]", soft_wrap=True)
    raise typer.Exit(1)


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@contextmanager
def _service(console: Console, port: int, folder: str) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "datacat",
        "serve",
        "--port",
        str(port),
        "--database",
        f"{folder}/demo.db",
    ]
    log = Path(folder, "serve.log")
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is ours to pass on, so that the service stops last.
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)  # noqa: S603  # our own
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(console, process, client_of(url, timeout=1), log)
        yield url
    finally:
        _stop(process)


def _wait_until_ready(
    console: Console, process: "subprocess.Popen[bytes]", client: DatacatClient, log: Path
) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.get_all_sessions()
        except RequestFailed:
            time.sleep(0.1)
        else:
            return
    _fail(console, f"the service did not start: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def _programs(examples: Path, url: str, folder: str) -> Iterator[list["subprocess.Popen[bytes]"]]:
    environment = {**os.environ, "DATACAT_URL": url, "DATACAT_JOURNAL_DIR": f"{folder}/journals"}
    environment.pop("DATACAT_DISABLED", None)
    running = [
        subprocess.Popen([sys.executable, str(examples / name)], env=environment, start_new_session=True)  # noqa: S603  # our own
        for name in EXAMPLES
    ]
    try:
        yield running
    finally:
        for process in running:
            _stop(process)


def _deliver_leftovers(folder: str) -> None:
    """What the killed program had recorded and not sent is in its journal."""
    command = [sys.executable, "-m", "datacat", "flush", "--journal-dir", f"{folder}/journals"]
    subprocess.run(command, capture_output=True, timeout=30, check=False)  # noqa: S603  # our own


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _follow(
    console: Console,
    client: DatacatClient,
    running: list["subprocess.Popen[bytes]"],
    deliver: Callable[[], None],
) -> list[dict[str, Any]]:
    """Show what is new until every program has gone and what they left is delivered."""
    shown: dict[str, dict[str, Any]] = {}
    last_look = False
    deadline = 0.0
    while True:
        sessions = client.get_all_sessions()
        for session in sessions:
            _show_news(console, session, shown.get(session["id"]))
            shown[session["id"]] = session
        if last_look:
            return sessions
        if any(process.poll() is None for process in running):
            deadline = time.monotonic() + _VERDICT_WITHIN
        elif all(session["ended_at"] for session in sessions):
            last_look = True
        elif time.monotonic() > deadline:
            deliver()
            last_look = True
        time.sleep(_LOOK_EVERY)


def _show_news(console: Console, session: dict[str, Any], before: dict[str, Any] | None) -> None:
    product = session["product"] or session["id"][:8]
    if before is None:
        _line(console, session["created_at"], product, f"started   [dim]pid {session['pid']}[/]")
    old = before or {"state": {}, "events": [], "metrics": [], "status": "active"}
    if session["state"] != old["state"]:
        _line(console, session["updated_at"], product, f"state     {escape(_compact(session['state']))}")
    for event in session["events"][len(old["events"]) :]:
        style = {"error": "red", "fatal": "bold red", "warning": "yellow"}.get(event["level"], "cyan")
        text = event["message"] or _compact(
            {k: v for k, v in event["data"].items() if k not in NOT_IN_A_LINE}
        )
        _line(console, event["timestamp"], product, f"event     [{style}]{event['name']}[/] {escape(text)}")
        if where := _innermost(event["data"]):
            _line(console, event["timestamp"], product, f"          [red]{escape(where)}[/]")
    new_metrics = session["metrics"][len(old["metrics"]) :]
    if new_metrics:
        latest = new_metrics[-1]
        _line(
            console,
            latest["timestamp"],
            product,
            f"metric    {escape(latest['name'])} = {latest['value']:.4g}",
        )
    if session["status"] != old["status"]:
        style = STYLES[session["status"]]
        _line(console, session["updated_at"], product, f"status    [{style}]{session['status']}[/]")


def _line(console: Console, timestamp: str, product: str, text: str) -> None:
    console.print(f"[dim]{timestamp[11:19]}Z[/] {product:<10} {text}", soft_wrap=True)


def _compact(value: dict[str, Any]) -> str:
    text = " ".join(f"{key}={inner}" for key, inner in value.items())
    return text if len(text) <= 110 else text[:109] + "…"


def _innermost(data: dict[str, Any]) -> str:
    """Where the main thread stood, from the stacks of a hang."""
    for stack in data.get("stacks", []):
        if stack["frames"]:
            frame = stack["frames"][-1]
            return f"{stack['thread']} stood in {frame['function']} ({Path(frame['file']).name}:{frame['line']}): {frame['code']}"
    return ""


def _summarise(console: Console, client: DatacatClient, sessions: list[dict[str, Any]]) -> None:
    table = Table(title="\nWhat became of them", title_justify="left", title_style="bold", expand=False)
    for column in ("program", "status", "what datacat knows", "recorded"):
        table.add_column(column)
    for session in sessions:
        counts = f"{len(session['events'])} events, {len(session['metrics'])} metrics"
        status = session["status"]
        table.add_row(
            session["product"], f"[{STYLES[status]}]{status}[/]", escape(_story(client, session)), counts
        )
    console.print(table)


def invite(console: Console, sessions: list[dict[str, Any]], url: str) -> None:
    """What there is to see while the service goes on."""
    console.print("Read how one of them went, in another terminal, after source .venv/bin/activate:")
    for session in sessions:
        command = f"datacat show {session['id'][:18]} --url {url}"
        console.print(f"  {session['product']:<9}  {command}", soft_wrap=True)
    console.print("Or open:")
    console.print(f"  {url}/docs                  the API, to try by hand", soft_wrap=True)
    console.print(f"  {url}/api/grafana/sessions  all that is recorded, as JSON", soft_wrap=True)
    console.print("\nThe service goes on, so that you can look around. [bold]Ctrl-C[/] ends it.")


def _story(client: DatacatClient, session: dict[str, Any]) -> str:
    sentence = client.get_dossier(session["id"])["verdict"]["sentence"]
    story = [str(sentence), *(hang["title"] for hang in session["hangs"])]
    if session["status"] == "crashed" and session["events"]:
        last = session["events"][-1]
        story.append(f"its last words: {last['message'] or _compact(last['data'])}")
    return "; ".join(story)
