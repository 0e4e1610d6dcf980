"""The programs of the README and of the pages, as written, against the whole system; only address and prefix differ."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from confluent_kafka import Producer

from conftest import Kafka, Redis
from sprat_contracts import Event, Result, TextSubmitted, decode
from sprat_local.installation.options import DEMO_FOLDER, POLICY
from sprat_local.kafka.jars import class_path
from support.programs import needs
from support.readme import commands, programs
from support.stream import SECRET, eventually, read_all
from support.system import System, whole_system

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIX = "readme"
PROGRAMS = programs()
SAID_S = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(kafka: Kafka, redis_server: Redis) -> AsyncIterator[System]:
    async with whole_system(
        kafka.bootstrap, redis_server.url, PREFIX, policy=POLICY, gold=DEMO_FOLDER / "texts.jsonl", invent=False
    ) as running:
        yield running


@asynccontextmanager
async def started(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program with all that it starts, and end them with the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | (environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()


async def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, which must be a good one, and give what it said."""
    async with started(command, environment) as process:
        said, _ = await asyncio.wait_for(process.communicate(), SAID_S)
    assert process.returncode == 0, said.decode()
    return said.decode()


async def said(command: Sequence[str], *words: str) -> str:
    """Run a program that never ends until one of its lines holds all these words, and give the line."""
    async with started(command) as process, asyncio.timeout(SAID_S):
        assert process.stdout is not None
        lines: list[str] = []
        async for raw in process.stdout:
            lines.append(raw.decode())
            if all(word in lines[-1] for word in words):
                return lines[-1]
    raise AssertionError("".join(lines))


def here(system: System, program: str) -> str:
    """Return a program of the documentation for this system's broker and prefix."""
    code = PROGRAMS[program].replace("127.0.0.1:9092", system.bootstrap).replace("Topics()", f'Topics("{PREFIX}")')
    return re.sub(r"\bsprat(?=\.(texts|results)\.)", PREFIX, code)


def python(system: System, program: str) -> list[str]:
    return [sys.executable, "-c", here(system, program)]


def java(system: System, program: str, folder: Path) -> list[str]:
    code = here(system, program)
    (name,) = re.findall(r"public class (\w+)", code)
    file = folder / f"{name}.java"
    file.write_text(code, "utf-8")
    return ["java", "-Xmx128m", "-cp", class_path(), str(file)]


def shell(system: System, program: str) -> list[str]:
    (line,) = commands(here(system, program))
    return ["bash", "-euo", "pipefail", "-c", line]


async def ended(system: System, id: str, task: str = "intent") -> Event[Result]:
    """Wait for the Result of a text."""

    def found() -> list[Event[Result]]:
        return [e for _, e in system.results if (e.message.text_id, e.message.task) == (id, task)]

    await eventually(found, 30)
    return found()[0]


async def test_a_record_produced_with_confluent_kafka_plain_json_no_headers_is_answered(system: System) -> None:
    places = []
    producer = Producer({"bootstrap.servers": system.bootstrap})
    value = json.dumps({"text": "please move 100 euros to my savings", "tasks": {"intent": {}}})
    producer.produce(system.topics.texts, value, on_delivery=lambda _, record: places.append(record))
    await asyncio.to_thread(producer.flush, 30)
    (place,) = places
    id = f"{place.offset()}-{place.timestamp()[1]}"
    result = (await ended(system, id)).message
    assert result.text_source == f"/{system.topics.texts}/{place.partition()}"
    assert (result.status, result.output.label, result.source) == ("answered", "transfer", "small")


async def test_the_readmes_text_is_published_and_its_result_read(system: System) -> None:
    before = len(system.results)
    await run(python(system, "readme-publish"))
    await eventually(lambda: len(system.results) > before, 30)
    _, event = system.results[-1]
    assert event.message.text_source.startswith(f"/{system.topics.texts}/")
    assert (event.message.task, event.message.output.label) == ("intent", "balance")
    read = python(system, "readme-read")
    for printed in await asyncio.gather(run(read), run(read)):  # each run reads all, also a second one
        assert re.search(
            rf"^{event.message.text_id} answered \{{'label': 'balance'.*\}} 0\.\d+$", printed, re.MULTILINE
        )


