"""A store that records are put into without a broker, and what its screens then show."""

from contextlib import asynccontextmanager

from sprat_contracts import Topics
from sprat_gateway.page.queries import Viewer
from sprat_gateway.page.records import RecordReader, TextSample
from sprat_gateway.page.store import PageStore
from support.traced_records import BEGAN

NOW = BEGAN + 1_000
OWN = Viewer("acme", "/crm", texts=True)
"""The one whose texts `TracedText` makes."""


class FilledStore:
    """A store and what fills it."""

    def __init__(self, store, topics=None):
        self.store = store
        self.sample = TextSample()
        self.reader = RecordReader(topics or Topics(), {}, self.sample)

    async def put(self, *records):
        """Write records as one batch."""
        rows = [row for record in records for row in self.reader.read(record)]
        await self.store.write(lambda writer: writer.write(rows, {}))

    async def show(self, query, *args):
        return await self.store.read(query, *args)


@asynccontextmanager
async def filled_store(folder, *records, whole=True, topics=None):
    """A store with these records; all tables begin empty."""
    async with PageStore(folder, whole=whole) as store:
        filled = FilledStore(store, topics)
        await filled.put(*records)
        yield filled
