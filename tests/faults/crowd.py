"""Many programs that are alive at once, each with a connection of its own on which its heart beats."""

import asyncio
import random
import time
import uuid

from msgspec import Struct, json

STARTING_AT_ONCE = 100
"""So many connect at the same time; the listening queue of a system may be no longer than 128."""


class Crowd(Struct):
    """How they were served: seconds that each beat waited for its answer, in order."""

    waits: list[float]

    def wait_at(self, part: float) -> float:
        """The wait that this part of all beats stayed within."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(part * len(self.waits)))]


async def beat_together(
    port: int, count: int, *, product: str, interval: float, seconds: float, contact_timeout: float
) -> Crowd:
    """``count`` sessions begin, then all beat every ``interval`` for so many seconds, then fall silent at once."""
    crowd = Crowd([])
    starting = asyncio.Semaphore(STARTING_AT_ONCE)
    begun = asyncio.Barrier(count)

    async def live(number: int) -> None:
        session_id = uuid.uuid4()
        path = f"/api/sessions/{session_id}"
        start = {"seq": 1, "time": time.time_ns() // 1000, "type": "start"}
        start |= {"product": product, "contact_timeout": contact_timeout}
        beat = _request(f"{path}/heartbeat", b"")
        async with starting:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await _ask(reader, writer, _request(f"{path}/records", json.encode(start)))
            await _ask(reader, writer, beat)
        async with asyncio.timeout(300):
            await begun.wait()
        until = time.monotonic() + seconds
        await asyncio.sleep(random.Random(number).uniform(0, interval))
        while time.monotonic() < until:
            began = time.monotonic()
            await _ask(reader, writer, beat)
            crowd.waits.append(time.monotonic() - began)
            await asyncio.sleep(interval)
        writer.close()

    await asyncio.gather(*(live(number) for number in range(count)))
    return crowd


def _request(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
