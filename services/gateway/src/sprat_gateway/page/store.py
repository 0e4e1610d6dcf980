"""`PageStore`: the store of one instance of the door. One thread writes; queries run in others, and end in time.

Losing it loses nothing that the topics still hold: the ingestion reads them again.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, Self, TypeVar
from uuid import UUID

from sprat_gateway.page.schema import open_reader, open_writer
from sprat_gateway.page.writing import StoreWriter

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LIMIT_S: Final = 0.2
"""How long a query may take; one of a screen, how long it may compute."""
_SCREEN_S: Final = 1.0
"""How long a query of a screen may take with its waiting: meanwhile the log of the store only grows."""
_READERS: Final = 4
_KNOWS: Final = "SELECT 1 FROM texts WHERE uuid = ?"
_STEPS: Final = 2_000
"""Instructions of SQLite between two looks at the clock."""


class QueryTooSlow(Exception):
    """A query was ended because it took too long. The page shows that part again later."""


class PageStore:
    """A context manager; entering it opens the file."""

    def __init__(self, folder: Path, *, whole: bool) -> None:
        """Name the store.

        Args:
            folder: where its file is.
            whole: whether there is a page; else it holds Results, ids and digests alone.
        """
        self.folder = folder
        self._whole = whole
        self._writing = ThreadPoolExecutor(1, "page-writer")
        self._reading = ThreadPoolExecutor(_READERS, "page-reader")
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._looking: sqlite3.Connection | None = None
        """Of the thread of the event loop; it waits for nobody."""
        self._writer: StoreWriter | None = None

    async def __aenter__(self) -> Self:
        self._writer = await self._in(self._writing, self._open)
        self._looking = open_reader(self.folder, wait_s=0)
        self._readers.append(self._looking)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in(self._writing, self._close)
        self._reading.shutdown()
        for reader in self._readers:
            reader.close()
        self._writing.shutdown()

    async def write(self, work: Callable[Concatenate[StoreWriter, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns, which may write: it runs in the thread that writes, one after the other.

        Raises:
            sqlite3.Error: the disk refuses.
        """
        if self._writer is None:
            raise RuntimeError("the store is not open")
        return await self._in(self._writing, work, self._writer, *args, **kwargs)

    async def read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a query returns; it sees one state of the store.

        Raises:
            QueryTooSlow: it took longer than `LIMIT_S`.
            sqlite3.Error: the file cannot be read.
        """
        return await self._in(self._reading, self._query, lambda reader: query(reader, *args, **kwargs), LIMIT_S)

    async def read_for_screen(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a query returns. A person waits: on a busy machine its waiting for a core does not count.

        Raises:
            QueryTooSlow: it computed longer than `LIMIT_S`, or took longer than a second.
            sqlite3.Error: the file cannot be read.
        """
        return await self._in(self._reading, self._query, lambda reader: query(reader, *args, **kwargs), _SCREEN_S)

    def may_hold(self, uuid: str) -> bool:
        """Return whether a text may stand here: False where it surely does not.

        One look into an index in the caller's thread. Nearly every text is new, and to hand the question to another
        thread takes ten times as long.
        """
        if self._looking is None:
            return True
        try:
            return self._looking.execute(_KNOWS, (uuid_bytes(uuid),)).fetchone() is not None
        except sqlite3.Error:
            return True

    def _query(self, query: Callable[[sqlite3.Connection], T], longest_s: float) -> T:
        connection = self._reader()
        ends = time.monotonic() + longest_s
        computed = time.thread_time() + LIMIT_S  # of this thread, in which SQLite computes, too
        connection.set_progress_handler(lambda: time.monotonic() > ends or time.thread_time() > computed, _STEPS)
        connection.execute("BEGIN")
        try:
            return query(connection)
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise QueryTooSlow from None
            raise
        finally:
            connection.set_progress_handler(None, 0)
            connection.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_reader(self.folder)
            self._readers.append(connection)
        return connection

    def _open(self) -> StoreWriter:
        return StoreWriter(open_writer(self.folder), whole=self._whole)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.connection.close()

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **kwargs))


def uuid_bytes(uuid: str) -> bytes | None:
    """Return an address as it stands in the store; None for what is no uuid in its usual form."""
    try:
        found = UUID(uuid)
    except ValueError:
        return None
    return found.bytes if str(found) == uuid else None


def now_ms() -> int:
    """Return the time: epoch milliseconds."""
    return time.time_ns() // 1_000_000
