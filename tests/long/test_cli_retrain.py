"""`sprat retrain` on a real broker: from corrections to a new version beside the served one, and what it is worth."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import Kafka
from sprat_cli.main import app
from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from sprat_encoder import MINILM, identify
from sprat_inference.artefact import load_artefact
from sprat_operations import local_run
from sprat_training.datasets.record import read_record
from support import label_sets, training_files
from support.cli_records import environment
from support.stream import made_topics, producing, settings_for

WORDS = {"leave": "absence", "payroll": "wages", "badge": "turnstile", "laptop": "notebook"}
"""That the files do not have."""
TIMES = ("Monday", "Tuesday", "Friday", "June", "August", "2024", "last year", "spring")
ROWS = [(f"the {word} of {when} is what I ask about", label) for label, word in WORDS.items() for when in TIMES]
ENCODER = ("--encoder", training_files.EN_FAST)
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def topics(kafka: Kafka, prefix: str):
    return await made_topics(settings_for(kafka.bootstrap, prefix))


@pytest.fixture
def run(kafka: Kafka, prefix: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_run, "for_commands", list)

    async def run(*arguments: object, code: int = 0):
        env = environment(kafka.bootstrap, prefix)
        result = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, arguments)], env=env)
        assert result.exit_code == code, result.output
        return result

    return run


async def correct(kafka, topics, run, rows, task="intent", model="hr", more=()) -> None:
    """Publish texts and their corrections."""
    async with producing(kafka.bootstrap) as producer:
        for number, (text, _) in enumerate(rows):
            options = {"model": model} if model else {}
            message = TextSubmitted.model_validate({"text": text, "tasks": {task: options}})
            id = f"{rows[0][0]}-{number}"
            value, headers = encode(message, Envelope(id, "/crm", Traceparent.root("/crm", id)))
            await producer.send(topics.texts, value, headers=headers)
    given = [{"text_id": f"{rows[0][0]}-{number}"} | right_of(label) for number, (_, label) in enumerate(rows)]
    Path("given.jsonl").write_text("".join(json.dumps(each) + "\n" for each in given))
    await run("feedback", "--from", "given.jsonl", "--source", "/crm", "--task", task, "--by", "qa", *more)


def right_of(label):
    return {"labels": label.split("|")} if label is not None and "|" in label else {"label": label}


async def test_corrections_are_learnt_into_a_folder_of_its_own_and_the_decision_is_of_texts_held_out(
    kafka, topics, run, tmp_path
):
    training_files.write(Path("hr.csv"), training_files.rows()[1:])
    await run("train", "intent", "hr.csv", *ENCODER)
    before = load_artefact(Path("hr")).card.version
    refused = await run("retrain", "intent/hr", code=1)
    assert "no correction of intent@hr in the last 30d: nothing to train from" in refused.stderr

    await correct(kafka, topics, run, [*ROWS, ("who won the cup", None)])
    done = await run("retrain", "intent@hr", *ENCODER, "--json")
    said = json.loads(done.stdout)
    decision = said["decision"]
    assert (said["model"], said["served_version"], said["folder"]) == ("intent@hr", before, "hr-2")
    assert decision["rows"] == len(training_files.rows()[1:]) + len(ROWS) + 1
    assert decision["verdict"] == "better"
    assert decision["compared"]["new_right"] > decision["compared"]["served_right"]
    assert [decision[which]["judged"] for which in ("served", "new")] == ["cross-fitted", "cross-fitted"]
    card = load_artefact(Path("hr-2")).card
    assert (card.name, card.version) == ("hr", said["version"])
    assert [work.name for work in card.made_of[-2:]] == ["hr.csv", "hr-corrections.jsonl"]
    assert load_artefact(Path("hr")).card.version == before, "nothing is replaced"
    assert stat.S_IMODE(Path("hr-corrections.jsonl").stat().st_mode) == 0o600

    again = await run("retrain", "intent/hr", *ENCODER, "--output", "hr-9")
    assert "hr-corrections.jsonl: 33 rows, 0 of them new or changed\n" in again.stderr
    lines = again.stdout.splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith("with the corrections is better than as served at goal 97 % (estimated, on average): ")
    assert lines[-3:] == [
        f"hr-9: version {card.version}, trained on all rows; its thresholds are cross-fitted",
        "on texts that came since: sprat evaluate FILE --model hr-9 --against hr",
        "serve it: sprat promote hr-9",
    ]
    await run("promote", "hr-9")
    nothing_new = await run("retrain", "intent/hr", *ENCODER, "--output", "hr-10", code=1)
    assert (
        f"there is nothing new to learn: hr, version {card.version}, says the same of every text" in nothing_new.stderr
    )
    assert not Path("hr-10").exists()


async def test_a_label_that_no_model_knows_is_left_out_unless_it_is_allowed(kafka, topics, run):
    training_files.write(Path("hr.csv"), training_files.rows()[1:])
    await run("train", "intent", "hr.csv", *ENCODER)
    rows = [(f"the charger is broken since {when}", "charger") for when in TIMES]
    await correct(kafka, topics, run, rows, more=("--allow-new-labels",))
    refused = await run("retrain", "intent/hr", *ENCODER, code=1)
    assert (
        "left out: 8  no announced model knows the label: --allow-new-label LABEL takes it\n  charger 8, by qa 8"
        in (refused.stderr)
    )
    assert not Path("hr-corrections.jsonl").exists()
    await run("retrain", "intent/hr", *ENCODER, "--allow-new-label", "charger")
    assert "charger" in load_artefact(Path("hr-2")).card.labels


async def test_the_options_of_the_training_are_remembered_and_a_table_takes_the_place_of_kafka(run, tmp_path):
    lines = ["Was;Wo hin", *(f"{text};{label}" for text, label in training_files.rows()[1:]), "für immer;"]
    Path("hr.csv").write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))
    Path("oos.txt").write_text("".join(f"what is the capital of {each}\n" for each in ("Peru", "Chad", "Iran")))
    read = ("--text-column", "Was", "--label-column", "Wo hin", "--encoding", "cp1252", "--skip-bad-rows", "bad.csv")
    read += ("--outside-label", "Sonstiges", "--no-lexical", "--outside-share", "0.2", "--licence", "CC0-1.0")
    await run("train", "intent", "hr.csv", *read, "--out-of-scope", "oos.txt", *ENCODER)
    training_files.write(Path("checked.csv"), ROWS)
    done = await run("retrain", "intent/hr", "--corrections", "checked.csv")
    card = load_artefact(Path("hr-2")).card
    assert read_record(Path("hr-2")).reading == read_record(Path("hr")).reading
    assert [work.name for work in card.made_of[1:]] == ["hr.csv", "checked.csv", "oos.txt"]
    assert card.licence.endswith(" AND CC0-1.0")
    assert card.built_on == load_artefact(Path("hr")).card.built_on == identify(MINILM), "it keeps its encoder"
    assert "checked.csv" in done.stdout

    Path("oos.txt").rename("moved.txt")
    done = await run("retrain", "intent/hr", "--corrections", "checked.csv", "--output", "hr-3")
    assert "oos.txt, the texts outside every label, is neither here nor beside hr: this training goes" in done.stderr
    Path("hr.csv").rename("moved.csv")
    refused = await run("retrain", "intent/hr", "--corrections", "checked.csv", "--output", "hr-4", code=2)
    assert "hr.csv, which the model was trained on, is neither here nor beside hr: --data FILE\n" in refused.stderr


async def test_what_is_missing_is_named(run):
    refused = await run("retrain", "intent/hr", code=2)
    assert refused.stderr == "sprat: hr: no such folder; name that of the served version with --served DIR\n"
    refused = await run("retrain", "hr", code=2)
    assert refused.stderr == (
        "sprat: hr: name an intent model of your own, as intent/hr, or a task of yours with labels\n"
    )


async def test_of_several_labels_the_corrections_are_learnt_too(kafka, topics, run, tmp_path, monkeypatch):
    monkeypatch.setenv("SPRAT_TASKS", str(tmp_path / "tasks"))
    Path("tasks").mkdir()
    labels = "{badge: , laptop: , leave: , payroll: }"
    Path("tasks/desk.yaml").write_text(f"kind: multi_label\nlabels: {labels}\nartefact: ../topics\n")
    label_sets.write(Path("topics.csv"))
    await run("train", "multi-label", "topics.csv", *ENCODER)
    rows = [
        (f"I ask about the {WORDS[one]} and the {WORDS[other]} of {when}", f"{one}|{other}")
        for one, other in (("laptop", "payroll"), ("badge", "leave"))
        for when in TIMES
    ]
    await correct(kafka, topics, run, rows, "desk", "")
    done = await run("retrain", "desk", *ENCODER, "--json")
    said = json.loads(done.stdout)
    assert (said["folder"], said["corrections"]) == ("desk-2", "desk-corrections.jsonl")
    assert said["decision"]["rows"] == len(label_sets.rows()) + len(rows)
    served, new = (said["decision"][which]["cells"][0] for which in ("served", "new"))
    assert new["right"] / new["kept"] > served["right"] / served["kept"], "it does not know the words"
    card = load_artefact(Path("desk-2")).card
    assert (card.kind, card.labels) == ("multi_label", tuple(sorted(WORDS)))
    await run("promote", "desk-2")
    assert load_artefact(Path("topics")).card.version == card.version
