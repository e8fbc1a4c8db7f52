"""The one connection of a client, and its end."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from datacat.client.api import DatacatClient
from datacat.client.transport import HttpTransport
from datacat.model.errors import RequestFailed


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer = (200, b'{"accepted":0,"duplicates":0,"last_seq":0}')

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.do_POST()

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_closing_closes_the_connection_and_leaves_that_to_no_finalizer(url):
    transport = HttpTransport(url)
    assert transport.send("01934f5e-0000-7000-8000-000000000001", b"", 5).status == 200
    (pool,) = (transport._pool.pools.get(key) for key in list(transport._pool.pools.keys()))
    assert pool is not None
    waiting = pool.pool  # as long as this is held, nothing is finalized
    assert waiting is not None
    connection = next(each for each in waiting.queue if each is not None)
    transport.close()
    assert connection.sock is None


def test_an_answer_that_is_no_utf_8_is_an_answer_all_the_same(url, monkeypatch):
    """A proxy in the way speaks as it likes."""
    monkeypatch.setattr(Answers, "answer", (403, '{"detail":"für Gäste gesperrt"}'.encode("latin-1")))
    monkeypatch.setattr(Answers, "protocol_version", "HTTP/1.0")
    transport = HttpTransport(url)
    reply = transport.send("01934f5e-0000-7000-8000-000000000001", b"", 5)
    transport.close()
    assert (reply.status, reply.detail) == (403, '{"detail":"f�r G�ste gesperrt"}')
    with pytest.raises(RequestFailed, match="answers 403, and not as datacat does") as refused:
        DatacatClient(url).get_all_sessions()
    assert refused.value.status == 403
