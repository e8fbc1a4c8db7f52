"""Which database is looked after: beside ``wiring``, and light, as a command must not wait for a web framework."""

from datacat.server.settings import Settings
from datacat.store.sqlite.upkeep import SqliteUpkeep
from datacat.store.upkeep import Upkeep


def upkeep(settings: Settings) -> Upkeep:
    """Of the database that ``datacat serve`` would serve from with these settings."""
    return SqliteUpkeep(settings.file())
