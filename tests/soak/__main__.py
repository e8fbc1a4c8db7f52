"""``python -m tests.soak``: what ``make soak`` runs, and a table of what became of it."""

import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from tests.soak.trials import TRIALS, Options


def soak(
    minutes: Annotated[
        float, typer.Option(help="Of load, and the measure of how much is fuzzed.", min=0.01)
    ] = 5,
    kills: Annotated[int, typer.Option(help="How often the service is killed.", min=1)] = 100,
    sessions: Annotated[int, typer.Option(help="How many are alive at once.", min=1)] = 10_000,
    seed: Annotated[int | None, typer.Option(help="Of all that is random; printed, to do it again.")] = None,
    only: Annotated[
        str, typer.Option(help=f"Trials, with commas between, of {', '.join(TRIALS)}.", show_default="all")
    ] = ",".join(TRIALS),
) -> None:
    """Try the service for long; the exit code is 1 when anything was not as it must be."""
    if unknown := [name for name in only.split(",") if name not in TRIALS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(TRIALS)}", param_hint="--only")
    options = Options(minutes, kills, sessions, random.randrange(10**6) if seed is None else seed)
    print(f"seed {options.seed}")
    table = Table("trial", "how many", "seconds", "result", title="soak")
    failed = False
    for name in only.split(","):
        print(f"{name}: {(TRIALS[name].__doc__ or '').strip()}", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="datacat-soak-") as folder:
            try:
                done = TRIALS[name](Path(folder), options)
                count, result = done.count, f"ok: {done.seen}"
            except Exception as error:  # noqa: BLE001  # the other trials are run all the same
                traceback.print_exc()
                count, result, failed = "", f"FAILED: {type(error).__name__}: {error}"[:300], True
        table.add_row(name, count, f"{time.monotonic() - began:.0f}", result)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    sys.exit(failed)


if __name__ == "__main__":
    typer.run(soak)
