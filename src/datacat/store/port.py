"""What a database must be able to do for us, and no more.

The writer side belongs to one thread and is driven by :mod:`datacat.ingest.committer`; the reader
side is called from any thread and never waits for the writer. Every store runs the same contract
suite, in ``tests/contract``.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Raw, Struct

from datacat.model.fold import Folded
from datacat.model.session import Session


class EventRow(Struct, frozen=True, gc=False):
    """One stored event."""

    time: int
    name: str
    level: str
    message: str | None
    data: Raw


class MetricRow(Struct, frozen=True, gc=False):
    """One stored metric; ``tags`` is a JSON array of text."""

    time: int
    name: str
    kind: str
    value: float
    unit: str | None
    tags: Raw


class Transaction(Protocol):
    """What one commit may do."""

    def load(self, session_id: str) -> Session | None:
        """The session as it is, with its state; None when there is none."""
        ...

    def save(self, folds: Iterable[Folded]) -> None:
        """Keep the sessions and add the rows; folds of one session come in their order."""
        ...


class Writer(Protocol):
    """The one writer."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """All or nothing: leaving it normally has made everything durable.

        Raises:
            StoreUnavailable: the disk is full, the database locked; nothing of it was kept.
            StoreError: anything else that the database refuses; nothing of it was kept.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Reader(Protocol):
    """Reads, each a short one; what is given is as of the last commit."""

    def session(self, session_id: str) -> Session | None:
        """The session with its state; None when there is none."""
        ...

    def session_ids(self, after: str | None, limit: int) -> list[str]:
        """Ids in the order in which the sessions were first stored, after ``after``."""
        ...

    def events(self, session_id: str, first: int, limit: int) -> list[EventRow]:
        """The events numbered ``first`` and up, oldest first."""
        ...

    def metrics(self, session_id: str, first: int, limit: int) -> list[MetricRow]:
        """The metrics numbered ``first`` and up, oldest first."""
        ...

    def ready(self) -> None:
        """Return if the database answers.

        Raises:
            StoreError: it does not.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
