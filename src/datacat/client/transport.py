"""One batch to the server and its word back; whether to try again is decided elsewhere."""

import codecs
import contextlib
import zlib
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import urllib3
from msgspec import Struct

from datacat.version import __version__

_COMPRESS_FROM: Final = 1024
_GZIP_LEVEL: Final = 1  # NDJSON shrinks tenfold already here; more costs the program's own time

# Resolving a host name loads this codec. A process that is forked while another thread is in the
# middle of loading it would never have it, so it is loaded with us.
codecs.lookup("idna")

USER_AGENT: Final = f"datacat-python/{__version__}"


class Reply(Struct, frozen=True):
    """The server's answer, as far as a shipper needs it."""

    status: int
    last_seq: int | None = None
    rejected: list[dict[str, object]] = []
    code: str = ""
    detail: str = ""
    retry_after: float | None = None


class TransportError(Exception):
    """Nobody answered: no connection, a timeout, an answer cut short."""


class Transport(Protocol):
    """How a batch gets to the server."""

    def send(self, session_id: str, body: bytes, timeout: float) -> Reply:
        """Send NDJSON; an empty body only says that the program is there.

        Raises:
            TransportError: it is not known whether the server has it.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class _Answer(Struct):
    last_seq: int | None = None
    rejected: list[dict[str, object]] = []
    code: str = ""
    detail: str = ""


class _Connection(urllib3.connection.HTTPConnection):
    """One that may be closed already: a daemon closes all files that it finds open, and ours with them."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class _SecureConnection(urllib3.connection.HTTPSConnection, _Connection):
    """The same."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class HttpTransport:
    """Batches over HTTP, compressed, on a connection that is kept."""

    def __init__(self, url: str, origin: str = "app", key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._origin = origin
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(self, session_id: str, body: bytes, timeout: float) -> Reply:
        """Post a batch; see :class:`Transport`."""
        headers = {
            "Content-Type": "application/x-ndjson",
            "Datacat-Origin": self._origin,
            "User-Agent": USER_AGENT,
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if len(body) >= _COMPRESS_FROM:
            packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = "gzip"
        url = f"{self._url}/api/sessions/{session_id}/records"
        try:
            response = self._pool.request(
                "POST", url, body=body, headers=headers, timeout=timeout, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise TransportError(f"{self._url} does not answer: {reason_of(error)}") from error
        try:
            answer = msgspec.json.decode(response.data, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            answer = _Answer(detail=response.data[:200].decode("utf-8", "replace"))
        return Reply(
            status=response.status,
            last_seq=answer.last_seq,
            rejected=answer.rejected,
            code=answer.code,
            detail=answer.detail,
            retry_after=_seconds(response.headers.get("Retry-After")),
        )

    def close(self) -> None:
        """Close the kept connection."""
        # Clearing alone leaves it to a finalizer, which at the interpreter's end has run already.
        for key in list(self._pool.pools.keys()):
            if (pool := self._pool.pools.get(key)) is not None:
                pool.close()
        self._pool.clear()


def transports(url: str, key: str | None) -> Callable[[str, str], HttpTransport]:
    """Ways to any server, for what an origin wrote; the key is shown to the server at ``url`` alone."""
    own = url.rstrip("/")
    return lambda to, origin: HttpTransport(to, origin, key if to.rstrip("/") == own else None)


def reason_of(error: Exception) -> str:
    """What is wrong, without the objects that urllib3 puts before it."""
    return str(error).rpartition("): ")[2]


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() else None
