"""Batches of records, read within bounds, whatever their header names hold: `install_bounded_records`.

6 kB of a compressed batch may hold 200 MB of spaces. The brokers keep a batch as its producer has compressed it
(`compression.type=producer`): to unpack it there takes memory of Kafka's own heap, whatever its size. So the limits for
what is unpacked hold where it is read.

It relies on private parts of aiokafka: `aiokafka.consumer.fetcher.MemoryRecords`, and the readers of `aiokafka.record`
in Python.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Self

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint_py as decode_varint

MAX_BATCH: Final = 16 * 1024 * 1024
"""How many bytes of a batch are unpacked."""
MAX_RECORD: Final = 1024 * 1024
"""How many bytes a record of a compressed batch may have; the brokers have the same limit for uncompressed texts."""
MAX_RECORDS: Final = 50_000
"""How many records a compressed batch may have: a small batch of millions of empty ones would cause as many dead
letters. librdkafka puts at most 10,000 into a batch."""

_CODEC_AT, _COUNT_AT, _HEADER_BYTES = 22, 57, 61
"""Of a batch in version 2: the byte of its attributes that holds the codec, its number of records, its records."""
_SMALLEST_BUFFER = 64 * 1024
_GROWTH = 8
_FULL = "failed to write whole buffer"
_GZIP = 31
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


def install_bounded_records() -> None:
    """Let every consumer of this process read compressed batches within limits, and header names of any bytes.

    aiokafka decompresses a whole batch, whatever its size; what is above the limits becomes a
    record whose value is `Oversized`.

    librdkafka writes header names of any bytes, but aiokafka decodes them strictly: `getmany` raises UnicodeDecodeError
    at such a record on every call, and the partition never moves on. From there on, a batch is read by aiokafka's own
    reader in Python with `surrogateescape`; then `name.encode("utf-8", "surrogateescape")` returns the original bytes.
    """
    fetcher.MemoryRecords = BoundedMemoryRecords


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


class BoundedMemoryRecords(_MemoryRecordsPy):  # type: ignore[misc]  # final for type checkers only
    """Returns batches that can be read within limits, whatever their header names hold."""

    def next_batch(self, *_: Any) -> Any:
        """Return the next batch."""
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(raw) if isinstance(batch, DefaultRecordBatch) and raw is not None else batch


class _Batch:
    """A batch of records: the attributes of the strict reader, the records of whichever reader can decode them."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = bytes(raw)
        self._strict = DefaultRecordBatch(raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __iter__(self) -> Iterator[Any]:
        """Yield one record after the other: a batch of many small ones takes little memory."""
        codec = self._strict.compression_type
        return self._unpacked(codec) if codec else _records(self._raw)

    def __next__(self) -> Any:  # aiokafka reads the single record of a control batch this way
        return next(self._strict)

    def _unpacked(self, codec: int) -> Iterator[Any]:
        (count,) = struct.unpack_from(">i", self._raw, _COUNT_AT)
        if count > MAX_RECORDS:
            reason = f"a compressed batch of {count} records, of which {MAX_RECORDS} are read at most: none was read"
            yield _Record(self._strict.base_offset, self._strict.max_timestamp, None, Oversized(reason))
            return
        header = bytearray(self._raw[:_HEADER_BYTES])
        header[_CODEC_AT] &= ~DefaultRecordBase.CODEC_MASK
        records, whole = unpack(codec, self._raw[_HEADER_BYTES:], MAX_BATCH)
        raw = bytes(header) + records
        for record in _records(raw) if whole else _CutBatch(raw):
            size = _size(record)
            if size <= MAX_RECORD:
                yield record
                continue
            key = record.key if len(record.key or b"") <= MAX_RECORD else None
            reason = f"{size} bytes, unpacked, of which {MAX_RECORD} are read at most; they are not kept"
            yield _Record(record.offset, record.timestamp, key, Oversized(reason))


def _size(record: Any) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _records(raw: bytes) -> Iterator[Any]:
    """Yield the records of an uncompressed batch."""
    read = 0
    try:
        for record in DefaultRecordBatch(raw):
            read += 1
            yield record
    except UnicodeDecodeError:
        yield from islice(_LenientBatch(raw), read, None)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # as above
    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._buffer: Any = _Bytes(self._buffer)


class _CutBatch(_LenientBatch):
    """A batch whose end is missing: the record that is cut is `Oversized`, and the last one."""

    def __iter__(self) -> Iterator[Any]:
        for number in range(self._num_records):
            began = self._pos
            try:
                record = self._read_msg(decode_varint)
            except (IndexError, ValueError, CorruptRecordException):
                record = None
            if record is None or self._pos > len(self._buffer):
                yield self._cut(began, self._num_records - number - 1)
                return
            yield record

    def _cut(self, position: int, following: int) -> "_Record":
        """Return the record that begins here, with its key where that is there."""
        reason, key, delta = f"beyond the {MAX_BATCH} bytes that are read of a batch, unpacked", None, None
        with suppress(IndexError):
            size, position = decode_varint(self._buffer, position)
            reason = f"{size} bytes, unpacked, {reason}"
            _attributes, position = decode_varint(self._buffer, position)
            _time, position = decode_varint(self._buffer, position)
            delta, position = decode_varint(self._buffer, position)
            length, position = decode_varint(self._buffer, position)
            if 0 <= length <= min(MAX_RECORD, len(self._buffer) - position):
                key = bytes(self._buffer[position : position + length])
        if following:
            reason = f"{reason}; nor can the {following} records after it be read"
        offset = self.next_offset - 1 - following if delta is None else self.base_offset + delta
        return _Record(offset, self.max_timestamp, key, Oversized(f"{reason}; they are not kept"))


@dataclass(frozen=True, slots=True)
class _Record:
    """A record that was not read whole, as `aiokafka.record` returns records."""

    offset: int
    timestamp: int
    key: bytes | None
    value: Oversized
    timestamp_type: int = DefaultRecordBase.LOG_APPEND_TIME
    headers: tuple[tuple[str, bytes], ...] = ()
    checksum: None = None


class _Bytes(bytearray):
    """A buffer whose slices decode without loss."""

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _Bytes(part) if isinstance(index, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)
