"""`sprat retrain` on a real broker: corrections are joined, added, trained, compared; nothing is replaced unasked."""

import asyncio
import json
import re
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from conftest import Kafka
from sprat.registry.announcements import announcement_record
from sprat_cli.main import app
from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from sprat_inference.artefact import load_artefact
from sprat_inference.card import Card
from sprat_inference.serving import announcement
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun
from sprat_training.record import read_record
from support import training_files
from support.cli_records import environment
from support.stream import SIGNATURES, card, made_topics, producing, publish, settings_for

# A way to ask that the file does not have.
CORRECTED = {
    f"c-{number}": (f"the {thing} of {when} is what I ask about", label)
    for number, (thing, label, when) in enumerate(
        (thing, label, when)
        for thing, label in (("absence", "leave"), ("wages", "payroll"), ("turnstile", "badge"), ("notebook", "laptop"))
        for when in ("Monday", "Tuesday", "Friday", "June", "August", "2024", "last year", "spring")
    )
}


@pytest.fixture
async def topics(kafka: Kafka, prefix: str):
    return await made_topics(settings_for(kafka.bootstrap, prefix))


@pytest.fixture
def run(kafka: Kafka, prefix: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_run, "for_commands", lambda: [LocalRun(1, "/data", "")])

    async def run(*arguments: object, typed: str | None = None):
        env = environment(kafka.bootstrap, prefix)
        result = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, arguments)], env=env, input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


async def trained(run) -> str:
    """Train `hr` on a file, and return its version."""
    training_files.write(Path("hr.csv"), training_files.rows()[1:])
    result = await run("train", "intent", "hr.csv", "--encoder", training_files.EN_FAST)
    assert result.exit_code == 0, result.output
    return load_artefact(Path("hr")).card.version


async def submit(kafka, topics, texts: dict[str, str]) -> None:
    async with producing(kafka.bootstrap) as producer:
        for id, text in texts.items():
            message = TextSubmitted.model_validate({"text": text, "tasks": {"intent": {"model": "hr"}}})
            value, headers = encode(message, Envelope(id, "/crm", Traceparent.root("/crm", id)))
            await producer.send(topics.texts, value, headers=headers)


async def correct(kafka, topics, run, tmp_path) -> None:
    await submit(kafka, topics, {**{id: text for id, (text, _) in CORRECTED.items()}, "o-1": "who won the cup"})
    given = [{"text_id": id, "label": label} for id, (_, label) in CORRECTED.items()] + [
        {"text_id": "o-1", "label": None}
    ]
    (tmp_path / "given.jsonl").write_text("".join(json.dumps(each) + "\n" for each in given))
    done = await run("feedback", "--from", "given.jsonl", "--source", "/crm", "--task", "intent", "--by", "qa")
    assert done.exit_code == 0, done.output


@pytest.mark.timeout(180)
async def test_corrections_are_learnt_and_compared_on_texts_that_no_version_was_trained_on(
    kafka, topics, run, tmp_path, monkeypatch
):
    before = await trained(run)
    await correct(kafka, topics, run, tmp_path)
    more = ("--feedback", "30d", "--encoder", training_files.EN_FAST)
    result = await run("retrain", "intent@hr", *more, "--json")
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    assert output["new_corrections"] == output["added_corrections"] == len(CORRECTED) + 1
    texts = {text for text, _ in (*training_files.rows()[1:], *CORRECTED.values())}
    assert output["fifths"] == 5
    assert output["tested_on"] - output["tested_outside"] == output["trained_on"] == len(texts)
    assert output["tested_outside"] == output["trained_outside"] == 1
    value, low, high = output["right"]["difference"]
    assert value == pytest.approx(output["right"]["new"][0] - output["right"]["served"][0], abs=1e-3)
    assert low <= value <= high
    assert value > 0  # it has learnt the words that the file does not have
    assert (output["better"], output["replace"]["advised"]) == ("new", True)
    assert load_artefact(Path("hr")).card.version == before  # nothing is replaced unasked
    assert stat.S_IMODE((tmp_path / "hr-corrections.jsonl").stat().st_mode) == 0o600

    result = await run("retrain", "intent/hr", *more, "--replace", "--yes")
    assert result.exit_code == 0, result.output
    card = load_artefact(Path("hr")).card
    assert card.version != before
    written = (
        f"keep_at: write {card.keep_at:.2f}, the card's keep_at, under tasks.intent.models.hr.keep_at in your policy "
    )
    assert result.stdout.count(written) == 1
    assert result.stdout.endswith(
        "\nyour `sprat up` reads it when it starts: stop it (Ctrl-C), and start it again with the same options, --data "
        "among them: without --data it begins anew\n"
    )
    at = f" at keep_at {output['compared_at']['keep_at']:.2f}, that of the card of the served version, as no policy is "
    assert f": each fifth of the texts in turn is held out from both,{at}" in result.stdout
    assert "thrown away" not in result.output  # there was no version before
    assert load_artefact(Path("hr.previous")).card.version == before
    back = (
        rf"\nhr\.previous: the version before, {before}, keep_at [\d.]+; back to it, with its report:\n  sprat models "
    )
    assert re.search(rf"{back}rollback hr\n", result.stdout)
    assert [work.name for work in card.made_of[1:]] == ["hr.csv", "hr-corrections.jsonl"]
    assert (
        "hr-corrections.jsonl: 33 corrections; 33 read from Kafka, 0 of them added or with another label"
        in result.stdout
    )
    assert "\nWhat the 33 corrections bring that the served version, " in result.stdout
    names_what_is_kept(result.stdout, card, output)
    assert f"\nreplace: yes, because {output['replace']['because']}\n" in result.stdout

    await does_not_train_without_a_new_correction(run, more, before)
    await compares_at_the_keep_at_in_force(kafka, topics, run, more, monkeypatch)
    await replaces_all_the_same(run, more, before)
    await correct_one(kafka, topics, run, "new-2", "the wages of both", "payroll")
    await asks_before_it_replaces(run, more, monkeypatch)


