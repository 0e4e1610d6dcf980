"""What Sprat promises, on either backend: the smoke test, the table of bad and odd input, and services that are killed.

`make test` runs it on processes; `make test-containers` runs it again with `--sprat-backend containers`.
"""

import codecs
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from cloudevents.core.bindings.kafka import to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Message, Producer

from sprat.kafka.publisher import OutRecord
from sprat_contracts import TASKS
from sprat_contracts.ids import RESULT, derive
from sprat_testing import RecordPlace, Sprat, Text
from sprat_testing.containers import SIMULATOR, unavailable
from support.compose import images
from support.stream import SECRET, SIGNATURES, produce_empty, produce_raw, read_all

SERVICES = (SIMULATOR, "router", "intent", "frontier")
ALLOWED = "acme-bank"
"""A tenant whose hard cases may leave."""
SURE = "please move 100 euros to my savings"
SETTLED_S = 90

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest) -> Iterator[Sprat]:
    backend = request.config.getoption("--sprat-backend")
    if backend == "containers" and (reason := unavailable(SERVICES, images())):
        pytest.skip(reason)
    variables = {"SPRAT_SECRET": SECRET, "SPRAT_SIMULATOR_INVENT": "true"} | (
        images() if backend == "containers" else {}
    )
    with Sprat(models="shipped", backend=backend, services=SERVICES, environment=variables, timeout=60) as running:
        yield running


SUBMITTED: dict[RecordPlace, tuple[str, ...]] = {}
"""Each record of this module → the tasks that end in a Result; none: it is refused."""


def submit(
    system: Sprat,
    value: bytes | dict | None,
    headers: Sequence[tuple[str, bytes]] = (),
    key: bytes | None = None,
    *,
    refused: bool = False,
) -> RecordPlace:
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    place = system.publish_record(raw, headers=headers, key=key)
    accepted = isinstance(value, dict) and not refused
    SUBMITTED[place] = tuple(task for task in TASKS if task in value["tasks"]) if accepted else ()
    return place


def result_ids(system: Sprat, place: RecordPlace) -> set[str]:
    return {event.envelope.id for event in system._outcomes.results(place)}


def text(body: Any = "what is my balance", tasks: Any = None, **fields: Any) -> dict[str, Any]:
    return {"text": body, "tasks": {"intent": {}} if tasks is None else tasks, "tenant": ALLOWED, **fields}


def cloudevent(id: str = "e-1", source: str = "/crm", **headers: bytes) -> list[tuple[str, bytes]]:
    event = {
        "ce_specversion": b"1.0",
        "ce_id": id.encode(),
        "ce_source": source.encode(),
        "ce_type": b"dev.sprat.text.submitted.v1",
        **headers,
    }
    return list(event.items())


