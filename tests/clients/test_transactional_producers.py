"""Transactions of Java and of librdkafka, with each codec: what is aborted causes nothing, and no command shows it."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka import Producer

from conftest import Kafka, Redis
from sprat_contracts import EgressRecord, decode
from sprat_local.kafka.jars import class_path
from support.cli_records import environment, sprat
from support.programs import needs
from support.stream import read_all
from support.system import ALLOWED, System, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PREFIX = "transactional"
CODECS = ("gzip", "snappy", "lz4", "zstd")
JAVA = """
import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Transactions {
  public static void main(String[] arguments) throws Exception {
    var producers = new HashMap<String, KafkaProducer<String, String>>();
    for (var one : new ObjectMapper().readTree(System.in)) {
      var producer = producers.computeIfAbsent(one.get("codec").asText(), codec -> {
        var settings = Map.<String, Object>of("bootstrap.servers", arguments[0], "compression.type", codec,
            "transactional.id", arguments[1] + codec, "linger.ms", 1000);
        var made = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        made.initTransactions();
        return made;
      });
      producer.beginTransaction();
      for (var each : one.get("records")) {
        var record = new ProducerRecord<String, String>(
            each.get("topic").asText(), each.get("partition").asInt(), null, each.get("value").asText());
        each.get("headers").fields().forEachRemaining(
            header -> record.headers().add(header.getKey(), header.getValue().asText().getBytes(UTF_8)));
        producer.send(record);
      }
      producer.flush(); // an abort would else drop what was not sent yet
      if (one.get("commit").asBoolean()) producer.commitTransaction();
      else producer.abortTransaction();
    }
    producers.values().forEach(KafkaProducer::close);
  }
}
"""


@dataclass
class Sent:
    """Transactions, and the ids of what they hold."""

    transactions: list[dict[str, Any]]
    committed: set[str]
    hard: set[str]
    """Of those, the ones that leave."""
    broken: set[str]
    aborted: list[str]


def planned(system: System, client: str) -> Sent:
    """Return transactions of each codec, every second one aborted, also the last of each partition."""
    sent = Sent([], set(), set(), set(), [])
    for number, codec in enumerate(CODECS * 2):
        for commit in (number % 2 == 0, number % 2 == 1, False):
            records = []
            for partition in range(2):
                name = f"{client}-{codec}-{len(sent.transactions)}-{partition}"
                easy = {"text": f"please move {number}00 euros to my savings", "tasks": {"intent": {}}}
                hard = {"text": f"mikä on tilini saldo, {name}?", "tenant": ALLOWED, "language": "fi"}
                values = {
                    f"{name}-easy": json.dumps(easy),
                    f"{name}-hard": json.dumps(hard | {"tasks": {"intent": {}}, "frontier": "allow"}),
                    f"{name}-broken": "{no JSON",
                }
                for id, value in values.items():
                    headers = {"ce_specversion": "1.0", "ce_id": id, "ce_source": "/crm"}
                    headers["ce_type"] = "dev.sprat.text.submitted.v1"
                    records.append(written(system.topics.texts, partition, value, headers))
                if commit:
                    sent.committed |= {f"{name}-easy", f"{name}-hard"}
                    sent.hard.add(f"{name}-hard")
                    sent.broken.add(f"{name}-broken")
                else:
                    sent.aborted += values
                    # No command stumbles over them, although a committed one would be named.
                    records += [
                        written(topic, partition, "{no JSON", {})
                        for topic in (system.topics.dead_letters, system.topics.egress, system.topics.results("intent"))
                    ]
            sent.transactions.append({"codec": codec, "commit": commit, "records": records})
    return sent


def written(topic: str, partition: int, value: str, headers: dict[str, str]) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "value": value, "headers": headers}


def by_confluent(bootstrap: str, transactions: list[dict[str, Any]], _: Path) -> None:
    producers: dict[str, Producer] = {}
    for one in transactions:
        codec = one["codec"]
        if codec not in producers:
            settings = {"compression.type": codec, "transactional.id": f"confluent-{codec}", "linger.ms": 1000}
            producers[codec] = Producer({"bootstrap.servers": bootstrap, **settings})
            producers[codec].init_transactions(30)
        producer = producers[codec]
        producer.begin_transaction()
        for each in one["records"]:
            producer.produce(each["topic"], each["value"], partition=each["partition"], headers=each["headers"])
        producer.flush(30)  # an abort would else drop what was not sent yet
        if one["commit"]:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


def by_java(bootstrap: str, transactions: list[dict[str, Any]], folder: Path) -> None:
    (folder / "Transactions.java").write_text(JAVA, "utf-8")
    command = ["java", "-Xmx128m", "-cp", class_path(), str(folder / "Transactions.java"), bootstrap, "java-"]
    done = subprocess.run(
        command, input=json.dumps(transactions), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(kafka: Kafka, redis_server: Redis) -> AsyncIterator[System]:
    async with whole_system(kafka.bootstrap, redis_server.url, PREFIX) as running:
        yield running


@pytest.mark.parametrize(
    "publish",
    [
        pytest.param(by_confluent, id="confluent"),
        pytest.param(
            by_java,
            id="java",
            marks=needs("javac"),
        ),
    ],
)
async def test_what_a_transaction_aborts_causes_nothing_and_what_it_commits_is_answered(
    system: System, publish, tmp_path: Path
) -> None:
    results, letters, earlier = len(system.results), len(system.letters), await egress(system)
    sent = planned(system, publish.__name__)
    await asyncio.to_thread(publish, system.bootstrap, sent.transactions, tmp_path)
    await system.settled()

    events = [event for _, event in system.results[results:]]
    assert sorted(event.message.text_id for event in events) == sorted(sent.committed), "each once, and no aborted one"
    assert {
        event.message.text_id for event in events if event.message.egress and event.message.egress.left
    } == sent.hard
    named = [dict(record.headers)["ce_id"].decode() for record, _ in system.letters[letters:]]
    assert sorted(named) == sorted(sent.broken)
    records = [record for record in await egress(system) if record not in earlier]
    assert [(record.phase, record.tenant) for record in records].count(("attempt", ALLOWED)) == len(sent.hard)
    left = {event.message.egress.call_id for event in events if event.message.egress and event.message.egress.left}
    assert {record.call_id for record in records} == left

    async def run(*arguments: str) -> tuple[int, str, str]:
        return await sprat(*arguments, env=environment(system.bootstrap, PREFIX), cwd=tmp_path)

    aborted, committed = sent.aborted[-1], max(sent.hard)
    lag, no_trace, trace, dlq, audit = [
        await run(*words.split())
        for words in (
            "lag --over 0.5 --json",
            f"trace {aborted}",
            f"trace {committed}",
            "dlq list --json",
            "audit --json",
        )
    ]
    groups = [row for row in map(json.loads, lag[1].splitlines()) if row["type"] == "group"]
    assert {row["group"] for row in groups} >= {"router", "frontier"}, lag
    assert [row["lag"] for row in groups] == [0] * len(groups), "although aborted records and markers are the last"
    assert (no_trace[0], no_trace[1]) == (1, "")
    assert no_trace[2].startswith(f"no record of {aborted} ")
    assert (trace[0], trace[2]) == (0, "")
    assert "egress" in trace[1]
    assert (dlq[0], len(dlq[1].splitlines()), dlq[2]) == (0, len(system.letters), "")
    assert (audit[0], audit[2]) == (0, "")
    total = json.loads(audit[1].splitlines()[-1])
    attempts = [record for record in await egress(system) if record.phase == "attempt"]
    assert (total["type"], total["calls"]) == ("total", len(attempts))


async def egress(system: System) -> list[EgressRecord]:
    return [decode(record, EgressRecord).message for record in await read_all(system.bootstrap, system.topics.egress)]
