"""`sprat watch` on a real broker."""

import asyncio
import json
import re
import signal
import sys

import pytest

from sprat_contracts import Cause, Declined, Envelope, Origin, TextSubmitted, TextWarning, Traceparent, encode
from support.cli_records import dead_letter_headers, environment, kept, result_record, sprat, start_sprat, unanswered
from support.programs import needs

TRACEPARENT = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
def env(kafka, prefix):
    return environment(kafka.bootstrap, prefix)


async def publish(producer, topics, *results):
    for result in results:
        value, headers = result_record(result, TRACEPARENT)
        await producer.send_and_wait(topics.results(result.task), value, headers=headers)


async def following(env, tmp_path, *arguments):
    process = await start_sprat("watch", *arguments, env=env, cwd=tmp_path)
    expected = b"following; ends after 1\n" if "--count" in arguments else b"following; Ctrl-C ends\n"
    assert await process.stderr.readline() == expected
    return process


async def test_results_are_followed_until_ctrl_c_which_is_a_clean_end(env, topics, producer, tmp_path):
    await publish(producer, topics, kept(text_id="before"))
    process = await following(env, tmp_path)
    await publish(producer, topics, kept(text_id="after"), unanswered(text_id="last"))
    async with asyncio.timeout(5):
        lines = [(await process.stdout.readline()).decode() for _ in range(2)]
    assert re.search(r"answered    intent       transfer +97.6 % +\d+ ms  after$", lines[0], re.MULTILINE)
    assert "unanswered" in lines[1]
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(5):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_the_model_that_a_text_asked_for_is_shown(env, topics, producer, tmp_path):
    await publish(producer, topics, kept(asked_model="hr"), unanswered(text_id="none", asked_model="hr"))
    await publish(producer, topics, kept(text_id="usual", asked_model="default"), kept(text_id="of an older router"))
    for more in ((), ("-v",)):
        _, out, _ = await sprat("watch", *more, "--since", "1h", "--count", "4", env=env, cwd=tmp_path)
        tasks = sorted(re.findall(r"answered +(\S+)", out))
        assert tasks == ["intent", "intent", "intent@hr", "intent@hr"]


async def test_texts_are_shown_where_that_is_asked_for_and_where_they_are_still_there(env, topics, producer, tmp_path):
    async def sent(id, text):
        message = TextSubmitted.model_validate({"text": text, "tasks": {"intent": {}}})
        value, headers = encode(message, Envelope(id, "/crm", TRACEPARENT))
        at = await producer.send_and_wait(topics.texts, value, headers=headers)
        return Origin(partition=at.partition, offset=at.offset, appended_at=1_000)

    there, other = await sent("there", "line one\nline two"), await sent("other", "of another text")
    expired = Origin(partition=other.partition, offset=other.offset + 50, appended_at=1_000)
    places = {"there": there, "replaced": other, "expired": expired}
    await publish(producer, topics, *(kept(id, "/crm", origin=place) for id, place in places.items()))
    options = ("--since", "1h", "--count", "3")
    _, out, _ = await sprat("watch", *options, "--with-text", env=env, cwd=tmp_path)
    shown = dict(zip([line.split()[-1] for line in out.splitlines()[::2]], out.splitlines()[1::2], strict=True))
    assert shown["there"].strip().startswith("“line one")
    assert shown["there"].endswith("line two”")
    assert shown["replaced"].strip() == shown["expired"].strip() == f"its text is no longer on {topics.texts}"
    _, out, _ = await sprat("watch", *options, "--with-text", "--json", env=env, cwd=tmp_path)
    texts = {line["result"]["text_id"]: line["text"] for line in map(json.loads, out.splitlines())}
    assert texts == {"there": "line one\nline two", "replaced": None, "expired": None}
    _, out, _ = await sprat("watch", *options, "-v", env=env, cwd=tmp_path)
    assert "expired" in out
    assert "line one" not in out


async def test_the_first_cause_and_what_was_not_understood_are_said(env, topics, producer, tmp_path):
    causes = (Cause(code="language", detail="serves en, de; send one of these"), Cause(code="policy", detail="stays"))
    declined = Declined(code=causes[0].code, detail=causes[0].detail, causes=causes)
    warning = TextWarning(code="unknown_field", detail="tenent, did you mean tenant?")
    await publish(producer, topics, unanswered(declined=declined, warnings=(warning,)))
    _, brief, _ = await sprat("watch", "--since", "1h", "--count", "1", env=env, cwd=tmp_path)
    assert "no answer: language: serves en, de; send one of these; then policy: stays (warning)" in brief
    _, out, _ = await sprat("watch", "-v", "--since", "1h", "--count", "1", env=env, cwd=tmp_path)
    assert "no answer: language: serves en, de; send one of these; then policy: stays" in out
    assert "· warning: unknown_field: tenent, did you mean tenant?" in out


