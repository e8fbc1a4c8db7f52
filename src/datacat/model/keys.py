"""Keys: who may record, read or administer; pure.

A key is ``datacat_<id>_<secret>``. The id finds it; of the secret only the SHA-256 is kept, which is enough for
256 random bits: there is nothing to guess, so nothing is won by a slow hash.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final, Literal

from msgspec import Struct

KeyScope = Literal["ingest", "read", "admin"]
"""What a key may do: record, read, or everything, deleting too."""

_WRITTEN: Final = re.compile(r"datacat_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NO_DIGEST: Final = bytes(32)


class Key(Struct, frozen=True, kw_only=True):
    """A key as it is kept: times in microseconds since the epoch, ``digest`` is of the secret.

    ``product``: the only one that it is good for; None for all. ``records_per_second``: how many it may
    record; None for any number.
    """

    id: str
    name: str
    scopes: tuple[KeyScope, ...]
    digest: bytes
    created_at: int
    product: str | None = None
    records_per_second: int | None = None
    revoked_at: int | None = None


class Grant(Struct, frozen=True, kw_only=True):
    """What whoever asks may do; without a key, where none is needed, everything."""

    key_id: str | None = None
    scopes: frozenset[KeyScope] = frozenset({"admin"})
    product: str | None = None
    records_per_second: int | None = None

    def allows(self, scope: KeyScope) -> bool:
        """Whether it is enough for that; who may administer may do all."""
        return scope in self.scopes or "admin" in self.scopes


def new_key(
    name: str,
    scopes: tuple[KeyScope, ...],
    now: int,
    *,
    product: str | None = None,
    records_per_second: int | None = None,
) -> tuple[Key, str]:
    """A new key, and the text that opens with it, which is kept nowhere."""
    number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = Key(
        id=number,
        name=name,
        scopes=scopes,
        digest=_digest(secret),
        created_at=now,
        product=product,
        records_per_second=records_per_second,
    )
    return key, f"datacat_{number}_{secret}"


def parse_key(text: str) -> tuple[str, str] | None:
    """A key's id and its secret; None when it cannot be one.

    >>> parse_key("datacat_0123456789ab_" + "x" * 43)[0]
    '0123456789ab'
    """
    match = _WRITTEN.fullmatch(text)
    return None if match is None else (match[1], match[2])


def opens(key: Key | None, secret: str) -> bool:
    """Whether the secret is that of the key; takes as long whether there is such a key or not."""
    return hmac.compare_digest(key.digest if key else _NO_DIGEST, _digest(secret)) and key is not None


def grant_of(key: Key) -> Grant:
    """What whoever has the key may do."""
    return Grant(
        key_id=key.id,
        scopes=frozenset(key.scopes),
        product=key.product,
        records_per_second=key.records_per_second,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