BAD = [
    pytest.param(b"what is my balance", [], "invalid_json", "JSON", id="not JSON"),
    pytest.param(b'["text"]', [], "invalid_text", "the value", id="JSON of the wrong shape"),
    pytest.param(text(5), [], "invalid_text", "text", id="a number for a text"),
    pytest.param(text(" \n\t "), [], "invalid_text", "text: the text is blank", id="blank text"),
    pytest.param(text("a" * 20_001), [], "invalid_text", "text", id="20,001 code points"),
    pytest.param(b'{"text": "\xff\xfe", "tasks": {"intent": {}}}', [], "invalid_json", "JSON", id="invalid UTF-8"),
    pytest.param(
        text(), cloudevent(ce_subject=b"\xff"), "invalid_header", "ce_subject", id="invalid UTF-8 in a header"
    ),
    pytest.param(
        {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": text()},
        [("content-type", b"application/cloudevents+json; charset=utf-8")],
        "unexpected_type",
        "structured mode: attribute type",
        id="another type in structured mode",
    ),
    pytest.param(
        b"[]",
        [("content-type", b"application/cloudevents-batch+json")],
        "structured_mode",
        "batched",
        id="batched mode",
    ),
    pytest.param(
        json.dumps(text()).encode("utf-16"), [], "invalid_json", "the value is UTF-16; send UTF-8", id="UTF-16"
    ),
    pytest.param(text(), [*cloudevent(), ("ce_id", b"e-2")], "invalid_cloudevent", "header ce_id: twice", id="two ids"),
    pytest.param(b'{"text":' + b"[" * 50_000, [], "invalid_json", "recursion", id="deep nesting"),
    pytest.param(
        b'{"text":"x","tasks":{"intent":{}},"more":' + b"[" * 150 + b"]" * 150 + b"}",
        [],
        "invalid_text",
        "nest",
        id="an unknown field too deep to carry",
    ),
    pytest.param(
        b'{"text": "\\ud83d alone", "tasks": {"intent": {}}}', [], "invalid_json", "JSON", id="lone surrogate"
    ),
    pytest.param(text(tasks={}), [], "no_known_task", "tasks", id="no task"),
    pytest.param(text(tasks={"translation": {}}), [], "invalid_text", "tasks.translation.target", id="no target"),
    pytest.param(text(), cloudevent(ce_type=b"com.example.other"), "unexpected_type", "ce_type", id="another type"),
    pytest.param(b'{"text":"x","tasks":{"intent":{}},"n":NaN}', [], "invalid_text", "finite", id="NaN"),
    pytest.param(
        b'{"text":"x","tasks":{"intent":{}},"n":[1e999]}', [], "invalid_text", "finite", id="too large a number"
    ),
    pytest.param(None, [], "empty_value", "no value", id="no value at all"),
    pytest.param(text(more="x" * 530_000), [], "too_large", "524288 bytes", id="above 512 KiB"),
]


@pytest.mark.parametrize(("value", "headers", "code", "said"), BAD)
def test_a_bad_record_becomes_one_dead_letter_with_its_bytes_intact(
    system: Sprat, value: Any, headers: list[tuple[str, bytes]], code: str, said: str
) -> None:
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    place = submit(system, raw, headers, key=b"k\xff", refused=True)
    letter = system.dead_letter(place)
    assert letter.reason.code == code
    assert said in letter.reason.detail
    assert (letter.value, letter.key) == (raw, b"k\xff")
    assert list(letter.headers[: len(headers)]) == headers
    assert letter.reason.service == "router"


async def test_a_header_name_that_is_not_utf_8_does_not_block_its_partition(system: Sprat) -> None:
    sent = await produce_raw(
        system.bootstrap, system.topics.texts, b"first", [("PLACE", b"v")], b"\xff\xfe\xc3\x28\x80"
    )
    after = submit(system, text(SURE), key=b"after")
    letter = system.dead_letter(RecordPlace(sent.topic, sent.partition, sent.offset))
    assert (letter.reason.code, letter.value) == ("invalid_header", b"first")
    assert letter.headers[0] == ("\\xff\\xfe\\xc3(\\x80", b"v")
    assert system.result(after).status == "answered"


def test_a_signed_replay_for_nobody_is_a_dead_letter_and_not_skipped_by_all(system: Sprat) -> None:
    for service in (b"nobody", b"ner", b"frontier"):
        value = json.dumps(text()).encode()
        replay = OutRecord(system.topics.texts, None, value, [("sprat_replay_for", service)])
        headers = list(SIGNATURES.sign_replay(replay).headers)
        letter = system.dead_letter(submit(system, value, headers, refused=True))
        assert letter.reason.code == "unknown_service"
        assert letter.reason.detail.startswith("header sprat_replay_for: names no service")


def test_a_replay_that_nobody_has_signed_is_a_first_text(system: Sprat) -> None:
    assert system.result(submit(system, text(SURE), [("sprat_replay_for", b"nobody")])).status == "answered"


async def test_a_record_of_nothing_is_one_dead_letter_of_nothing(system: Sprat) -> None:
    sent = await produce_empty(system.bootstrap, system.topics.texts)
    letter = system.dead_letter(RecordPlace(sent.topic, sent.partition, sent.offset))
    assert (letter.key, letter.value, letter.reason.code) == (None, None, "empty_value")


def test_a_compressed_text_is_measured_by_what_is_in_it(system: Sprat) -> None:
    large = {"compression.type": "gzip", "message.max.bytes": 10_000_000}
    producer = Producer({"bootstrap.servers": system.bootstrap, **large})
    taken: list[RecordPlace] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None
        taken.append(RecordPlace(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)))

    producer.produce(system.topics.texts, b" " * 4_000_000, on_delivery=delivered)
    producer.flush(10)
    letter = system.dead_letter(taken[0])
    assert (letter.reason.code, letter.value) == ("too_large", b"")


