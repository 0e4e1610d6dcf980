"""`sprat feedback` on a real broker: corrections are published, and joined with their texts into a training file."""

import asyncio
import csv
import json
import stat

import pytest
from typer.testing import CliRunner

from conftest import Kafka
from sprat.registry.announcements import announcement_record
from sprat_cli.main import app
from sprat_contracts import Envelope, FeedbackGiven, IntentOutput, TextSubmitted, Traceparent, decode, encode
from sprat_inference.serving import announcement
from sprat_operations.corrections import answers_of
from support.cli_records import environment, kept, result_record
from support.stream import FORGED, SIGNATURES, card, made_topics, producing, publish, read_all, settings_for


@pytest.fixture
async def topics(kafka: Kafka, prefix: str):
    return await made_topics(settings_for(kafka.bootstrap, prefix))


@pytest.fixture
def run(kafka: Kafka, prefix: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, stdin: str = ""):
        env = environment(kafka.bootstrap, prefix)
        result = await asyncio.to_thread(CliRunner().invoke, app, ["feedback", *arguments], env=env, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        out = result.stdout
        lines = [json.loads(line) for line in out.splitlines()] if "--json" in arguments else out
        return result.exit_code, lines, result.stderr

    return run


async def submit(kafka, topics, texts: dict[str, str], model: str = "default", **options) -> None:
    async with producing(kafka.bootstrap) as producer:
        for id, text in texts.items():
            asked = {"intent": {"model": model} | options}
            message = TextSubmitted.model_validate({"text": text, "tasks": asked})
            value, headers = encode(message, Envelope(id, "/crm", Traceparent.root("/crm", id)))
            await producer.send(topics.texts, value, headers=headers)


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


COMMON = ("--source", "/crm", "--task", "intent", "--by", "qa")


async def test_a_correction_is_published_as_the_contract_says(kafka, topics, run):
    await submit(kafka, topics, {"t-1": "one"})
    code, out, err = await run("--text-id", "t-1", *COMMON, "--label", "transfer")
    assert (code, err) == (0, "")
    assert out.startswith("published: t-1 is intent transfer  · ")
    (record,) = await read_all(kafka.bootstrap, topics.feedback)
    event = decode(record, FeedbackGiven)
    assert record.key == b"t-1"
    assert event.envelope.source == "/sprat/feedback"
    assert event.envelope.traceparent == Traceparent.root("/crm", "t-1")
    assert event.message.model_dump(mode="json") == {
        "text_id": "t-1",
        "text_source": "/crm",
        "task": "intent",
        "output": {"label": "transfer", "alternatives": []},
        "by": "qa",
        "of": None,
        "token": None,
        "verdict": None,
    }


async def test_corrections_of_other_tasks_come_as_json_or_from_a_file(kafka, topics, run, tmp_path):
    (tmp_path / "right.json").write_text('{"text": "Hallo", "target": "de"}')
    await submit(kafka, topics, {"t-1": "Anna"})
    for task, output in (
        ("translation", "right.json"),
        ("ner", '{"entities": [{"start": 0, "end": 4, "text": "Anna", "label": "PER"}]}'),
    ):
        code, _, err = await run(
            "--text-id", "t-1", "--source", "/crm", "--task", task, "--by", "q", "--output", output
        )
        assert (code, err) == (0, "")
    messages = [decode(record, FeedbackGiven).message for record in await read_all(kafka.bootstrap, topics.feedback)]
    assert [message.task for message in messages] == ["translation", "ner"]
    assert messages[1].output.entities[0].text == "Anna"


async def test_a_label_that_no_model_knows_is_refused_unless_it_is_meant(kafka, topics, run):
    await announce(kafka, topics, "default", "transfer", "balance")
    await submit(kafka, topics, {"t-1": "one", "t-2": "two"})
    rows = lines({"text_id": "t-2", "label": "balance"}, {"text_id": "t-1", "label": "trasnfer"})
    code, _, err = await run("--from", "-", *COMMON, stdin=rows)
    unknown = "no announced model knows the intent trasnfer; did you mean transfer?\n"
    advice = (
        "correct it; or, where the text is outside every label, give --outside (in a file: null) and no label; or "
        "publish a new label with --allow-new-label LABEL, repeatable, or all of them with --allow-new-labels; "
        "nothing is published\n"
    )
    assert (code, err) == (2, f"sprat: {unknown}{advice}")
    assert await read_all(kafka.bootstrap, topics.feedback) == []
    code, _, err = await run("--from", "-", *COMMON, "--allow-new-labels", stdin=rows)
    assert (code, err) == (0, unknown)
    assert len(await read_all(kafka.bootstrap, topics.feedback)) == 2
    meant = lines({"text_id": "t-1", "label": "fees"}, {"text_id": "t-2", "label": "trasnfer"})
    code, _, err = await run("--from", "-", *COMMON, "--allow-new-label", "fees", stdin=meant)
    assert (code, err) == (2, f"sprat: {unknown}{advice}")  # a new label that is meant lets no other one pass
    meant = lines({"text_id": "t-1", "label": "fees"}, {"text_id": "t-2", "label": "transfer"})
    code, _, err = await run("--from", "-", *COMMON, "--allow-new-label", "fees", stdin=meant)
    assert (code, err) == (0, "")


async def test_corrections_of_texts_that_are_not_there_are_refused_unless_they_are_meant(kafka, topics, run):
    await submit(kafka, topics, {"t-1": "one"})
    rows = lines(*({"text_id": id, "label": "transfer"} for id in ("t-1", "t-2", "t-3")))
    missing = (
        f"2 of 3 texts are not in {topics.texts}, kept no longer, or id and source are not right: t-2 of /crm, t-3 of "
        "/crm; nothing can be learnt from their corrections"
    )
    code, _, err = await run("--from", "-", *COMMON, stdin=rows)
    assert code == 2
    assert missing in err
    assert "--allow-missing-texts; nothing is published" in err
    code, _, err = await run("--text-id", "t-2", *COMMON, "--label", "transfer")
    assert (code, f"{topics.texts} holds no text t-2 of /crm" in err) == (2, True)
    assert await read_all(kafka.bootstrap, topics.feedback) == []
    code, out, err = await run("--from", "-", *COMMON, "--allow-missing-texts", stdin=rows)
    assert (code, err) == (0, f"{missing}\n")
    assert out == f"published: 3 corrections of 3 texts  · intent 3  · by qa 3  · {topics.feedback}\n"
    assert len(await read_all(kafka.bootstrap, topics.feedback)) == 3
    assert (await run("--text-id", "t-1", *COMMON, "--label", "transfer"))[2] == ""


async def announce(kafka, topics, model: str, *labels: str, signatures=SIGNATURES) -> None:
    record = announcement_record(topics, announcement(card(labels=labels), model), "test", None, signatures)
    await publish(kafka.bootstrap, record.topic, [record.value], record.headers, record.key)


async def test_a_label_of_another_model_than_the_text_asked_for_is_refused(kafka, topics, run):
    await announce(kafka, topics, "default", "transfer", "balance")
    await announce(kafka, topics, "bank", "transfer", "fees")
    await submit(kafka, topics, {"t-1": "one"}, "bank")
    code, _, err = await run("--text-id", "t-1", *COMMON, "--label", "balance")
    said = "the model bank, which 1 text asks for, does not know the intent balance; default does\n"
    assert (code, err.startswith(f"sprat: {said}correct it")) == (2, True)
    assert (await run("--text-id", "t-1", *COMMON, "--label", "balance", "--allow-new-labels"))[::2] == (0, said)
    assert (await run("--text-id", "t-1", *COMMON, "--label", "fees"))[2] == ""
    never = await run("--text-id", "never", *COMMON, "--label", "fees", "--allow-missing-texts")
    assert never[2].startswith("1 label was checked against all")


async def test_corrections_are_joined_with_their_texts_and_the_rest_is_counted(
    kafka, topics, run, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "en")
    texts = {f"t-{number}": f"text {number}" for number in range(4)}
    await announce(kafka, topics, "default", "transfer", "balance")
    await submit(kafka, topics, {**texts, "odd": '1+1,\n"quoted"', "formula": "=1+1"})
    await publish(kafka.bootstrap, topics.texts, [b'{"text": "plain", "tasks": {"intent": {}}}'])
    plain = next(record for record in await read_all(kafka.bootstrap, topics.texts) if not record.headers)
    plain_id, plain_source = f"{plain.offset}-{plain.timestamp}", f"/{topics.texts}/{plain.partition}"
    rows = [
        {"text_id": "t-1", "label": "transfer"},
        {"text_id": "t-1", "label": "balance"},
        {"text_id": "t-2", "label": None},
        {"text_id": "t-2", "label": "transfer", "of": "review", "token": "0" * 64},
        {"text_id": "odd", "label": "transfer"},
        {"text_id": "formula", "label": "transfer"},
        {"text_id": plain_id, "text_source": plain_source, "label": "balance"},
        {"text_id": "never", "label": "transfer"},
        {"text_id": "t-3", "task": "translation", "output": {"text": "x", "target": "de"}},
    ]
    code, out, _ = await run("--from", "-", *COMMON, "--json", "--allow-missing-texts", stdin=lines(*rows))
    assert (code, len(out)) == (0, len(rows))
    await publish(kafka.bootstrap, topics.feedback, [b"no correction"])
    code, (exported,), _ = await run("export", "--output", "out.csv", "--out-of-scope", "outside.csv", "--json")
    assert code == 1
    assert exported == {
        "type": "exported",
        "model": "default",
        "file": "out.csv",
        "out_of_scope": "outside.csv",
        "rows": 3,
        "outside": 1,
        "labels": {"balance": 2, "transfer": 1},
        "authors": {"qa": 4},
        "conflicts": 0,
        "left_out": {"unreadable": 1, "review": 1, "superseded": 1, "not_found": 1, "untrainable": 1},
        "new_labels": {},
        "texts_not_found": [{"text_id": "never", "text_source": "/crm"}],
    }
    with (tmp_path / "out.csv").open(newline="") as file:
        written = {row["text"]: row for row in csv.DictReader(file)}
    assert {text: row["label"] for text, row in written.items()} == {
        "text 1": "balance",
        '1+1,\n"quoted"': "transfer",
        "plain": "balance",
    }
    assert written["plain"]["language"] == "en"
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    with (tmp_path / "outside.csv").open(newline="") as file:
        (outside,) = csv.DictReader(file)
    assert int(outside.pop("given_at")) > 0
    assert outside == {"text": "text 2", "label": "", "language": "en", "given_by": "qa"}
    code, out, _ = await run("export", "--output", "again.csv")
    assert "left out: 1  no text that is still there has this id and source: never of /crm\n" in out
    code, out, err = await run("export", "--output", "out.csv")
    assert (code, err) == (2, "sprat: out.csv is there already; --force writes over it\n")
    code, (exported,), _ = await run("export", "--task", "translation", "--output", "de.jsonl", "--json")
    assert exported["rows"] == 1
    translated = json.loads((tmp_path / "de.jsonl").read_text())
    assert translated.pop("given_at") > 0
    assert translated == {
        "text": "text 3",
        "language": "en",
        "output": {"text": "x", "target": "de"},
        "given_by": "qa",
    }


async def test_a_correction_older_than_every_text_is_expired(kafka, topics, run, tmp_path):
    await announce(kafka, topics, "default", "transfer", "balance")
    assert (await run("--text-id", "gone", *COMMON, "--label", "transfer", "--allow-missing-texts"))[0] == 0
    code, out, _ = await run("export", "--output", "out.tsv")
    assert (code, (tmp_path / "out.tsv").exists()) == (1, False)
    assert "left out: 1  given before the oldest text that is still there" in out
    await submit(kafka, topics, {"t-1": "later"})
    code, (exported,), _ = await run("export", "--output", "out.tsv", "--json")
    assert (code, exported["left_out"]) == (1, {"expired": 1})
    assert (await run("--text-id", "t-1", *COMMON, "--label", "transfer"))[0] == 0
    code, out, _ = await run("export", "--output", "out.tsv")
    assert code == 0
    assert out.startswith("out.tsv: 1 row, 1 label: transfer 1\nby qa 1\n")
    header, row = (tmp_path / "out.tsv").read_text().splitlines()
    assert header == "text\tlabel\tlanguage\tgiven_by\tgiven_at"
    assert row.startswith("later\ttransfer\ten\tqa\t")


async def test_no_model_learns_from_a_large_models_choice_among_some_labels(kafka, topics):
    await submit(kafka, topics, {"t-1": "among all"})
    await submit(kafka, topics, {"t-2": "among some"}, labels=["transfer", "balance"])
    async with producing(kafka.bootstrap) as producer:
        for id in ("t-1", "t-2"):
            result = kept(text_id=id, text_source="/crm", source="frontier", confidence=None)
            value, headers = result_record(result, Traceparent.root("/crm", id))
            await producer.send_and_wait(topics.results("intent"), value, headers=headers)
    learnt = await answers_of(settings_for(kafka.bootstrap, topics.prefix).kafka, "intent", "default", 0)
    assert [(each.text.text, each.output) for each in learnt] == [("among all", IntentOutput(label="transfer"))]


async def test_a_label_that_only_a_forger_announces_is_left_out_of_the_export(kafka, topics, run):
    await announce(kafka, topics, "default", "transfer", "balance")
    await announce(kafka, topics, "default", "transfer", "fraud", signatures=FORGED)
    await submit(kafka, topics, {"t-1": "one", "t-2": "two"})
    rows = lines({"text_id": "t-1", "label": "transfer"}, {"text_id": "t-2", "label": "fraud"})
    assert (await run("--from", "-", *COMMON, "--allow-new-labels", stdin=rows))[0] == 0
    code, (exported,), _ = await run("export", "--output", "out.csv", "--json")
    assert (code, exported["rows"], exported["new_labels"]) == (1, 1, {"fraud": {"qa": 1}})
