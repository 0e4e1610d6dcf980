"""`sprat retrain` of a task with several labels a text: as of one label, by sets that are right and by each label."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import Kafka
from sprat_cli.main import app
from sprat_contracts import Envelope, TextSubmitted, Topics, Traceparent, encode
from sprat_inference.artefact import load_artefact
from sprat_training.data import is_held_out
from sprat_training.model_card import HELD_OUT
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
    assert output["served_saw_the_test"] is True
    assert output["new_corrections"] == output["corrections"] == len(ROWS)
    held_out = [labels for text, labels in (*label_sets.rows(), *ROWS) if is_held_out(text)]
    fitted = [labels for text, labels in (*label_sets.rows(), *ROWS) if not is_held_out(text)]
    assert (output["trained_on"], output["trained_outside"]) == (len(fitted), fitted.count(""))
    assert (output["tested_on"], output["tested_outside"]) == (len(held_out), held_out.count(""))
    for measured in (output["right"], output["micro_f1"]):
        value, low, high = measured["difference"]
        assert value == pytest.approx(measured["new"][0] - measured["served"][0], abs=1e-3)
        assert low <= value <= high
        assert value > 0  # it has learnt the words that the file does not have
    assert output["better"] == ("new" if output["right"]["difference"][1] > 0 else "neither")
    card = load_artefact(Path("topics-2")).card
    assert written == {"type": "written", "folder": "topics-2", "version": card.version}
    assert (card.kind, card.labels, card.keep_at) == ("multi_label", tuple(sorted(WORDS)), output["keep_at"])
    assert HELD_OUT in card.limits
    assert [work.name for work in card.made_of[1:]] == ["topics.csv", "desk-corrections.jsonl"]
    assert load_artefact(Path("topics")).card.version == before  # nothing is replaced unasked

    # Now the served version itself is compared: it has not seen the texts that are held out.
    result = await run("retrain", "desk", "--served", "topics-2")
    assert result.exit_code == 1, result.output
    same = f"the same version comes out: there is nothing new to learn; topics-2 stays as it is, version {card.version}"
    assert same in result.stderr
    await correct(kafka, prefix, run, NEW)
    fitted.append("payroll")
    result = await run("retrain", "desk", "--served", "topics-2")
    assert result.exit_code == 0, result.output
    said, total = result.stdout, len(ROWS) + 1
    counted = f"{total} corrections, 1 of them new in it or with another label; {total} were read from Kafka"
    assert f"desk-corrections.jsonl: {counted}\n" in said
    assert f"trained on {len(fitted)} texts, {fitted.count('')} of them without a label" in said
    assert f"compared on {len(held_out)} texts held out for it, {held_out.count('')} of them without a label" in said
    assert f"served: version {card.version}, which was not trained on these texts" in said
    assert "micro-F1 " in said
    assert f"On {len(held_out)} texts, right: no difference shown (" in said
    assert (
        "\nboth at keep_at 0.80, the one in force (keep_at in the file of the task desk)\n" in said
    )  # that of every file
    assert re.search(
        r"\nThe new version keeps [\d.]+% of the texts held out at keep_at 0\.80\.\n"
        r"The new version at the keep_at of its own card alone, ([01]\.\d\d), not at 0\.80, .*: at keep_at \1, ",
        said,
    )
    assert ", all labels are right in " in said
    assert "nothing is replaced; write it with --output DIR, or over topics-2 with --replace" in said