@pytest.mark.long
def test_a_burst_of_a_librdkafka_client_is_taken(system: Sprat) -> None:
    """It sends batches of up to a million bytes; the broker's limit holds for a batch."""
    producer = Producer({"bootstrap.servers": system.bootstrap, "linger.ms": 200})
    refused: list[object] = []
    for number in range(1_300):
        producer.produce(
            system.topics.texts,
            json.dumps(text(f"please move {number} euros to my savings", more="x" * 900)).encode(),
            partition=0,
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
    producer.flush(30)
    assert refused == []
    system.settle(timeout=SETTLED_S)


def test_an_unknown_target_among_an_intents_options_is_nobodys_business(system: Sprat) -> None:
    for target in (5, "de"):
        wanted = text(SURE, tasks={"intent": {"target": target}})
        assert system.result(submit(system, wanted)).route.decision == "kept"


def test_every_refused_record_had_exactly_one_dead_letter_and_no_result(system: Sprat) -> None:
    system.settle(timeout=SETTLED_S)
    for place in (place for place, tasks in SUBMITTED.items() if not tasks):
        assert (len(system._outcomes.letters(place)), system._outcomes.results(place)) == (1, []), place


def test_an_event_whose_headers_are_written_in_capitals_is_answered_under_its_id(system: Sprat) -> None:
    headers = [(name.upper(), value) for name, value in cloudevent("capitals")]
    result = system.result(submit(system, text(SURE), headers))
    assert (result.text_source, result.text_id, result.status) == ("/crm", "capitals", "answered")


@pytest.mark.parametrize("data", [text(SURE), json.dumps(text(SURE))], ids=["object", "string"])
def test_an_event_of_the_sdk_in_structured_mode_is_answered_under_its_id(system: Sprat, data: Any) -> None:
    attributes = {"type": "dev.sprat.text.submitted.v1", "source": "/crm", "id": f"structured-{type(data).__name__}"}
    sent = to_structured(CloudEvent(attributes=attributes, data=data), JSONFormat())
    place = system.publish_record(sent.value, headers=list(sent.headers.items()))
    SUBMITTED[place] = ("intent",)
    result = system.result(place)
    assert (result.text_source, result.text_id, result.status) == ("/crm", attributes["id"], "answered")
    (id,) = result_ids(system, place)
    assert id == str(derive(RESULT, "/crm", attributes["id"], "intent"))


def test_a_byte_order_mark_and_underscores_in_a_tag_are_read(system: Sprat) -> None:
    value = text(SURE, language="en_US")
    place = system.publish_record(codecs.BOM_UTF8 + json.dumps(value).encode())
    SUBMITTED[place] = ("intent",)
    result = system.result(place)
    assert (result.status, result.source, result.language) == ("answered", "small", "en-US")


@pytest.mark.parametrize(
    ("fields", "source", "warned"),
    [
        pytest.param({}, "small", [], id="all understood"),
        pytest.param(
            {"tenent": "x"}, "small", ["unknown_field: tenent, the field is tenant, which is there"], id="kept"
        ),
        pytest.param(
            {"text": "what is my balance", "language": "fi", "jane@x.com": 1, "frontier": "yes"},
            "none",
            [
                "unknown_value: frontier: none of allow, redact and deny; counts as deny",
                "unknown_field: 1 unknown field whose name is not shown",
            ],
            id="declined",
        ),
        pytest.param(
            {"text": "what is my balance", "language": "fi", "frontier": "allow", "lang": "fi"},
            "frontier",
            ["unknown_field: lang, the field is language, which is there"],
            id="escalated",
        ),
        pytest.param(
            {"tasks": {"ner": {"modell": "x"}}, "frontier": "allow"},
            "frontier",
            ["unknown_field: tasks.ner.modell, did you mean model?"],
            id="served by nobody",
        ),
    ],
)
def test_a_result_warns_of_what_was_not_understood(
    system: Sprat, fields: dict[str, Any], source: str, warned: list[str]
) -> None:
    submitted = text(SURE) | fields
    result = system.result(submit(system, submitted), next(iter(submitted["tasks"])))
    assert [f"{each.code}: {each.detail}" for each in result.warnings] == warned
    assert result.source == source


def test_an_unknown_task_is_a_dead_letter_and_its_sibling_is_answered(system: Sprat) -> None:
    place = submit(system, text(tasks={"intent": {}, "sentiment": {"x": 1}}))
    assert system.result(place).status == "answered"
    reason = system.dead_letter(place).reason
    assert reason.code == "unknown_task"
    assert "1 unknown" in reason.detail
    assert "sentiment" not in reason.detail, "a name may be anything"


@pytest.mark.parametrize(
    ("submitted", "task", "reason", "causes"),
    [
        pytest.param(text("mikä on tilini saldo?", language="fi"), "intent", "declined", (), id="language"),
        pytest.param(text(tasks={"translation": {"target": "fi"}}), "translation", "no_service", (), id="target"),
        pytest.param(text(tasks={"ner": {}}), "ner", "no_service", (), id="task that no model serves"),
        pytest.param(
            text(tasks={"intent": {"model": "dfault"}}),
            "intent",
            "no_service",
            (("no_service", "did you mean default?"), ("no_labels", "")),
            id="model",
        ),
        pytest.param(
            text("mikä on tilini saldo?", language="fi", tenant="nobody"),
            "intent",
            "declined",
            (("language", "serves "), ("policy", "the policy has no entry for the tenant nobody")),
            id="language, by policy",
        ),
        pytest.param(
            text(tasks={"ner": {}}, tenant="nobody"),
            "ner",
            "no_service",
            (("no_service", "is its service running?"), ("policy", "the policy has no entry for the tenant nobody")),
            id="by policy",
        ),
    ],
)
def test_what_no_model_serves_is_escalated_and_a_result_names_the_first_cause(
    system: Sprat, submitted: dict[str, Any], task: str, reason: str, causes: Sequence[tuple[str, str]]
) -> None:
    result = system.result(submit(system, submitted | {"frontier": "allow"}), task)
    assert (result.route.decision, result.route.reason) == ("escalated", reason)
    assert result.status == ("unanswered" if causes else "answered")
    if causes:
        assert result.declined is not None
        assert (result.declined.code, result.declined.detail) == (
            result.declined.causes[0].code,
            result.declined.causes[0].detail,
        )
        for (code, said), cause in zip(causes, result.declined.causes, strict=True):
            assert cause.code == code
            assert said in cause.detail
    else:
        assert result.model is not None
        assert result.model.name.startswith("simulated")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("please move 100 euros to my savings\x00\x01\x7f", id="NUL and control characters"),
        pytest.param("please move 100 euros to my savings 🙏🏽👨‍👩‍👧", id="emoji"),
        pytest.param("\u200fשלום please move 100 euros to my savings\u200e", id="right to left"),
        pytest.param("please move 100 euros to my savings. " + "x" * 19_963, id="20,000 code points"),
        pytest.param("[CLS] please move 100 euros [SEP] to my savings [PAD]", id="special tokens in words"),
        pytest.param("\u200b\u200d", id="nothing to read"),
    ],
)
def test_odd_texts_have_a_result(system: Sprat, body: str) -> None:
    result = system.result(submit(system, text(body, frontier="allow")))
    assert result.status == "answered"
    assert result.output is not None


