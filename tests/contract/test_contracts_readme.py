"""Every snippet of the contracts' README does what the README says."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from contracts.generators.examples import degraded, examples
from sprat_contracts import Envelope, Record, Result, TextSubmitted, Topics, decode, encode, ids
from support.wire_records import TRACE_CONTEXT

README = (Path(__file__).resolve().parents[2] / "contracts" / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONSOLE = [line[2:] for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
PUBLISHED, WITHOUT_PACKAGE, SIGNED, READ, FILTER, DERIVE = PYTHON
TOPICS = {topic.name for topic in Topics().table()}


class Producer:
    """Keeps what is produced."""

    produced: list[Record]

    def __init__(self, config: dict[str, Any]) -> None:
        assert config["bootstrap.servers"] == "127.0.0.1:9092"

    def produce(self, topic: str, value: bytes | str, key: str, headers: Any) -> None:
        pairs = headers.items() if isinstance(headers, dict) else headers
        encoded = tuple((name, text.encode() if isinstance(text, str) else text) for name, text in pairs)
        sent = value.encode() if isinstance(value, str) else value
        self.produced.append(Record(topic, 0, 0, 0, key.encode(), sent, encoded))

    def flush(self) -> None:
        pass


class Message:
    """A message of confluent-kafka: methods instead of attributes."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._record, name)
        return lambda: (1, value) if name == "timestamp" else value

    def error(self) -> None:
        return None


class Consumer:
    """Gives nothing, then each record, then stops the snippet's loop."""

    records: list[Record]
    committed: list[int]
    subscribed: list[str]

    def __init__(self, config: dict[str, Any]) -> None:
        assert config["enable.auto.commit"] is False
        self._polls: Iterator[Message | None] = iter([None, *map(Message, self.records)])

    def subscribe(self, topics: list[str]) -> None:
        self.subscribed[:] = topics

    def poll(self, timeout_s: float) -> Message | None:
        try:
            return next(self._polls)
        except StopIteration:
            raise KeyboardInterrupt from None

    def commit(self, message: Message, *, asynchronous: bool) -> None:
        assert not asynchronous
        self.committed.append(message.offset())


@pytest.fixture
def produced(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    records: list[Record] = []
    monkeypatch.setattr(confluent_kafka, "Producer", type("Producer", (Producer,), {"produced": records}))
    return records


def run(snippet: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(snippet, "README.md", "exec"), names)
    return names


def test_what_kcat_sends_is_read() -> None:
    sent = [shlex.split(line) for line in CONSOLE if "kcat -P" in line]
    assert len(sent) == 2
    for words in sent:
        assert words[0] == "echo"
        assert words[words.index("-t") + 1] == "sprat.texts.v1"
        text = decode(Record("sprat.texts.v1", 0, 0, 0, None, words[1].encode()), TextSubmitted).message
        assert text.tasks.unknown == ()


def test_what_the_package_publishes_is_read(produced: list[Record]) -> None:
    run(PUBLISHED)
    (record,) = produced
    event = decode(record, TextSubmitted)
    assert (record.topic, record.key) == ("sprat.texts.v1", b"c-193")
    assert (event.envelope.source, event.envelope.id) == ("/shop/chat", "conversation-193/message-3")
    assert (event.message.frontier, event.message.reference) == ("deny", {"conversation": "c-193"})


def test_what_is_published_without_the_package_is_read(produced: list[Record]) -> None:
    run(WITHOUT_PACKAGE)
    (record,) = produced
    event = decode(record, TextSubmitted)
    assert (record.topic, event.envelope.id) == ("sprat.texts.v1", "conversation-193/message-4")
    assert list(event.message.tasks.known) == ["intent"]


def test_what_is_signed_is_verified(produced: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    key = "a key of at least thirty-two bytes"
    monkeypatch.setenv("SPRAT_CRM_KEY", key)
    run(PUBLISHED.replace("producer.produce(", f"{SIGNED}\nproducer.produce("))
    (record,) = produced
    envelope = decode(record, TextSubmitted).envelope
    assert envelope.signature is not None
    assert envelope.signature.is_by([key.encode()], "shop", envelope.source, envelope.id)


def result_record(result: Result, offset: int) -> Record:
    extensions = {"tenant": result.tenant, "status": result.status}
    id = str(ids.derive(ids.RESULT, result.text_source, result.text_id, result.task))
    value, headers = encode(result, Envelope(id, "/sprat/router", TRACE_CONTEXT, extensions=extensions))
    return Record("sprat.results.intent.v1", 0, offset, 0, b"k", value, headers)


def test_the_reader_keeps_the_first_result_with_an_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = examples()[Result.event_type]
    assert isinstance(answered, Result)
    unanswered = answered.model_copy(update={"status": "unanswered", "output": None})
    other = degraded().model_copy(update={"text_source": "/other"})
    records = [result_record(one, n) for n, one in enumerate((unanswered, answered, degraded(), answered, other))]
    committed: list[int] = []
    subscribed: list[str] = []
    attributes = {"records": records, "committed": committed, "subscribed": subscribed}
    monkeypatch.setattr(confluent_kafka, "Consumer", type("Consumer", (Consumer,), attributes))
    with pytest.raises(KeyboardInterrupt):
        run(READ)
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["intent", "answered"],
        ["intent", "degraded"],
    ]
    assert committed == [0, 1, 2, 3, 4]
    assert set(subscribed) < TOPICS


def test_results_are_passed_over_by_their_headers() -> None:
    wanted = run(FILTER)["wanted"]
    answered = examples()[Result.event_type]
    assert isinstance(answered, Result)
    assert wanted(result_record(answered, 0).headers)
    assert not wanted(result_record(answered.model_copy(update={"status": "unanswered"}), 0).headers)
    assert not wanted(result_record(answered.model_copy(update={"tenant": "other"}), 0).headers)


def test_the_id_of_a_result_can_be_known_before() -> None:
    names = run(DERIVE)
    assert names["result_id"] == ids.derive(ids.RESULT, "/shop/chat", "conversation-193/message-3", "intent")
    vectors = json.loads((Path(__file__).resolve().parents[2] / "contracts/schemas/test_vectors.json").read_text())
    for vector in vectors["derived"]:
        assert str(names["derive"](vector["stage"], vector["source"], vector["id"], vector["task"])) == vector["uuid"]


def test_every_file_and_topic_that_it_names_exists() -> None:
    folder = Path(__file__).resolve().parents[2] / "contracts"
    assert [link for link in re.findall(r"\]\(([^)]+)\)", README) if not (folder / link).exists()] == []
    named = set(re.findall(r"sprat\.[a-z.-]+\.v1", README)) - {"sprat.results.<task>.v1"}
    assert {name for name in named if not name.startswith(("sprat.text.", "sprat.result."))} <= TOPICS
