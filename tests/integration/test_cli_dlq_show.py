"""`sprat dlq list`, `count` and `show` on a real broker."""

import base64
import json
import os
from dataclasses import asdict
from functools import partial

import pytest

from conftest import Kafka
from sprat.base.settings import ServiceSettings
from sprat_operations.local_run import LocalRun
from support.cli_records import environment, sprat, sprat_process
from support.letters import dlq, plain_record, rejected
from support.stream import made_topics, publish, settings_for


@pytest.fixture
def settings(kafka: Kafka, prefix: str) -> ServiceSettings:
    return settings_for(kafka.bootstrap, prefix)


@pytest.fixture
def run(kafka: Kafka, prefix: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return partial(dlq, kafka.bootstrap, prefix)


async def test_letters_are_listed_and_counted_by_reason_service_and_time(settings, run) -> None:
    topics = await made_topics(settings)
    await rejected(settings, plain_record(topics), plain_record(topics, offset=42))
    await rejected(settings, plain_record(topics, offset=43), service="intent", code="model_error")
    code, out = await run("list")
    assert code == 0
    assert [line.split()[3:7] for line in out.splitlines()[1:]] == [
        ["yes", "router", "invalid_text", "0"],
        ["yes", "router", "invalid_text", "0"],
        ["yes", "intent", "model_error", "0"],
    ]
    assert "Anna" not in out
    code, out = await run("count", "--json")
    assert [(row.get("reason"), row.get("service"), row["count"]) for row in out] == [
        ("invalid_text", "router", 2),
        ("model_error", "intent", 1),
        (None, None, 3),
    ]
    assert (await run("count", "--by", "day", "--json"))[1][0]["count"] == 3
    assert len((await run("list", "--service", "intent", "--since", "1h", "--json"))[1]) == 1
    assert (await run("list", "--reason", "defect"))[1] == "no dead letters\n"
    assert (await run("list", "--until", "1h"))[1] == "no dead letters\n"


async def test_a_long_reason_is_cut_on_a_terminal_alone(settings, run) -> None:
    topics = await made_topics(settings)
    reason = "tasks: " + "a field is required, " * 6
    await rejected(settings, plain_record(topics), detail=reason)
    assert reason.strip() in (await run("list"))[1]


async def test_an_original_is_shown_with_personal_data_masked_unless_raw(settings, run) -> None:
    topics = await made_topics(settings)
    value = b'{"text": "Please call Anna Schmidt on +49 30 901820.\\nAnna Schmidt", "phone": "+49 30 901820"}'
    headers = (("x-caller", b"anna.schmidt@example.org"), ("x-odd", b"\xff"))
    await rejected(settings, plain_record(topics, value, key=b"anna.schmidt@example.org", headers=headers))
    code, (listed,) = await run("list", "--json")
    code, out = await run("show", listed["letter"])
    assert code == 0
    assert "Anna" not in out
    assert "901820" not in out
    assert "anna.schmidt" not in out
    assert "text: Please call [" in out
    assert "invalid_text: tasks: Field required" in out
    assert out.splitlines()[-2].startswith("  next: the record itself is invalid: correct it and publish it again")
    code, (shown,) = await run("show", listed["text_id"], "--json")
    assert code == 0
    assert shown["masked"] is True
    assert "Schmidt" not in json.dumps(shown)
    code, (shown,) = await run("show", listed["letter"], "--raw", "--json")
    assert base64.b64decode(shown["value_base64"]) == value
    assert shown["headers"] == [["x-caller", "anna.schmidt@example.org"], ["x-odd", "\\xff"]]
    code, out = await run("show", listed["letter"], "--raw")
    assert "Anna Schmidt" in out


async def test_a_key_that_is_the_id_is_shown_as_the_id_is(settings, run) -> None:
    topics = await made_topics(settings)
    id = "d41d8cd9-8f00-3204-a980-0998ecf8427e"  # by itself, it looks like a driving licence
    headers = (("ce_id", id.encode()), ("ce_source", b"/test"), ("ce_specversion", b"1.0"), ("ce_type", b"x"))
    await rejected(settings, plain_record(topics, b"{", key=id.encode(), headers=headers))
    _, (listed,) = await run("list", "--json")
    _, (shown,) = await run("show", listed["letter"], "--json")
    assert (shown["key"], shown["text_id"]) == (id, id)


async def test_of_an_event_in_structured_mode_the_attributes_are_shown_and_the_data_is_masked(settings, run) -> None:
    topics = await made_topics(settings)
    attributes = {
        "specversion": "1.0",
        "type": "dev.sprat.text.submitted.v1",
        "source": "/crm/Lindenweg 12",
        "id": 4711,
    }
    attributes |= {"time": "2026-01-05T10:00:00Z", "datacontenttype": "application/json"}
    personal = {"subject": "Anna Schmidt", "caller": "anna.schmidt@example.org"}
    data = {"text": "Anna Schmidt, Lindenweg 12", "id": "Anna Schmidt", "source": "+49 30 901820"}
    value = json.dumps(attributes | personal | {"data": data}).encode()
    structured = (("content-type", b"application/cloudevents+json"),)
    await rejected(settings, plain_record(topics, value, headers=structured), code="invalid_cloudevent")
    await rejected(settings, plain_record(topics, value, offset=42), code="invalid_cloudevent")  # as old SDKs write it
    await rejected(settings, plain_record(topics, value[:-1], headers=structured, offset=43), code="invalid_json")
    *whole, broken = (await run("list", "--json"))[1]
    for letter in whole:
        (shown,) = (await run("show", letter["letter"], "--json"))[1]
        lines = shown["value"].splitlines()
        assert lines[:6] == [f"{name}: {given}" for name, given in attributes.items()]
        assert not any(word in json.dumps(shown) for word in ("Anna", "Schmidt", "anna", "901820"))
        assert shown["value"].count("Lindenweg") == 1
    (shown,) = (await run("show", broken["letter"], "--json"))[1]
    assert not any(word in json.dumps(shown) for word in ("Anna", "Schmidt", "anna", "901820", "Lindenweg"))


@pytest.mark.parametrize("key", ["cust-1", "cust-3", "order-4711", "acme-bank"])
async def test_a_key_of_one_word_is_shown(settings, run, key) -> None:
    topics = await made_topics(settings)
    await rejected(settings, plain_record(topics, key=key.encode()))
    _, (listed,) = await run("list", "--json")
    assert (await run("show", listed["letter"], "--json"))[1][0]["key"] == key


async def test_the_policy_is_that_of_ones_own_running_installation(settings, run, prefix, kafka, tmp_path) -> None:
    topics = await made_topics(settings)
    await rejected(settings, plain_record(topics, b'{"text": "please cancel my blueberry account"}'))
    await rejected(settings, plain_record(topics, b'{"text": "Anna Schmidt", "language": "tlh"}', offset=43))
    env = environment(kafka.bootstrap, prefix) | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    listed = (await run("list", "--json"))[1]
    show = ("dlq", "show", *(each["letter"] for each in listed))
    _, out, said = await sprat_process(*show, env=env, cwd=tmp_path)
    assert "cancel my blueberry account" in out
    assert said == "no policy (--policy FILE or SPRAT_POLICY): no terms or patterns of your own are masked\n"
    assert "lists it under perimeter.validators_alone (language tlh;" in out
    policy = tmp_path / "policy.yaml"
    policy.write_text("perimeter: {terms: [{type: PROJECT, words: [blueberry]}]}\n", "utf-8")
    up = LocalRun(os.getpid(), str(tmp_path), "", kafka.bootstrap, prefix, policy=str(policy))
    announced = tmp_path / "cache" / "sprat" / "run" / f"process-{os.getpid()}.json"
    announced.parent.mkdir(0o700, parents=True)
    announced.write_text(json.dumps(asdict(up)), "utf-8")
    _, out, said = await sprat_process(*show, env=env, cwd=tmp_path)
    assert "cancel my [PROJECT_1] account" in out
    assert said == f"masked by the policy of your `sprat up`, {policy}\n"


async def test_an_id_without_a_source_is_listed_and_found(settings, run) -> None:
    topics = await made_topics(settings)
    headers = (("ce_specversion", b"1.0"), ("ce_id", b"b-14"), ("ce_type", b"dev.sprat.text.submitted.v1"))
    await rejected(settings, plain_record(topics, headers=headers), code="invalid_cloudevent")
    _, out = await run("list")
    assert out.splitlines()[1].split()[7] == "b-14"
    code, out = await run("show", "b-14")
    assert code == 0
    assert "  text     b-14, without a source\n" in out


async def test_bytes_that_are_no_text_are_shown_only_raw_and_then_as_they_are(settings, run) -> None:
    topics = await made_topics(settings)
    utf16 = '{"text": "Anna Schmidt"}'.encode("utf-16")
    await rejected(settings, plain_record(topics, utf16), code="invalid_json")
    (letter,) = (await run("list", "--json"))[1]
    code, out = await run("show", letter["letter"])
    assert code == 1
    assert "not shown: 50 bytes, not UTF-8 text; --raw shows it" in out
    code, out = await run("show", letter["letter"], "--raw")
    assert code == 0
    assert "00000000  ff fe 7b 00 22 00" in out


async def test_a_language_that_nobody_vouches_for_is_not_shown(settings, run) -> None:
    topics = await made_topics(settings)
    await rejected(settings, plain_record(topics, b'{"text": "Anna Schmidt", "language": "tlh"}'))
    (letter,) = (await run("list", "--json"))[1]
    code, out = await run("show", letter["letter"])
    assert (code, "Anna" in out) == (1, False)
    assert "no detector of names covers the text's language" in out
    assert (await run("show", letter["letter"], "--language", "en"))[0] == 0


async def test_what_is_no_dead_letter_is_named_and_the_others_are_read(settings, run, kafka) -> None:
    topics = await made_topics(settings)
    await publish(kafka.bootstrap, topics.dead_letters, [b"odd"])
    await rejected(settings, plain_record(topics))
    code, out = await run("list", "--json")
    assert (code, len(out)) == (1, 1)


@pytest.mark.parametrize("command", ["show", "replay"])
async def test_names_that_lead_to_nothing_are_told_apart(settings, prefix, kafka, tmp_path, command) -> None:
    topics = await made_topics(settings)
    await rejected(settings, plain_record(topics))
    names = ("99:9", "0:999", "nope")
    code, out, said = await sprat("dlq", command, *names, env=environment(kafka.bootstrap, prefix), cwd=tmp_path)
    assert (code, out) == (2, "")
    assert "99:9: no such partition; there are " in said
    assert "0:999: not yet written; " in said or "0:999: partition 0 has no dead letters; " in said
    assert "nope: neither PARTITION:OFFSET, as 3:17, nor the id of a text" in said
    assert said.endswith(". `sprat dlq list` shows what there is\n")