async def test_a_text_is_published_and_read_with_python(system: System) -> None:
    place = await run(python(system, "publish-python"))
    assert re.match(rf"{PREFIX}\.texts\.v1 \d+@\d+$", place)
    assert (await ended(system, "mail-4711")).message.requested == ("intent", "ner")
    ner = (await ended(system, "mail-4711", "ner")).message
    assert (ner.status, ner.tenant, ner.reference) == ("answered", "acme-bank", {"ticket": "T-4711"})
    whole = python(system, "read-python")
    assert "transfer" in await said(whole, "mail-4711", " intent answered ")


async def test_a_repeated_send_is_the_same_text_and_the_reader_takes_it_once(system: System) -> None:
    await run(python(system, "publish-python"))
    await run(python(system, "publish-python"))

    def results() -> list[str]:
        return [e.envelope.id for _, e in system.results if (e.message.text_id, e.message.task) == ("mail-4711", "ner")]

    await eventually(lambda: len(results()) >= 2, 30)
    assert len(set(results())) == 1
    take = here(system, "read-python").partition("texts = {}")[2].partition("try:")[0]
    names: dict[str, object] = {}
    exec(f"texts = {{}}{take}", names)
    nothing = {"text_source": "/s", "text_id": "1", "task": "ner", "requested": ["ner", "intent"], "output": None}
    intent = {**nothing, "task": "intent", "output": {"label": "transfer"}}
    answer = {**nothing, "output": {"entities": []}}
    steps = [nothing, intent, intent, answer, {**answer, "output": {"entities": [1]}}, nothing]
    taken = [names["take"](step) for step in steps]
    assert [one is not None for one in taken] == [False, True, False, True, False, False]
    assert taken[3] == {"ner": answer, "intent": intent}


async def test_a_text_is_published_and_read_with_the_contracts(system: System) -> None:
    await run(python(system, "publish-contracts"))
    assert (await ended(system, "mail-4712")).message.origin.key is not None
    assert " balance 0." in await said(python(system, "read-contracts"), "mail-4712", "small")


async def test_a_text_is_published_in_structured_mode(system: System) -> None:
    await run(python(system, "publish-structured"))
    result = (await ended(system, "mail-4715")).message
    assert (result.text_source, result.status, result.tenant) == ("/crm/mail", "answered", "acme-bank")
    assert result.origin.key is not None


async def test_a_text_is_signed_with_the_contracts(system: System) -> None:
    key = "a key of at least thirty-two bytes"
    await run(python(system, "publish-signed"), {"SPRAT_CRM_KEY": key})
    await ended(system, "mail-4714")
    records = await read_all(system.bootstrap, system.topics.texts)
    (signed,) = [
        decode(record, TextSubmitted) for record in records if dict(record.headers).get("ce_id") == b"mail-4714"
    ]
    assert signed.envelope.signature is not None
    assert signed.envelope.signature.is_by([key.encode()], "acme-bank", "/crm/mail", "mail-4714")


async def test_texts_are_published_in_a_transaction(system: System) -> None:
    await run(python(system, "publish-transaction"))
    labels = [(await ended(system, f"mail-4716-{number}")).message.output.label for number in range(2)]
    assert labels == ["balance", "report_lost_card"]


async def test_a_text_that_asks_for_some_labels_gets_one_of_them(system: System) -> None:
    asked = json.loads(here(system, "publish-labels"))
    stands = await system.result(await system.submit(asked))
    assert (stands.status, stands.output.label, stands.renormalised) == ("answered", "balance", False)
    assert {each.label for each in stands.output.alternatives} == {"balance", "transfer"}

    async def deny(*labels: str) -> Result:
        denying = asked | {"tasks": {"intent": {"labels": labels}}, "frontier": "deny"}
        return await system.result(await system.submit(denying))

    beside = await deny("transfer", "pay_bill")
    assert (beside.status, beside.route.reason, beside.route.level) == ("degraded", "uncalibrated", None)
    assert (beside.output.label in {"transfer", "pay_bill", None}, beside.renormalised) == (True, True)
    unknown = await deny("balance", "weathers")
    assert (unknown.status, unknown.declined.code, unknown.cost_eur) == ("unanswered", "labels", 0)
    assert unknown.declined.detail.endswith("the first is no. 2 in the list; did you mean weather?")


