"""Reads records whose header names are not UTF-8: librdkafka writes any bytes.

aiokafka decodes header names strictly: `getmany` raises UnicodeDecodeError at such a record, at every call, for ever,
and the whole partition stands still. Here the strict and fast reader comes first; a batch that it cannot decode is read
again by aiokafka's own Python reader with `surrogateescape`, so that
`name.encode("utf-8", "surrogateescape")` gives the original bytes back.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class _Bytes(bytearray):
    """A buffer whose slices decode without loss."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Bytes(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # as below
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: Any = _Bytes(self._buffer)


class _Batch:
    """A batch of records: attributes of the strict reader, records of whichever can read them."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = bytes(raw)
        self._strict = DefaultRecordBatch(raw)
        self._records: Iterator[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._strict))
        except UnicodeDecodeError:
            return iter(list(_LenientBatch(self._raw)))

    def __next__(self) -> Any:  # aiokafka reads the single record of a control batch this way
        return next(self._strict)


class TolerantMemoryRecords(_MemoryRecordsPy):  # type: ignore[misc]  # final for type checkers only
    """Gives batches that can be read whatever their header names hold."""

    def next_batch(self, *_: Any) -> Any:
        """Give the next batch."""
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(raw) if isinstance(batch, DefaultRecordBatch) and raw is not None else batch


def install() -> None:
    """Make every consumer of this process read header names without loss."""
    fetcher.MemoryRecords = TolerantMemoryRecords
