"""What handlers are given to work with.

Nothing is checked at each request: the values are our own, and protocols cannot be asked.
"""

from typing import Annotated

from litestar.params import Dependency

from datacat.ingest.committer import Committer
from datacat.model.clock import Clock
from datacat.store.port import Reader

Ingest = Annotated[Committer, Dependency(skip_validation=True)]
Sessions = Annotated[Reader, Dependency(skip_validation=True)]
ServerClock = Annotated[Clock, Dependency(skip_validation=True)]
