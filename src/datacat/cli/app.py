"""The commands, gathered."""

import typer

from datacat.cli import demo, flush, serve

app = typer.Typer(
    name="datacat",
    help="A flight recorder for running programs: what was my program doing when it hung or died?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(demo.demo)
app.command()(flush.flush)
