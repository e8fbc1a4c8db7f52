"""Everything datacat raises on purpose.

::

    DatacatError
    ├── InvalidInput        what was sent breaks a rule; carries code, field, found, expected
    ├── UnknownSession      no session has this id
    ├── SequenceGap         a batch begins beyond what the server has; carries last_seq
    ├── Busy                the server has no room now; carries retry_after
    ├── RateLimited         this key brings too much; carries retry_after
    ├── KeyRefused          no key where one is needed, or none that opens; carries code
    ├── KeyForbids          the key is good, but not for this
    ├── StoreError          the database cannot do it; what was stored is untouched
    │   └── StoreUnavailable    for now: full disk, locked, stopping; trying again may help
    ├── ConfigurationError  a setting cannot work; the message carries the cure
    └── RequestFailed       a plain client call was refused or not answered; carries detail, status, code
"""

from typing import Any


class DatacatError(Exception):
    """The root of the tree: ``except DatacatError`` catches all that datacat means to raise.

    Each can be pickled, whatever it is made of: one that could not would break the pool of processes
    that it is raised in.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[DatacatError], args: tuple[Any, ...], members: dict[str, Any]) -> DatacatError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(members)
    return error


class InvalidInput(DatacatError, ValueError):
    """What was sent breaks a rule.

    Args:
        code: stable, for programs: ``wrong_type``, ``name_too_long`` …
        detail: the sentence for people, with the cure where there is one.
        field: where, as a dotted path from the body's root (``data.size``, ``tags[0]``); empty for
            the body itself.
        found: what was there, shortened.
        expected: what should have been.
    """

    def __init__(
        self, code: str, detail: str, *, field: str = "", found: str = "", expected: str = ""
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.found = found
        self.expected = expected


def ambiguous_id(found: str, why: str) -> InvalidInput:
    """The first digits of an id say too little; ``why`` is what begins so."""
    return InvalidInput(
        "ambiguous_id",
        f"{why}: give more digits",
        field="id",
        found=found[:80],
        expected="the digits of one session",
    )


class UnknownSession(DatacatError, LookupError):
    """No session has this id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"no session {session_id!r} is known: create it with POST /api/sessions, "
            "or begin its records with a start record"
        )
        self.session_id = session_id


class SequenceGap(DatacatError):
    """A batch begins beyond ``last_seq + 1``: the records between are missing."""

    def __init__(self, *, last_seq: int, first_seq: int) -> None:
        super().__init__(
            f"the batch begins at seq {first_seq}, but the last one known is {last_seq}: "
            f"send again from {last_seq + 1}, or cover what is gone with a loss record"
        )
        self.last_seq = last_seq
        self.first_seq = first_seq


class Busy(DatacatError):
    """The server has no room for this now; ask again in ``retry_after`` seconds."""

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RateLimited(DatacatError):
    """This key brings more than it may; ask again in ``retry_after`` seconds."""

    def __init__(self, reason: str, *, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class KeyRefused(DatacatError):
    """There is no key where one is needed, or it opens nothing: ``code`` says which."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class KeyForbids(DatacatError, PermissionError):
    """The key is good, but not for this: it lacks a scope, or is bound to another product."""

    @classmethod
    def of_product(cls, found: str | None, bound: str) -> "KeyForbids":
        """The key is bound to one product, and this is about another."""
        of = "no product" if found is None else f"the product {found!r}"
        return cls(f"this key is for the product {bound!r} alone, and this is of {of}: use a key of that one")


class OriginRefused(DatacatError, PermissionError):
    """A page in a browser, of an origin that was not asked in, wants to record where no key is needed."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"a page of {origin[:100]} may not record here: start the service with --cors-origins {origin[:100]} "
            "if it is meant to"
        )
        self.origin = origin


class HostRefused(DatacatError, PermissionError):
    """A service that asks for no key is asked by a name that may be anybody's."""

    def __init__(self, host: str) -> None:
        name = host.partition(":")[0][:200]
        super().__init__(
            f"this service needs no key, so it is not asked by the name {name}, which may be anybody's: ask "
            f"localhost, start it with --allowed-hosts {name} if that is a proxy's, or make a key"
        )
        self.host = host


class StoreError(DatacatError):
    """The database cannot do what was asked; what was stored is untouched.

    Args:
        message: what and why, with the cure where there is one.
        code: for programs: ``missing``, ``empty``, ``not_ours``, ``newer``, ``damaged``, ``read_only``,
            ``locked``, ``full``; empty for anything else.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):
    """The database cannot do it now; trying again later may help."""


class ConfigurationError(DatacatError):
    """A setting cannot work; the message carries the cure."""


class RequestFailed(DatacatError):
    """A plain client call was refused, or nobody answered.

    Args:
        detail: the sentence for people, with the cure where there is one.
        request: what was asked: its method and its URL.
        status: the HTTP status; None when there was no answer at all.
        code: the problem's stable code; empty when the answer had none.
    """

    def __init__(self, detail: str, *, request: str, status: int | None = None, code: str = "") -> None:
        super().__init__(f"{request}: {detail}" if status is None else f"{request}: {status} {detail}")
        self.detail = detail
        self.status = status
        self.code = code
