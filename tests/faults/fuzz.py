"""Requests that nobody would send: what the OpenAPI document allows and forbids, and bytes gone wrong on the way."""

import random
import re
import socket
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable

import schemathesis
from hypothesis import HealthCheck, given, settings
from msgspec import json
from schemathesis.checks import not_a_server_error

from datacat.api.openapi import NDJSON

STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d\d\d)[^\r\n]*\r\n")
PATIENCE = 0.02
"""Seconds without a further byte after which no answer is waited for: much of what is sent has none."""


@schemathesis.serializer(NDJSON)
def _as_it_is(_context: object, value: object) -> bytes:
    return str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/merge-patch+json")
def _as_json(_context: object, value: object) -> bytes:
    return json.encode(value)


def by_the_document(url: str, examples: int, deadline: float = float("inf")) -> Counter[int]:
    """So many requests to each operation, until ``deadline`` on the monotonic clock; how often each status came.

    Raises:
        Exception: the server failed on one; it is told.
    """
    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    statuses: Counter[int] = Counter()
    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # an Err fails here, as it should
        if operation.path.endswith("/live"):
            continue  # a stream that is well asked for has no end; test_live.py reads those

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answers(case):
            response = case.call()
            case.validate_response(response, checks=[not_a_server_error])
            statuses[response.status_code] += 1

        if time.monotonic() < deadline:
            answers()
    return statuses


def raw_bytes(port: int, seed: int, count: int) -> Counter[int]:
    """So many requests, most of them damaged, in random pieces; how often each status came, 0 for no answer.

    Raises:
        AssertionError: the server failed on one; it is told.
    """
    chance = random.Random(seed)
    statuses: Counter[int] = Counter()
    for _ in range(count):
        sent = b"".join(_damaged(_request(chance), chance) for _ in range(chance.choice((1, 1, 1, 2, 4))))
        received = _exchange(port, sent, chance)
        answers = [int(status) for status in STATUS_LINE.findall(received)] or [0]
        assert all(status < 500 or status == 503 for status in answers), (sent, received)
        statuses.update(answers)
    return statuses


def _exchange(port: int, sent: bytes, chance: random.Random) -> bytes:
    received = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            rest = sent
            while rest:
                size = chance.choice((1, 7, 100, len(rest)))
                connection.sendall(rest[:size])
                rest = rest[size:]
            connection.settimeout(PATIENCE)
            while piece := connection.recv(65_536):
                received += piece
        except (TimeoutError, ConnectionError):
            pass
    return received


def _request(chance: random.Random) -> bytes:
    """One that the service would take."""
    session_id = str(uuid.UUID(int=chance.randrange(8)))
    lines: list[tuple[str, dict[str, object]]] = [
        ("start", {"product": "p", "contact_timeout": 5.0, "tags": ["a"]}),
        ("event", {"name": "application_appears_hung", "level": "error", "data": {"stacks": ["f"]}}),
        ("state", {"merge": {"a": {"b": [1, None, "é"]}}, "remove": ["/a/b"]}),
        ("metric", {"name": "m", "value": 1.5e300, "unit": "s", "tags": ["a", "b"]}),
        ("loss", {"first": 5}),
        ("exit", {"cause": "signal", "signal": 11}),
        ("heartbeat", {}),
        ("end", {}),
    ]
    records = b"\n".join(
        json.encode({"seq": seq, "time": seq, "type": kind, **more})
        for seq, (kind, more) in enumerate(lines, 1)
    )
    path = f"/api/sessions/{session_id}"
    method, target, body, headers = chance.choice(
        [
            ("POST", "/api/sessions", json.encode({"id": session_id, "product": "p"}), ""),
            ("POST", f"{path}/records", records, ""),
            ("POST", f"{path}/records", zlib.compress(records, wbits=31), "Content-Encoding: gzip\r\n"),
            ("POST", f"{path}/events", b'{"name":"e","data":{"n":[1,2,{"x":"y"}]}}', ""),
            ("POST", f"{path}/metrics", b'{"name":"m","value":1,"timestamp":"2026-01-02T03:04:05Z"}', ""),
            (
                "POST",
                f"{path}/state",
                b'{"a":null,"b":{"c":[]}}',
                "Content-Type: application/merge-patch+json\r\n",
            ),
            ("POST", f"{path}/heartbeat", b"", "Expect: 100-continue\r\n"),
            ("GET", f"{path}/events?limit=3&order=desc&name=e", b"", ""),
            ("GET", f"{path}/state?at=2026-01-02T03:04:05Z", b"", "Accept-Encoding: gzip\r\n"),
            ("GET", "/api/sessions?limit=2&status=crashed,hung&from=2026-01-01T00:00:00Z", b"", ""),
            ("GET", "/api/grafana/flat/metrics?name=m&aggregate=avg&width=60", b"", ""),
            ("GET", "/metrics", b"", ""),
        ]
    )
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body and chance.random() < 0.2:
        middle = chance.randrange(len(body))
        pieces = b"".join(
            b"%x\r\n%b\r\n" % (len(each), each) for each in (body[:middle], body[middle:]) if each
        )
        return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def _damaged(request: bytes, chance: random.Random) -> bytes:
    damage: list[Callable[[bytes, int, int], bytes]] = [
        lambda data, at, _: data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :],
        lambda data, at, _: data[:at] + chance.randbytes(chance.randrange(1, 30)) + data[at:],
        lambda data, at, size: data[:at] + data[at + size :],
        lambda data, at, size: data[:at] + data[at : at + size] * chance.randrange(2, 6) + data[at:],
        lambda data, at, _: data[:at] + chance.choice(b'"{}[]\\\r\n\0:, -09eE').to_bytes() + data[at:],
        lambda data, at, _: data[:at],
    ]
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at = chance.randrange(len(request) or 1)
        request = chance.choice(damage)(request, at, chance.randrange(1, 20))
    return request
