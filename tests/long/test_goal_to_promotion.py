"""An owner's goal on a real `sprat up`: train, too few rows, evaluate, promote and back, and a language of its own."""

import asyncio
import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sprat.base.thresholds import find_thresholds
from sprat_contracts import Topics
from sprat_contracts.thresholds import Says
from sprat_inference.artefact import load_artefact
from support import sentences
from support.chapters import Chapter, Person, environment
from support.desk import USUAL, USUAL_REDIS
from support.traffic import record
from support.up_process import UpProcess

TOPICS = Topics()
SOURCE = "/tests/goal"
POLICY = """\
tasks:
  intent:
    models:
      hr:
        goal: 0.9
        evidence: certified
        languages:
          de: {goal: 0.995, evidence: certified}
tenants:
  "*": {frontier: redact, regions: [local]}
"""
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("goal")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    trained = [*in_language("en", 160, 1, 20), *in_language("de", 160, 2, 20)]
    write(folder / "hr.csv", trained)
    write(folder / "more.csv", in_language("en", 80, 6))
    write(folder / "few.csv", in_language("en", 24, 3, 2))
    write(folder / "many.csv", [*in_language("en", 160, 4, 20), *in_language("de", 80, 5, 10)])
    return folder


@pytest.fixture(scope="module")
def person(folder: Path) -> Person:
    return Person(Chapter("", (), ()), folder, environment(SPRAT_POLICY="policy.yaml"))


@pytest.fixture(scope="module")
def up(person: Person) -> Iterator[UpProcess]:
    languages = "--language en --language de --name hr"
    person.run(f"sprat train intent hr.csv {languages}")
    person.run(f"sprat train intent hr.csv more.csv {languages} --output hr-2")
    person.run("sprat evaluate few.csv --model hr --write")
    process = UpProcess("--model", "intent/hr=hr", "--policy", "policy.yaml", cwd=person.folder, env=person.environment)
    try:
        process.wait_ready(within_s=150)
        person.environment |= {} if process.bootstrap == USUAL else {"SPRAT_KAFKA__BOOTSTRAP": process.bootstrap}
        person.environment |= {} if USUAL_REDIS in process.redis else {"SPRAT_REDIS__URL": process.redis}
        yield process
        assert process.interrupt()[0] == 0, process.output
    finally:
        process.end()


def in_language(language: str, count: int, seed: int, outside: int = 0) -> list[tuple[str, str, str]]:
    return [(text, label, language) for text, label in sentences.rows(count, seed, language, outside)]


