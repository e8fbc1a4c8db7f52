"""The words that some settings are one of; apart from them, so that the command line need not load all of the rest."""

from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json"]