def test_the_same_event_twice_gives_the_same_result_id(system: Sprat) -> None:
    places = [submit(system, text(), cloudevent("twice", "/crm")) for _ in range(2)]
    ids = set()
    for place in places:
        system.result(place)
        ids |= result_ids(system, place)
    assert len(ids) == 1


def test_the_same_id_from_two_sources_gives_two_result_ids(system: Sprat) -> None:
    places = [submit(system, text(), cloudevent("same", source)) for source in ("/crm", "/mail")]
    ids = set()
    for place in places:
        system.result(place)
        ids |= result_ids(system, place)
    assert len(ids) == 2


def test_a_record_above_the_brokers_limit_is_the_producers_error(system: Sprat) -> None:
    with pytest.raises(MessageSizeTooLargeError):
        submit(system, text(more="x" * 1_100_000))


def test_one_good_among_99_bad_is_answered_and_the_service_goes_on(system: Sprat) -> None:
    before = len(system.dead_letters())
    places = [submit(system, b"bad" if n != 50 else text(f"balance {n}")) for n in range(100)]
    system.result(places[50])
    for place in (*places[:50], *places[51:]):
        system.dead_letter(place)
    system.settle(timeout=SETTLED_S)
    assert len(system.dead_letters()) - before == 99
    assert system.result(submit(system, text(SURE))).status == "answered"


