"""Who may ask what: ``Authorization: Bearer`` and a key, RFC 6750.

Where no key was ever made, or none is to be asked, everybody may do everything; from the first key on each
request needs one. Every path needs one unless it is named here, so that a new one is never open by mistake.

Where everybody may record, the pages that somebody looks at are not meant by that: a browser sends simple POSTs
for any page, to this machine too, and says so by their Origin (Fetch Standard). What such a page asks it may not
read, unless its name leads to this machine, too: so the service is not asked by any name.
"""

from collections.abc import Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from datacat.model.errors import HostRefused, KeyForbids, KeyRefused, OriginRefused
from datacat.model.keys import Grant, KeyScope, grant_of, opens, parse_key
from datacat.store.keys import KeyReader

_OPEN: Final = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""What is there to see without a key: that the service lives, and how it is spoken to."""

_FRONT_DOOR: Final = "/"
"""It leads to how the service is spoken to."""

_SCOPES: Final[dict[str, KeyScope]] = {"GET": "read", "HEAD": "read", "POST": "ingest"}

_ANYBODY: Final = Grant()


class Gate:
    """Looks at keys.

    Args:
        keys: those that there are.
        asks_none: let everybody in.
        invited: whether pages of this origin may record where no key is needed, as our own may.
        is_ours: whether the service may be asked by what a header ``Host`` says, where no key is needed.
    """

    def __init__(
        self,
        keys: KeyReader,
        *,
        asks_none: bool,
        invited: Callable[[str], bool],
        is_ours: Callable[[str], bool],
    ) -> None:
        self._keys = keys
        self._asks_none = asks_none
        self._invited = invited
        self._is_ours = is_ours

    def grant(self, authorization: str | None) -> Grant:
        """What whoever sends this header may do; None where there is none.

        Raises:
            KeyRefused: ``key_missing``, ``key_unknown`` or ``key_revoked``.
        """
        if self._asks_none or not self._keys.any():
            return _ANYBODY
        if authorization is None:
            raise KeyRefused(
                "key_missing",
                "this service asks for a key: send Authorization: Bearer KEY, or set DATACAT_KEY where the "
                "client or the command runs; datacat keys create makes one",
            )
        scheme, _, text = authorization.partition(" ")
        written = parse_key(text.strip()) if scheme.lower() == "bearer" else None
        if written is None:
            raise KeyRefused(
                "key_unknown", "Authorization holds no datacat key: it is written Bearer datacat_…, whole"
            )
        key_id, secret = written
        key = self._keys.find(key_id)
        if not opens(key, secret) or key is None:
            raise KeyRefused(
                "key_unknown", f"datacat_{key_id}_… opens nothing here: datacat keys list shows those that do"
            )
        if key.revoked_at is not None:
            raise KeyRefused(
                "key_revoked",
                f"the key {key.name!r} ({key_id}) is revoked: datacat keys create makes another",
            )
        return grant_of(key)

    def admit(self, authorization: str | None, needed: KeyScope) -> Grant:
        """The same, for a call that needs this scope.

        Raises:
            KeyRefused: see :meth:`grant`.
            KeyForbids: the key has another.
        """
        grant = self.grant(authorization)
        if not grant.allows(needed):
            raise KeyForbids(
                f"this needs a key with the scope {needed}, and this one has {', '.join(sorted(grant.scopes))}"
            )
        return grant

    def check_origin(self, origin: str | None, host: str) -> None:
        """Let a page record that was asked in, or that is of this service, which was asked as ``host``.

        Raises:
            OriginRefused: it is of another origin.
            HostRefused: see :meth:`check_host`.
        """
        if origin is None or self._invited(origin):
            return
        if origin.partition("://")[2].lower() != host.lower():
            raise OriginRefused(origin)
        self.check_host(host)

    def check_host(self, host: str) -> None:
        """Let who asked for ``host`` read.

        Raises:
            HostRefused: that may be anybody's.
        """
        if not self._is_ours(host):
            raise HostRefused(host)


async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let a request through, with ``auth`` as its grant.

    It awaits nothing; but what is no coroutine the framework sends through another thread, which costs a
    third of a request.

    Raises:
        KeyRefused, KeyForbids: see :meth:`Gate.admit`.
        OriginRefused, HostRefused: see :meth:`Gate.check_origin` and :meth:`Gate.check_host`.
    """
    path = connection.scope["path"]
    if path == _FRONT_DOOR or any(path == each or path.startswith(f"{each}/") for each in _OPEN):
        connection.scope["auth"] = _ANYBODY
        return
    gate: Gate = connection.app.state.gate
    needed = _SCOPES.get(str(connection.scope.get("method")), "admin")
    headers = connection.headers
    grant = connection.scope["auth"] = gate.admit(headers.get("authorization"), needed)
    if grant is not _ANYBODY:
        return
    host = headers.get("host", "")
    if needed == "read":
        gate.check_host(host)
    else:
        gate.check_origin(headers.get("origin"), host)
