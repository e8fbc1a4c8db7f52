"""datacat: a flight recorder for running programs.

>>> import datacat
>>> with datacat.create_session(product="editor", version="2.3.1") as session:  # doctest: +SKIP
...     session.update_state({"window_state": {"open": ["w1", "w2"]}})
...     session.log_event("saved", {"path": "a.txt"})
"""

from datacat.client.api import DatacatClient
from datacat.client.create import create_session
from datacat.client.recorder import Stats
from datacat.client.session import Session
from datacat.model.errors import DatacatError, InvalidInput, RequestFailed
from datacat.version import __version__ as __version__

__all__ = [
    "DatacatClient",
    "DatacatError",
    "InvalidInput",
    "RequestFailed",
    "Session",
    "Stats",
    "create_session",
]