def test_every_accepted_pair_ended_in_one_result(system: Sprat) -> None:
    system.settle(timeout=SETTLED_S)
    for place, tasks in SUBMITTED.items():
        assert sorted(event.message.task for event in system._outcomes.results(place)) == sorted(tasks), place
    ids = [event.envelope.id for event in system._outcomes.results()]
    twice = {id for id in ids if ids.count(id) > 1}
    assert len(twice) == 1, "only the event that was submitted twice"


async def test_texts_leave_the_house_only_with_two_egress_records(system: Sprat) -> None:
    records = [json.loads(record.value) for record in await read_all(system.bootstrap, system.topics.egress)]
    calls: dict[str, list[str]] = {}
    for record in records:
        calls.setdefault(record["call_id"], []).append(record["phase"])
    assert calls
    assert all(sorted(phases) == ["attempt", "outcome"] for phases in calls.values())
    assert "balance" not in json.dumps(records)


def test_a_sure_text_is_kept_a_hard_one_leaves_masked_and_one_that_may_not_leave_is_degraded(system: Sprat) -> None:
    hard = "is it possible to change it and move it to the other one, write to anna@example.com"
    sure, masked, kept_in = (
        Text(SURE, fields={"tenant": ALLOWED}),
        Text(hard, fields={"tenant": ALLOWED, "frontier": "redact"}),
        Text(hard, fields={"tenant": ALLOWED, "frontier": "deny"}),
    )
    for each in (sure, masked, kept_in):
        system.publish(each)
    assert (system.result(sure).status, system.result(sure).output.label) == ("answered", "transfer")
    left = system.result(masked)
    assert (left.status, left.source, left.egress.masked["EMAIL"]) == ("answered", "frontier", 1)
    refused = system.result(kept_in)
    assert (refused.status, refused.declined.code, refused.egress.left) == ("degraded", "policy", False)


@pytest.mark.long
def test_services_that_are_killed_under_traffic_lose_nothing(system: Sprat) -> None:
    letters = len(system.dead_letters())
    allowed = {"tenant": ALLOWED, "frontier": "allow", "deadline_ms": 240_000}
    texts = [
        Text(f"{SURE}, {number}", fields=allowed | {"language": "sv" if number % 3 == 0 else "en"})
        for number in range(300)
    ]
    killed = {60: "intent", 120: "frontier", 180: "router"}
    killing = []
    for number, each in enumerate(texts):
        system.publish(each)
        if number in killed:
            killing.append(threading.Thread(target=system.kill, args=(killed[number],)))
            killing[-1].start()
    for thread in killing:
        thread.join()
    assert {system.result(each).status for each in texts} == {"answered"}
    assert {len({e.envelope.id for e in system._outcomes.results(each.id)}) for each in texts} == {1}
    assert len(system.dead_letters()) == letters
