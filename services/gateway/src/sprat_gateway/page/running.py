"""The store and what keeps it up to date, for as long as the door serves."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sprat.base.errors import UserError
from sprat_gateway.page.groups import watch_groups
from sprat_gateway.page.ingest import Ingestion
from sprat_gateway.page.store import PageStore
from sprat_gateway.settings import GatewaySettings


@asynccontextmanager
async def running_store(settings: GatewaySettings) -> AsyncIterator[PageStore | None]:
    """Run the store in the door's folder, which follows the topics; None where the door has no folder.

    Raises:
        UserError: the page is on, and there is no folder for what it shows.
    """
    section = settings.gateway
    whole = section.page == "on"
    if section.data is None:
        if whole:
            raise UserError("SPRAT_GATEWAY__PAGE=on needs a folder for the page's store: set SPRAT_GATEWAY__DATA")
        yield None
        return
    async with PageStore(section.data, whole=whole) as store:
        work: list[Coroutine[Any, Any, None]] = [Ingestion(settings.kafka, store, whole=whole).run()]
        if whole:
            work.append(watch_groups(settings.kafka, store))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield store
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
