"""Wrong arguments are the programmer's to mend, so they raise at once, and say how."""

import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from datacat.client.pulse import NAME_BYTES
from datacat.client.text import text_of
from datacat.model import limits
from datacat.model.errors import InvalidInput
from datacat.model.records import Kind, Level

LONGEST: Final = min(limits.MAX_CONTACT_TIMEOUT, threading.TIMEOUT_MAX)
"""Seconds: what may be promised, and what can be waited for."""

_LEVELS: Final = frozenset(get_args(Level))
_KINDS: Final = frozenset(get_args(Kind))

Tags = Iterable[str] | Mapping[str, Any]


def check_name(name: object) -> None:
    """A name is text of 1 to 200 characters."""
    if not isinstance(name, str):
        raise TypeError(f"name must be text, found {type(name).__name__}: log_event('saved', {{…}})")
    if not 0 < len(name) <= limits.MAX_NAME_LENGTH:
        raise ValueError(
            f"name must have 1 to {limits.MAX_NAME_LENGTH} characters, it has {len(name)}: "
            "what varies belongs into data or tags"
        )


def check_level(level: str) -> None:
    """One of the five levels."""
    if level not in _LEVELS:
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}, found {level!r}")


def check_kind(kind: str) -> None:
    """One of the four kinds."""
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, found {kind!r}")


def check_mapping(value: object, name: str) -> None:
    """Something with keys."""
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a mapping, found {type(value).__name__}: wrap it, as in {{'value': …}}"
        )


def check_value(value: object) -> float:
    """A number; whether it is finite is not the programmer's fault."""
    try:
        return float(value)  # type: ignore[arg-type]  # asking is the check
    except OverflowError:
        return float("inf")
    except Exception:  # noqa: BLE001  # what is no number says so in its own way
        raise TypeError(
            f"value must be a number, found {type(value).__name__}: log text as an event"
        ) from None


def check_positive(value: float, name: str) -> None:
    """A number of seconds that can pass."""
    check_seconds(value, name, may_be_none=False)


def check_seconds(value: float, name: str, *, may_be_none: bool = True) -> None:
    """A number of seconds that can be waited for; ``may_be_none`` says whether 0 is one."""
    if type(value) not in (int, float):
        raise TypeError(f"{name} must be a number of seconds (int or float), found {_found(value)}")
    if not 0 <= value <= LONGEST or not (value or may_be_none):
        least = "0" if may_be_none else "more than 0"
        raise ValueError(
            f"{name} must be {least} seconds and at most {LONGEST:.0f} of them, found {_found(value)}"
        )


def check_bytes(value: int, name: str, least: int, otherwise: str = "") -> None:
    """A number of bytes; ``otherwise`` says what is to be done where it is meant to be fewer than ``least``."""
    if type(value) is not int:
        raise TypeError(f"{name} must be a number of bytes (int), found {_found(value)}")
    if not least <= value <= sys.maxsize:
        raise ValueError(
            f"{name} must be at least {least} bytes and at most {sys.maxsize}, found {_found(value)}{otherwise}"
        )


def check_monitor_name(name: str) -> None:
    """A name that those who watch from outside read as it is."""
    check_name(name)
    size = len(name.encode("utf-8", "replace"))
    if size > NAME_BYTES or "\0" in name:
        raise ValueError(
            f"a monitor's name must have at most {NAME_BYTES} bytes of UTF-8, and none that is zero; "
            f"found {size} bytes: which loop it is, in a word or two"
        )


def _found(value: object) -> str:
    return f"{type(value).__name__} {text_of(value, repr)[:100]}"


def tag_list(tags: Tags) -> list[str]:
    """Tags as the wire has them: ``scene:menu``; a mapping's pairs are joined by a colon."""
    if isinstance(tags, str):
        raise TypeError(f"tags must be a list of text, found text: write tags=[{tags!r}]")
    listed: list[Any] = (
        [f"{text_of(key)}:{text_of(value)}" for key, value in tags.items()]
        if isinstance(tags, Mapping)
        else list(tags)
    )
    for tag in listed:
        if not isinstance(tag, str) or len(tag) > limits.MAX_NAME_LENGTH:
            raise TypeError(
                f"a tag must be text of at most {limits.MAX_NAME_LENGTH} characters, found {text_of(tag, repr)}"[
                    :300
                ]
            )
    if len(listed) > limits.MAX_TAGS:
        raise ValueError(f"at most {limits.MAX_TAGS} tags, found {len(listed)}")
    return listed


def label(value: object, name: str) -> str | None:
    """Text of at most 200 characters, or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, found {type(value).__name__}")
    if len(value) > limits.MAX_NAME_LENGTH:
        raise ValueError(f"{name} must have at most {limits.MAX_NAME_LENGTH} characters, it has {len(value)}")
    return value


def checked_url(url: str) -> str:
    """Where a service is; raises :class:`InvalidInput` where that is no URL."""
    wrong = "" if url.startswith(("http://", "https://")) else "must begin with http:// or https://"
    if not wrong and not _names_host(url):
        wrong = "names no host, or no port up to 65535"
    if wrong:
        raise InvalidInput(
            "bad_url",
            f"url {wrong}, found {url!r}: write it as http://localhost:8080",
            field="url",
            found=repr(url)[:200],
            expected="http://HOST:PORT",
        )
    return url


def _names_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def checked_key(key: str | None) -> str | None:
    """What can be sent as a key; None and what is empty is none."""
    key = (key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("key must be what datacat keys create printed, a single word of ASCII")
    return key or None
