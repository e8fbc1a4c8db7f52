"""The commands, gathered."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from datacat.cli import db, demo, doctor, flush, grafana, keys, record, run, serve, sessions, show, tail
from datacat.version import __version__


class _Commands(TyperGroup):
    """All commands; what each says of a value is said in its own words, without those of what found it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=_Commands,
    name="datacat",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"datacat {__version__}")
        raise typer.Exit


@app.callback()
def datacat(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """A flight recorder for running programs: what was my program doing when it hung or died?"""


app.command()(serve.serve)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(flush.flush)
# What follows the program is the program's, whatever it looks like.
app.command(context_settings={"allow_interspersed_args": False})(run.run)
app.command()(sessions.sessions)
app.command()(show.show)
app.command()(tail.tail)
app.command()(record.event)
# A number below zero is no option.
app.command(context_settings={"ignore_unknown_options": True})(record.metric)
app.command()(record.state)
app.add_typer(db.app, name="db")
app.add_typer(grafana.app, name="grafana")
app.add_typer(keys.app, name="keys")
