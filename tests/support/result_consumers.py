"""One scenario for the consumers of `docs/clients`, and what each must have made of it, also after a kill."""

import asyncio
import json
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from sprat_contracts import (
    Declined,
    IntentOutput,
    NerOutput,
    Origin,
    Route,
    TextWarning,
    Topics,
    Traceparent,
    TranslationOutput,
)
from sprat_operations.topics import create_topics
from support.cli_records import kept, result_record, unanswered
from support.readme import DOCS
from support.stream import eventually, lag

CLIENTS = DOCS / "clients"
TENANT, SOURCE = "acme-bank", "/crm/mail"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
FILLERS = 120
OUTPUTS: dict[str, Any] = {
    "intent": IntentOutput(label="transfer"),
    "ner": NerOutput(entities=()),
    "translation": TranslationOutput(text="Grüße, 你好 🙂", target="de"),
}

Record = tuple[str, bytes | None, list[tuple[str, bytes]]]
"""Topic, value and headers."""


class Scenario:
    """Records in two parts, between which the consumer is killed."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.first: list[Record] = []
        self.aborted: list[Record] = []
        self.second: list[Record] = []
        self.expected: list[dict[str, Any]] = []
        self.letters: list[dict[str, str]] = []
        self.effects = 0
        """How many lines the store has in the end: one for each Result that counts and for each dead letter."""
        self.warned: set[str] = set()
        """What is said of texts that were not understood as a whole, and of those of another tenant."""
        self._texts()
        self._published_again()
        self._skipped()
        self._misspelt()
        self._dead_letters()

    def result(self, id: str, task: str = "intent", place: int = 0, *, extra: bool = False, **fields: Any) -> Record:
        """Return a Result's record; `extra` adds fields and headers that nobody knows."""
        fields = {
            "tenant": TENANT,
            "text_source": SOURCE,
            "task": task,
            "output": OUTPUTS[task],
            "origin": Origin(partition=place % 2, offset=place, appended_at=1_000),
        } | fields
        made = unanswered if fields.get("status") == "unanswered" else kept
        if made is unanswered:
            fields["output"] = None
        value, headers = result_record(made(text_id=id, **fields), Traceparent.root("/s", id))
        if extra:
            value = json.dumps(json.loads(value) | {"new_field": [{"deep": 1}], "warnings": None}).encode()
            headers = [*headers, ("ce_new", b"\xff")]
        return self.topics.results(task), value, headers

    def joined(self, id: str, place: int, **results: str | None) -> None:
        """Expect a text: each task with its status, or with another than its usual output after a colon."""
        tasks = {}
        for task, said in results.items():
            status, _, label = (said or "answered").partition(":")
            output = {"label": label, "alternatives": []} if label else OUTPUTS[task].model_dump(mode="json")
            tasks[task] = {"status": status, "output": None if status == "unanswered" else output}
        self.expected.append({"text_source": SOURCE, "text_id": id, "place": [place % 2, place], "tasks": tasks})
        self.effects += len(tasks)

    def _texts(self) -> None:
        both = ("intent", "ner")
        three = (*both, "translation")
        late = IntentOutput(label="too late")
        first, second, expect, made = self.first, self.second, self.joined, self.result
        for number in range(FILLERS):
            first.append(made(f"filler-{number}", place=1000 - number))
            expect(f"filler-{number}", 1000 - number, intent=None)
        # A text's Results come in any order, here around the kill; the join is by `requested`.
        first.append(made("any-order", "translation", 7, requested=three))
        second += [made("any-order", task, 7, requested=three) for task in reversed(both)]
        expect("any-order", 7, intent=None, ner=None, translation=None)
        first.append(made("half", "ner", 8, requested=both))  # and never the other half
        self.effects += 1
        # Repeats: the first Result with an output counts, before and after the kill.
        first += [made("repeated", place=5), made("repeated", place=5, output=late)]
        second.append(made("repeated", place=5, output=late))
        expect("repeated", 5, intent=None)
        none = {"status": "unanswered", "place": 4}
        first += [made("better", **none), made("better", **none)]
        second += [made("better", place=4), made("better", **none)]
        expect("better", 4, intent=None)
        self.effects += 1  # joined twice: without the answer, and with it
        # Codes, reasons, fields, headers, a status and a task that this program does not know.
        new = {"declined": Declined(code="brand_new"), "route": Route(decision="brand_new", reason="brand_new")}
        odd = {"requested": (*both, "sentiment"), "place": 3, "extra": True} | new
        first.append(made("odd", status="degraded", output=IntentOutput(label=None), **odd))
        second.append(made("odd", "ner", status="unanswered", **odd))
        expect("odd", 3, ner="unanswered")
        self.expected[-1]["tasks"]["intent"] = {"status": "degraded", "output": {"label": None, "alternatives": []}}
        self.effects += 1
        first.append(made("partly", place=2, status="partly"))
        expect("partly", 2, intent="partly")
        # Aborted: before the answer that counts, and alone.
        self.aborted += [made("repaired", place=1, output=late), made("aborted", place=9)]
        second.append(made("repaired", place=1))
        expect("repaired", 1, intent=None)

    def _published_again(self) -> None:
        """Ids that were published with one task, and at once again with two more; rule 1 drops a Result of intent.

        The last was published again under another key: the smallest pair of partition and offset is its place.
        """
        three = ("intent", "ner", "translation")
        for id, place, again, first, early, counted in (
            ("again", 10, 12, "alone", "intent", 10),
            ("again-swapped", 14, 16, "others", "intent", 16),
            ("again-late", 18, 20, "alone", "ner", 18),
            ("again-elsewhere", 29, 30, "alone", "intent", 30),
        ):
            alone = self.result(id, place=place, requested=("intent",))
            others = [self.result(id, task, again, requested=three) for task in three]
            intents = [alone, others[0]] if first == "alone" else [others[0], alone]
            for task, records in zip(three, (intents, *([each] for each in others[1:])), strict=True):
                (self.first if task == early else self.second).extend(records)
            self.joined(id, counted, intent=None, ner=None, translation=None)

    def _skipped(self) -> None:
        topic, value, headers = self.result("nobody's")
        others = [(name, b"nordic-travel" if name == "ce_tenant" else each) for name, each in headers]
        explained = [(name, b"dev.sprat.result.explained.v1" if name == "ce_type" else each) for name, each in headers]
        self.first += [
            (topic, b"{not even JSON", others),
            (topic, b"{of another type", explained),
            (topic, None, headers),
            (topic, None, []),
            (topic, value, []),
        ]

    def _misspelt(self) -> None:
        """A misspelt field; a tenant that is misspelt, forgotten or in other letters; and texts of somebody else."""
        for id, name, fields in (
            ("warned", "fronteir, did you mean frontier?", {"place": 6}),
            ("misspelt", "tenent, did you mean tenant?", {"tenant": "default"}),
            ("others", "tenent, did you mean tenant?", {"tenant": "default", "text_source": "/other"}),
        ):
            warnings = (TextWarning(code="unknown_field", detail=name),)
            self.second.append(self.result(id, warnings=warnings, **fields))
            if id != "others":
                self.warned.add(f"warning: {id} intent: unknown_field: {name}")
        self.joined("warned", 6, intent=None)
        for id, tenant, source in (
            ("forgotten", "default", SOURCE),
            ("capital", "Acme-Bank", SOURCE),
            ("theirs", "nordic-travel", f"{SOURCE}/other"),
        ):
            self.second.append(self.result(id, tenant=tenant, text_source=source))
        for id, tenant in (("misspelt", "default"), ("forgotten", "default"), ("capital", "Acme-Bank")):
            why = f"tenant is {tenant}, not {TENANT}: was `tenant` forgotten or misspelt?"
            self.warned.add(f"stray: {id} intent: {why}")

    def _dead_letters(self) -> None:
        """Of ours, of others, of nobody; and one whose place is that of another, before Kafka was made anew."""
        for offset, timestamp, code, source, id in (
            ("0", "1000", "invalid_json", SOURCE, b"mail-1"),
            ("0", "2000", "invalid_json", SOURCE, "größer".encode()),
            ("1", "1000", "brand_new", SOURCE, None),
            ("1", "2000", "invalid_header", SOURCE, b"\xff"),
            ("2", "1000", "invalid_json", "/other", b"mail-2"),
            ("3", "1000", "invalid_json", None, b"mail-3"),
        ):
            letter = {
                "origin_topic": self.topics.texts,
                "origin_partition": "0",
                "origin_offset": offset,
                "origin_timestamp": timestamp,
                "service": "router",
                "error_code": code,
                "error_detail": "text: größer",
            }
            headers = [(f"sprat_{name}", each.encode()) for name, each in letter.items()]
            headers += [] if id is None else [("ce_id", id)]
            record = (self.topics.dead_letters, b"{", headers + ([("ce_source", source.encode())] if source else []))
            self.first.append(record)
            self.second.append(record)
            if source == SOURCE:
                again = [(name, b"model_error" if name == "sprat_error_code" else each) for name, each in headers]
                self.second.append((*record[:2], [*again, ("ce_source", source.encode())]))
                self.letters.append(letter | {"ce_id": (id or b"").decode("utf-8", "replace")})
                self.effects += 1

    def last(self) -> list[Record]:
        """Return repeats for the end of each topic, one for each partition: markers of transactions are in no lag."""
        records = [self.result("any-order", task, 7, requested=("intent", "ner", "translation")) for task in OUTPUTS]
        return [*records, self.second[-1]]


