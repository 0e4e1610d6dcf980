"""`sprat trace` on a real broker."""

import json
import time
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from sprat_contracts import Cause, Declined, Egress
from sprat_operations.topic_reader import TopicReader
from sprat_operations.trace import trace
from sprat_operations.trace_records import TraceQuery
from support.cli_records import environment, sprat
from support.traced_records import SAID, TracedText

MANY = 100_000


@pytest.fixture
async def producer(kafka):
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_batch_size=500_000)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def run(kafka, prefix, tmp_path):
    async def run(*arguments):
        return await sprat("trace", *arguments, env=environment(kafka.bootstrap, prefix), cwd=tmp_path)

    return run


async def publish(producer, *records):
    """Publish records one after the other; return the place of the last one."""
    for record in records:
        place = await producer.send_and_wait(record.topic, record.value, record.key, headers=list(record.headers))
    return place


async def sent(producer, way, *, headers=True):
    """Publish the way's text, and let the way know where it stands."""
    place = await publish(producer, way.text(headers=headers))
    return (place.topic, place.partition, place.offset), place.timestamp


async def test_a_text_and_all_that_it_caused_are_shown_as_a_tree_without_the_text(topics, producer, run):
    way = TracedText(topics=topics)
    way.place, way.began = await sent(producer, way)
    await publish(producer, *way.whole()[1:], *TracedText("order-71", topics=topics).whole())
    code, out, err = await run("order-7")
    assert (code, err) == (0, "")
    lines = [line.split(f"  {topics.prefix}")[0] for line in out.splitlines()]
    assert lines[0].startswith("order-7  from /crm · tenant acme · trace ")
    assert [line.partition(" ms  ")[2] for line in lines[1:]] == [
        "/crm  text  asks for intent",
        "intent  prediction  en-fast: transfer, 71.0 % sure",
        "router  request  escalated: low_confidence, needs 80 %",
        "frontier  egress  1,234 bytes are about to leave for mistral (eu) · masked: 2 PERSON",
        "frontier  egress  mistral: answered, €0.000100",
        "frontier  answer  large: transfer",
        "router  result  answered by frontier: transfer · escalated: low_confidence",
    ]
    assert [line.index("── ") // 4 for line in lines[1:]] == [0, 1, 2, 3, 4, 3, 4]
    assert SAID not in out


async def test_a_text_that_was_sent_again_for_another_tenant_has_both_in_their_order(topics, producer, run):
    for tenant in ("default", "acme"):
        await sent(producer, TracedText(topics=topics, tenant=tenant))
    _, out, _ = await run("order-7")
    assert out.startswith("order-7  from /crm · tenant default, then acme · trace ")
    _, out, _ = await run("order-7", "--json")
    assert [row["tenant"] for row in map(json.loads, out.splitlines()) if row["type"] == "text"] == ["default", "acme"]


async def test_what_a_call_cost_is_marked_where_the_result_says_that_a_simulator_received_it(topics, producer, run):
    way = TracedText(topics=topics)
    way.place, way.began = await sent(producer, way)
    simulator = Egress(left=True, provider="mistral", region="eu", call_id="call-1", simulated=True)
    calls = (way.call("attempt", 30), way.call("outcome", 190, offset=5))
    await publish(producer, way.request(), *calls, way.answer(egress=simulator), way.result(egress=simulator))
    _, out, _ = await run("order-7")
    assert "egress  mistral: answered, €0.000100 (simulated)  " in out
    assert out.count("simulated") == 1


async def test_an_end_without_an_answer_says_in_words_who_declined_and_why(topics, producer, run):
    way = TracedText(topics=topics)
    way.place, way.began = await sent(producer, way)
    causes = (Cause(code="language", detail="serves en, de"), Cause(code="policy", detail="nothing may leave"))
    declined = Declined(code="language", detail="serves en, de", causes=causes)
    end = {"status": "unanswered", "source": "none", "output": None, "reason": "declined", "declined": declined}
    await publish(producer, way.result(**end))
    _, out, _ = await run("order-7")
    assert "result  unanswered, language: serves en, de; then policy: nothing may leave · escalated: the small" in out
    assert "· escalated: the small model declined  " in out
    _, out, _ = await run("order-7", "--json")
    assert json.loads(out.splitlines()[1])["reason"] == "declined", "for machines it is the code"


async def test_for_machines_each_record_is_a_line_with_its_cause_and_raw_adds_the_values(topics, producer, run):
    way = TracedText(topics=topics)
    way.place, way.began = await sent(producer, way)
    await publish(producer, way.prediction(), way.result(decision="kept", reason="confident"))
    code, out, _ = await run("order-7", "--json", "--raw")
    text, prediction, result, end = map(json.loads, out.splitlines())
    assert code == 0
    assert (result["type"], result["decision"], result["reason"]) == ("result", "kept", "confident")
    assert (text["cause"], text["after_ms"]) == (None, 0)
    assert prediction["cause"] == {name: text[name] for name in ("topic", "partition", "offset")}
    assert json.loads(text["value"])["text"] == SAID
    assert end["records"] == 3
    assert end["without_result"] == []


async def test_a_model_by_name_stands_behind_its_task(topics, producer, run):
    way = TracedText(topics=topics, tasks=("intent", "ner"))
    way.options = {"intent": {"model": "hr"}, "ner": {"model": "names"}}
    way.place, way.began = await sent(producer, way)
    await publish(producer, way.prediction(), way.result(decision="kept", reason="confident"))
    _, out, _ = await run("order-7")
    assert "  /crm  text  asks for intent@hr, ner@names  " in out
    assert "  intent@hr  prediction  en-fast: transfer" in out
    assert out.endswith("└── no Result yet: ner@names\n")
    _, out, _ = await run("order-7", "--json")
    text, prediction, result, end = map(json.loads, out.splitlines())
    assert (text["asked_model"], prediction["asked_model"], result["asked_model"]) == (None, "hr", "hr")
    assert prediction["service"] == "intent"
    assert end["without_result"] == ["ner"]


async def test_a_plain_text_that_has_no_result_yet_is_found_and_makes_it_fail(topics, producer, run):
    place, began = await sent(producer, TracedText(topics=topics), headers=False)
    way = TracedText.plain(place, began, topics=topics)
    await publish(producer, way.prediction())
    code, out, _ = await run(way.id)
    assert code == 1
    assert "prediction  en-fast: transfer" in out
    assert out.endswith("└── no Result yet: intent\n")


async def test_a_text_that_ended_as_a_dead_letter_has_an_exit_code_of_its_own(topics, producer, run):
    way = TracedText(topics=topics)
    place, way.began = await sent(producer, way)
    way.place = place
    letter = await publish(producer, way.letter(way.text()))
    code, out, _ = await run("order-7")
    assert code == 3
    assert "dead letter  invalid_text: tasks: missing" in out
    assert "no Result yet" not in out
    code, out, _ = await run("order-7", "--json")
    end = json.loads(out.splitlines()[-1])
    assert (code, end["without_result"]) == (3, ["intent"])
    where = {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}
    assert end["ended_by"] == {"code": "invalid_text", **where}
    await publish(producer, way.text())  # the corrected text, under the same id
    code, out, _ = await run("order-7", "--json")
    assert (code, json.loads(out.splitlines()[-1])["ended_by"]) == (1, None)
    await publish(producer, way.prediction(), way.result(decision="kept", reason="confident"))
    code, _, _ = await run("order-7")
    assert code == 0


async def test_a_text_that_waits_beside_a_rejected_one_of_the_same_id_is_waited_for(topics, producer, run):
    rejected, waiting = TracedText(topics=topics), TracedText(source="/shop", topics=topics)
    rejected.place, rejected.began = await sent(producer, rejected)
    await publish(producer, rejected.letter(rejected.text()))
    await sent(producer, waiting)
    assert (await run("order-7"))[0] == 1
    assert (await run("order-7", "--source", "/crm"))[0] == 3


async def test_what_is_not_there_is_one_line(topics, producer, run):
    code, out, err = await run("nobody's", "--since", "5m")
    assert (code, out) == (1, "")
    assert err == (
        "no record of nobody's in the last 5m: look back further with --since; its transaction may have been aborted; "
        "or its id or source could not be read, then `sprat dlq list` has it\n"
    )


async def test_a_text_without_a_source_that_can_be_read_is_found_by_its_id(topics, producer, run):
    way = TracedText("b-14", topics=topics)
    text = way.text()
    headers = [each for each in text.headers if each[0] not in {"ce_source", "traceparent"}]
    place = await publish(producer, replace(text, headers=headers))
    rejected = replace(text, headers=headers, partition=place.partition, offset=place.offset)
    await publish(producer, way.letter(rejected, code="invalid_cloudevent"))
    code, out, err = await run("b-14")
    assert (code, err) == (3, "")
    head, asked, letter = out.splitlines()
    assert head == "b-14  without a source · tenant acme"
    assert "  text  asks for intent" in asked
    assert "└── " in letter
    assert "router  dead letter  invalid_cloudevent" in letter
    code, out, _ = await run("b-14", "--json")
    end = json.loads(out.splitlines()[-1])
    assert (code, end["text_id"], end["text_source"]) == (3, "b-14", None)
    assert (await run("b-14", "--source", "/crm"))[0] == 1


async def test_a_topic_that_is_not_there_is_named_beside_what_was_found(kafka, topics, producer, run):
    way = TracedText(topics=topics)
    way.place, way.began = await sent(producer, way)
    await publish(producer, way.prediction(), way.result(decision="kept", reason="confident"))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.delete_topics([topics.feedback])
    await admin.close()
    code, out, err = await run("order-7", "--json")
    assert (code, err) == (0, f"not looked at: {topics.feedback}, it does not exist\n")
    assert json.loads(out.splitlines()[-1])["not_looked_at"] == {topics.feedback: "it does not exist"}


async def test_a_text_among_a_hundred_thousand_records_is_found_in_five_seconds(kafka, topics, producer):
    way = TracedText(topics=topics)
    way.place, way.began = await sent(producer, way)
    await publish(producer, *way.whole()[1:])
    others = TracedText("order-6", topics=topics).whole()
    for record in others:
        await fill(producer, record, MANY // len(others))
    began, began_cpu = time.monotonic(), time.process_time()
    async with TopicReader({"bootstrap_servers": kafka.bootstrap}) as reader:
        found = await trace(reader, topics, TraceQuery("order-7"), 0)
    took, cpu = time.monotonic() - began, time.process_time() - began_cpu
    assert len(found.steps) == 7
    # Other tests may have the processor at the same time: what it needs of it is what it takes on a quiet machine.
    assert min(took, cpu) < 5, f"{took:.1f} s, of them {cpu:.1f} s of work"


async def fill(producer, record, count):
    """Publish a record so many times, in batches as large as they may be."""
    while count:
        batch = producer.create_batch()
        while count and batch.append(key=None, value=record.value, timestamp=None, headers=list(record.headers)):
            count -= 1
        await producer.send_batch(batch, record.topic, partition=0)
    await producer.flush()
