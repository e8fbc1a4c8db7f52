import gzip
import tracemalloc

import pytest
import zstandard

from datacat.ingest.decompress import decompress
from datacat.model.errors import InvalidInput

BODY = b'{"seq":1}\n' * 1000
PACKED = {"gzip": gzip.compress(BODY), "zstd": zstandard.compress(BODY), "identity": BODY, "": BODY}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_is_opened_as_its_encoding_says(encoding):
    assert decompress(PACKED[encoding], encoding) == BODY


def test_a_gzip_body_may_have_several_members():
    assert decompress(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_costs_no_more_memory_than_the_limit(encoding):
    zeros = bytes(64 * 1024 * 1024)
    bomb = gzip.compress(zeros) if encoding == "gzip" else zstandard.compress(zeros)
    del zeros
    tracemalloc.start()
    with pytest.raises(InvalidInput) as caught:
        decompress(bomb, encoding, limit=1024 * 1024)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "decoded_too_large"
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", [lambda body: b"x" + body, lambda body: body[: len(body) // 2]])
def test_a_damaged_body_is_told(encoding, damage):
    with pytest.raises(InvalidInput) as caught:
        decompress(damage(PACKED[encoding]), encoding)
    assert caught.value.code == "bad_compression"


def test_exactly_the_limit_is_taken():
    assert decompress(gzip.compress(b"x" * 100), "gzip", limit=100) == b"x" * 100


def test_an_unknown_encoding_is_told_what_is_known():
    with pytest.raises(InvalidInput, match="gzip, zstd or identity"):
        decompress(b"", "br")
