"""One run of `sprat audit verify`."""

from collections import Counter
from dataclasses import asdict
from datetime import datetime

from sprat.settings import KafkaSettings
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json
from sprat_operations.egress import EgressPairing, UnpairedEgress, read_egress
from sprat_operations.result_stream import UnreadableRecord

LEAD_S = 3600
"""How far before the time span to start reading, so that an outcome finds its attempt: longer than any call takes."""

_SAYS = {"attempt": "call without an outcome", "outcome": "outcome without an attempt"}
_TYPES = {"attempt": "no_outcome", "outcome": "no_attempt"}


class EgressVerification:
    """One run: prints each unpaired record as soon as it is certain."""

    def __init__(self, since_ms: int | None, until_ms: int, *, as_json: bool) -> None:
        """Report unpaired records from `since_ms` on; attempts only until `until_ms`."""
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._json = as_json
        self._pairs = EgressPairing(since_ms or 0)
        self._alone: Counter[str] = Counter()
        self._recent = 0
        self._unreadable = 0

    @property
    def fine(self) -> bool:
        """Whether every call has both an attempt and an outcome."""
        return not self._alone.total() and not self._unreadable

    async def run(self, kafka: KafkaSettings, tenants: list[str] | None) -> None:
        """Read the records and print the unpaired ones."""
        begin_ms = None if self._since_ms is None else max(0, self._since_ms - LEAD_S * 1000)
        async for seen in read_egress(kafka, begin_ms):
            if isinstance(seen, UnreadableRecord):
                self._unreadable += 1
                remark_unreadable(seen)
            elif not tenants or seen.record.tenant in tenants:
                given_up = self._pairs.add(seen)
                if given_up is not None:
                    self._name(given_up)
        for alone in self._pairs.rest():
            self._name(alone)

    def _name(self, alone: UnpairedEgress) -> None:
        if self._since_ms is not None and alone.at_ms < self._since_ms:
            return
        if alone.phase == "attempt" and alone.at_ms > self._until_ms:
            self._recent += 1
            return
        self._alone[alone.phase] += 1
        if self._json:
            say_json({"type": _TYPES[alone.phase], **asdict(alone)})
        else:
            way = printable(f"{alone.call_id}  {alone.tenant} → {alone.provider} ({alone.region})")
            more = faint(printable(f"· {alone.task} · {alone.model}"))
            say(f"{_when(alone.at_ms)}  {paint(_SAYS[alone.phase], 'red')}  {way}  {more}")

    def say_end(self) -> None:
        """Print the last line."""
        lacking = {"no_outcome": self._alone["attempt"], "no_attempt": self._alone["outcome"]}
        if self._json:
            counts = {**lacking, "recent": self._recent, "unreadable": self._unreadable}
            say_json({"type": "verified", "fine": self.fine, "paired": self._pairs.paired, **counts})
            return
        parts = [
            f"calls with attempt and outcome: {self._pairs.paired}",
            f"calls without an outcome: {lacking['no_outcome']}",
            f"outcomes without an attempt: {lacking['no_attempt']}",
            *([f"recent calls left out: {self._recent}"] if self._recent else []),
            *([f"records not readable: {self._unreadable}"] if self._unreadable else []),
        ]
        say(paint("; ".join(parts), "green" if self.fine else "red"))


def remark_unreadable(seen: UnreadableRecord) -> None:
    """Print a remark that a record cannot be read."""
    remark(f"{seen.topic} {seen.partition}@{seen.offset} is not readable: {printable(seen.why)}")


def _when(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S%z")
