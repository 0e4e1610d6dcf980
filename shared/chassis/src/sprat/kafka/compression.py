"""Batches that a producer has compressed, read within bounds: 6 kB may hold 200 MB of spaces.

The brokers keep a batch as its producer has compressed it (`compression.type=producer`): to unpack it there takes
memory of Kafka's own heap, whatever its size. So the limits for what is unpacked hold where it is read.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final, Self

import cramjam
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError

MAX_BATCH: Final = 16 * 1024 * 1024
"""How many bytes of a batch are unpacked."""
MAX_RECORD: Final = 1024 * 1024
"""How many bytes a record of a compressed batch may have; the brokers have the same limit for uncompressed texts."""
MAX_RECORDS: Final = 50_000
"""How many records a compressed batch may have: a small batch of millions of empty ones would cause as many dead
letters. librdkafka puts at most 10,000 into a batch."""

_SMALLEST_BUFFER = 64 * 1024
_GROWTH = 8
_FULL = "failed to write whole buffer"
_GZIP = 31
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


class Oversized(bytes):
    """The value of a record that was not read because it is too large: empty, with the reason."""

    reason: str

    def __new__(cls, reason: str) -> Self:
        """Return an empty value with this reason."""
        made = super().__new__(cls)
        made.reason = reason
        return made


def unpack(codec: int, packed: bytes, limit: int) -> tuple[bytes, bool]:
    """Decompress the records of a batch, at most `limit` bytes.

    Args:
        codec: the number of the codec in Kafka's protocol.
        packed: the records as they were compressed.
        limit: bytes; what does not fit takes no memory.

    Returns:
        The records, or their first `limit` bytes; and whether these are all.

    Raises:
        CorruptRecordException: they cannot be decompressed.
        UnsupportedCodecError: there is no such codec.
    """
    codecs: dict[int, Callable[[bytes, int], tuple[bytes, bool]]] = {1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}
    if codec not in codecs:
        raise UnsupportedCodecError(f"unknown compression codec {codec}")
    try:
        return codecs[codec](packed, limit)
    except (zlib.error, cramjam.DecompressionError, struct.error, IndexError) as error:
        raise CorruptRecordException(f"a batch cannot be decompressed: {type(error).__name__}") from None


def _gzip(packed: bytes, limit: int) -> tuple[bytes, bool]:
    unpacked = bytearray()
    while packed:
        stream = zlib.decompressobj(_GZIP)
        unpacked += stream.decompress(packed, limit + 1 - len(unpacked))
        if len(unpacked) > limit:
            return bytes(unpacked[:limit]), False
        if not stream.eof:
            raise zlib.error("the end is missing")
        packed = stream.unused_data
    return bytes(unpacked), True


def _snappy(packed: bytes, limit: int) -> tuple[bytes, bool]:
    """Decompress blocks one after the other. Each names its size, which is checked before any memory is taken."""
    if not packed.startswith(_XERIAL):
        return _snappy_block(packed, limit)
    unpacked = bytearray()
    position = _XERIAL_HEADER_BYTES
    while position < len(packed):
        (size,) = struct.unpack_from(">I", packed, position)
        position += 4
        block, whole = _snappy_block(packed[position : position + size], limit - len(unpacked))
        unpacked += block
        if not whole:
            return bytes(unpacked), False
        position += size
    return bytes(unpacked), True


def _snappy_block(block: bytes, limit: int) -> tuple[bytes, bool]:
    size, shift = 0, 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return (b"", False) if size > limit else (bytes(cramjam.snappy.decompress_raw(block)), True)


def _lz4(packed: bytes, limit: int) -> tuple[bytes, bool]:
    return _into_buffers(cramjam.lz4.decompress_into, packed, limit)


def _zstd(packed: bytes, limit: int) -> tuple[bytes, bool]:
    return _into_buffers(cramjam.zstd.decompress_into, packed, limit)


def _into_buffers(decompress: Callable[[Any, Any], int], packed: bytes, limit: int) -> tuple[bytes, bool]:
    """Decompress into a buffer of fixed size, a larger one where that is full: most batches are small."""
    size = min(limit, max(_SMALLEST_BUFFER, _GROWTH * len(packed)))
    while True:
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: decompress(packed, buffer)]), True
        except cramjam.DecompressionError as error:
            if _FULL not in str(error):
                raise
            if size == limit:
                return bytes(buffer), False
        size = min(limit, size * _GROWTH)
