"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]

Database = Annotated[
    str | None,
    typer.Option(help="The SQLite file. [default: DATACAT_DATABASE, or the settings file's, or datacat.db]"),
]
Config = Annotated[
    Path | None, typer.Option(help="The service's settings file. [default: DATACAT_CONFIG, if that is set]")
]
