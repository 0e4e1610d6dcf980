"""`sprat models compare`: two versions of a model on the same texts."""

import csv
import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from sprat.model import Question
from sprat_classify.model import ClassifyModel
from sprat_cli.assess.small_model import load_model
from sprat_cli.main import app
from sprat_contracts.kept import least_kept
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_intent.model import IntentModel
from support import label_sets, training_files

OUTSIDE = [(f"what is the capital of {country}", "oos") for country in ("Peru", "Chad", "Iran")]
NER = training_files.ROOT / "services/ner/src/sprat_ner/artefacts/default"
SHARES = {"right", "kept_and_right", "kept_and_wrong", "of_these_called_outside", "escalated"}


def sprat(*arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def compared(*arguments):
    return json.loads(sprat("models", "compare", *arguments, "--json").stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train hr, which knows no label badge, and hr-2, which does, and write texts that neither has seen."""
    folder = tmp_path_factory.mktemp("compare")
    rows = training_files.rows()[1:]
    training_files.write(folder / "hr.csv", [row for row in rows if row[1] != "badge"])
    training_files.write(folder / "hr-2.csv", rows)
    for name in ("hr", "hr-2"):
        sprat("train", "intent", folder / f"{name}.csv", "--output", folder / name, "--encoder", training_files.EN_FAST)
    months = ("April", "June", "August")
    new = [
        (phrase.format(when), label)
        for label, all_ in training_files.PHRASES.items()
        for phrase in all_
        for when in months
    ]
    training_files.write(folder / "new.csv", [*new, *OUTSIDE])
    topics = label_sets.rows()
    for name, known in (("topics", "badge"), ("topics-2", "")):
        lines = [row for row in topics if not known or known not in row[1]]
        label_sets_file(folder / f"{name}.csv", lines)
        encoder = ("--encoder", training_files.EN_FAST)
        sprat("train", "multi-label", folder / f"{name}.csv", "--output", folder / name, *encoder)
    label_sets_file(folder / "new-topics.csv", [(f"{text} please", labels) for text, labels in topics])
    return folder


def label_sets_file(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "labels"), *rows])


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    return trained


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def counts(name, keep_at):
    """Return how many of the new texts a version gets right, keeps rightly, keeps wrongly, and escalates."""
    rows = read(training_path(name))
    answers = IntentModel.load(name).answer([Question(text, "en") for text, _ in rows])
    kept = [answer.confidence >= least_kept(keep_at) for answer in answers]
    published = [(answer.output.label or "oos") == label for answer, (_, label) in zip(answers, rows, strict=True)]
    likeliest = [
        answer.output.label is None if label == "oos" else answer.output.alternatives[0].label == label
        for answer, (_, label) in zip(answers, rows, strict=True)
    ]
    pairs = list(zip(kept, published, strict=True))
    return sum(likeliest), pairs.count((True, True)), pairs.count((True, False)), kept.count(False)


def training_path(name):
    return name.parent / "new.csv"


@pytest.mark.parametrize("keep_at", [0.6, 0.95, 0.99])
def test_each_share_is_what_the_versions_answer_to_the_texts(folder, keep_at):
    said = compared("hr", "hr-2", "new.csv", "--keep-at", keep_at)
    assert (said["tested_on"], said["tested_outside"]) == (51, 3)
    assert said["compared_at"] == {"keep_at": keep_at, "origin": "given"}
    for side, name in (("served", "hr"), ("new", "hr-2")):
        found = [said[share][side][0] for share in ("right", "kept_and_right", "kept_and_wrong", "escalated")]
        assert found == [pytest.approx(count / 51, abs=1e-4) for count in counts(folder / name, keep_at)]
        assert said[side]["version"] == load_artefact(folder / name).card.version
    assert said["right"]["difference"][0] == pytest.approx(
        said["right"]["new"][0] - said["right"]["served"][0], abs=1e-4
    )


def test_the_better_version_is_named_in_a_sentence_and_columns_have_the_names_of_the_folders(folder):
    said = sprat("models", "compare", "hr", "hr-2", "new.csv", "--keep-at", "0.6").stdout.splitlines()
    assert said[1].endswith(": 12 texts with it, which the other gets wrong")
    assert "by its card; it alone knows badge" in said[1]
    assert (
        said[2] == "Compared on 51 texts of new.csv, 3 of them outside every label, at keep_at 0.60, as --keep-at says"
    )
    head, *rows = [re.split(r" {2,}", line.strip()) for line in said[4:10]]
    assert head == ["hr", "hr-2", "DIFFERENCE (95 %)", "TEXTS THAT DIFFER"]
    assert {row[0].replace(" ", "_") for row in rows} == SHARES
    assert said[-3].startswith("hr-2 is better on 51 texts: right: +")
    assert said[-2].startswith("serve hr-2 in place of hr: yes, because with hr-2 clearly more texts are right: +")
    assert said[-1] == "`sprat models replace hr hr-2` serves it; `sprat models rollback hr` goes back"
    other_way = sprat("models", "compare", "hr-2", "hr", "new.csv", "--keep-at", "0.6").stdout
    assert "sprat models replace" not in other_way
    assert "\nhr is worse on 51 texts: right: -" in other_way
    assert "\nserve hr in place of hr-2: no, because with hr clearly fewer texts are right: -" in other_way
    by_path = sprat("models", "compare", folder / "hr", folder / "hr-2", "new.csv", "--keep-at", "0.6").stdout
    assert by_path.splitlines()[4:-1] == said[4:-1]
    shutil.copytree(folder / "hr-2", folder / "newer" / "hr")
    alike_named = sprat("models", "compare", "hr", "newer/hr", "new.csv", "--keep-at", "0.6").stdout
    assert "\nnewer/hr is better on 51 texts: right: +" in alike_named
    training_files.write(folder / "leave.csv", [row for row in read(folder / "new.csv") if row[1] == "leave"])
    alike = sprat("models", "compare", "hr", "hr-2", "leave.csv", "--keep-at", "0.5").stdout
    assert "; it alone knows badge: no text with it\n" in alike
    assert "\nOn 12 texts, right: no difference shown (+0.0 points (-24.3 to +24.3)); kept and right at " in alike
    assert alike.endswith(
        "\nserve hr-2 in place of hr: no, because no difference is shown on 12 texts at keep_at 0.50\n"
    )


def test_two_texts_show_no_difference_even_where_both_are_gained(folder):
    rows = [row for row in read(folder / "new.csv") if row[1] == "badge"][:2]
    training_files.write(folder / "two.csv", rows)
    said = sprat("models", "compare", "hr", "hr-2", "two.csv", "--keep-at", "0.5").stdout
    assert "\nOn 2 texts, right: no difference shown (+100.0 points (-31.6 to +100.0)); " in said
    assert "\nserve hr-2 in place of hr: no, because no difference is shown on 2 texts at keep_at 0.50\n" in said


def test_it_is_compared_at_the_keep_at_in_force_for_the_model(folder, tmp_path, monkeypatch):
    card = load_artefact(folder / "hr").card
    assert compared("hr", "hr-2", "new.csv")["compared_at"] == {"keep_at": card.keep_at, "origin": "served_card"}
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks: {intent: {keep_at: 0.7, models: {hr: {keep_at: 0.81}, people: {keep_at: 0.82}}}}\n")
    monkeypatch.setenv("SPRAT_POLICY", str(policy))
    assert compared("hr", "hr-2", "new.csv")["compared_at"] == {"keep_at": 0.81, "origin": "in_force"}
    said = sprat("models", "compare", "hr", "hr-2", "new.csv", "--as", "people").stdout
    assert f"at keep_at 0.82, the one in force (tasks.intent.models.people.keep_at in {policy})\n" in said
    policy.write_text("tasks: {intent: {keep_at: 1.0}}\n")
    new = load_artefact(folder / "hr-2").card.keep_at
    assert compared("hr", "hr-2", "new.csv")["compared_at"] == {"keep_at": new, "origin": "new_card"}


def test_each_is_compared_at_the_number_that_it_would_be_served_with(folder):
    asked = ("hr", "hr-2", "new.csv", "--keep-at", 0.6)
    both, own = compared(*asked), compared(*asked, "--new-keep-at", 0.99)
    assert own["compared_at"] == {"keep_at": 0.6, "origin": "given", "new_keep_at": 0.99}
    assert (own["right"], own["escalated"]["served"]) == (both["right"], both["escalated"]["served"])
    assert own["escalated"]["new"] == compared("hr", "hr-2", "new.csv", "--keep-at", 0.99)["escalated"]["new"]
    assert own["escalated"]["new"][0] > both["escalated"]["new"][0]
    said = sprat("models", "compare", *asked, "--new-keep-at", 0.99).stdout
    assert ", at keep_at 0.60, NEW at 0.99, as --keep-at says\n" in said
    of_card = sprat("models", "compare", "hr", "hr-2", "new.csv", "--new-keep-at", 0.99).stdout
    assert (
        f"at keep_at {load_artefact(folder / 'hr').card.keep_at:.2f}, NEW at 0.99, that of the card of the" in of_card
    )


def test_of_the_version_before_the_way_back_is_named_and_files_are_one_sample(folder, tmp_path):
    for name, place in (("hr-2", "hr"), ("hr", "hr.previous")):
        shutil.copytree(folder / name, tmp_path / place)
    versions = tmp_path / "hr", tmp_path / "hr.previous"
    rows = read(folder / "new.csv")
    files = [training_files.write(tmp_path / f"{part}.csv", rows[part::2]) for part in (0, 1)]
    said = sprat("models", "compare", *versions, *files, "--keep-at", 0.6).stdout
    assert f"Compared on {len(rows)} texts of 0.csv and 1.csv, " in said
    assert "rollback" not in said, "the version before is worse"
    for name, place in (("hr", "other/hr"), ("hr-2", "other/hr.previous")):
        shutil.copytree(folder / name, tmp_path / place)
    better = tmp_path / "other" / "hr", tmp_path / "other" / "hr.previous"
    said = sprat("models", "compare", *better, *files, "--keep-at", 0.6).stdout
    assert said.endswith(f"\n`sprat models rollback {better[0]}` serves {better[1]}; the same command undoes it\n")
    both = compared(*versions, *files, "--keep-at", 0.6)
    assert both["files"] == [*map(str, files)]
    whole = compared(*versions, folder / "new.csv", "--keep-at", 0.6)
    assert [both["right"][side] for side in ("served", "new")] == [whole["right"][side] for side in ("served", "new")]


def test_more_that_is_kept_by_a_lower_number_alone_does_not_speak_for_a_version(folder, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(folder / "hr", twin)
    write_artefact(twin, json.loads((twin / "card.json").read_text()) | {"limits": ["another version"]})
    file = training_files.write(tmp_path / "known.csv", [row for row in read(folder / "new.csv") if row[1] != "badge"])
    found = compared("hr", twin, file, "--keep-at", 1, "--new-keep-at", 0.5)
    assert (found["keeps"], found["serve_new"]["advised"]) == ("more", False)
    why = "with both at 0.50 that more is kept is not shown: kept and right: +0.0 points (-9.0 to +9.0)"
    assert found["serve_new"]["because"].startswith(why)
    at_zero = compared("hr", twin, file, "--keep-at", 1, "--new-keep-at", 0)
    assert at_zero["serve_new"]["because"].startswith("with both at 0.00 that more is kept is not shown")
    shorter = [(f"{text.rpartition(' ')[0]} please now", label) for text, label in read(folder / "hr.csv")]
    hard = training_files.write(tmp_path / "hard.csv", shorter)
    found = compared("hr", twin, hard, "--keep-at", 0.5, "--new-keep-at", 0.99)
    assert (found["keeps"], found["serve_new"]["advised"]) == ("less", False)
    why = "with both at 0.50 that less is kept is not shown: kept and right: +0.0 points ("
    assert found["serve_new"]["because"].startswith(why), "by its higher number alone"


def test_what_is_right_is_counted_as_by_an_assessment(folder, tmp_path):
    """A text that is called outside, though its likeliest label is right, is wrong as published."""
    odd = [f"{word} {word} lamp post" for word in ("zebra", "quark", "violin", "granite", "saffron", "orbit")]
    answers = load_model(folder / "hr", 1).answer([Question(text, "en") for text in odd])
    called_outside = [
        (text, answer.output.alternatives[0].label)
        for text, answer in zip(odd, answers, strict=True)
        if answer.output.label is None
    ]
    assert called_outside
    rows = [row for row in read(folder / "new.csv") if row[1] != "badge"]
    file = training_files.write(tmp_path / "known.csv", [*rows, *called_outside])
    said = compared("hr", "hr-2", file, "--keep-at", 0.6)
    for name, side in (("hr", "served"), ("hr-2", "new")):
        assessed = json.loads(sprat("assess", file, "--model", name, "--json").stdout)
        assert assessed["small"]["accuracy"] == said["right"][side]
    assert said["right"]["served"][0] <= len(rows) / (len(rows) + len(called_outside)) + 1e-4


def test_rows_that_a_version_was_trained_on_are_named(folder, tmp_path):
    file = training_files.write(tmp_path / "mixed.csv", [*read(folder / "new.csv"), *training_files.rows()[1:]])
    result = sprat("models", "compare", "hr", "hr-2", file, "--json")
    said = json.loads(result.stdout)
    trained_on = [said[side]["trained_on_rows"] for side in ("served", "new")]
    rows = read(file)
    assert trained_on[0] == [row for row in range(53, 53 + 95) if rows[row - 2][1] != "badge"]
    assert trained_on[1] == list(range(53, 53 + 95))
    for name, count in (("hr", 71), ("hr-2", 95)):
        assert f"{name}: {count} of 146 texts were trained on by this model (rows 53, " in result.stderr
    unseen = sprat("models", "compare", "hr", "hr-2", "new.csv")
    assert "trained on by" not in unseen.stderr


def test_rows_that_either_version_was_trained_on_are_left_out(folder, tmp_path):
    trained = training_files.rows()[1:]
    badge, leave = trained.index(("new badge for March", "badge")), trained.index(("time off in March", "leave"))
    new = read(folder / "new.csv")
    file = training_files.write(tmp_path / "mixed.csv", [trained[badge], *new[:9], trained[leave], *new[9:]])
    named = sprat("models", "compare", "hr", "hr-2", file, "--keep-at", "0.6").stderr
    for name, said in (("hr", "1 of 53 texts was"), ("hr-2", "2 of 53 texts were")):
        assert f"{name}: {said} trained on by this model (row" in named
    assert named.count("add --skip-trained to leave them out, or take texts that it has not seen\n") == 2
    result = sprat("models", "compare", "hr", "hr-2", file, "--keep-at", "0.6", "--skip-trained")
    assert "trained on" not in result.stderr
    lines = result.stdout.splitlines()
    assert lines[2].startswith(
        "left out: 2 of 53 texts were trained on by one version or both (rows 2, 12 of mixed.csv); the rest is easier "
    )
    assert lines[3].startswith("Compared on 51 texts of mixed.csv, 3 of them outside every label, ")
    left = compared("hr", "hr-2", file, "--keep-at", "0.6", "--skip-trained")
    places = [{"file": "mixed.csv", "row": row} for row in (2, 12)]
    assert (left.pop("left_out"), left.pop("left_out_rows")) == (2, places)
    without = compared("hr", "hr-2", "new.csv", "--keep-at", "0.6")
    assert (without.pop("left_out"), without.pop("left_out_rows")) == (0, [])
    of_file = {"file", "files"}
    assert {key: left[key] for key in left.keys() - of_file} == {key: without[key] for key in without.keys() - of_file}
    training_files.write(file, [trained[badge], trained[leave]])
    none = sprat("models", "compare", "hr", "hr-2", file, "--skip-trained", code=2).stderr
    why = "2 of 2 texts were trained on by one version or both (rows 2, 3 of mixed.csv), so no text is left"
    assert f"--skip-trained: {why}; take texts that neither has seen\n" in none


def test_of_a_version_that_does_not_remember_its_training_it_is_said_that_nobody_knows(folder, tmp_path):
    versions = tmp_path / "hr", tmp_path / "hr-2"
    for version in versions:
        shutil.copytree(folder / version.name, version)
        (version / "training.json").unlink()
        write_artefact(version, json.loads((version / "card.json").read_text()))
    trained = training_files.write(tmp_path / "trained.csv", training_files.rows()[1:9])
    result = sprat("models", "compare", *versions, trained, "--skip-trained", "--json")
    assert (json.loads(result.stdout)["tested_on"], json.loads(result.stdout)["left_out"]) == (8, 0)
    for version in versions:
        assert f"--skip-trained: {version} has no training.json, so it cannot be known which texts it was" in (
            result.stderr
        )
    one = sprat("models", "compare", versions[0], folder / "hr-2", folder / "new.csv", trained, "--skip-trained")
    assert one.stderr.count("it cannot be known") == 1
    assert "\nleft out: 8 of 59 texts were trained on by one version or both (rows 2, 3, " in one.stdout


def test_the_file_is_read_as_the_served_version_was_trained(folder, tmp_path):
    file = tmp_path / "exported.csv"
    rows = [(text, label if label != "oos" else "weg") for text, label in read(folder / "new.csv")]
    training_files.write(file, rows, ("what", "which"))
    options = ("--text-column", "what", "--label-column", "which", "--outside-label", "weg")
    said = compared("hr", "hr-2", file, *options, "--language", "en", "--encoding", "utf-8")
    assert {share: said[share] for share in SHARES} == {
        share: value for share, value in compared("hr", "hr-2", "new.csv").items() if share in SHARES
    }


def test_a_label_that_neither_version_knows_is_refused_by_its_name(folder, tmp_path):
    file = training_files.write(tmp_path / "more.csv", [*read(folder / "new.csv"), ("where is my desk", "office move")])
    said = sprat("models", "compare", "hr", "hr-2", file, code=2).stderr
    assert 'more.csv: row 53, column "label": the models have no label "office move"; correct it, or add ' in said
    assert "--outside-label 'office move' where it is outside for them, after the one" in said
    marked = compared("hr", "hr-2", file, "--outside-label", "oos", "--outside-label", "office move")
    assert (marked["tested_on"], marked["tested_outside"]) == (52, 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hr", "gone", "new.csv"), "sprat: gone/card.json: not found"),
        (("hr", "hr", "new.csv"), "sprat: hr and hr hold the same version, "),
        (("hr", NER, "new.csv"), "artefacts/default: not a model of labels: only such models are compared"),
        (("hr", "topics", "new.csv"), "sprat: topics gives a text several labels, hr one: they cannot be compared"),
        (("topics", "hr", "new.csv"), "sprat: topics gives a text several labels, hr one: they cannot be compared"),
        (("hr", "hr-2", "gone.csv"), "sprat: gone.csv: there is no such file"),
        (("hr", "hr-2", "new.csv", "--language", "de"), "sprat: hr: --language de: the model serves en"),
        (("hr", "hr-2", "new.csv", "--as", "a/b"), "sprat: --as "),
        (("hr", "hr-2", "new.csv", "--keep-at", "1.2"), "--keep-at"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_is_wrong(folder, arguments, said):
    result = sprat("models", "compare", *arguments, code=2)
    assert said in result.stderr
    assert not result.stdout


def test_of_several_labels_a_text_the_sets_are_compared_and_micro_f1(folder, tmp_path, monkeypatch):
    rows = read(folder / "new-topics.csv")
    said = compared("topics", "topics-2", "new-topics.csv", "--keep-at", "0.5")
    assert said["tested_outside"] == sum(not labels for _, labels in rows)
    assert (said["served"]["own_labels"], said["new"]["own_labels"]) == ([], ["badge"])
    gold = [{*filter(None, labels.split("|"))} for _, labels in rows]
    for side, name in (("served", "topics"), ("new", "topics-2")):
        answers = ClassifyModel.load(folder / name).answer([Question(text, "en") for text, _ in rows])
        given = [{each.label for each in answer.output.labels} for answer in answers]
        right = sum(one == other for one, other in zip(given, gold, strict=True))
        assert said["right"][side][0] == pytest.approx(right / len(rows), abs=1e-4)
        hits = sum(len(one & other) for one, other in zip(given, gold, strict=True))
        named = sum(len(one) + len(other) for one, other in zip(given, gold, strict=True))
        assert said["micro_f1"][side][0] == pytest.approx(2 * hits / named, abs=1e-4)
    assert said["better"] == "new"

    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks: {intent: {keep_at: 0.7}}\n")
    monkeypatch.setenv("SPRAT_POLICY", str(policy))
    of_card = {"keep_at": load_artefact(folder / "topics").card.keep_at, "origin": "served_card"}
    assert compared("topics", "topics-2", "new-topics.csv")["compared_at"] == of_card, "no file of a task names either"
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "desk.yaml").write_text(
        "kind: multi_label\nlabels: {badge: a key card, laptop: a computer, leave: days off, payroll: salary}\n"
        f"artefact: {folder / 'topics-2'}\nkeep_at: 0.43\n"
    )
    found = sprat("models", "compare", "topics", "topics-2", "new-topics.csv").stdout
    task = tmp_path / "tasks" / "desk.yaml"
    assert f"without a label, at keep_at 0.43, the one in force (keep_at in {task})\n" in found
    assert "\nmicro-F1 " in found
    assert not re.search(r"\((\S+) to \1\)", found), "no interval is a point"
