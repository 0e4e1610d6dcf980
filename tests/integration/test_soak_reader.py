"""The checker of a soak run reads real topics: aborted records, open transactions, records that are gone."""

import json
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from conftest import Kafka
from sprat_contracts import Topics
from support.soak_run import HonestRun, SoakRun
from tests.soak.checker import SoakReport, check
from tests.soak.topic_records import TopicRecord


@pytest.fixture
def transactions(kafka: Kafka, prefix: str) -> Producer:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": prefix})
    producer.init_transactions(30)
    return producer


@pytest.fixture
def run(kafka: Kafka, topics: Topics, transactions: Producer) -> SoakRun:
    """Write a run in which nothing is wrong to topics of its own."""
    plain = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})

    def stored(record: TopicRecord, is_aborted: bool) -> TopicRecord:  # noqa: FBT001  # the form of `Stored`
        producer = transactions if is_aborted else plain
        if is_aborted:
            producer.begin_transaction()
        place = produced(producer, record)
        if is_aborted:
            producer.abort_transaction(30)
        return record._replace(offset=place)

    return HonestRun(topics.prefix, stored).run


def produced(producer: Producer, record: TopicRecord) -> int:
    places = []
    producer.produce(
        record.topic,
        record.value,
        record.key,
        record.partition,
        on_delivery=lambda error, message: places.append(error or message.offset()),
        headers=list(record.headers),
    )
    producer.flush(30)
    return places[0]


def checked(run: SoakRun, kafka: Kafka, folder: Path) -> SoakReport:
    for name, lines in {"acks": run.acks, "provider": run.provider}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return check(folder, bootstrap=kafka.bootstrap, prefix=run.prefix, may_leave=run.may_leave)


def test_real_topics_are_read_as_they_are(run: SoakRun, kafka: Kafka, tmp_path: Path, transactions: Producer) -> None:
    expected = HonestRun().run.judged(tmp_path / "expected").figures
    report = checked(run, kafka, tmp_path)
    assert report.findings == {}
    assert {name: report.figures[name] for name in expected} == expected

    transactions.begin_transaction()
    produced(transactions, run.texts[0])
    held_back = checked(run, kafka, tmp_path).findings
    transactions.abort_transaction(30)
    assert held_back == {"open transaction": {"count": 1, "examples": held_back["open transaction"]["examples"]}}

    everything = TopicPartition(f"{run.prefix}.dead-letters.v1", run.of_topic("dead-letters")[0].partition, OFFSET_END)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for gone in admin.delete_records([everything]).values():
        gone.result(30)
    assert {"records removed before they were read", "broken record without a dead letter"} == {
        *checked(run, kafka, tmp_path).findings
    }
