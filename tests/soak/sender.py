"""Publishes the texts of a run with librdkafka, and writes down what the brokers have acknowledged."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.soak.texts import Kind, SoakRecord, Texts

TRANSACTIONS_SHARE: Final = 0.05
"""Of all texts."""
_TRANSACTION_EVERY_S: Final = 2.0
_ABORTED_SHARE: Final = 0.4
_WAIT_S: Final = 30.0
_TICK_S: Final = 0.02
_COMMON: Final = {
    "acks": "all",
    "linger.ms": 5,
    "log_level": 0,
    # A killed broker is not to be waited for long.
    "reconnect.backoff.max.ms": 1_000,
}


class AcknowledgementLog:
    """Lines of JSON, one for each acknowledged record. Its methods may be called from any thread."""

    def __init__(self, file: Path) -> None:
        self.counts: Counter[Kind] = Counter()
        self._stream = file.open("a", encoding="utf-8", buffering=1 << 16)
        self._lock = threading.Lock()

    @property
    def texts(self) -> int:
        """How many texts readers see."""
        return self.counts["text"] + self.counts["committed"]

    def write(self, record: SoakRecord, source: str, partition: int, offset: int, kind: Kind) -> None:
        """Write down one acknowledgement."""
        line = {
            "id": record.id,
            "source": source,
            "tasks": record.tasks,
            "tenant": record.tenant,
            "partition": partition,
            "offset": offset,
            "kind": kind,
        }
        with self._lock:
            self.counts[kind] += 1
            self._stream.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Hand everything to the operating system."""
        with self._lock:
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._stream.close()


class PlainSender:
    """Publishes texts and broken records outside transactions, at a rate."""

    def __init__(self, bootstrap: str, topic: str, texts: Texts, log: AcknowledgementLog) -> None:
        self.sent = 0
        self.failed: Counter[str] = Counter()
        """Error → records without an acknowledgement. They may stand in the topic all the same."""
        self._conf = _COMMON | {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "message.timeout.ms": 0,  # never given up
            "error_cb": self._note_error,
        }
        self._topic, self._texts, self._log = topic, texts, log
        self._fatal = False
        self._producer = Producer(self._conf)

    def send(self, per_s: float, seconds: float, *, wanted: int, held: Callable[[], bool]) -> None:
        """Publish at this rate until so many texts are acknowledged, for so many seconds at most.

        While `held` says so, nothing is sent: too much waits in the installation already.
        """
        began = time.monotonic()
        due = 0.0
        last = began
        while (now := time.monotonic()) < began + seconds and self._log.texts < wanted:
            due = min(due + (now - last) * per_s, per_s) if not held() else 0.0
            last = now
            while due >= 1:
                due -= 1
                self._produce(self._texts.plain(self.sent))
                self.sent += 1
            self._producer.poll(_TICK_S)

    def close(self, partitions: int, within_s: float) -> int:
        """Send a last text to each partition, behind the marks of all transactions; return how many are unacknowledged.

        By the last text a reader's position passes the marks, which are no records.
        """
        for partition in range(partitions):
            self._produce(self._texts.last(partition), partition)
        return int(self._producer.flush(within_s))

    def _produce(self, record: SoakRecord, partition: int = -1) -> None:
        if self._fatal:  # nothing can be sent with it any more
            self._producer.flush(_WAIT_S)
            self._fatal, self._producer = False, Producer(self._conf)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    partition,
                    on_delivery=partial(self._delivered, record),
                    headers=record.headers,
                )
            except BufferError:  # the brokers are away: it is full
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, record: SoakRecord, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed[error.name()] += 1
            return
        kind: Kind = "broken" if record.broken else "text"
        self._log.write(record, self._texts.source, message.partition(), message.offset(), kind)

    def _note_error(self, error: KafkaError) -> None:
        self._fatal = self._fatal or error.fatal()


class TransactionSender(threading.Thread):
    """Publishes texts in transactions, of which some are aborted when their records stand in the topic."""

    def __init__(self, bootstrap: str, topic: str, texts: Texts, log: AcknowledgementLog, seed: int) -> None:
        super().__init__(name="soak-transactions", daemon=True)
        self.per_s = 0.0
        """Texts; set it before the start."""
        self.ends: Counter[str] = Counter()
        """How transactions ended: committed, aborted, or unknown, of which nothing is claimed."""
        self._conf = _COMMON | {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"soak-{seed}",
            "transaction.timeout.ms": 60_000,
            "compression.type": "zstd",
        }
        self._topic, self._texts, self._log = topic, texts, log
        self._random = Random(seed)
        self._over = threading.Event()

    def end(self) -> None:
        """End after the transaction under way."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Publish until `end` is called."""
        number, producer = 0, None
        while not self._over.wait(_TRANSACTION_EVERY_S):
            number += 1
            count = max(1, round(self.per_s * _TRANSACTION_EVERY_S))
            records = [self._texts.in_transaction(number, each) for each in range(count)]
            aborts = self._random.random() < _ABORTED_SHARE
            try:
                producer = producer or self._opened()
                written, kind = self._transaction(producer, records, aborts=aborts)
            except KafkaException:  # a new producer ends what the former has left open, one way or the other
                self.ends["unknown"] += 1
                producer = None
                continue
            self.ends[kind] += 1
            for record, message in written:
                self._log.write(record, self._texts.source, message.partition(), message.offset(), kind)

    def _opened(self) -> Producer:
        producer = Producer(self._conf)
        _again(producer.init_transactions)
        return producer

    def _transaction(
        self, producer: Producer, records: list[SoakRecord], *, aborts: bool
    ) -> tuple[list[tuple[SoakRecord, Message]], Kind]:
        """Write the records and end the transaction; return what was written, and how it ended.

        Raises:
            KafkaException: the producer cannot go on, and how the transaction ends is not known.
        """
        written: list[tuple[SoakRecord, Message]] = []

        def delivered(record: SoakRecord, error: KafkaError | None, message: Message) -> None:
            if error is None:
                written.append((record, message))

        producer.begin_transaction()
        try:
            for record in records:
                producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    on_delivery=partial(delivered, record),
                    headers=record.headers,
                )
            producer.flush(_WAIT_S)
            if not aborts:
                _again(producer.commit_transaction)
                return written, "committed"
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
        _again(producer.abort_transaction)
        producer.poll(0)
        return written, "aborted"


def _again(call: Callable[[float], Any]) -> None:
    """Call until it succeeds or cannot.

    Raises:
        KafkaException: a further call would not help.
    """
    while True:
        try:
            call(_WAIT_S)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
        else:
            return
