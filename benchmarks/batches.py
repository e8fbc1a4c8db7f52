"""Batches as bytes on the wire, and one sender of them."""

import socket
import time


def request(session_id: str, first: int, count: int = 500) -> bytes:
    """One batch as bytes on the wire, half events and half metrics, so that the sender costs next to nothing."""
    now = time.time_ns() // 1000
    lines = [b'{"seq":1,"time":%d,"type":"start","product":"bench"}' % now] if first == 1 else []
    for seq in range(first + len(lines), first + count):
        kind = (
            b'"type":"event","name":"saved","level":"info","data":{"path":"a.txt","n":%d}}' % seq
            if seq % 2
            else b'"type":"metric","name":"fps","value":%d.5,"tags":["scene:menu"]}' % seq
        )
        lines.append(b'{"seq":%d,"time":%d,' % (seq, now + seq) + kind)
    body = b"\n".join(lines)
    head = (
        f"POST /api/sessions/{session_id}/records HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_all(url: str, requests: list[bytes]) -> float:
    """Send one after the other on one connection; seconds."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        began = time.perf_counter()
        for each in requests:
            connection.sendall(each)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            assert b'"accepted":500' in answer, answer
        return time.perf_counter() - began
