"""`sprat retrain` of a task with several labels a text: as of one label, by sets that are right and by each label."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import Kafka
from sprat_cli.main import app
from sprat_contracts import Envelope, TextSubmitted, Topics, Traceparent, encode
from sprat_inference.artefact import load_artefact
from support import label_sets, training_files
from support.cli_records import environment
from support.stream import producing

# Words that the file does not have, alone and together.
WORDS = {"leave": "absence", "payroll": "wages", "badge": "turnstile", "laptop": "notebook"}
TIMES = ("Monday", "Tuesday", "Friday", "June", "August", "2024", "spring", "autumn")
PAIRS = (("laptop", "payroll"), ("badge", "leave"))
ROWS = [(f"the {word} of {when} is what I ask about", label) for label, word in WORDS.items() for when in TIMES]
ROWS += [
    (f"I ask about the {WORDS[one]} and the {WORDS[other]} of {when}", f"{one}|{other}")
    for one, other in PAIRS
    for when in TIMES
]
CORRECTED = {f"c-{number}": row for number, row in enumerate(ROWS)}
NEW = {"new": ("the wages of nobody", "payroll")}
TASK_FILE = "kind: multi_label\nlabels: {badge: , laptop: , leave: , payroll: }\nartefact: ../topics\n"


@pytest.fixture
def run(kafka: Kafka, prefix: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPRAT_TASKS", str(tmp_path / "tasks"))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "desk.yaml").write_text(TASK_FILE)

    async def run(*arguments: object):
        env = environment(kafka.bootstrap, prefix)
        result = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, arguments)], env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


async def correct(kafka: Kafka, prefix: str, run, rows=CORRECTED) -> None:
    """Publish the texts and their corrections."""
    async with producing(kafka.bootstrap) as producer:
        for id, (text, _) in rows.items():
            message = TextSubmitted.model_validate({"text": text, "tasks": {"desk": {}}})
            value, headers = encode(message, Envelope(id, "/crm", Traceparent.root("/crm", id)))
            await producer.send(Topics(prefix).texts, value, headers=headers)
    outputs = {id: {"labels": [{"label": each} for each in labels.split("|")]} for id, (_, labels) in rows.items()}
    given = [{"text_id": id, "output": output} for id, output in outputs.items()]
    Path("given.jsonl").write_text("".join(json.dumps(each) + "\n" for each in given))
    done = await run("feedback", "--from", "given.jsonl", "--source", "/crm", "--task", "desk", "--by", "qa")
    assert done.exit_code == 0, done.output


@pytest.mark.timeout(240)
async def test_corrections_are_learnt_and_compared_on_texts_that_no_version_was_trained_on(kafka, prefix, run):
    made = await run("topics", "create")
    assert made.exit_code == 0, made.output
    label_sets.write(Path("topics.csv"))
    trained = await run("train", "multi-label", "topics.csv", "--encoder", training_files.EN_FAST)
    assert trained.exit_code == 0, trained.output
    before = load_artefact(Path("topics")).card.version
    await correct(kafka, prefix, run)

    result = await run("retrain", "desk", "--feedback", "30d", "--replace", "--yes", "--lexical")
    assert result.exit_code == 2
    assert "--lexical: not for a model that gives a text several labels" in result.stderr

    result = await run("retrain", "desk", "--feedback", "30d", "--output", "topics-2", "--json")
    assert result.exit_code == 0, result.output
    output, written = map(json.loads, result.stdout.splitlines())
    assert output["new_corrections"] == output["corrections"] == len(ROWS)
    fitted = [labels for _, labels in (*label_sets.rows(), *ROWS)]
    assert (output["trained_on"], output["trained_outside"]) == (len(fitted), fitted.count(""))
    assert (output["fifths"], output["tested_on"], output["tested_outside"]) == (5, len(fitted), fitted.count(""))
    for measured in (output["right"], output["micro_f1"]):
        value, low, high = measured["difference"]
        assert value == pytest.approx(measured["new"][0] - measured["served"][0], abs=1e-3)
        assert low <= value <= high
        assert value > 0  # it has learnt the words that the file does not have
    assert output["better"] == ("new" if output["right"]["difference"][1] > 0 else "neither")
    card = load_artefact(Path("topics-2")).card
    assert written == {"type": "written", "folder": "topics-2", "version": card.version}
    assert (card.kind, card.labels, card.keep_at) == ("multi_label", tuple(sorted(WORDS)), output["keep_at"])
    assert [work.name for work in card.made_of[1:]] == ["topics.csv", "desk-corrections.jsonl"]
    assert load_artefact(Path("topics")).card.version == before  # nothing is replaced unasked

    result = await run("retrain", "desk", "--served", "topics-2")
    assert result.exit_code == 1, result.output
    no_new = f"there is no new correction of desk/default: the served version, {card.version}, was trained on "
    assert no_new in result.stderr
    await correct(kafka, prefix, run, NEW)
    fitted.append("payroll")
    result = await run("retrain", "desk", "--served", "topics-2")
    assert result.exit_code == 0, result.output
    said, total = result.stdout, len(ROWS) + 1
    counted = f"{total} corrections; {total} read from Kafka, 1 of them added or with another label"
    assert f"desk-corrections.jsonl: {counted}\n" in said
    outside = f"{fitted.count('')} of them without a label"
    all_texts = f"{len(fitted)} texts, {outside}"
    assert f"\nThe new version is trained on all {all_texts}. What to expect of texts like these" in said
    assert (
        f"\nCompared on {len(fitted)} texts, {outside}: each fifth of the texts in turn is held out from both, at "
        f"keep_at 0.80, the one in force (keep_at in {os.environ['SPRAT_TASKS']}/desk.yaml)\n"
    ) in said  # that of every file
    assert "micro-F1 " in said
    assert f"On {len(fitted)} texts, right: no difference shown (" in said
    assert re.search(r"\n  new, by its card +[01]\.\d\d.*\n  new, in force +0\.80 ", said)
    assert "nothing is replaced; write it with --output DIR, or over topics-2 with --replace" in said
