"""A soak run as plain records, read from Kafka or made by hand as the contract says, for the checker to judge."""

import json
from collections import Counter
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import UUID

from tests.soak.checker import SoakReport, judge
from tests.soak.contract import derived, hash_of
from tests.soak.evidence import SoakEvidence
from tests.soak.topic_records import TopicReader, TopicRecord

Stored = Callable[[TopicRecord, bool], TopicRecord]
"""Stores a record, inside a transaction that is aborted where that is true; returns it with its place."""
ALLOW, DENY = "soak-allow", "soak-deny"
SOURCE = "/soak/1"


@dataclass
class SoakRun:
    """What the topics and the files of a run hold. Lists, so that a test can plant a fault."""

    prefix: str
    topics: Collection[str]
    may_leave: Collection[str]
    texts: list[TopicRecord] = field(default_factory=list)
    """With those of aborted transactions."""
    committed: list[TopicRecord] = field(default_factory=list)
    written: list[TopicRecord] = field(default_factory=list)
    acks: list[dict[str, Any]] = field(default_factory=list)
    provider: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, bootstrap: str, prefix: str, may_leave: Collection[str]) -> "SoakRun":
        """Read a real run, small enough for memory."""
        everything, committed = TopicReader(bootstrap, committed=False), TopicReader(bootstrap, committed=True)
        run = cls(prefix, everything.topics(), may_leave)
        names = SoakEvidence(folder / "evidence.sqlite", run.topics, prefix, may_leave)
        written = names.written_topics
        names.close()
        run.texts, run.committed = [*everything.read([run.text_topic])], [*committed.read([run.text_topic])]
        run.written = [*committed.read(written)]
        run.acks, run.provider = (
            [json.loads(line) for line in (folder / file).read_text().splitlines()]
            for file in ("acks.jsonl", "provider.jsonl")
        )
        run.metrics = [file.read_text() for file in sorted((folder / "metrics").iterdir())]
        return run

    def copy(self) -> "SoakRun":
        """Return a run that can be changed; its records are tuples."""
        parts = {name: [*getattr(self, name)] for name in ("texts", "committed", "written", "metrics")}
        return replace(self, **parts, acks=deepcopy(self.acks), provider=deepcopy(self.provider))

    @property
    def text_topic(self) -> str:
        return f"{self.prefix}.texts.v1"

    def of_topic(self, name: str) -> list[TopicRecord]:
        """Return what services wrote to a topic, as `results.intent`."""
        return [record for record in self.written if record.topic == f"{self.prefix}.{name}.v1"]

    def judged(self, folder: Path, *, quiet: bool = True) -> SoakReport:
        """Return what the checker finds."""
        folder.mkdir(exist_ok=True)
        rmtree(folder / "metrics", ignore_errors=True)
        (folder / "metrics").mkdir()
        for number, said in enumerate(self.metrics):
            (folder / "metrics" / f"{number}.prom").write_text(said)
        for name, lines in {"acks": self.acks, "provider": self.provider}.items():
            (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        evidence = SoakEvidence(folder / "evidence.sqlite", self.topics, self.prefix, self.may_leave)
        for record in self.texts:
            evidence.take_text(record)
        for record in self.committed:
            evidence.take_committed(record)
        for record in self.written:
            evidence.take_written(record)
        report = SoakReport()
        judge(evidence, folder, Counter(record.topic for record in self.written), report, quiet=quiet)
        evidence.close()
        return report


class HonestRun:
    """Makes a run in which nothing is wrong: texts of two tenants, a transaction of each kind, a broken record."""

    def __init__(self, prefix: str = "soak", stored: Stored | None = None) -> None:
        """Make the run; `stored` gives each record the place that a broker would."""
        self._stored = stored or self._counted
        names: tuple[str, ...] = ("texts", "predictions.intent", "results.intent", "results.ner", "frontier.requests")
        names += ("frontier.answers", "dead-letters", "audit.egress", "models")
        self.run = SoakRun(prefix, {f"{prefix}.{name}.v1" for name in names}, {ALLOW})
        self._ends: Counter[tuple[str, int]] = Counter()
        for number in range(3):
            self._answered(self._text("text", f"p-{number}", DENY if number == 1 else ALLOW))
        self._answered(self._text("committed", "t-1", ALLOW))
        self._text("aborted", "t-2", ALLOW)
        self._answered(self._text("text", "p-3", ALLOW, tasks=("intent", "ner")), "intent", "ner")
        self._answered(self._text("text", "p-4", ALLOW, acknowledged=False))
        self._escalated(self._text("text", "p-5", ALLOW))
        self._broken(self._append("texts", b"{not json", self._headers("b-1"), kind="broken"))
        sent = Counter(record.topic for record in self.run.written)
        tasks = {"intent", "ner"}
        results = {task: len(self.run.of_topic(f"results.{task}")) for task in tasks}
        lines = [f'sprat_results_total{{sprat_task="{task}"}} {count}' for task, count in results.items()]
        lines += [
            f'messaging_client_sent_messages_total{{messaging_destination_name="{t}"}} {n}' for t, n in sent.items()
        ]
        lines += [f'sprat_predictions_total{{sprat_task="intent"}} {len(self.run.of_topic("predictions.intent"))}']
        lines += ['sprat_escalations_total{sprat_task="intent"} 1', 'sprat_dead_letters_total{sprat_reason="x"} 1']
        names = sorted({line.partition("{")[0] for line in lines})
        types = {name: f"# TYPE {name} counter" for name in names}
        self.run.metrics = [
            "\n".join(x for n in names for x in (types[n], *(y for y in lines if y.startswith(n)))) + "\n"
        ]

    def _append(self, topic: str, value: object, headers: dict[str, str], *, kind: str = "") -> TopicRecord:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        encoded = tuple((header, each.encode()) for header, each in headers.items())
        name, partition = f"{self.run.prefix}.{topic}.v1", len(self.run.texts) % 2
        record = self._stored(TopicRecord(name, partition, -1, -1, b"7", raw, encoded), kind == "aborted")
        if topic != "texts":
            self.run.written.append(record)
            return record
        self.run.texts.append(record)
        if kind != "aborted":
            self.run.committed.append(record)
        if kind:
            told = value if isinstance(value, dict) else {"tasks": {}, "tenant": ALLOW}
            ack = {"id": headers["ce_id"], "source": SOURCE, "partition": partition, "offset": record.offset}
            self.run.acks.append(ack | {"tasks": [*told["tasks"]], "tenant": told["tenant"], "kind": kind})
        return record

    def _counted(self, record: TopicRecord, is_aborted: bool) -> TopicRecord:  # noqa: FBT001  # as `stored` of a test
        place = record.topic, record.partition
        self._ends[place] += 1
        return record._replace(offset=self._ends[place] - 1, timestamp_ms=1_800_000_000_000 + self._ends[place])

    def _headers(self, id: str, source: str = SOURCE) -> dict[str, str]:
        return {"ce_specversion": "1.0", "ce_id": id, "ce_source": source}

    def _text(
        self, kind: str, id: str, tenant: str, tasks: tuple[str, ...] = ("intent",), *, acknowledged: bool = True
    ) -> TopicRecord:
        value = {"text": f"what is my balance {id}", "tasks": {task: {} for task in tasks}, "tenant": tenant}
        return self._append("texts", value, self._headers(id), kind=kind if acknowledged else "")

    def _about(self, text: TopicRecord, task: str) -> dict[str, Any]:
        id = dict(text.headers)["ce_id"].decode()
        origin = {"partition": text.partition, "offset": text.offset, "appended_at": text.timestamp_ms, "key": None}
        return {"text_id": id, "text_source": SOURCE, "task": task, "origin": origin}

    def _made(self, stage: str, about: dict[str, Any], **more: str) -> dict[str, str]:
        id = str(UUID(bytes=derived(stage, SOURCE, about["text_id"], about["task"])))
        return self._headers(id, "/sprat/service") | more

    def _result(self, text: TopicRecord, task: str, **more: object) -> None:
        submitted = json.loads(text.value or b"")
        about = self._about(text, task)
        result = about | {"requested": [*submitted["tasks"]], "status": "answered", "output": {"label": "balance"}}
        result |= {"declined": None, "egress": None, "tenant": submitted["tenant"], **more}
        headers = self._made("result", about, ce_status="answered", ce_tenant=submitted["tenant"])
        self._append(f"results.{task}", result, headers)

    def _answered(self, text: TopicRecord, *tasks: str) -> None:
        prediction = self._about(text, "intent") | {"submitted": json.loads(text.value or b"")}
        self._append("predictions.intent", prediction, self._made("prediction", prediction))
        for task in tasks or ("intent",):
            self._result(text, task)

    def _escalated(self, text: TopicRecord) -> None:
        prediction = self._about(text, "intent") | {"submitted": json.loads(text.value or b"")}
        self._append("predictions.intent", prediction, self._made("prediction", prediction))
        request = {"prediction": prediction}
        self._append("frontier.requests", request, self._made("frontier-request", prediction))
        previous, said = "", prediction["submitted"]["text"]
        for number, phase in enumerate(("attempt", "outcome"), 1):
            chain = {"writer": "w", "sequence": number, "previous": previous, "acknowledged": number - 1}
            call = {"call_id": "c-1", "phase": phase, "outcome": "answered" if number == 2 else None, "tenant": ALLOW}
            call |= {"bytes_out": 900}
            record = self._append("audit.egress", call | {"chain": chain}, self._headers(f"e-{number}"))
            previous = sha256(record.value or b"").hexdigest()
        self.run.provider.append({"texts": [hash_of(said).hex()], "bytes": 900})
        egress = {"left": True, "call_id": "c-1"}
        answer = {"request": request, "egress": egress, "sent": said}
        self._append("frontier.answers", answer, self._made("frontier-answer", prediction))
        self._result(text, "intent", egress=egress)

    def _broken(self, record: TopicRecord) -> None:
        own = {"error_code": "invalid_json", "service": "router", "origin_topic": record.topic}
        own |= {"origin_partition": str(record.partition), "origin_offset": str(record.offset)}
        headers = {name: value.decode() for name, value in record.headers}
        self._append("dead-letters", record.value, headers | {f"sprat_{name}": value for name, value in own.items()})
