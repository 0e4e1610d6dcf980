"""`sprat send` on a real broker, with a stand-in for the services."""

import asyncio
import json
import signal

import pytest

from sprat_contracts import Egress, IntentOutput, TranslationOutput
from support.cli_records import answering, environment, kept, sprat, sprat_process, start_sprat, unanswered
from support.stream import read_until

DEFAULT = "with frontier: redact by default (--frontier allow, deny)"


@pytest.fixture
def send(kafka, prefix, tmp_path):
    async def send(*arguments, stdin=""):
        return await sprat("send", *arguments, env=environment(kafka.bootstrap, prefix), cwd=tmp_path, stdin=stdin)

    return send


def answer(event, task):
    """By the text: `reject` ends as a dead letter, `hard` unanswered, `silence` not at all."""
    about = {
        "text_id": event.envelope.id,
        "text_source": event.envelope.source,
        "task": task,
        "tenant": event.message.tenant,
        "reference": event.message.reference,
    }
    text = event.message.text
    if text == "silence":
        return None
    if text == "reject":
        return "invalid_text"
    if text == "call Ada":
        egress = Egress(left=True, masked={"PERSON": 1}, provider="simulator", region="local", simulated=True)
        return kept(**about, source="frontier", egress=egress)
    if text == "hard":
        return unanswered(**about)
    if task == "translation":
        return kept(**about, output=TranslationOutput(text=text[::-1], target="de"))
    return kept(**about, output=IntentOutput(label="transfer"))


async def test_a_text_is_published_and_its_results_are_shown(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer) as seen:
        code, out, err = await send("move it", "--task", "intent", "--task", "translation=de", "--key", "customer-7")
    assert (code, err) == (
        0,
        f"sending the argument as a text, not as a file; {DEFAULT}\n",
    )
    assert "intent       transfer  97.6 % sure\n" in out
    assert "translation  [de] ti evom" in out
    (record, event) = seen[0]
    assert record.key == b"customer-7"
    assert event.message.text == "move it"
    assert out.count(f"text_id {event.envelope.id} · trace {event.envelope.traceparent.trace_id}\n") == 2


async def test_how_to_see_what_was_masked_is_said_once_where_something_was(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer):
        code, out, err = await send("call Ada", "--task", "intent")
        assert (code, "masked: 1 PERSON" in out) == (0, True)
        assert err.count("`sprat mask TEXT` shows what is masked of a text; nothing is sent\n") == 1
        _, _, quiet = await send("call Ada", "--task", "intent", "--json")
        assert quiet == ""


async def test_json_gives_the_result_itself_and_nothing_else(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer):
        options = ("--reference", "order=42", "--tenant", "acme", "--id", "my-id", "--json")
        code, out, err = await send("move it", *options)
    assert (code, err) == (0, "")
    written = json.loads(out)
    assert written["type"] == "result"
    assert written["result"]["text_id"] == "my-id"
    assert (written["result"]["tenant"], written["result"]["reference"]) == ("acme", {"order": "42"})


async def test_a_model_by_name_is_told_with_its_result_and_with_what_is_missing(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer):
        code, out, _ = await send("move it", "--task", "intent@hr")
        assert code == 0
        assert "intent@hr    transfer  97.6 % sure\n" in out
        _, out, _ = await send("move it", "--task", "intent@hr", "--json")
        assert json.loads(out)["asked_model"] == "hr"
        code, out, _ = await send("silence", "--task", "intent@hr", "--timeout", "0.3")
    assert code == 1
    assert out.startswith("intent@hr    no result within 0.3 s")


async def test_a_dead_letter_is_shown_with_its_reason_and_ends_the_wait(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer):
        code, out, _ = await send("reject", "--timeout", "30")
    assert code == 1
    assert "dead letter  invalid_text: text: broken on purpose  · by router 1.2.3" in out
    assert "no result" not in out


async def test_an_unanswered_text_is_told_with_exit_code_1(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer):
        code, out, _ = await send("hard")
    assert code == 1
    assert "intent       no answer: no_labels: no labels are announced" in out


async def test_what_is_misspelt_is_sent_as_it_is_and_the_results_warning_is_shown(kafka, topics, send):
    def warned(event, task):
        return kept(text_id=event.envelope.id, text_source=event.envelope.source, warnings=event.warnings)

    async with answering(kafka.bootstrap, topics, warned):
        code, out, _ = await send('{"text": "move it", "tenent": "acme", "frontier": "yes"}')
    assert code == 0
    assert (
        "warning: unknown_value: frontier: none of allow, redact and deny; counts as deny; unknown_field: tenent" in out
    )


async def test_no_result_in_time_is_told_with_exit_code_1(topics, send):
    code, out, _ = await send("silence", "--timeout", "0.3", "--id", "my-id")
    assert code == 1
    assert "intent       no result within 0.3 s; `sprat doctor` says whether a service is missing  text my-id" in out


