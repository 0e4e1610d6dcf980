"""What proves that the record of egress is whole: signatures, chains, pairs of records, checkpoints, answers.

Nothing here reads Kafka: `AuditProof` gets records, checkpoints and answers in any order, and then names its findings.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from sprat.audit.chain import Checkpoint, hash_of, signed_bytes
from sprat.audit.keys import CHECKPOINT, RECORD, BadSignature, PublicKeys, UnknownKey
from sprat.audit.places import StoredCheckpoint
from sprat_contracts import ChainPlace, Egress, EgressRecord, KafkaRecord, TierStep, WireError, decode
from sprat_contracts.frontier import FOR_REVIEW
from sprat_contracts.topics import DAY_MS
from sprat_contracts.wire import SIGNATURE
from sprat_operations.audit_findings import FINDINGS, AuditFinding, Call, Link, Writer, WriterSummary
from sprat_operations.topics import Difference
from sprat_operations.transactions import OpenTransaction

GRACE_MS: Final = 20 * 60_000
"""Longer than a call, its answer and the writing of its records take, with all retries."""
DELIVERY_MS: Final = 315_000
"""For how long a writer tries to deliver a record: `SPRAT_KAFKA__GIVE_UP_S`, and the last request."""

_REPEATS: Final = 3
"""How often a record may stand there again. Kafka drops what its idempotent producer repeats, so once is rare; each
more needs a producer that was replaced after an error, though the record had been written."""

_REPEATED: Final = (
    "tenant",
    "task",
    "provider",
    "region",
    "model",
    "host",
    "purpose",
    "bytes_out",
    "masked",
    "text_hash",
)
"""Fields of an attempt that its outcome repeats."""
_MISSING: Final = frozenset({"removed", "truncated", "no_attempt", "no_outcome", "no_call"})
"""Findings about records of the audit that are not there."""


class AuditProof:
    """One verification. Holds a few hundred bytes for each record.

    Args:
        keys: the auditor's public keys.
        now_ms: epoch milliseconds, the time of the verification.
        horizon_ms: what was signed before may be gone: retention has removed it, or it is not looked at.
        unsigned_before_ms: records appended before may be unsigned.
        grace_ms: calls younger than this may be unfinished.
    """

    def __init__(
        self,
        keys: PublicKeys,
        now_ms: int,
        *,
        horizon_ms: int,
        unsigned_before_ms: int = 0,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._keys = keys
        self._now_ms = now_ms
        self._horizon_ms = horizon_ms
        self._complete_from_ms = horizon_ms
        self._unsigned_before_ms = unsigned_before_ms
        self._grace_ms = grace_ms
        self._writers: dict[str, Writer] = {}
        self._calls: dict[str, Call] = {}
        self._named: set[str] = set()
        """Calls that an answer or a Result names."""
        self._answers: list[tuple[str, str, str, Egress, int]] = []
        self._unproved: list[tuple[AuditFinding, ChainPlace]] = []
        """Records that no given key signed, and the place in a chain that they name."""
        self._unread: frozenset[str] = frozenset()
        """Kinds of findings about what is missing, where an open transaction may hold it back."""
        self.findings: list[AuditFinding] = []
        self.counts: Counter[str] = Counter()
        self.unsigned_until_ms: int | None = None

    @property
    def writers(self) -> list[WriterSummary]:
        """The writers, by the time of their first record."""
        return sorted((each.summary for each in self._writers.values()), key=lambda each: each.first_ms)

    def reach_back(self, lead_ms: int, kept_from_ms: int) -> int:
        """Return from when on the records must be read, in epoch milliseconds; call it between checkpoints and records.

        That is so long before the horizon, or since the last checkpoint before it of each writer that goes on: whatever
        this checkpoint does not count must be there.

        Args:
            lead_ms: milliseconds that records before the horizon are needed for what is after it.
            kept_from_ms: what was signed before may have been removed by retention.
        """
        begins = [self._horizon_ms - lead_ms]
        for writer in self._writers.values():
            times = [each.at for each in writer.checkpoints.values()]
            if max(times, default=0) >= self._horizon_ms:
                begins += [max(before)] if (before := [at for at in times if at < self._horizon_ms]) else []
        self._complete_from_ms = min(self._horizon_ms, max(min(begins), kept_from_ms))
        return max(0, min(begins))

    def add(self, record: KafkaRecord, *, latest: bool = False) -> None:
        """Check a record of the audit; those of a partition come in its order.

        `latest` records are so new that others which they count as acknowledged may not have been read.
        """
        self.counts["records"] += 1
        where = f"{record.topic} {record.partition}@{record.offset}"
        try:
            message = decode(record, EgressRecord).message
        except (WireError, ValueError) as error:
            self._unreadable(record, where, str(error))
            return
        if message.phase not in {"attempt", "outcome"}:
            self._unreadable(record, where, "neither attempt nor outcome")
            return
        if message.chain is None or _signature(record) is None:
            self._unsigned(message, where, record.timestamp)
            return
        try:
            key = self._key_of(record)
        except UnknownKey as error:
            self._unproved.append((AuditFinding("unknown_key", where, str(error), record.timestamp), message.chain))
        except BadSignature as error:
            finding = AuditFinding("bad_signature", where, str(error), record.timestamp)
            if error.names_key:
                self.findings.append(finding)
            else:
                self._unproved.append((finding, message.chain))
        else:
            self._signed(record, message, message.chain, key, where, latest=latest)

    def _key_of(self, record: KafkaRecord) -> str:
        """Return the id of the key that signed a record.

        Raises:
            BadSignature: none of the given ones did.
        """
        signed = signed_bytes(record.value or b"", record.headers)
        return self._keys.check(RECORD, signed, _signature(record) or b"")

    def _unreadable(self, record: KafkaRecord, where: str, why: str) -> None:
        try:
            self._key_of(record)
        except BadSignature as error:
            self._find("unreadable", where, why, record.timestamp, foreign=not error.names_key)
        else:
            self._find("unreadable", where, why, record.timestamp)

    def _unsigned(self, message: EgressRecord, where: str, at_ms: int) -> None:
        self.counts["unsigned"] += 1
        self.unsigned_until_ms = max(at_ms, self.unsigned_until_ms or 0)
        if at_ms >= self._unsigned_before_ms:
            said = f"{message.phase} of call {message.call_id} without a signature"
            if message.chain is None:
                self._find("unsigned", where, said, at_ms, foreign=True)
            else:
                self._unproved.append((AuditFinding("unsigned", where, said, at_ms), message.chain))
        else:
            self._call(message, where, at_ms)

    def _signed(
        self,
        record: KafkaRecord,
        message: EgressRecord,
        place: ChainPlace,
        key: str,
        where: str,
        *,
        latest: bool,
    ) -> None:
        at_ms = record.timestamp
        if record.key != message.text_hash.encode():
            self._find("key", where, "the key is not the value's text_hash", at_ms)
        writer = self._writer(place.writer, key, place.started_at)
        link = Link(hash_of(record.value or b""), place.previous, place.signed_at, at_ms, where, record.partition)
        known = writer.links.get(place.sequence)
        if known is not None:
            self._again(writer, place, known, link)
            return
        self._check_neighbours(writer, place.sequence, link)
        if place.sequence <= writer.behind.get(record.partition, 0):
            self._find("order", where, f"record {place.sequence} of {place.writer} comes after later ones", at_ms)
        elif at_ms - place.signed_at > max(self._grace_ms, GRACE_MS):
            said = f"record {place.sequence} of {place.writer} was signed {(at_ms - place.signed_at) // 1000} s before"
            self._find("late", where, said, at_ms)
        writer.behind[record.partition] = max(place.acknowledged, writer.behind.get(record.partition, 0))
        writer.links[place.sequence] = link
        if not latest:
            writer.acknowledged = max(writer.acknowledged, place.acknowledged)
        writer.claimed_checkpoint = max(writer.claimed_checkpoint, -1 if place.checkpoint is None else place.checkpoint)
        summary = writer.summary
        summary.records += 1
        summary.first_ms = min(summary.first_ms or place.signed_at, place.signed_at)
        summary.last_ms = max(summary.last_ms, place.signed_at)
        self._call(message, where, place.signed_at)

    def _writer(self, name: str, key: str, started_at: int) -> Writer:
        if name not in self._writers:
            self._writers[name] = Writer(WriterSummary(name, key), started_at)
        return self._writers[name]

    def _again(self, writer: Writer, place: ChainPlace, known: Link, link: Link) -> None:
        """Judge another record with the same number.

        It may be the producer's own retry: the same bytes, soon, and before the writer knew that the first was there.
        """
        at = f"record {place.sequence} of {place.writer}, which is at {known.where}"
        if link.hash != known.hash:
            self._find("fork", link.where, f"another {at}", link.appended_at)
            return
        self.counts["repeated_writes"] += 1
        known.repeats += 1
        if (
            link.partition != known.partition
            or link.appended_at - known.appended_at > DELIVERY_MS
            or place.sequence <= writer.behind.get(link.partition, 0)
            or known.repeats > _REPEATS
        ):
            self._find("copy", link.where, f"again {at}", link.appended_at)

    def _check_neighbours(self, writer: Writer, sequence: int, link: Link) -> None:
        name = writer.summary.writer
        before, after = writer.links.get(sequence - 1), writer.links.get(sequence + 1)
        if before is not None and before.hash != link.previous:
            self._find("chain", link.where, f"record {sequence} of {name} names another before it", link.appended_at)
        if after is not None and after.previous != link.hash:
            self._find(
                "chain", after.where, f"record {sequence + 1} of {name} names another before it", link.appended_at
            )
        if sequence == 1 and link.previous:
            self._find("chain", link.where, f"record 1 of {name} names one before it", link.appended_at)

    def _call(self, message: EgressRecord, where: str, at_ms: int) -> None:
        if message.phase == "attempt":
            wrong = message.outcome is not None or message.usage is not None or message.cost_eur != 0
        else:
            wrong = message.outcome is None
        if wrong:
            self._find("phase", where, f"{message.phase} of call {message.call_id} has the other's fields", at_ms)
        call = self._calls.setdefault(message.call_id, Call(where=where, at_ms=at_ms))
        if getattr(call, message.phase) is not None:
            self._find("repeated_call", where, f"a second {message.phase} of call {message.call_id}", at_ms)
            return
        setattr(call, message.phase, message)
        if message.phase == "attempt":
            call.where, call.at_ms = where, at_ms
        if call.attempt is not None and call.outcome is not None:
            self._compare(call.attempt, call.outcome, where, at_ms)

    def _compare(self, attempt: EgressRecord, outcome: EgressRecord, where: str, at_ms: int) -> None:
        different = [name for name in _REPEATED if getattr(attempt, name) != getattr(outcome, name)]
        writers = [each.chain.writer if each.chain else None for each in (attempt, outcome)]
        if writers[0] != writers[1]:
            different.append("writer")
        if different:
            said = f"attempt and outcome of call {attempt.call_id} differ in {', '.join(different)}"
            self._find("contradiction", where, said, at_ms)
        else:
            self.counts["calls"] += 1

    def add_checkpoint(self, stored: StoredCheckpoint, *, again: bool = False) -> None:
        """Check a checkpoint. What is read `again`, after the records, only shows that it is there."""
        if again:
            self._note_later(stored)
            return
        self.counts["checkpoints"] += 1
        try:
            key = self._keys.check(CHECKPOINT, stored.value, stored.signature)
            checkpoint = Checkpoint.model_validate_json(stored.value)
        except UnknownKey as error:
            self._find("unknown_key", stored.place, str(error))
            return
        except ValidationError:
            self._find("checkpoint_signature", stored.place, "not a checkpoint of this version")
            return
        except BadSignature as error:
            self._find("checkpoint_signature", stored.place, str(error))
            return
        writer = self._writer(checkpoint.writer, key, checkpoint.started_at)
        writer.checkpoints[checkpoint.number] = checkpoint
        writer.checkpoint_places[checkpoint.number] = stored.place
        writer.summary.checkpoints += 1
        writer.summary.closed |= checkpoint.closed

    def _note_later(self, stored: StoredCheckpoint) -> None:
        try:
            self._keys.check(CHECKPOINT, stored.value, stored.signature)
            checkpoint = Checkpoint.model_validate_json(stored.value)
        except (BadSignature, ValidationError):
            return  # a finding of the first reading, or of the next verification
        if checkpoint.writer in self._writers:
            self._writers[checkpoint.writer].later_checkpoints.add(checkpoint.number)

    def add_answer(
        self, where: str, tenant: str, task: str, egress: Egress | None, at_ms: int, tiers: Sequence[TierStep] = ()
    ) -> None:
        """Note what an answer of the frontier, or a Result, says of what left, also to a tier that was left."""
        self.counts["answers"] += 1
        calls = [each for each in (egress, *(step.egress for step in tiers)) if each is not None and each.left]
        self.counts["answers_that_left"] += bool(calls)
        for each in {call.call_id: call for call in calls}.values():
            if each.call_id is not None:
                self._named.add(each.call_id)
            self._answers.append((where, tenant, task, each, at_ms))

    def find_retention(self, topic: str, retention_ms: int, wanted_ms: int) -> None:
        """Note for how long the topic keeps its records; -1: for ever."""
        if 0 <= retention_ms < wanted_ms:
            said = f"it keeps records for {retention_ms / DAY_MS:g} days, not {wanted_ms / DAY_MS:g}"
            self._find("retention", topic, said)

    def find_setting(self, topic: str, difference: Difference) -> None:
        """Note a setting of the topic that differs from what Sprat creates."""
        self._find("settings", topic, f"{difference.setting} is {difference.actual}, not {difference.expected}")

    def hold_back(self, transaction: OpenTransaction, *, audit: bool) -> None:
        """Note a transaction that hides records of the audit, or else answers: what is missing may stand behind it."""
        self._unread |= _MISSING if audit else {"no_answer"}
        where = f"{transaction.topic} {transaction.partition}@{transaction.offset}"
        self._find("held_back", where, f"{transaction}; {transaction.fix}")

    def finish(self, *, checkpoints: bool, answers_since_ms: int | None) -> None:
        """Find what is missing, when all is added.

        Args:
            checkpoints: whether the second place was read.
            answers_since_ms: from when on all answers or Results are there; None where they were not read.
        """
        self._judge_unproved()
        for writer in self._writers.values():
            for number, checkpoint in sorted(writer.checkpoints.items()):
                self._check_checkpoint(writer, number, checkpoint)
            self._find_removed(writer)
            if checkpoints:
                self._find_removed_checkpoints(writer)
        self._find_unfinished()
        if answers_since_ms is not None:
            self._reconcile(answers_since_ms)
        self.findings.sort(key=lambda each: (FINDINGS.index(each.kind), each.at_ms or 0))

    def _judge_unproved(self) -> None:
        """Judge whether records that no given key signed are foreign, or may be a known writer's, changed since.

        One is foreign where the signed record stands at its place as well.
        """
        for finding, place in self._unproved:
            writer = self._writers.get(place.writer)
            self.findings.append(replace(finding, foreign=writer is None or place.sequence in writer.links))

    def _check_checkpoint(self, writer: Writer, number: int, checkpoint: Checkpoint) -> None:
        place, name = writer.checkpoint_places[number], writer.summary.writer
        link = writer.links.get(checkpoint.sequence)
        if link is not None and link.hash != checkpoint.hash:
            said = f"it names another record {checkpoint.sequence} of {name} than {link.where}"
            self._find("checkpoint_differs", place, said, checkpoint.at)
        if checkpoint.attempts + checkpoint.outcomes != checkpoint.sequence:
            self._find("checkpoint_differs", place, f"its counts are not those of {name}", checkpoint.at)
        before = writer.checkpoints.get(number - 1)
        if before is not None and (before.sequence, before.acknowledged) > (
            checkpoint.sequence,
            checkpoint.acknowledged,
        ):
            self._find("checkpoint_differs", place, f"the chain of {name} went back", checkpoint.at)
        if checkpoint.closed and writer.links and max(writer.links) > checkpoint.sequence:
            last = writer.links[max(writer.links)]
            self._find("after_end", last.where, f"{name} had ended with record {checkpoint.sequence}", last.appended_at)

    def _find_removed(self, writer: Writer) -> None:
        """Find the records that Kafka had acknowledged and that are not there, unless retention removed them."""
        known = max([writer.acknowledged, *(each.acknowledged for each in writer.checkpoints.values())])
        present = sorted(number for number in writer.links if number <= known)
        last = max(writer.links, default=0)
        self.counts["unacknowledged_gaps"] += max(0, last - known - sum(number > known for number in writer.links))
        edge, old, due = 0, *self._ages(writer)
        for number in [*present, known + 1]:
            if number > edge + 1:
                at_end = number == known + 1 and last <= known
                self._judge_run(writer, range(edge + 1, number), old, due, at_end=at_end)
            edge = number

    def _ages(self, writer: Writer) -> tuple[int, int]:
        """Return up to which number records were signed before the horizon, and from which on they must be there.

        What is known to have had a number at some time tells: a number above it was signed later. All records that were
        signed since `_complete_from_ms` are read, but those of before the horizon are not looked at.
        """
        signed = [(0, writer.started_at)]
        signed += [(number, link.signed_at) for number, link in writer.links.items()]
        signed += [(each.sequence, each.at) for each in writer.checkpoints.values()]
        beyond = max(number for number, _ in signed) + 1
        young = min((number + 1 for number, at in signed if at >= self._horizon_ms), default=beyond)
        read = min((number + 1 for number, at in signed if at >= self._complete_from_ms), default=beyond)
        old = max((number for number, at in signed if at < self._horizon_ms), default=0)
        return old, min(young, max(read, old + 1))

    def _judge_run(self, writer: Writer, run: range, old: int, due: int, *, at_end: bool) -> None:
        """Judge a run of missing records."""
        name, before = writer.summary.writer, writer.links.get(run.start - 1)
        begin = max(writer.started_at, before.signed_at if before else 0)
        missing, early = range(max(run.start, due), run.stop), range(run.start, min(run.stop, due))
        if self._complete_from_ms < self._horizon_ms:
            unknown = range(max(early.start, old + 1), early.stop)
            early = range(early.start, min(early.stop, old + 1))
            if unknown:
                self._find("not_judged", name, f"{_numbers(unknown)} not there ({len(unknown)})", begin)
        self.counts["expired"] += len(early)
        if missing:
            self._find(
                "truncated" if at_end else "removed", name, f"{_numbers(missing)} missing ({len(missing)})", begin
            )

    def _find_removed_checkpoints(self, writer: Writer) -> None:
        claimed = max([writer.claimed_checkpoint, *writer.checkpoints])
        there = writer.later_checkpoints.union(writer.checkpoints)
        missing = [number for number in range(claimed + 1) if number not in there]
        # Those of before the horizon may be gone: another Kafka has a retention, too.
        old = [number for number, each in writer.checkpoints.items() if each.at < self._horizon_ms]
        oldest = max(old, default=-1 if writer.started_at >= self._horizon_ms else min(writer.checkpoints, default=-1))
        missing = [number for number in missing if number > oldest]
        if missing:
            said = f"{len(missing)} checkpoints missing, the first is number {missing[0]}"
            self._find("checkpoint_removed", writer.summary.writer, said)

    def _find_unfinished(self) -> None:
        for call_id, call in self._calls.items():
            if call.at_ms < self._horizon_ms:
                continue
            if call.attempt is None:
                self._find("no_attempt", call.where, f"outcome of call {call_id}", call.at_ms)
            elif call.outcome is None:
                self._unfinished(call, "no_outcome", f"attempt of call {call_id}")

    def _unfinished(self, call: Call, kind: str, what: str) -> None:
        """Judge what a call lacks: nothing of it is missing where its service died, or is still at it."""
        place = call.record.chain
        writer = None if place is None else self._writers.get(place.writer)
        if writer is not None and (writer.summary.closed or writer.alive_until - call.at_ms > self._grace_ms):
            self._find(kind, call.where, what, call.at_ms)
        elif call.at_ms > self._now_ms - self._grace_ms:
            self.counts["recent"] += 1
        else:
            self.counts["interrupted"] += 1

    def _reconcile(self, since_ms: int) -> None:
        for where, tenant, task, egress, at_ms in self._answers:
            call = self._calls.get(egress.call_id or "")
            if call is not None:
                record = call.record
                facts = (record.tenant, record.task, record.provider, record.region)
                if facts != (tenant, task, egress.provider, egress.region):
                    self._find("answer_differs", where, f"it names call {egress.call_id}, {call.where}", at_ms)
            elif at_ms >= max(self._unsigned_before_ms, self._horizon_ms):
                said = (
                    "it says that its text left, and names no call"
                    if egress.call_id is None
                    else f"it names call {egress.call_id}"
                )
                self._find("no_call", where, said, at_ms)
        # A text may be asked about twice, when its answer was lost: then one of the calls has the answer.
        answered = {self._question(call) for call_id, call in self._calls.items() if call_id in self._named}
        for call in self._unnamed(since_ms):
            if self._question(call) not in answered:
                self._unfinished(call, "no_answer", f"call {call.record.call_id} was answered")

    def _unnamed(self, since_ms: int) -> Iterator[Call]:
        """Return the answered calls of services that no answer names."""
        for call_id, call in self._calls.items():
            outcome = call.outcome
            if outcome is None or outcome.outcome != "answered" or outcome.chain is None or call_id in self._named:
                continue
            if outcome.purpose == FOR_REVIEW:  # its answer is a FeedbackGiven, which nobody signs: it proves nothing
                continue
            if since_ms <= call.at_ms <= self._now_ms - self._grace_ms and outcome.chain.writer.startswith("frontier-"):
                yield call

    @staticmethod
    def _question(call: Call) -> tuple[str, str, str]:
        return call.record.tenant, call.record.task, call.record.text_hash

    def _find(self, kind: str, where: str, what: str, at_ms: int | None = None, *, foreign: bool = False) -> None:
        if kind in self._unread:
            kind, what = "not_judged", f"{what}; it may be held back"
        self.findings.append(AuditFinding(kind, where, what, at_ms, foreign))


def _signature(record: KafkaRecord) -> bytes | None:
    return next((value for name, value in record.headers if name == SIGNATURE), None)


def _numbers(run: range) -> str:
    return f"record {run.start}" if len(run) == 1 else f"records {run.start} to {run.stop - 1}"