def publish(bootstrap: str, records: Iterable[Record], *, partitions: Sequence[int | None], abort: str = "") -> None:
    """Publish records in order, in batches of each codec; `abort` is the id of a transaction that is aborted."""
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 20}
    transactional = {"transactional.id": abort} if abort else {}
    for number, record in enumerate(chunks(list(records), 25)):
        producer = Producer(settings | transactional | {"compression.type": CODECS[number % len(CODECS)]})
        if abort:
            producer.init_transactions(30)
            producer.begin_transaction()
        for topic, value, headers in record:
            for partition in partitions:
                where = {} if partition is None else {"partition": partition}
                producer.produce(topic, value, headers=headers, **where)
        assert producer.flush(30) == 0
        if abort:
            producer.abort_transaction(30)


def chunks(records: list[Record], size: int) -> list[list[Record]]:
    return [records[at : at + size] for at in range(0, len(records), size)]


async def check_consumer(bootstrap: str, prefix: str, command: Sequence[str], folder: Path) -> None:
    """Run a program of `docs/clients` on the scenario, kill it midway, start it again, and compare what it stored."""
    topics = Topics(prefix, 2)
    await create_topics({"bootstrap_servers": bootstrap}, topics)
    scenario = Scenario(topics)
    read = [*(topics.results(task) for task in OUTPUTS), topics.dead_letters]
    store, group = folder / "results.jsonl", f"{prefix}-crm"
    environment = {"BOOTSTRAP": bootstrap, "PREFIX": prefix, "TENANT": TENANT, "SOURCE": SOURCE}
    environment |= {"STORE": str(store), "GROUP": group}

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in store.read_bytes().splitlines(keepends=True)] if store.exists() else []

    async def started() -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *command, env=os.environ | environment, cwd=folder, stdout=pipe, stderr=pipe, start_new_session=True
        )

    async def until(process: asyncio.subprocess.Process, condition: Any) -> None:
        async def holds() -> bool:
            if process.returncode is not None:
                _, err = await process.communicate()
                raise AssertionError(f"ended with {process.returncode}: {err.decode()}")
            found = condition()
            return await found if asyncio.iscoroutine(found) else found

        await eventually(holds, 90)

    await asyncio.to_thread(publish, bootstrap, scenario.aborted, partitions=[0], abort=f"{prefix}-before")
    await asyncio.to_thread(publish, bootstrap, scenario.first, partitions=[0])
    process = await started()
    try:
        await until(process, lambda: len(lines()) >= FILLERS // 2)
        os.killpg(process.pid, signal.SIGKILL)  # between storing and committing, or about there
        await process.wait()
        with store.open("ab") as file:
            file.write(b'{"id": "cut')
        await asyncio.to_thread(publish, bootstrap, scenario.aborted, partitions=[0, 1], abort=f"{prefix}-after")
        await asyncio.to_thread(publish, bootstrap, scenario.first, partitions=[0])  # all of it once more
        await asyncio.to_thread(publish, bootstrap, scenario.second, partitions=[0])
        await asyncio.to_thread(publish, bootstrap, scenario.last(), partitions=[0, 1])
        process = await started()

        async def read_all() -> bool:
            return await lag(bootstrap, group, read) == 0

        await until(process, read_all)
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode in {0, -signal.SIGTERM, 128 + signal.SIGTERM}, err.decode()
    compare(scenario, out, err, lines())
    store, environment["GROUP"] = folder / "once.jsonl", f"{group}-once"
    environment |= {"STORE": str(store), "UNTIL_IDLE": "4"}
    process = await started()
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, err.decode()
    compare(scenario, out, err, lines())


def compare(scenario: Scenario, out: bytes, err: bytes, stored: list[dict[str, Any]]) -> None:
    assert {line for line in err.decode().splitlines() if line.startswith(("warning:", "stray:"))} == scenario.warned
    said = [json.loads(line) for line in out.splitlines()]
    texts = [line for line in said if "dead_letter" not in line]
    by_place = sorted(scenario.expected, key=lambda text: text["place"])
    assert texts == by_place, "the joined texts, in the order of their origin"
    letters = [line["dead_letter"] for line in said if "dead_letter" in line]
    assert sorted(letters, key=lambda each: (each["origin_offset"], each["origin_timestamp"])) == scenario.letters
    assert len(stored) == scenario.effects, "each effect once"
    joins = [line["joined"] for line in stored if line.get("joined")]
    twice = [each for each in joins if each["text_id"].startswith("again") and len(each["tasks"]) == 1]
    assert all("intent" in each["tasks"] for each in twice), "whole with its first task, before the others came"
    assert sorted(each["text_id"] for each in joins if each not in twice) == sorted(
        [text["text_id"] for text in by_place] + ["better"]
    )
