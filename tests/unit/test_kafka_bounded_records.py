"""Compressed batches are read within bounds, and what is too large becomes a record that says so."""

import tracemalloc
from collections.abc import Iterator

import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError

from sprat.base.errors import Rejected
from sprat.kafka.bounded_records import MAX_BATCH, MAX_RECORD, MAX_RECORDS, BoundedMemoryRecords, Oversized, unpack
from sprat.processing.records import receive
from sprat_contracts import Record, TextSubmitted
from support.compressed import CODECS, SNAPPY, ZSTD, batch, bomb, compress, records, varint

KIB = 1024


def read(raw: bytes) -> list:
    return list(BoundedMemoryRecords(raw).next_batch())


@pytest.fixture
def peak() -> Iterator:
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, 70 * KIB, 900 * KIB])
def test_what_fits_is_unpacked_whole(codec: int, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    assert unpack(codec, compress(codec, content), MAX_BATCH) == (content, True)
    assert unpack(codec, compress(codec, content), size) == (content, True)


@pytest.mark.parametrize("codec", set(CODECS) - {SNAPPY})
def test_of_what_does_not_fit_the_beginning_is_unpacked(codec: int) -> None:
    content = bytes(number % 251 for number in range(200 * KIB))
    assert unpack(codec, compress(codec, content), 100 * KIB) == (content[: 100 * KIB], False)


def test_a_stream_of_several_parts_is_unpacked_whole() -> None:
    assert unpack(1, compress(1, b"one") + compress(1, b"two"), 10) == (b"onetwo", True)
    assert unpack(1, compress(1, b"one") + compress(1, b"two"), 5) == (b"onetw", False)


def test_blocks_of_javas_snappy_are_unpacked_up_to_the_limit() -> None:
    head = b"\x82SNAPPY\x00" + bytes(8)
    blocks = [compress(SNAPPY, bytes([number]) * KIB) for number in range(3)]
    packed = head + b"".join(len(block).to_bytes(4, "big") + block for block in blocks)
    content = b"".join(bytes([number]) * KIB for number in range(3))
    assert unpack(SNAPPY, packed, 3 * KIB) == (content, True)
    assert unpack(SNAPPY, packed, 2 * KIB) == (content[: 2 * KIB], False)


def test_a_size_that_a_block_only_claims_takes_no_memory(peak) -> None:
    assert unpack(SNAPPY, varint(2**31 - 1) + bytes(50), MAX_BATCH) == (b"", False)
    assert peak() < MAX_BATCH


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_no_compressed_content_is_corrupt(codec: int) -> None:
    with pytest.raises(CorruptRecordException):
        unpack(codec, b"\x05\xff\xff\xffnothing", KIB)


def test_an_unknown_codec_is_named() -> None:
    with pytest.raises(UnsupportedCodecError, match="7"):
        unpack(7, b"", KIB)


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_becomes_one_record_that_says_so_in_little_memory(codec: int, peak) -> None:
    size = 20_000_000
    raw = bomb(codec, size, b"customer 7")
    assert len(raw) < MAX_RECORD
    before = peak()
    (record,) = read(raw)
    assert isinstance(record.value, Oversized)
    assert record.value == b""
    assert (record.offset, list(record.headers)) == (0, [])
    assert record.key == (None if codec == SNAPPY else b"customer 7"), "Snappy gives all or nothing of a block"
    assert "16777216 bytes that are read of a batch" in record.value.reason
    assert (str(size)[:4] in record.value.reason) == (codec != SNAPPY)
    assert peak() - before < 4 * MAX_BATCH


@pytest.mark.parametrize("codec", CODECS)
def test_the_neighbours_of_a_large_record_are_read(codec: int) -> None:
    content, count = records([b"before", b" " * (MAX_RECORD + 1), b"after"])
    first, second, third = read(batch(codec, compress(codec, content), count))
    assert (first.value, third.value) == (b"before", b"after")
    assert (second.offset, second.key, second.value) == (1, b"key", b"")
    assert second.value.reason.startswith("1048590 bytes, unpacked, of which 1048576 are read at most")
    assert first.headers == [("name", b"header")]


def test_a_key_that_is_too_large_is_not_kept_either() -> None:
    content, count = records([b"value"], key=b" " * (MAX_RECORD + 1))
    (record,) = read(batch(ZSTD, compress(ZSTD, content), count))
    assert (record.key, record.value) == (None, b"")


def test_what_stands_before_the_cut_is_read_and_the_rest_is_one_record() -> None:
    content, count = records([b"before", b" " * MAX_BATCH, b"after", b"and after"])
    before, cut = read(batch(ZSTD, compress(ZSTD, content), count))
    assert before.value == b"before"
    assert (cut.offset, cut.key) == (1, b"key")
    assert cut.value.reason == (
        "16777240 bytes, unpacked, beyond the 16777216 bytes that are read of a batch, unpacked; "
        "nor can the 2 records after it be read; they are not kept"
    )


def test_the_position_after_it_is_after_the_batch() -> None:
    content, count = records([b"before", b" " * MAX_BATCH, b"after"])
    assert BoundedMemoryRecords(batch(ZSTD, compress(ZSTD, content), count)).next_batch().next_offset == 3


def test_a_batch_of_too_many_records_becomes_one() -> None:
    content, count = records([b""] * (MAX_RECORDS + 1))
    (record,) = read(batch(ZSTD, compress(ZSTD, content), count))
    assert record.offset == 0
    assert record.value.reason.startswith("a compressed batch of 50001 records, of which 50000 are read at most")


def test_records_are_read_one_after_the_other(peak) -> None:
    """A poll takes a few of a batch; the others take no memory meanwhile."""
    content, count = records([b" " * 100_000] * 160)
    raw = batch(ZSTD, compress(ZSTD, content), count)
    before = peak()
    reader = iter(BoundedMemoryRecords(raw).next_batch())
    assert next(reader).value == b" " * 100_000
    assert peak() - before < 4 * MAX_BATCH


def test_it_is_rejected_before_anything_of_it_is_read() -> None:
    record = Record("texts", 0, 1, 2, b"key", Oversized("far too large"))
    with pytest.raises(Rejected) as raised:
        receive(record, TextSubmitted)
    assert (raised.value.code, raised.value.detail) == ("too_large", "far too large")
