"""The sample texts are what they claim to be."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sprat_cli.commands.send.command import EPILOG
from sprat_contracts import BUILT_IN, TextSubmitted, WireError, decode
from sprat_local.demo.samples import BrokenSample, Samples, load_samples
from sprat_router.decisions import unknown_tasks
from sprat_simulator.answers import CompletionRequest
from sprat_simulator.answers import answer as simulate
from sprat_simulator.gold import answers_to, load_gold
from sprat_simulator.settings import Behaviour
from support.readme import DOCS, README

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose" / "samples"
CARD = ROOT / "services" / "intent" / "src" / "sprat_intent" / "artefacts" / "en-fast" / "card.json"

GOOD_TEXT = '{"id": "s-1", "tasks": {"intent": {}}, "text": "hello", "gold": {"intent": "greeting"}}'
GOOD_BROKEN = '{"id": "b-1", "what": "w", "expect": "invalid_json: r", "value_base64": "eA=="}'


@dataclass
class Record:
    """A Kafka record as a client hands it over; not frozen, for the protocol `KafkaRecord` has settable members."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = "sprat.texts.v1"
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_700_000_000_000
    key: bytes | None = None


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Read the shipped files once."""
    return load_samples(FOLDER)


def read(broken: BrokenSample) -> TextSubmitted:
    """Read a broken record as the router does."""
    return decode(Record(broken.value, broken.headers), TextSubmitted).message


def test_the_simulator_is_right_about_each_sentence_of_the_documents_and_the_demo_does_not_publish_them(
    samples: Samples,
) -> None:
    gold = load_gold(FOLDER / "texts.jsonl")
    sentences = sorted(documented())
    assert len(sentences) == 7
    for text in sentences:
        answers = answers_to(gold, text, "de")
        for task, answer in answers.items():
            labels = {"label": {"enum": [answer.get("label")]}} if task == "intent" else {}
            request = CompletionRequest("m", text, text, task, {"properties": labels}, "de")
            assert json.loads(simulate(request, gold, Behaviour()).content) == answer, (text, task)
        assert answers.keys() == {"intent", "ner", "translation"}, text
    assert not [sample for sample in samples.texts if sample.id.startswith("d-")]


def documented() -> set[str]:
    """Return the texts of all commands and programs of the documents that send one, but to a task of one's own."""
    pages = [
        README,
        DOCS / "publish.md",
        DOCS / "reference" / "text.md",
        ROOT / "contracts" / "README.md",
        ROOT / "docs" / "walkthrough.md",
    ]
    texts = "".join(page.read_text("utf-8") for page in pages) + EPILOG
    return set(re.findall(r"""(?:sprat send |"text": |\btext=)"([^"…]{9,})"(?! --task desk)""", texts))


def golds(samples: Samples, task: str) -> list[object]:
    """Return the gold answers of one task."""
    return [sample.gold[task] for sample in samples.texts if task in sample.gold]


def test_there_are_enough_texts_of_every_kind(samples: Samples) -> None:
    """The demo's figures per task need some dozens of texts each."""
    intents = golds(samples, "intent")
    assert len(samples.texts) >= 320
    assert len(set(intents) - {None}) >= 70
    assert intents.count(None) >= 30
    assert len(golds(samples, "ner")) >= 40
    assert len(golds(samples, "translation")) >= 25
    assert sum(sample.submitted.get("language", "en") != "en" for sample in samples.texts) >= 60
    assert len(samples.broken) >= 30


def test_ids_and_texts_are_unique(samples: Samples) -> None:
    """Equal texts would meet in the cache and flatter the small models."""
    ids = [sample.id for sample in samples.texts] + [broken.id for broken in samples.broken]
    texts = [sample.submitted["text"].casefold() for sample in samples.texts]
    assert len(set(ids)) == len(ids)
    assert len(set(texts)) == len(texts)


