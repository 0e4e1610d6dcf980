"""`PageAnswers`: what stands in the store of a text, for who asks for it by its address or sends it again."""

import json
import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from sprat.base.retry import OnceAMinute
from sprat_contracts import ReasonCode, Result
from sprat_gateway.answers.kept import KeptText, digest_of
from sprat_gateway.page.records import ROUTER, TextRef
from sprat_gateway.page.store import PageStore, QueryTooSlow, now_ms, uuid_bytes
from sprat_gateway.page.writing import Remembered, StoreWriter
from sprat_gateway.replies.waiters import TextOutcome, TextRefusal
from sprat_operations.record_summary import RecordKind

log = logging.getLogger(__name__)

_KNOWN: Final = 10_000
_TEXT: Final = "SELECT * FROM texts WHERE uuid = ? AND tenant = ? AND source = ?"
_RECORDS: Final = """SELECT partition, offset, at, value FROM records
WHERE text = ? AND kind = ? AND expires > ? ORDER BY at DESC"""
_RESULTS: Final = """SELECT records.value FROM results
JOIN records ON records.text = results.text AND records.task = results.task AND records.kind = ?
AND records.partition = results.partition AND records.offset = results.offset
WHERE results.text = ? AND records.expires > ?"""
_LETTERS: Final = """SELECT code, detail, ends_text, origin_partition, origin_offset FROM letters
WHERE text = ? AND service = ? AND expires > ? ORDER BY at"""


class PageAnswers:
    """`TextStore` in the page's store. Results get there by the ingestion, also of texts that came by Kafka.

    Args:
        store: that is open.
        tasks: of the installation.
        clock: returns the time, epoch milliseconds.
    """

    def __init__(self, store: PageStore, tasks: Collection[str], clock: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._kept: dict[str, tuple[object, ...]] = {}
        """Texts that stand there already, the oldest first, with their digests and places."""
        self._failed = OnceAMinute()

    async def find(self, uuid: str, tenant: str, source: str) -> KeptText | None:
        """Return what stands of a text; None where there is none of this tenant and source."""
        if not self._store.may_hold(uuid):
            return None
        try:
            found = await self._store.read(_stored, uuid, tenant, source, self._clock())
        except (sqlite3.Error, QueryTooSlow) as error:
            self._warn(error)
            return None
        return None if found is None else self._read(found)

    async def keep(self, changed: Sequence[KeptText]) -> None:
        """Keep addresses and digests; the Results come over their topics."""
        new = [each for each in changed if self._kept.get(each.outcome.uuid) != (each.digest, each.place)]
        if not new:
            return
        try:
            await self._store.write(_remember, [self._remembered(each) for each in new])
        except sqlite3.Error as error:
            self._warn(error)
            return
        self._kept |= {each.outcome.uuid: (each.digest, each.place) for each in new}
        while len(self._kept) > _KNOWN:
            del self._kept[next(iter(self._kept))]

    def _remembered(self, kept: KeptText) -> Remembered:
        outcome = kept.outcome
        text = TextRef(outcome.tenant, outcome.source, outcome.id)
        ending = sum(task in self._tasks for task in outcome.tasks)
        return Remembered(text, kept.appended_ms or self._clock(), outcome.tasks, ending, kept.digest or "", kept.place)

    def _read(self, stored: "_Stored") -> KeptText | None:
        results = {result.task: result for result in map(_result, stored.results) if result is not None}
        tasks = stored.tasks or tuple(dict.fromkeys(task for each in results.values() for task in each.requested))
        unknown = [task for task in tasks if task not in self._tasks]
        rejected = []
        for code, detail, ends_text in stored.letters:
            if ends_text:
                rejected.append(TextRefusal(code, detail))
            elif code == ReasonCode.UNKNOWN_TASK:
                rejected += [TextRefusal(code, detail, task) for task in unknown]
        text = stored.text
        outcome = TextOutcome(
            stored.uuid, text.source, text.id, text.tenant, tasks, results, tuple(dict.fromkeys(rejected))
        )
        return KeptText(outcome, stored.digest, stored.place, stored.at)

    def _warn(self, error: Exception) -> None:
        if self._failed.due():
            log.warning("the store does not answer: %s; texts are not found", type(error).__name__)


@dataclass(frozen=True, slots=True)
class _Stored:
    uuid: str
    text: TextRef
    digest: str
    tasks: tuple[str, ...]
    place: tuple[int, int] | None
    at: int | None
    results: Sequence[bytes]
    letters: Sequence[tuple[str, str, int]]


def _stored(connection: sqlite3.Connection, uuid: str, tenant: str, source: str, now: int) -> _Stored | None:
    key = uuid_bytes(uuid)
    row = None if key is None else connection.execute(_TEXT, (key, tenant, source)).fetchone()
    if row is None:
        return None
    # Others may have published a record with its id. What the door has sent is known by its place, or its digest.
    records = connection.execute(_RECORDS, (row["id"], RecordKind.text, now))
    record = next((each for each in records if row["digest"] in (None, "", digest_of(each["value"]))), None)
    place = None if record is None else (record["partition"], record["offset"])
    if row["sent_offset"] is not None:
        place = (row["sent_partition"], row["sent_offset"])
    letters = connection.execute(_LETTERS, (row["id"], ROUTER, now)).fetchall()
    return _Stored(
        uuid=str(UUID(bytes=row["uuid"])),
        text=TextRef(row["tenant"], row["source"], row["text_id"]),
        digest=row["digest"] or ("" if record is None else digest_of(record["value"])),
        tasks=tuple(json.loads(row["tasks"] or "[]")),
        place=place,
        at=None if record is None else record["at"],
        results=[value for (value,) in connection.execute(_RESULTS, (RecordKind.result, row["id"], now))],
        letters=[tuple(said) for *said, partition, offset in letters if place in (None, (partition, offset))],
    )


def _result(value: bytes) -> Result | None:
    try:
        return Result.model_validate_json(value)
    except ValidationError:
        return None


def _remember(writer: StoreWriter, texts: Sequence[Remembered]) -> None:
    with writer.transaction():
        for each in texts:
            writer.remember(each)
