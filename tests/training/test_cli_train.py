"""`sprat train`: from a file to a model that the service loads, its levels, and a report in one file."""

import json
import random
import re
from html import unescape

import pytest
from typer.testing import CliRunner

from sprat.base.model import Question
from sprat.base.thresholds import THRESHOLDS, find_thresholds
from sprat_cli.commands.train.report import MOST_LINES
from sprat_cli.main import app
from sprat_contracts.thresholds import NONE, SOME
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import load_artefact
from sprat_inference.doubts import Doubts
from sprat_training.fitting.figures import near_outside
from support import label_sets, training_files

RIGHT = [(text, "leave" if place == 0 else label) for place, (text, label) in enumerate(training_files.rows())]
"""The rows without the wrong label."""
OUTSIDE = [(f"what is the capital of {country}", "oos") for country in ("Peru", "Chad", "Iran", "Fiji")]


def train(*arguments, command="intent"):
    given = ["train", command, *map(str, arguments)]
    return CliRunner().invoke(app, given if "--help" in given else [*given, "--encoder", str(training_files.EN_FAST)])


def levels_in(folder):
    return find_thresholds(folder, model_version=load_artefact(folder).card.version)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return training_files.write(tmp_path_factory.mktemp("train") / "hr.csv", training_files.rows())


@pytest.fixture(scope="module")
def trained(file):
    result = train(file, "--output", file.parent / "hr", "--goal", "0.9")
    assert result.exit_code == 0, result.output
    return result


def test_the_service_loads_the_artefact_and_knows_the_labels(file, trained):
    model = LabellingModel.load(file.parent / "hr")
    answers = model.answer([Question(text, "en") for text in ("may I take three days off", "my key card is gone")])
    assert [answer.output.label for answer in answers] == ["leave", "badge"]


def test_the_levels_are_estimated_on_texts_held_out_and_the_card_has_the_number_of_the_goal(file, trained):
    found, card = levels_in(file.parent / "hr"), load_artefact(file.parent / "hr").card
    assert (found.task, found.model, found.label_set) == ("intent", "hr", card.label_set)
    assert (found.recommended_goal, found.certificate) == (0.97, None)
    assert {(cell.language, cell.says) for cell in found.cells} >= {(None, SOME), ("en", SOME)}
    (measurement,) = found.measurements
    assert (measurement.by, measurement.rows, measurement.attempt) == ("train", 96, 0)
    step = next(each for each in found.cell(None, SOME).estimated if each.accuracy >= 0.9)
    assert 0 <= card.keep_at - step.threshold < 0.01
    assert "90.0% is right on average" in card.keep_at_rule
    assert THRESHOLDS not in card.files
    (answer,) = LabellingModel.load(file.parent / "hr").answer([Question("may I take three days off", "en")])
    assert found.accuracy(answer.confidence, "en", SOME).estimated >= 0.9


def test_the_card_has_its_sources_scores_and_limits(file, trained):
    card = load_artefact(file.parent / "hr").card
    assert card.labels == ("badge", "laptop", "leave", "payroll")
    assert [work.name for work in card.made_of] == ["all-MiniLM-L6-v2", "hr.csv"]
    assert card.licence == "Apache-2.0 AND LicenseRef-own-data"
    assert card.score("cross_validated_accuracy_low") <= card.score("cross_validated_accuracy") <= 1
    ends = {each.name: each.protocol for each in card.scores if each.name.endswith(("_low", "_high"))}
    assert all(f" of the 95 % interval of {name.rpartition('_')[0]}" in ends[name] for name in ends)
    assert 0 < card.score("cross_validated_kept_share") <= 1
    (of_outside,) = (limit for limit in card.limits if "held out in turn" in limit)
    near = near_outside(4, 24)
    assert (near.labels, near.rows) == (5, 20)
    assert f", {near.least:.0%} to {near.most:.0%} were kept with a label on CLINC150 and BANKING77" in of_outside
    assert of_outside in (file.parent / "hr-report.html").read_text(encoding="utf-8")


