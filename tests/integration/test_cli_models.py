"""`sprat models list` and `show` on a real broker."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from sprat.kafka.publisher import OutRecord
from sprat.registry.announcements import ModelsReader, announcement_record, tombstone_record
from sprat.registry.retirement import owned_until
from sprat_contracts import ModelAnnounced, Topics
from sprat_contracts.wire import SIGNATURE
from sprat_inference.artefact import load_artefact
from sprat_operations.models import read_registered_models
from sprat_operations.topics import create_topics
from support.cli_records import environment, sprat
from support.stream import FORGED, SIGNATURES, publish, read_all, settings_for

SHIPPED = Path(__file__).resolve().parents[2] / "services/intent/src/sprat_intent/artefacts/en-fast"


FOR_HR = b'{"text": "where is my payslip", "tasks": {"intent": {"model": "hr"}}}'
FOR_ANOTHER = FOR_HR.replace(b"hr", b"default")
FOR_NER = b'{"text": "intent", "tasks": {"ner": {"model": "hr"}}}'


@pytest.fixture
async def topics(kafka, prefix):
    topics = Topics(prefix, 1)
    await create_topics({"bootstrap_servers": kafka.bootstrap}, topics)
    return topics


@pytest.fixture
def run(kafka, prefix, tmp_path):
    async def run(*arguments, **more):
        return await sprat("models", *arguments, env=environment(kafka.bootstrap, prefix, **more), cwd=tmp_path)

    return run


async def announce(kafka, topics, **changes):
    card = load_artefact(SHIPPED).card
    given = {"task": "intent", "version": card.version, "labels": card.labels, "languages": ("en",), "owns_from": 1}
    announced = ModelAnnounced(**given | {"card": card.model_dump(mode="json")} | changes)
    await send(kafka, announcement_record(topics, announced, "test", None, SIGNATURES))


async def send(kafka, record):
    await publish(kafka.bootstrap, record.topic, [record.value], record.headers, record.key)


async def joined(kafka, topics, group, at=None):
    """Return a member of a service's group, which has answered what stands before `at`."""
    service = AIOKafkaConsumer(
        topics.texts,
        bootstrap_servers=kafka.bootstrap,
        group_id=f"{topics.prefix}.{group}",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await service.start()
    if at is not None:
        await service.commit({TopicPartition(topics.texts, 0): at})
    return service


async def test_what_is_announced_is_listed_and_shown(kafka, topics, run, prefix):
    code, _, said = await run("list")
    assert code == 1
    assert "no model is announced" in said
    await announce(kafka, topics)
    await announce(kafka, topics, model="hr", owns_from=None)
    await announce(kafka, topics, task="ner", model="legal")
    service = await joined(kafka, topics, "intent.default")
    code, listed, said = await run("list")
    assert code == 0, said
    head, *rows = map(str.split, listed.splitlines())
    assert head == ["MODEL", "VERSION", "LABELS", "LANGUAGES", "RECOMMENDED", "SERVES"]
    assert rows[0][:3] == ["intent/default", load_artefact(SHIPPED).card.version, "150"]
    assert [(row[0], row[-1]) for row in rows] == [
        ("intent/default", "yes"),
        ("intent/hr", "starting"),
        ("ner/legal", "nobody"),
    ]
    assert said.startswith("no service runs for ner/legal: start it: sprat up --model ner/legal=DIR")
    assert said.endswith("sprat models retire ner/legal\n")
    assert said.count("\n") == 1
    _, machine, _ = await run("list", "--json")
    models = [json.loads(line) for line in machine.splitlines()]
    advised = load_artefact(SHIPPED).card.keep_at
    assert [(each["model"], each["serves"], each["keep_at"]) for each in models] == [
        ("default", "yes", advised),
        ("hr", "starting", advised),
        ("legal", "nobody", advised),
    ]
    await service.stop()
    _, shown, _ = await run("show", "intent/hr")
    assert shown.startswith("intent/hr, version ")
    assert "what it cannot do:" in shown
    code, _, said = await run("show", "intent/legal")
    assert code == 2
    assert "there are: intent/default, intent/hr, ner/legal" in said


async def test_a_model_is_withdrawn_and_its_service_told_when_it_may_stop(kafka, topics, run, prefix):
    await announce(kafka, topics, model="hr")
    code, _, said = await run("retire", "intent/hr")
    assert code == 2
    assert "--yes is needed" in said
    code, said, _ = await run("retire", "intent/hr", "--yes")
    assert code == 0
    assert said == (
        "intent/hr is withdrawn: texts from now on that ask for it are escalated; no service announces its labels any "
        "more, so they end unanswered, no_labels\n"
        "its service has answered all that was its own, and may stop\n"
    )
    await announce(kafka, topics, task="ner", model="legal")
    _, said, _ = await run("retire", "ner/legal", "--yes")
    assert said.startswith("ner/legal is withdrawn: texts from now on that ask for it are escalated\n")
    code, _, said = await run("retire", "intent/nobody", "--yes")
    assert code == 2
    assert "no such model is announced; there are: none" in said


async def test_without_the_secret_nothing_is_withdrawn_and_it_says_where_that_is(kafka, topics, run):
    await announce(kafka, topics, model="hr")
    code, _, said = await run("retire", "intent/hr", "--yes", SPRAT_SECRET="")
    assert code == 2
    assert "SPRAT_SECRET is not set" in said
    assert "DIR/secret" in said
    assert len(await read_all(kafka.bootstrap, topics.models)) == 1
    code, listed, said = await run("list", SPRAT_SECRET="")
    assert code == 0
    assert "intent/hr" in listed, "without it, announcements are shown as they are"
    assert "\nnot verified: SPRAT_SECRET is not set" in said


async def test_what_was_not_signed_with_the_secret_is_not_listed(kafka, topics, run):
    await announce(kafka, topics, model="hr")
    code, _, said = await run("list", SPRAT_SECRET="another secret of sixteen letters")
    assert code == 1
    first, second = said.splitlines()
    assert first == "services ignore what is announced as intent/hr: its signature is not this installation's"
    assert second.startswith("no model is announced")


async def bad_announcements(kafka, topics):
    """Announce two models, one of which somebody else announces, too; and write what nobody reads."""
    await announce(kafka, topics)
    await announce(kafka, topics, model="hr")
    for task, model in (("intent", "hr"), ("ner", "default")):
        forged = ModelAnnounced(task=task, version="9", model=model)
        await send(kafka, announcement_record(topics, forged, "test", None, FORGED))
    elsewhere = announcement_record(topics, ModelAnnounced(task="ner", version="9"), "test", None, SIGNATURES)
    own = [header for header in elsewhere.headers if header[0] != SIGNATURE]
    await send(kafka, SIGNATURES.sign(OutRecord(topics.models, b"a/b", elsewhere.value, own)))
    for number in range(3):
        await send(kafka, SIGNATURES.sign(OutRecord(topics.models, f"made/up-{number}".encode(), b"{}", own)))


async def test_bad_announcements_are_removed_and_the_valid_one_before_stays(kafka, topics, run, prefix):
    assert await run("clean", "--yes") == (0, "no announcement is ignored\n", "")
    await bad_announcements(kafka, topics)
    code, out, said = await run("clean")
    assert (code, out) == (2, "")
    assert said.splitlines() == [
        "intent/hr: its signature is not this installation's; a valid one counts: that is written again",
        "ner/default: its signature is not this installation's; none counts: withdrawn",
        "a/b: its key is not its own task and model; none counts: withdrawn",
        *(f"made/up-{n}: it is no announcement; none counts: withdrawn" for n in range(3)),
        "sprat: --yes is needed to remove them without a terminal",
    ]
    before = len(await read_all(kafka.bootstrap, topics.models))
    code, out, _ = await run("clean", "--yes")
    assert (code, out) == (0, "removed: 6 records; Kafka deletes them when it next compacts the topic\n")
    written = await read_all(kafka.bootstrap, topics.models)
    last = {record.key: record for record in written}
    assert all(SIGNATURES.verdict(record) == "current" for record in last.values()), "what compaction leaves counts"
    assert {key for key, record in last.items() if record.value} == {b"intent/default", b"intent/hr"}
    assert len(written) == before + 6
    models = await read_registered_models(settings_for(kafka.bootstrap, prefix).kafka, SIGNATURES)
    assert [each.model for each in models.announced] == ["default", "hr"]
    assert (models.announced[1].version != "9", models.ignored) == (True, ())


async def test_a_service_logs_one_line_with_the_count_of_bad_announcements(kafka, topics, prefix, caplog):
    await bad_announcements(kafka, topics)
    seen = []
    reader = ModelsReader(settings_for(kafka.bootstrap, prefix).kafka, SIGNATURES, lambda each: seen.append(each.key))
    await reader.start()
    await reader.catch_up()
    await reader.stop()
    assert seen == [b"intent/default", b"intent/hr"]
    (line,) = [each.getMessage() for each in caplog.records if each.name == "sprat.registry.announcements"]
    ignored = f"records on {topics.models} that are ignored: 6 (2 invalid, 1 key, 3 unreadable)"
    assert line == f"{ignored}; `sprat models clean` names and removes them"


async def test_what_a_running_service_announced_is_not_withdrawn(kafka, topics, run, prefix):
    await announce(kafka, topics)
    stranger = announcement_record(topics, ModelAnnounced(task="ner", version="9"), "test", None, FORGED)
    await send(kafka, stranger)
    service = await joined(kafka, topics, "ner.default")
    code, out, said = await run("clean", "--yes", "--json")
    await service.stop()
    assert (code, [json.loads(line)["then"] for line in out.splitlines()]) == (1, ["left"])
    assert "give it the SPRAT_SECRET of the others" in said
    assert len(await read_all(kafka.bootstrap, topics.models)) == 2


async def test_with_another_secret_than_the_services_nothing_is_removed(kafka, topics, run):
    await announce(kafka, topics)
    code, _, said = await run("clean", "--yes", SPRAT_SECRET="another secret of sixteen letters")
    assert (code, "is it that of the services?" in said) == (2, True)
    assert len(await read_all(kafka.bootstrap, topics.models)) == 1


async def test_a_retirement_that_was_cut_short_is_finished_by_another(kafka, topics, run):
    await announce(kafka, topics, model="hr")
    await send(kafka, tombstone_record(topics, "intent", "hr", None, SIGNATURES))
    code, said, _ = await run("retire", "intent/hr", "--yes")
    assert code == 0
    assert said.startswith("intent/hr is withdrawn")
    written = await read_all(kafka.bootstrap, topics.models)
    assert owned_until(written[-1].headers) == {0: 0}
    code, again, _ = await run("retire", "intent/hr")
    assert (code, again) == (0, said), "a user who missed when its service may stop asks again"
    assert len(await read_all(kafka.bootstrap, topics.models)) == len(written)


async def test_texts_that_the_model_still_owns_are_told(kafka, topics, run, prefix):
    await announce(kafka, topics, model="hr")
    await publish(kafka.bootstrap, topics.texts, [FOR_HR] * 3)
    service = await joined(kafka, topics, "intent.hr", at=1)
    code, out, said = await run("retire", "intent/hr", "--yes", "--wait", "1", "--json")
    assert code == 1
    assert json.loads(out)["texts_left"] == 2
    assert "up to 2 texts of intent/hr are not answered yet" in said
    assert "to the frontier" not in out + said
    await announce(kafka, topics, model="hr")
    await service.commit({TopicPartition(topics.texts, 0): 3})
    code, out, _ = await run("retire", "intent/hr", "--yes", "--json")
    await service.stop()
    assert code == 0
    assert json.loads(out) == {"type": "retired", "model": "intent/hr", "texts_left": 0, "members": 1}


async def test_a_model_for_which_no_text_waits_is_retired_though_others_came(kafka, topics, run, prefix):
    await announce(kafka, topics, model="hr")
    service = await joined(kafka, topics, "intent.hr", at=0)
    await service.stop()
    await publish(kafka.bootstrap, topics.texts, [FOR_NER, FOR_ANOTHER, b"no JSON"])
    code, out, said = await run("retire", "intent/hr", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"type": "retired", "model": "intent/hr", "texts_left": 0, "members": 0}), (
        said
    )


async def test_texts_that_wait_for_a_withdrawn_model_which_nobody_serves_are_told(kafka, topics, run, prefix):
    await announce(kafka, topics, model="hr")
    await publish(kafka.bootstrap, topics.texts, [FOR_HR, FOR_NER, FOR_HR, FOR_ANOTHER, b"{}"])
    service = await joined(kafka, topics, "intent.hr", at=0)
    await service.stop()
    code, _, said = await run("retire", "intent/hr", "--yes")
    assert code == 1
    assert "2 texts of intent/hr wait, and no service reads them: they get no Result until one is" in said
    assert "up to" not in said
    assert "started once more. It then announces the model again: retire it again" in said