async def test_a_file_and_standard_input_are_sent_line_by_line(kafka, topics, send, tmp_path):
    lines = ["first", json.dumps({"text": "second", "tasks": {"translation": {"target": "de"}}}), "", "hard"]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines), "utf-8")
    async with answering(kafka.bootstrap, topics, answer):
        code, out, err = await send("texts.jsonl")
        assert (code, err) == (1, f"sending file texts.jsonl: 3 texts; {DEFAULT}\n")
        assert out.count(" · trace ") == 3
        assert "transfer  97.6 % sure  “first”" in out
        assert "[de] dnoces  97.6 % sure  “second”" in out
        code, out, err = await send("-", stdin="third\nfourth\n")
        assert (code, err, out.count(" · trace ")) == (0, f"sending standard input: 2 texts; {DEFAULT}\n", 2)


async def test_each_result_in_json_says_which_line_it_answers(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer):
        _, out, _ = await send("-", "--json", stdin="first\n\nsecond\n")
    written = [json.loads(line) for line in out.splitlines()]
    assert sorted(each["line"] for each in written) == [1, 3]
    _, out, _ = await send("-", "--json", "--no-wait", stdin="\nfirst\n")
    assert json.loads(out)["line"] == 2
    _, out, _ = await send("first", "--json", "--no-wait")
    assert "line" not in json.loads(out)


async def test_the_default_is_named_only_where_it_holds(topics, send):
    _, _, named = await send("silence", "--no-wait", "--frontier", "allow")
    assert named == "sending the argument as a text, not as a file; with frontier: allow\n"
    own, other = json.dumps({"text": "silence", "frontier": "allow"}), "silence"
    _, _, mixed = await send("-", "--no-wait", stdin=f"{own}\n{other}\n")
    assert "; with frontier: allow and redact by default (--frontier allow, deny)" in mixed
    _, _, own_alone = await send("-", "--no-wait", stdin=f"{own}\n")
    assert "default" not in own_alone


async def test_many_texts_each_get_their_result(kafka, topics, send):
    texts = "".join(f"text {number}\n" for number in range(450))
    async with answering(kafka.bootstrap, topics, answer):
        code, out, _ = await send("-", "--json", stdin=texts)
    ids = [json.loads(line)["result"]["text_id"] for line in out.splitlines()]
    assert code == 0
    assert len(ids) == len(set(ids)) == 450


async def test_nothing_is_sent_when_one_line_is_not_valid(kafka, topics, send):
    async with answering(kafka.bootstrap, topics, answer) as seen:
        code, _, err = await send("-", stdin='fine\n{"text": ""}\n')
        assert code == 2
        assert err.startswith("sprat: standard input, line 2: text: ")
        await send("the next one")
    assert [event.message.text for _, event in seen] == ["the next one"]


async def test_without_waiting_it_says_where_the_record_stands(topics, send):
    code, out, _ = await send("hi", "--no-wait", "--json", "--id", "my-id")
    assert code == 0
    written = json.loads(out)
    assert (written["type"], written["text_id"], written["topic"]) == ("sent", "my-id", topics.texts)
    assert written["offset"] == 0


async def test_results_of_others_and_earlier_ones_are_not_shown(kafka, prefix, topics, send, tmp_path):
    async with answering(kafka.bootstrap, topics, answer):
        await send("earlier", "--id", "one")
        env = environment(kafka.bootstrap, prefix)
        first, second = await asyncio.gather(
            *(sprat_process("send", text, "--json", env=env, cwd=tmp_path) for text in ("mine", "theirs"))
        )
    assert [len(out.splitlines()) for _, out, _ in (first, second)] == [1, 1]


async def test_missing_topics_are_said_before_anything_is_sent(kafka, send):
    async with asyncio.timeout(5):
        code, _, err = await send("hi")
    assert code == 2
    assert "sprat: there is no topic " in err
    assert "run `sprat topics create`" in err
    assert f"That is Kafka at {kafka.bootstrap}, and no `sprat up` of your own runs" in err
    assert "restart" not in err


async def test_a_missing_topic_of_a_task_from_a_file_says_who_reads_that_file_when(send, tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "desk.yaml").write_text("kind: classification\nlabels: {badge: , leave: }\n", "utf-8")
    async with asyncio.timeout(5):
        code, _, err = await send("hi", "--task", "desk")
    assert code == 2
    assert "router and frontier read the file of a task that was added when they start: restart them" in err


async def test_ctrl_c_ends_it_with_130_and_no_stack_trace(kafka, prefix, topics, tmp_path):
    process = await start_sprat("send", "silence", env=environment(kafka.bootstrap, prefix), cwd=tmp_path)
    assert await process.stderr.readline() == f"sending the argument as a text, not as a file; {DEFAULT}\n".encode()
    await read_until(kafka.bootstrap, [topics.texts], 1)  # it waits for the result now
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(5):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")
