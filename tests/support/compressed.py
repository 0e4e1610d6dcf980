"""Batches as a hostile producer makes them: small where they travel, large where they are unpacked."""

import struct
import zlib
from collections.abc import Iterable

import cramjam
from aiokafka.record.util import calc_crc32c

from support.stream import batch_builder

GZIP, SNAPPY, LZ4, ZSTD = CODECS = (1, 2, 3, 4)
LARGEST_SNAPPY = 20_000_000
"""Snappy makes nothing smaller than a twentieth: more does not fit into a batch of 1 MiB."""


def varint(number: int) -> bytes:
    """Return a number that is not negative as Snappy writes it."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def records(values: Iterable[bytes], key: bytes = b"key") -> tuple[bytes, int]:
    """Return the records of a batch, not compressed, and how many they are."""
    builder = batch_builder(1 << 30)
    count = 0
    for count, value in enumerate(values, 1):
        assert builder.append(count - 1, 1, key, value, [("name", b"header")]) is not None
    return bytes(builder.build()[61:]), count


def compress(codec: int, content: bytes) -> bytes:
    if codec == GZIP:
        packer = zlib.compressobj(9, wbits=31)
        return packer.compress(content) + packer.flush()
    if codec == SNAPPY:
        return bytes(cramjam.snappy.compress_raw(content))
    if codec == LZ4:
        packer = cramjam.lz4.Compressor(level=9, content_checksum=False, block_linked=False)
        packer.compress(content)
        return bytes(packer.finish())
    return bytes(cramjam.zstd.compress(content))


def batch(codec: int, packed: bytes, count: int = 1) -> bytes:
    """Return a batch in Kafka's format, whose records were compressed already, or claim to be."""
    head = struct.pack(">qiib", 0, len(packed) + 49, -1, 2)
    body = struct.pack(">hiqqqhii", codec, count - 1, 1, 1, -1, -1, -1, count) + packed
    return head + struct.pack(">I", calc_crc32c(body)) + body


def bomb(codec: int, size: int = 200_000_000, key: bytes = b"key") -> bytes:
    """Return a batch of one record of spaces."""
    content, count = records([b" " * min(size, LARGEST_SNAPPY if codec == SNAPPY else size)], key)
    return batch(codec, compress(codec, content), count)


def forged_snappy(size: int) -> bytes:
    """Return a batch whose one block claims to unpack to so many bytes, and holds next to nothing."""
    return batch(SNAPPY, varint(size) + bytes(50))