async def does_not_train_without_a_new_correction(run, more, before: str) -> None:
    """Check that the version that was written has learnt all corrections, also those that were held out."""
    served = load_artefact(Path("hr")).card.version
    result = await run("retrain", "intent/hr", *more, "--replace", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"there is no new correction of intent/hr: the served version, {served}, was trained on " in result.stderr
    assert load_artefact(Path("hr.previous")).card.version == before


async def compares_at_the_keep_at_in_force(kafka, topics, run, more, monkeypatch) -> None:
    await correct_one(kafka, topics, run, "new-1", "the wages of nobody", "payroll")
    Path("policy.yaml").write_text("tasks: {intent: {models: {hr: {keep_at: 0.70}}}}\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    result = await run("retrain", "intent/hr", *more, "--output", "hr-2", "--json")
    compared, written = map(json.loads, result.stdout.splitlines())
    assert compared["learnt_corrections"] == 33
    assert compared["better"] == "neither"
    assert compared["compared_at"] == {"keep_at": 0.70, "origin": "in_force"}
    assert written["version"] == load_artefact(Path("hr-2")).card.version != load_artefact(Path("hr")).card.version
    result = await run("retrain", "intent/hr", *more)
    in_force = " at keep_at 0.70, the one in force (tasks.intent.models.hr.keep_at in policy.yaml)\n"
    assert in_force in result.stdout
    assert "\nWhat the 1 correction brings that the served version, " in result.stdout
    assert " one without and one with it; both have the 33 corrections learnt before.\n" in result.stdout
    shares = re.findall(r"\n  new, (by its card|in force) +([\d.]+)(?: provisional)? +([\d.]+)%", result.stdout)
    assert shares == [
        ("by its card", f"{compared['keep_at']:.2f}", f"{100 * compared['kept_at_own_keep_at']:.1f}"),
        ("in force", "0.70", f"{100 * compared['kept_at_compared']:.1f}"),
    ]
    monkeypatch.delenv("SPRAT_POLICY")


async def correct_one(kafka, topics, run, id: str, text: str, label: str) -> None:
    """Publish a text and its correction."""
    await submit(kafka, topics, {id: text})
    given = ("--text-id", id, "--source", "/crm", "--task", "intent", "--label", label, "--by", "qa")
    assert (await run("feedback", *given)).exit_code == 0


def names_what_is_kept(said: str, card: Card, compared: dict) -> None:
    """Check that the share kept by the training of the new version stands beside that of the served one."""
    scores = {each.name: each.value for each in card.scores}
    found = re.search(r"\n  new, by its card +([\d.]+)(?: provisional)? +([\d.]+)% +([\d.]+)% \(", said)
    assert float(found[1]) == pytest.approx(card.keep_at, abs=0.006)
    assert float(found[2]) == pytest.approx(100 * scores["cross_validated_kept_share"], abs=0.06)
    assert float(found[3]) == pytest.approx(100 * scores["cross_validated_kept_right"], abs=0.06)
    assert compared["kept_at_own_keep_at"] == pytest.approx(scores["cross_validated_kept_share"], abs=1e-4)
    served = r"\n  served, by its own training +0\.\d\d(?: provisional)? +\d+\.\d% +\d+\.\d% \(from \d+\.\d%\)\n"
    assert re.search(served, said)


async def replaces_all_the_same(run, more, before: str) -> None:
    """Check what is said where no difference is shown, and `before` is kept as the version before the served one."""
    gone = f"{before}, keep_at {load_artefact(Path('hr.previous')).card.keep_at:.2f}"
    result = await run("retrain", "intent/hr", *more, "--replace", "--yes")
    assert result.exit_code == 0, result.output
    assert "\nreplace: no, because no difference is shown on " in result.stdout
    assert "\nreplaced all the same, as --yes says\nkeep_at: " in result.stdout
    assert f"hr.previous holds {gone}: to replace hr throws it away\n" in result.stderr
    assert f"; {gone}, which was kept there, is thrown away; back to it" in result.stdout


async def asks_before_it_replaces(run, more, monkeypatch) -> None:
    kept = load_artefact(Path("hr.previous")).card.version
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("sprat_cli.retrain.command.sys", terminal)
    refused = await run("retrain", "intent/hr", *more, "--replace", "--write")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("sprat: --write: no policy is known, so nothing is replaced; name yours with ")
    Path("policy.yaml").write_text("tasks:\n  intent:\n    models:\n      hr:\n        keep_at: 0.30\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    result = await run("retrain", "intent/hr", *more, "--replace", "--write", typed="y\n")
    assert result.exit_code == 0, result.output
    asked = result.stderr.index("Replace hr?")
    assert 0 <= result.stderr.index(f"hr.previous holds {kept}, keep_at ") < asked, "it is said before"
    assert "\nreplaced all the same, as you answered\npolicy.yaml: tasks." in result.stdout
    card = load_artefact(Path("hr")).card
    of_card = f"keep_at: {card.keep_at:.2f}  # sprat assess: {card.keep_at:.2f} for version {card.version}, that of its"
    assert of_card in Path("policy.yaml").read_text()


@pytest.mark.timeout(180)
async def test_corrections_that_the_served_version_has_learnt_are_not_taken_for_new_ones(kafka, topics, run, tmp_path):
    rows = training_files.rows()
    training_files.write(Path("hr.csv"), [*rows[1:], rows[0]])
    both = ("hr.csv", "hr-corrections.jsonl", "--encoder", training_files.EN_FAST)
    assert (await run("train", "intent", *both[::2], both[3])).exit_code == 0
    await correct(kafka, topics, run, tmp_path)
    await submit(kafka, topics, {"c-again": "The absence of Monday is what I ask about"})  # that of c-0
    again = ("--text-id", "c-again", "--source", "/crm", "--task", "intent", "--label", "leave", "--by", "qa")
    assert (await run("feedback", *again)).exit_code == 0
    result = await run("retrain", "intent/hr", "--json", *both[2:])
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout)
    assert (first["corrections"], first["new_corrections"]) == (33, 33)
    await keeps_a_label_that_is_changed_in_the_file(run, both[2:])
    assert first["learnt_corrections"] == 0
    assert first["texts_not_found"] == []
    assert (await run("train", "intent", *both, "--output", "hr", "--force")).exit_code == 0
    learnt = load_artefact(Path("hr")).card.version

    result = await run("retrain", "intent/hr", *both[2:], "--replace", "--yes")
    assert result.exit_code == 1
    assert f"there is no new correction of intent/hr: the served version, {learnt}, was trained on " in result.stderr
    assert (result.stdout, load_artefact(Path("hr")).card.version) == ("", learnt)

    await submit(kafka, topics, {"new": "the wages of nobody"})
    new = ("--text-id", "new", "--source", "/crm", "--task", "intent", "--label", "payroll", "--by", "qa")
    assert (await run("feedback", *new)).exit_code == 0
    result = await run("retrain", "intent/hr", *both[2:])
    assert result.exit_code == 0, result.output
    assert (
        "hr-corrections.jsonl: 34 corrections; 34 read from Kafka, 1 of them added or with another label"
        in result.stdout
    )
    assert " one without and one with it; both have the 33 corrections learnt before.\n" in result.stdout
    assert "--text-id ID" not in result.stdout, "no correction is doubted"
    # The row whose label is wrong is named, as by `sprat train`, and no text is shown.
    assert re.search(rf"\n +hr\.csv +{len(rows) + 1} +badge +leave *\n", result.stdout), result.stdout
    assert rows[0][0] not in result.output


async def keeps_a_label_that_is_changed_in_the_file(run, options) -> None:
    """Check that it is not undone while Kafka holds its correction; change it back."""
    path = Path("hr-corrections.jsonl")
    before = path.read_text()
    row, line = next((row, line) for row, line in enumerate(before.splitlines(), 1) if '"label": "badge"' in line)
    assert {"given", "text_id", "text_source"} < json.loads(line).keys()
    path.write_text(before.replace(line, line.replace('"label": "badge"', '"label": "payroll"')))
    edited = path.read_text()
    result = await run("retrain", "intent/hr", *options)
    assert result.exit_code == 0, result.output
    assert path.read_text() == edited
    assert f"hr-corrections.jsonl: row {row} keeps the label that it was given in this file" in result.stderr
    assert "columns that are not read" not in result.output
    assert re.search(rf"\n +hr-corrections\.jsonl +{row} +payroll +badge *\n", result.stdout), result.stdout
    assert "a wrong label in hr-corrections.jsonl: change it there, which stays; or, " in result.stdout
    path.write_text(before)


@pytest.mark.timeout(180)
async def test_a_file_is_retrained_with_the_options_of_its_training_which_the_model_remembers(
    kafka, topics, run, tmp_path
):
    rows = [
        (text, "Leave" if label == "leave" and place % 3 == 0 else label)
        for place, (text, label) in enumerate(training_files.rows()[1:])
    ]
    lines = ["Was;Wo hin", *(f"{text};{label}" for text, label in rows), "für immer;"]
    (tmp_path / "hr.csv").write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))
    read = ("--text-column", "Was", "--label-column", "Wo hin", "--encoding", "cp1252", "--merge-case")
    read += ("--outside-label", "Sonstiges", "--accuracy", "0.9", "--no-lexical")
    read += ("--outside-share", "0", "--licence", "CC0-1.0")
    read += ("--skip-bad-rows", "bad.csv", "--encoder", training_files.EN_FAST)
    result = await run("train", "intent", "hr.csv", *read)
    assert result.exit_code == 0, result.output
    await correct(kafka, topics, run, tmp_path)

    result = await run("retrain", "intent/hr", *read[-2:], "--label-column", "Was", "--no-merge-case")
    assert result.exit_code == 2
    assert "named for both the texts and the labels" in result.stderr

    (tmp_path / "bad.csv").unlink()
    result = await run("retrain", "intent/hr", "--output", "hr-2")
    assert result.exit_code == 0, result.output
    assert (
        "as at the training of the served version: --text-column Was --label-column 'Wo hin' --encoding cp1252 "
        "--merge-case --skip-bad-rows bad.csv --outside-label Sonstiges --accuracy 0.9 --no-lexical "
        "--outside-share 0.0 --licence CC0-1.0\n"
    ) in result.stderr
    assert read_record(Path("hr-2")).reading == read_record(Path("hr")).reading
    assert "1 row is left out, because it cannot be used" in result.stdout
    assert "für immer" in (tmp_path / "bad.csv").read_text("utf-8-sig")
    card = load_artefact(Path("hr-2")).card
    assert card.licence.endswith(" AND CC0-1.0")
    assert card.labels == ("badge", "laptop", "leave", "payroll")
    assert card.built_on is None  # its own encoder, which is no option of this training
    assert [work.name for work in card.made_of[1:]] == ["hr.csv", "hr-corrections.jsonl"]