def test_every_text_is_a_valid_record_with_a_gold_answer_for_each_of_its_tasks(samples: Samples) -> None:
    """A text that the router would refuse belongs to the broken ones."""
    for sample in samples.texts:
        event = decode(Record(json.dumps(sample.submitted, ensure_ascii=False).encode()), TextSubmitted)
        assert event.message.tasks.unknown == (), sample.id
        assert set(event.message.tasks.known) == set(sample.gold), sample.id


def test_every_gold_intent_is_a_label_of_the_model(samples: Samples) -> None:
    """A label that the model does not know could never be right."""
    if not CARD.exists():
        pytest.skip("the intent artefact has not been built")
    labels = set(json.loads(CARD.read_text(encoding="utf-8"))["labels"])
    assert set(golds(samples, "intent")) - {None} <= labels


def test_gold_entities_stand_where_their_offsets_say(samples: Samples) -> None:
    """Offsets count Unicode code points, emoji and combining marks included."""
    for sample in samples.texts:
        end = 0
        for entity in sample.gold.get("ner", []):
            assert sample.submitted["text"][entity["start"] : entity["end"]] == entity["text"], sample.id
            assert entity["label"] in {"PER", "ORG", "LOC"}, sample.id
            assert end <= entity["start"] < entity["end"], sample.id
            end = entity["end"]


def test_some_names_stand_behind_characters_beyond_the_basic_plane(samples: Samples) -> None:
    """Only those tell code points from UTF-16 units and bytes."""
    behind = [
        sample.id
        for sample in samples.texts
        if sample.gold.get("ner")
        and max(sample.submitted["text"][: sample.gold["ner"][0]["start"]], default="") > "\uffff"
    ]
    assert len(behind) >= 3


def test_every_broken_record_is_refused_with_the_code_it_expects(samples: Samples) -> None:
    """One dead letter each, and the code is the one that the file promises."""
    for broken in samples.broken:
        if not broken.tasks:
            assert _refusal(broken) == broken.code, broken.id


def _refusal(broken: BrokenSample) -> str | None:
    """Return the code with which the router refuses a record, at reading or as it knows none of its tasks."""
    try:
        text = read(broken)
    except WireError as error:
        return error.code
    rejected = unknown_tasks(text, BUILT_IN)
    return None if rejected is None else rejected.code


def test_a_broken_record_with_accepted_tasks_has_exactly_one_unknown_task(samples: Samples) -> None:
    """The unknown one becomes the dead letter, the known ones get their Results."""
    beside = [broken for broken in samples.broken if broken.tasks]
    assert beside
    for broken in beside:
        tasks = read(broken).tasks
        assert len(tasks.unknown) == 1, broken.id
        assert set(tasks.known) == set(broken.tasks), broken.id


def test_generated_values_and_headers_are_built_as_documented(tmp_path: Path) -> None:
    """Literal parts and repetitions are joined; headers are bytes."""
    line = '{"id": "b-1", "what": "w", "expect": "c: r", "generate": ["<", {"repeat": "ab", "times": 3}, ">"]'
    write(tmp_path, GOOD_TEXT, line + ', "headers": [["ce_id", "/w=="]]}')
    (broken,) = load_samples(tmp_path).broken
    assert broken.value == b"<ababab>"
    assert broken.headers == (("ce_id", b"\xff"),)


def test_what_the_file_leaves_out_stays_out_of_the_record(tmp_path: Path) -> None:
    """Defaults are the contract's business; id and gold are not part of the record."""
    write(tmp_path, GOOD_TEXT, GOOD_BROKEN)
    (sample,) = load_samples(tmp_path).texts
    assert sample.submitted == {"tasks": {"intent": {}}, "text": "hello"}


def write(folder: Path, texts: str, broken: str) -> None:
    """Put the two files into a folder."""
    (folder / "texts.jsonl").write_text(texts, encoding="utf-8")
    (folder / "broken.jsonl").write_text(broken, encoding="utf-8")
