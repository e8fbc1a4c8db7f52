"""What handlers are given to work with.

Nothing is checked at each request: the values are our own, and protocols cannot be asked.
"""

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from datacat.ingest.committer import Committer
from datacat.model.clock import Clock
from datacat.query.live import Hub
from datacat.query.share import Share
from datacat.store.port import Reader

Ingest = NamedDependency[SkipValidation[Committer]]
Sessions = NamedDependency[SkipValidation[Reader]]
Listeners = NamedDependency[SkipValidation[Hub]]
"""Handlers ask for it as ``hub``."""

LiveShare = NamedDependency[SkipValidation[Share]]
"""Handlers ask for it as ``share``."""

ServerClock = NamedDependency[SkipValidation[Clock]]
