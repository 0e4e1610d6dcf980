"""The answers of large models to texts of one task, as rows to train from."""

from collections.abc import Mapping
from typing import Any, Final

from sprat_contracts import Output, Result, Topics, WireError, decode
from sprat_operations.feedback import CorrectedText, Correction, Corrections, join
from sprat_operations.topic_reader import OnReadProgress, no_progress, read_since

FRONTIER: Final = "frontier"


async def read_large_answers(
    client: Mapping[str, Any],
    topics: Topics,
    task: str,
    since_ms: int | None,
    *,
    progress: OnReadProgress = no_progress,
) -> list[CorrectedText]:
    """Return the texts that a large model answered at `since_ms` (epoch) or later, None: all, with its answers.

    Of several Results of a text the first one counts, as for consumers. Texts that are no longer there are left out.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    form: type[Output] = topics.tasks[task]
    found = Corrections(task, form)
    async for record in read_since(client, [topics.results(task)], since_ms, progress=progress):
        try:
            result = decode(record, Result).message
        except WireError:
            continue
        if result.source == FRONTIER and isinstance(result.output, form):
            answered = Correction(result.output, FRONTIER, record.timestamp)
            found.latest.setdefault((result.text_source, result.text_id), answered)
    return await join(client, topics.texts, found, progress=progress) if found.latest else []
