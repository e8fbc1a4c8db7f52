"""Where the service may be reached, and by which names: pure, on settings."""

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from datacat.model.errors import ConfigurationError
from datacat.server.settings import Settings, split

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:]+)(?::[0-9]*)?")
_NOBODYS: Final = re.compile(r"[a-z0-9_-]+|.+\.localhost")
_NAME: Final = re.compile(r"[a-z0-9_.-]+")


def check_address(settings: Settings, *, asks_for_keys: bool) -> None:
    """Refuse to serve an address that others can reach where no key is asked, unless told that this is meant.

    Args:
        settings: with the address.
        asks_for_keys: whether a key was ever made.

    Raises:
        ConfigurationError: with the cure.
    """
    if settings.insecure_no_auth or asks_for_keys or _is_loopback(settings.host):
        return
    raise ConfigurationError(
        f"refusing to listen on {settings.host}: anybody who reaches that address could read and write every "
        "session. Listen on 127.0.0.1 (the default), make a key with datacat keys create, or pass "
        "--insecure-no-auth if you mean it"
    )


def check_names(settings: Settings) -> None:
    """Refuse to be asked by names that no header ``Host`` can say, such as a URL, or ``*``.

    Raises:
        ConfigurationError: with what to write.
    """
    for each in split(settings.allowed_hosts):
        if not _NAME.fullmatch(_name_of(each)):
            raise ConfigurationError(
                f"allowed_hosts are names such as datacat.example.org, with commas between several; found {each!r}"
            )


def asked_by(settings: Settings) -> Callable[[str], bool]:
    """What says whether a service that asks for no key may be asked by what a header ``Host`` says.

    Whoever owns a name can have it lead to this machine, and then the pages of that name are of the service's own
    origin (DNS rebinding). That cannot be done with addresses, nor with names that nobody can own: those without a
    dot, and ``localhost`` (RFC 6761). Who let everybody in who reaches another address than this machine's own, and
    named no names, is asked by any.

    >>> asked = ("localhost:8080", "127.0.0.1", "[::1]:80", "buildbox:8080", "", "evil.example:8080")
    >>> list(map(asked_by(Settings()), asked))
    [True, True, True, True, True, False]
    >>> asked_by(Settings(allowed_hosts="datacat.example.org"))("Datacat.example.org")
    True
    """
    named = {_name_of(each) for each in split(settings.allowed_hosts)}
    if not named and not _is_loopback(settings.host):
        return lambda _: True

    def is_ours(host: str) -> bool:
        name = _name_of(host)
        return (
            not host
            or name in named
            or _NOBODYS.fullmatch(name) is not None
            or _is_address(name.removeprefix("[").removesuffix("]"))
        )

    return is_ours


def _name_of(host: str) -> str:
    """Without the port; empty for what is no host."""
    found = _HOST.fullmatch(host.lower())
    return found[1].rstrip(".") if found else ""


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