def test_what_is_kept_of_hidden_labels_stands_on_the_card_in_the_terminal_and_in_the_report(file, trained):
    card = load_artefact(file.parent / "hr").card
    share, least, most = (card.score(f"cross_validated_hidden_kept{end}") for end in ("", "_least", "_most"))
    assert 0 <= least <= share <= most <= 1
    assert most > 0, "the four labels are alike"
    rule, *of_parts = (each.protocol for each in card.scores if "hidden_kept" in each.name)
    assert "of 96 texts of 4 labels, each read by a head that does not know its label" in rule
    assert ["cross_validated_hidden_kept of 4 random parts of the labels" in each for each in of_parts] == [True] * 2
    said = f"at the goal {share:.1%} of their texts are kept with another label, {least:.1%} to {most:.1%} by part of"
    for output in (trained.stdout, unescape((file.parent / "hr-report.html").read_text(encoding="utf-8"))):
        assert f"labels hidden in turn: {said} the labels; of texts " in output


def test_labels_that_are_worded_as_a_doubt_are_named_in_the_terminal_and_in_the_report(tmp_path):
    calm = training_files.rows()[1:]
    stop = [(f"please do not book {what} again", "stop") for what in ("a room", "a car", "lunch", "a desk", "the hall")]
    odd = [("I do not want my payslip of March", "payroll")]
    rows = [*calm, *stop, *[(f"never mind the {each}", "stop") for each in ("parcel", "taxi", "visit")], *odd]
    result = train(training_files.write(tmp_path / "hr.csv", rows), "--output", tmp_path / "hr", "--goal", "0.9")
    assert result.exit_code == 0, result.output
    doubts = Doubts.of(load_artefact(tmp_path / "hr").card)
    assert doubts.denying == {"stop"}
    said = f"doubts: 1 label is itself worded as denied or too little: stop; 1 of {len(rows)} training texts would be "
    for output in (result.stdout, unescape((tmp_path / "hr-report.html").read_text(encoding="utf-8"))):
        assert said in output


def test_the_terminal_says_what_is_kept_at_the_goal_first_and_how_to_serve_the_model_last(file, trained):
    said, folder = trained.stdout, file.parent / "hr"
    assert len(said.splitlines()) <= MOST_LINES
    parts = (
        r"hr at goal 90 % \(estimated, on average\): [\d.]+ % kept, [\d.]+ % of it right\n",
        r"\nheld out: \S+% \(.*\) of 96 texts are right if all are kept; at the goal [\d.]+% are kept, [\d.]+% of it",
        rf"\ncheck these labels, which may be right:\n  hr\.csv  row {training_files.WRONG_ROW}  badge → leave\n",
        r"Do first: Check the 1 row whose label is doubted",
        rf"\n{folder}: intent/hr, version \w+; {folder}-report\.html: the report\n",
        rf'serve it: sprat up --model intent/hr={folder}\nask it: sprat send "…" --task intent@hr\n$',
    )
    assert re.match("(?s:.*?)".join(parts), said), said
    assert "days off" not in said


def test_the_report_is_one_file_that_says_the_same_without_texts(file, trained):
    html = unescape((file.parent / "hr-report.html").read_text(encoding="utf-8"))
    headline = trained.stdout.splitlines()[0]
    assert f"<title>{headline}</title>" in html
    assert "<script" not in html
    assert "days off" not in html
    assert not re.search(r"(src|href)=", html)
    for said in (
        "Do next",
        "Findings in the data",
        "Labels that are doubted",
        "Each label",
        "Calibration error",
        "Limits",
    ):
        assert said in html
    assert re.search(r"<td>badge</td><td>\d+</td><td>[\d.]+%</td><td>[\d.]+%</td>", html)