def write(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label", "language"), *rows])


def version(folder: Path) -> str:
    return load_artefact(folder).card.version


def texts_of(name: str, rows: Sequence[tuple[str, str, str]]) -> dict[str, dict[str, Any]]:
    """Return id → text, of texts that nothing was trained or measured on."""
    return {
        f"{name}-{number}": {"text": text, "language": language, "tasks": {"intent": {"model": "hr"}}}
        for number, (text, _, language) in enumerate(rows)
    }


async def answered(
    bootstrap: str, texts: Mapping[str, Mapping[str, Any]], pause_s: float = 0.0
) -> dict[str, list[dict[str, Any]]]:
    """Send texts, and return every Result of each: there must be one."""
    consumer = AIOKafkaConsumer(
        TOPICS.results("intent"),
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await consumer.start()
    await producer.start()
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for id, text in texts.items():
            data, headers = record(SOURCE, id, dict(text))
            await producer.send_and_wait(TOPICS.texts, data, headers=headers)
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(90):
            async for each in consumer:
                result = json.loads(each.value)
                if result["text_id"] in texts:
                    found.setdefault(result["text_id"], []).append(result)
                if len(found) == len(texts):
                    break
        assert [id for id, results in found.items() if len(results) != 1] == []
        return found
    finally:
        await producer.stop()
        await consumer.stop()


def routes(bootstrap: str, name: str, rows: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Return what becomes of texts: their Results, in no order."""
    return [one for (one,) in asyncio.run(answered(bootstrap, texts_of(name, rows))).values()]


def says(result: Mapping[str, Any]) -> Says:
    return "none" if result["output"]["label"] is None else "some"


def reasons(results: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(each["route"]["decision"], each["route"]["reason"]) for each in results}


ENGLISH = in_language("en", 8, 11)
GERMAN = in_language("de", 8, 12)


def test_too_few_rows_certify_nothing_and_what_only_the_estimate_reaches_is_escalated(up: UpProcess, folder) -> None:
    found = find_thresholds(folder / "hr", model_version=version(folder / "hr"))
    assert found is not None
    assert found.certificate is None
    results = routes(up.bootstrap, "few", ENGLISH)
    assert reasons(results) == {("escalated", "not_certified")}
    assert {(each["route"]["goal"], each["route"]["evidence"]) for each in results} == {(0.9, "certified")}


def test_the_running_service_takes_measured_thresholds_over_and_keeps(up: UpProcess, person: Person, folder) -> None:
    service = up.pid_of("sprat_intent")
    person.run("sprat evaluate many.csv --model hr --write")
    found = find_thresholds(folder / "hr", model_version=version(folder / "hr"))
    assert found is not None
    assert found.certificate is not None
    assert found.certificate.goals[0] == 0.9
    up.wait_for(lambda: f"takes over the thresholds {found.thresholds_version}" in up.output, 30)
    results = until_kept(up, "many", ENGLISH)
    assert {each["route"]["level"] for each in results} == {0.9}
    assert up.pid_of("sprat_intent") == service, "no service is started again"


def until_kept(up: UpProcess, name: str, rows: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Send texts until the service has looked at its thresholds, every 5 s; return the Results."""
    deadline, attempt = time.monotonic() + 30, 0
    results = routes(up.bootstrap, f"{name}-0", rows)
    while {each["route"]["decision"] for each in results} != {"kept"}:
        assert time.monotonic() < deadline, reasons(results)
        time.sleep(0.5)
        attempt += 1
        results = routes(up.bootstrap, f"{name}-{attempt}", rows)
    return results


def test_a_language_has_a_goal_of_its_own(up: UpProcess) -> None:
    results = routes(up.bootstrap, "german", GERMAN)
    assert {each["route"]["goal"] for each in results} == {0.995}
    assert {decision for decision, _ in reasons(results)} == {"escalated"}
    assert reasons(routes(up.bootstrap, "english", ENGLISH)) == {("kept", "confident")}


def test_a_version_without_the_certificate_is_refused_and_with_force_each_version_is_judged_by_its_own_under_traffic(
    up: UpProcess, person: Person, folder: Path
) -> None:
    old, new = version(folder / "hr"), version(folder / "hr-2")
    refused = person.run("sprat promote hr-2", code=1).err
    assert "the policy asks for 90 % certified, and hr-2 has no certificate of it" in refused
    assert version(folder / "hr") == old

    async def under_traffic() -> dict[str, list[dict[str, Any]]]:
        rows = in_language("en", 300, 13)
        sending = asyncio.create_task(answered(up.bootstrap, texts_of("traffic", rows), pause_s=0.08))
        await asyncio.sleep(2)
        await asyncio.to_thread(person.run, "sprat promote hr-2 --force")
        return await sending

    found = asyncio.run(under_traffic())
    results = [one for (one,) in found.values()]
    of_old = find_thresholds(folder / "hr.previous", model_version=old)
    assert of_old is not None
    kept = {old: 0, new: 0}
    for result in results:
        by = result["model"]["version"]
        level = of_old.accuracy(result["confidence"], "en", says(result)).certified if by == old else None
        assert (result["route"]["decision"] == "kept") == (level is not None and level >= 0.9), result
        kept[by] += result["route"]["decision"] == "kept"
    assert kept[old] > 50
    assert kept[new] == 0 < len([each for each in results if each["model"]["version"] == new])
    assert len(results) == 300
    assert f"intent.hr: version {new} is in use" in up.output


def test_the_previous_version_comes_back_with_its_certificate_and_keeps(
    up: UpProcess, person: Person, folder: Path
) -> None:
    old = version(folder / "hr.previous")
    person.run("sprat promote hr --back")
    assert version(folder / "hr") == old
    up.wait_for(lambda: f"intent.hr: version {old} is in use" in up.output, 90)
    results = until_kept(up, "back", ENGLISH)
    assert {each["model"]["version"] for each in results} == {old}