@pytest.mark.timeout(180)
async def test_texts_outside_are_used_as_in_the_training_of_the_served_version_and_its_test_is_not(
    kafka, topics, run, tmp_path
):
    countries = ("Peru", "Chad", "Iran", "Fiji", "Mali", "Cuba", "Laos", "Oman", "Togo", "Iraq", "Guam", "Niue")
    outside = [f"what is the capital of {country}" for country in countries]
    (tmp_path / "oos.txt").write_text("\n".join(outside))
    training_files.write(Path("hr.csv"), training_files.rows()[1:])
    training_files.write(
        Path("hr-test.csv"), [("please, two days of holiday", "leave"), ("no payslip came", "payroll")]
    )
    encoder = ("--encoder", training_files.EN_FAST)
    result = await run("train", "intent", "hr.csv", "--out-of-scope", "oos.txt", "--test", "hr-test.csv", *encoder)
    assert result.exit_code == 0, result.output
    await correct(kafka, topics, run, tmp_path)

    result = await run("retrain", "intent/hr", *encoder, "--output", "hr-2", "--json")
    assert result.exit_code == 0, result.output
    compared = json.loads(result.stdout.splitlines()[0])
    labelled = [text for text, _ in (*training_files.rows()[1:], *CORRECTED.values())]
    assert compared["trained_on"] == len(labelled)  # no text of the test
    assert compared["trained_outside"] == compared["tested_outside"] == len(outside) + 1
    files = [work.name for work in load_artefact(Path("hr-2")).card.made_of[1:]]
    assert files == ["hr.csv", "hr-corrections.jsonl", "oos.txt"]
    assert "oos.txt" not in result.stderr

    (tmp_path / "oos.txt").rename(tmp_path / "moved.txt")
    result = await run("retrain", "intent/hr", *encoder, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["trained_outside"] <= 1  # the correction
    assert (
        "oos.txt, the texts outside every label of the served version, is neither here nor beside hr: this training "
        "goes without it; give it with --out-of-scope FILE\n"
    ) in result.stderr
    result = await run("retrain", "intent/hr", *encoder, "--out-of-scope", "moved.txt", "--json")
    assert json.loads(result.stdout)["trained_outside"] == compared["trained_outside"]
    assert "oos.txt" not in result.stderr


@pytest.mark.timeout(180)
async def test_corrections_move_texts_into_and_out_of_all_labels_and_what_keeps_nothing_replaces_nothing(
    kafka, topics, run, tmp_path
):
    (tmp_path / "oos.txt").write_text("".join(f"what is the capital of {each}\n" for each in ("Peru", "Chad", "Iran")))
    rows = training_files.rows()[1:]
    training_files.write(Path("hr.csv"), rows)
    result = await run("train", "intent", "hr.csv", "--out-of-scope", "oos.txt", "--encoder", training_files.EN_FAST)
    assert result.exit_code == 0, result.output
    before = load_artefact(Path("hr")).card.version
    # Texts of half of the times are said to be outside, in the words of the others: nothing tells them apart.
    moved = {f"m-{place}": (text, None) for place, (text, _) in enumerate(rows, start=1) if place // 4 % 2}
    moved["in"] = ("what is the capital of Chad", "payroll")
    await submit(kafka, topics, {id: text for id, (text, _) in moved.items()})
    given = "".join(json.dumps({"text_id": id, "label": to}) + "\n" for id, (_, to) in moved.items())
    (tmp_path / "given.jsonl").write_text(given)
    await run("feedback", "--from", "given.jsonl", "--source", "/crm", "--task", "intent", "--by", "qa")
    result = await run("retrain", "intent/hr", "--json")
    assert result.exit_code == 0, result.output
    compared = json.loads(result.stdout)
    to_outside = {text for text, to in moved.values() if to is None}
    inside = {text for text, _ in rows} - to_outside | {"what is the capital of Chad"}
    assert compared["trained_on"] == len(inside)
    outside = to_outside | {"what is the capital of Peru", "what is the capital of Iran"}
    assert compared["trained_outside"] == len(outside)
    kept = sum(compared[name]["new"][0] for name in ("kept_and_right", "kept_and_wrong", "escalated"))
    assert kept == pytest.approx(1, abs=1e-3)

    result = await run("retrain", "intent/hr", "--accuracy", "0.999", "--replace", "--yes")
    assert (result.exit_code, load_artefact(Path("hr")).card.version) == (1, before)
    assert "the new version keeps nothing, so hr stays as it is" in result.stderr


async def test_without_a_terminal_and_without_yes_nothing_is_begun(run):
    result = await run("retrain", "intent/hr", "--replace")  # before the folder, which is not there, is looked for
    assert result.exit_code == 2
    assert "--replace without a terminal needs --yes: it writes over the served version, but with" in result.stderr


async def test_what_is_missing_is_named(kafka, topics, run, tmp_path):
    result = await run("retrain", "intent/hr")
    assert (result.exit_code, result.stderr) == (
        2,
        "sprat: hr: no such folder; name that of the served version with --served DIR\n",
    )
    assert (
        await run("retrain", "hr")
    ).stderr == "sprat: hr: name an intent model of your own, as intent/hr, or a task of yours with labels\n"
    version = await trained(run)
    record = announcement_record(topics, announcement(card(labels=("badge",)), "hr"), "test", None, SIGNATURES)
    await publish(kafka.bootstrap, record.topic, [record.value], record.headers, record.key)
    result = await run("retrain", "intent/hr", "--encoder", training_files.EN_FAST)
    assert result.exit_code == 1
    advice = "where another folder is served, stop, and name that with --served DIR; else this one is compared\n"
    assert f", the folder hr has {version}: {advice}" in result.stderr
    assert "no correction of intent@hr in the last 30d: nothing to train from" in result.stderr
    (tmp_path / "hr.csv").rename(tmp_path / "moved.csv")
    result = await run("retrain", "intent/hr")
    assert "hr.csv, which the model was trained on, is neither here nor beside hr: --data FILE" in result.stderr
