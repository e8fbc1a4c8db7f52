"""What a database must be able to do for keys: few rows, asked for at every request, changed by hand."""

from typing import Protocol

from datacat.model.keys import Key


class KeyReader(Protocol):
    """Belongs to one thread; what another process has changed is seen at once."""

    def find(self, key_id: str) -> Key | None:
        """The key of this id, revoked or not."""
        ...

    def any(self) -> bool:
        """Whether a key was ever made."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class KeyStore(KeyReader, Protocol):
    """The same, for whoever manages them."""

    def all(self) -> list[Key]:
        """Every key ever made, oldest first."""
        ...

    def add(self, key: Key) -> None:
        """Keep a new key."""
        ...

    def revoke(self, key_id: str, now: int) -> bool:
        """From now on it opens nothing; whether there was such a key, not yet revoked."""
        ...