async def test_a_task_that_is_not_rolled_out_yet_keeps_nobody_from_the_others(env, topics, producer, tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mood.yaml").write_text("kind: classification\nlabels: {good: , bad: }\n")
    await publish(producer, topics, kept(text_id="before"))
    code, out, err = await sprat("watch", "--since", "1h", "--count", "1", env=env, cwd=tmp_path)
    assert (code, out.splitlines()[-1].split()[-1]) == (0, "before")
    assert f"not followed: {topics.prefix}.results.mood.v1, which is not there yet; `sprat topics create`" in err
    code, _, err = await sprat("watch", "--task", "mood", "--count", "1", env=env, cwd=tmp_path)
    assert (code, f"there is no topic {topics.prefix}.results.mood.v1" in err) == (2, True)


async def test_following_ends_by_itself_when_nothing_comes_any_more(env, topics, producer, tmp_path):
    await publish(producer, topics, kept(text_id="before"))
    async with asyncio.timeout(10):
        code, out, err = await sprat("watch", "-v", "--since", "1h", "--timeout", "1.5", env=env, cwd=tmp_path)
    assert (code, out.count(" before · trace ")) == (0, 1)
    assert err == "following; ends when nothing came for 1.5 s\n"


async def test_filters_hold_together(env, topics, producer, tmp_path):
    results = [
        kept(text_id="other-tenant"),
        kept(text_id="wanted", tenant="acme", status="degraded"),
        kept(text_id="other-status", tenant="acme"),
        kept(text_id="other-task", tenant="acme", status="degraded", task="ner"),
        unanswered(text_id="wanted-too", tenant="acme"),
    ]
    await publish(producer, topics, *results)
    filters = ("--task", "intent", "--tenant", "acme", "--status", "degraded", "--status", "unanswered")
    code, out, _ = await sprat("watch", *filters, "--since", "1h", "--count", "2", "--json", env=env, cwd=tmp_path)
    assert code == 0
    assert {json.loads(line)["result"]["text_id"] for line in out.splitlines()} == {"wanted", "wanted-too"}


async def test_dead_letters_are_followed_alone(env, topics, producer, tmp_path):
    code, _, err = await sprat("watch", "--dead-letters", "--tenant", "nobody", env=env, cwd=tmp_path)
    assert (code, err.count("--dead-letters shows no results")) == (2, 1)
    process = await following(env, tmp_path, "--dead-letters", "-v", "--count", "1")
    await publish(producer, topics, kept(text_id="no-dead-letter"))
    headers = [("ce_id", b"my-id"), ("ce_source", b"/crm")]
    sent = await producer.send_and_wait(topics.texts, b"\xff broken", headers=headers)
    record = type("Record", (), {**sent._asdict(), "headers": headers})
    await producer.send_and_wait(
        topics.dead_letters, b"\xff broken", headers=dead_letter_headers(record, "invalid_json")
    )
    async with asyncio.timeout(5):
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert f"invalid_json: text: broken on purpose  · by router 1.2.3 · {topics.texts}" in out.decode()
    assert "· from /crm · my-id · trace" in out.decode()


async def test_a_dead_letter_of_a_plain_text_is_named_as_by_dlq(env, topics, producer, tmp_path):
    sent = await producer.send_and_wait(topics.texts, b"broken")
    record = type("Record", (), {**sent._asdict(), "headers": []})
    await producer.send_and_wait(topics.dead_letters, b"broken", headers=dead_letter_headers(record, "invalid_json"))
    watching = ("watch", "--dead-letters", "--since", "1h", "--count", "1", "--json")
    _, out, _ = await sprat(*watching, env=env, cwd=tmp_path)
    _, listed, _ = await sprat("dlq", "list", "--json", env=env, cwd=tmp_path)
    assert json.loads(out) | {"signed": "unsigned"} == json.loads(listed)
    assert json.loads(out)["text_id"] == f"{sent.offset}-{sent.timestamp}"


async def test_a_record_that_is_no_result_is_told_and_passed_over(env, topics, producer, tmp_path):
    process = await following(env, tmp_path, "--count", "1")
    await producer.send_and_wait(topics.results("intent"), b"{}")
    await publish(producer, topics, kept(text_id="fine"))
    async with asyncio.timeout(5):
        out, err = await process.communicate()
    assert b"is not readable: invalid_cloudevent" in err
    assert out.endswith(b" fine\n")


@needs("bash")
async def test_a_reader_that_leaves_ends_it_quietly(env, topics, producer, tmp_path):
    command = f"{sys.executable} -m sprat_cli watch --since 1h 2>stderr | head -1; echo ${{PIPESTATUS[0]}}"
    piped = await asyncio.create_subprocess_exec(
        "bash", "-c", command, env=env, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    running = asyncio.create_task(piped.communicate())
    async with asyncio.timeout(10):
        while not running.done():
            await publish(producer, topics, kept())
            await asyncio.sleep(0.2)
    out, _ = await running
    assert out.splitlines()[-1] == b"0"
    assert (tmp_path / "stderr").read_text() == "following; Ctrl-C ends\n"