def test_json_has_all_of_it_and_no_text(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--goal", "0.9", "--json")
    said = json.loads(result.stdout)
    assert (said["type"], said["kind"], said["texts"]) == ("trained", "label", 96)
    assert said["decision"]["goal"] == 0.9
    assert said["decision"]["new"]["thresholds"]["thresholds_version"] == levels_in(tmp_path / "hr").thresholds_version
    assert said["likely_wrong"][0]["row"] == training_files.WRONG_ROW
    kept_wrong = [each["row"] for each in said["kept_wrong"]]
    (of_all, *_) = said["decision"]["new"]["cells"]
    stand_ins_kept = of_all["kept"] - of_all["right"] - len(kept_wrong)
    assert stand_ins_kept >= -1e-6
    assert [each["label"] for each in said["held_out"]["labels"]] == ["badge", "laptop", "leave", "payroll"]
    assert "days off" not in result.stdout


def test_a_goal_that_nothing_reaches_is_said_to_be_so_with_the_level_that_is_reached(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr")
    assert result.exit_code == 0, result.output
    assert "hr at goal 97 % (estimated, on average): 0.0 % kept" in result.stdout
    assert re.search(
        r"no threshold reaches 97\.0%; 9\d\.\d% is reached from 0\.\d\d on, with \d+ rows kept: ", result.stdout
    )
    assert "serve it" not in result.stdout
    assert load_artefact(tmp_path / "hr").card.keep_at == 1


def test_rows_of_a_test_file_certify_the_goal_that_was_named_before(tmp_path):
    words = ("otter", "maple", "comet", "violin", "harbour", "lantern", "quartz", "meadow", "falcon", "cinder")
    about = {
        "leave": "holiday days off",
        "payroll": "salary payslip pay",
        "badge": "key card door",
        "laptop": "computer",
    }
    test = [
        (f"{one} {about[label]} {other}", label) for label in about for one in words for other in words if one < other
    ]
    outside = [(f"the {one} sings to the {other}", "oos") for one in words[:3] for other in words[3:]]
    asked = training_files.write(tmp_path / "test.csv", [*test, *outside])
    texts = training_files.write(tmp_path / "hr.csv", RIGHT)
    result = train(texts, "--output", tmp_path / "hr", "--test", asked, "--goal", "0.8", "--no-lexical")
    assert result.exit_code == 0, result.output
    found = levels_in(tmp_path / "hr")
    assert found.certificate is not None, result.output
    assert (found.certificate.goals, found.certificate.drawn, found.certificate.attempt) == ((0.8,), "file", 1)
    assert found.cell(None, SOME).certified[-1].accuracy == 0.8
    assert found.certificate.outside <= len(outside)
    assert "Certified 80 %: if rows like these were drawn again and again" in result.stdout
    assert re.search(r"\ntest file: .* of 180 texts are right if all are kept; at the goal ", result.stdout)


def test_a_test_file_is_measured_without_the_rows_that_are_trained_on(file, tmp_path):
    phrases = [("please, two days of holiday", "leave"), ("no payslip came", "payroll")]
    test = training_files.write(tmp_path / "test.csv", [training_files.rows()[5], *phrases, *OUTSIDE, OUTSIDE[0]])
    outside = tmp_path / "outside.txt"
    outside.write_text("who won the cup\ntell me a joke\nhow tall is the tower\nis it raining in Oslo\n")
    more = ["--output", tmp_path / "hr", "--test", test, "--out-of-scope", outside, "--json", "--name", "staff"]
    output = json.loads(train(file, *more).stdout)
    assert output["leaked_test_rows"] == [2]
    assert (output["name"], output["test"]["texts"]) == ("staff", 2)
    card = load_artefact(tmp_path / "hr").card
    assert card.score("test_accuracy") == 1
    assert [work.used_for for work in card.made_of[1:]] == [
        "head, calibration, scores",
        "calibration: texts outside every label",
        "scores",
    ]
    assert not any("held out in turn" in limit for limit in card.limits)
    assert not any("hidden" in score.name for score in card.scores)
    answers = LabellingModel.load(tmp_path / "hr").answer([Question(text, "en") for text, _ in OUTSIDE])
    assert card.score("test_outside_recall") == sum(each.output.label is None for each in answers) / len(OUTSIDE)
    assert any("nothing is certified" in note for note in output["decision"]["notes"])
    (cell,) = (each for each in levels_in(tmp_path / "hr").cells if (each.language, each.says) == (None, NONE))
    assert cell.rows > 0


def test_a_test_file_that_differs_by_more_than_chance_is_said_to(file, tmp_path):
    labels = list(training_files.PHRASES)
    rows = [
        (phrase.format(when), labels[(labels.index(label) + place) % 4])  # all but the first phrase have a wrong one
        for label, phrases in training_files.PHRASES.items()
        for place, phrase in enumerate(phrases)
        for when in ("June", "August", "spring", "2024")
    ]
    test = training_files.write(tmp_path / "test.csv", rows)
    result = train(file, "--output", tmp_path / "hr", "--test", test)
    assert "differ by more than chance: count on the lower figure" in result.stdout


def test_the_label_for_outside_is_not_a_label_of_the_model(tmp_path):
    outside = [(f"what is the capital of {country}", "none of these") for country in ("Peru", "Chad", "Iran", "Fiji")]
    file = training_files.write(tmp_path / "hr.csv", [*training_files.rows(), *outside])
    result = train(file, "--output", tmp_path / "hr", "--outside-label", "none of these")
    assert result.exit_code == 0, result.output
    card = load_artefact(tmp_path / "hr").card
    assert "none of these" not in (card.labels or ())
    assert "as texts outside every label, 4 that are given as such" in card.calibration.fitted_on
    (answer,) = LabellingModel.load(tmp_path / "hr").answer([Question("what is the capital of Cuba", "en")])
    assert answer.output.label is None


def test_the_same_file_gives_the_same_version_and_the_same_levels(file, tmp_path):
    folders = [tmp_path / "hr", tmp_path / "again"]
    for folder in folders:
        train(file, "--output", folder, "--name", "hr")
    assert len({load_artefact(folder).card.version for folder in folders}) == 1
    first, again = (levels_in(folder) for folder in folders)
    # The version of thresholds also covers when they were measured: an alarm is cleared by a later certificate alone.
    assert (first.cells, first.measurements[0].data) == (again.cells, again.measurements[0].data)
    train(file, "--output", folders[0], "--name", "hr", "--force")
    assert len(levels_in(folders[0]).measurements) == 1, "the same rows change nothing"


def test_texts_are_shown_on_request(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--show-texts")
    html = (tmp_path / "hr-report.html").read_text(encoding="utf-8")
    for said in (result.stdout, html):
        assert "how do I book January days off" in said


def test_doubted_rows_are_left_out_on_request_and_the_card_says_so(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--drop-suspects", "--show-texts", "--json")
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    dropped = [each["row"] for each in output["dropped"]]
    assert training_files.WRONG_ROW in dropped
    assert output["texts"] == len(RIGHT) - len(dropped)
    assert training_files.WRONG_ROW not in [each["row"] for each in output["likely_wrong"]]
    limits = load_artefact(tmp_path / "hr").card.limits
    said = "1 row whose label was doubted was left out, and its figures do not count what was left out"
    assert len(dropped) == 1
    assert any(said in limit for limit in limits)
    html = (tmp_path / "hr-report.html").read_text(encoding="utf-8")
    assert "how do I book January days off" in html.partition("Rows that were left out")[2]


def test_a_bad_file_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "bad.csv").write_text("text,label\n=A1,a\n")
    result = train(tmp_path / "bad.csv", "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.startswith("sprat: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_a_language_that_the_encoder_does_not_read_is_refused(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--language", "de")
    assert result.exit_code == 2
    assert "--language de: the encoder minilm-l6 reads en" in result.stderr


def test_the_version_that_is_replaced_is_kept_beside_with_its_report_and_the_way_back_is_named(tmp_path):
    versions, reports = [], []
    for rows in (RIGHT, RIGHT[:-4], RIGHT[:-8]):
        file = training_files.write(tmp_path / "hr.csv", rows)
        result = train(file, "--output", tmp_path / "hr", "--force", "--no-lexical", "--goal", "0.9")
        assert result.exit_code == 0, result.output
        versions.append(load_artefact(tmp_path / "hr").card)
        reports.append((tmp_path / "hr-report.html").read_bytes())
    assert len({card.version for card in versions}) == 3
    before = tmp_path / "hr.previous"
    assert load_artefact(before).card == versions[1]  # one version is kept
    assert levels_in(before).model_version == versions[1].version
    assert (tmp_path / "hr.previous-report.html").read_bytes() == reports[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hr", "hr-report.html", "hr.csv", "hr.previous", "hr.previous-report.html"
    ]  # fmt: skip
    assert re.match(r"hr at goal 90 % .* \(before: [\d.]+ % kept, [\d.]+ % of it right\)\n", result.stdout)
    assert result.stdout.endswith(
        f"\nthe version before is {before}; back to it: sprat promote {tmp_path / 'hr'} --back\n"
    )
    again = train(file, "--output", tmp_path / "hr", "--force", "--no-lexical", "--goal", "0.9", "--show-texts")
    assert "before" not in again.stdout
    assert [load_artefact(each).card for each in (tmp_path / "hr", before)] == [versions[2], versions[1]]
    assert (tmp_path / "hr.previous-report.html").read_bytes() == reports[1]


def test_the_command_that_sends_a_text_names_the_language_where_another_is_the_default(tmp_path, monkeypatch):
    file = training_files.write(tmp_path / "hr.csv", RIGHT)
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "en")
    shipped = [
        "train", "intent", str(file), "--output", str(tmp_path / "hr"), "--language", "de", "--no-lexical",
    ]  # fmt: skip
    result = CliRunner().invoke(app, shipped)
    assert result.exit_code == 0, result.output
    assert 'sprat send "…" --task intent@hr --language de\n' in result.stdout
    assert "the texts look English (en), and the model is trained for de: --language en" in result.stdout


def test_of_labels_that_the_texts_do_not_tell_nothing_is_kept_and_no_task_is_begun(tmp_path):
    draws = random.Random(4)
    labels = [labels for _, labels in label_sets.rows()]
    draws.shuffle(labels)
    rows = [("text", "labels"), *((text, of) for (text, _), of in zip(label_sets.rows(), labels, strict=True))]
    file = tmp_path / "topics.csv"
    file.write_text("".join(f"{text},{of}\n" for text, of in rows))
    result = train(file, "--output", tmp_path / "topics", command="multi-label")
    assert result.exit_code == 0, result.output
    assert load_artefact(tmp_path / "topics").card.keep_at == 1
    assert "Do first: Check the texts of the labels that are found least: " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("no threshold reaches 97.0%")


def test_of_several_labels_a_text_the_same_is_said_as_of_one(tmp_path):
    rows = label_sets.rows()
    rows += [(f"{rows[place][0]} ", "badge|laptop") for place in (0, 1)]  # later rows with other labels
    file, test = tmp_path / "topics.csv", tmp_path / "test.csv"
    test.write_text("text,labels\n" + "".join(f"{text} now,{of}\n" for text, of in label_sets.rows()))
    file.write_text("text,labels,Nr\n" + "".join(f"{text},{of},1\n" for text, of in [*rows, ("a rare one", "rare")]))
    options = (file, "--test", test, "--drop-small", "--goal", "0.8")
    said = train(*options, "--output", tmp_path / "topics", command="multi-label")
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert len(lines) <= MOST_LINES
    assert lines[0].startswith("topics at goal 80 % (estimated, on average): ")
    assert lines[-1].startswith("serve it as a task of your own: sprat task init topics --kind multi_label --artefact ")
    found = levels_in(tmp_path / "topics")
    assert (found.right, {cell.says for cell in found.cells}) == ("the whole set of labels", {SOME, NONE})
    shown = train(*options, "--output", tmp_path / "topics-2", "--json", command="multi-label")
    output = json.loads(shown.stdout)
    assert output["kind"] == "multi_label"
    assert any("left out, as too few texts have or lack them: rare" in each for each in output["findings"])
    assert "topics-report.html" in {path.name for path in tmp_path.iterdir()}