@needs("kcat")
async def test_a_text_is_published_and_read_with_kcat(system: System) -> None:
    before = len(system.results)
    await run(shell(system, "publish-kcat"))
    await eventually(lambda: len(system.results) > before, 30)
    _, event = system.results[-1]
    assert (event.message.status, event.message.output.label) == ("answered", "transfer")
    await run(python(system, "publish-contracts"))
    await ended(system, "mail-4712")
    found = [json.loads(line) for line in (await run(shell(system, "read-kcat"))).splitlines()]
    assert "mail-4712" in {result["text_id"] for result in found}
    assert {(result["tenant"], result["status"]) for result in found} == {("acme-bank", "answered")}


@pytest.mark.long
@needs("javac")
async def test_a_text_is_published_and_read_with_java(system: System, tmp_path: Path) -> None:
    place = await run(java(system, "publish-java", tmp_path))
    assert re.search(rf"^{PREFIX}\.texts\.v1 \d+@\d+$", place, re.MULTILINE)
    assert (await ended(system, "mail-4713")).message.status != "unanswered"
    line = await said(java(system, "read-java", tmp_path), '"text_id":"mail-4713"')
    assert json.loads(line)["tenant"] == "acme-bank"


async def test_of_a_text_that_the_simulator_does_not_know_the_small_answer_stands(system: System) -> None:
    text = {"text": "is it possible to change it and move it to the other one", "tasks": {"intent": {}}}
    result = await system.result(await system.submit(text | {"tenant": "acme-bank", "frontier": "allow"}))
    assert (result.status, result.source, result.declined.code) == ("degraded", "small", "no_gold")
    assert (result.egress.simulated, result.egress.region) == (True, "local")


@pytest.mark.parametrize(
    ("text", "answer", "masked"),
    [
        ("Peter is coming to Berlin tomorrow.", "Peter kommt morgen nach Berlin.", {"PERSON": 1}),
        ("My card was stolen in Lisbon", "Meine Karte wurde in Lisbon gestohlen", {"LOCATION": 1}),
        ("what is my balance", "Wie hoch ist mein Kontostand", {}),
    ],
)
async def test_the_simulator_knows_the_sentences_of_the_documents_also_as_they_leave_without_a_tenant(
    system: System, text: str, answer: str, masked: dict[str, int]
) -> None:
    place = await system.submit({"text": text, "tasks": {"translation": {"target": "de"}}})
    result = await system.result(place, "translation")
    assert (result.status, result.output and result.output.text) == ("answered", answer)
    assert (result.egress.simulated, result.egress.masked) == (True, masked)


async def test_the_producer_that_init_writes_gets_its_result(system: System, tmp_path: Path) -> None:
    await run([sys.executable, "-m", "sprat_cli", "init", str(tmp_path)])
    environment = {"SPRAT_KAFKA__BOOTSTRAP": system.bootstrap, "SPRAT_KAFKA__PREFIX": PREFIX}
    said = await run([sys.executable, str(tmp_path / "producer.py"), "what is my balance"], environment)
    assert re.match(r'answered \{"label": "balance"', said)


@pytest.mark.long
@needs("bash")
async def test_the_commands_do_what_is_said_of_them(system: System, redis_server: Redis) -> None:
    environment = {
        "SPRAT_KAFKA__BOOTSTRAP": system.bootstrap,
        "SPRAT_KAFKA__PREFIX": PREFIX,
        "SPRAT_KAFKA__PARTITIONS": str(system.topics.partitions),
        "SPRAT_REDIS__URL": redis_server.url,
        "SPRAT_SECRET": SECRET,
        "SPRAT_POLICY": str(POLICY),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    answers = {}
    for line in commands(PROGRAMS["commands"]):
        answers[line.split()[1], len(answers)] = await run(["bash", "-c", line], environment)
    send, two_tasks, without_tenant, watch, topics, doctor = answers.values()
    assert re.search(r"^intent +transfer +\d\d\.\d % sure$", send, re.MULTILINE)
    assert "nothing was sent to a provider" in send
    assert {line.split()[0] for line in two_tasks.splitlines()} >= {"ner", "translation"}
    assert "Ihre Rechnung wurde bezahlt" in without_tenant
    assert "(simulated)" in without_tenant
    assert "sent to simulator (local, simulated)" in without_tenant
    assert len(re.findall(r"^\d\d:\d\d:\d\d  (?:un)?answered +", watch, re.MULTILINE)) == 1
    assert f"{PREFIX}.results.ner.v1" in topics
    assert "✗" not in doctor
