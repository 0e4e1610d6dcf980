"""`sprat train intent`: from a file to a model that the service loads, and a report in one file."""

import json
import random
import re
import shlex
from html import unescape

import pytest
from typer.testing import CliRunner

from sprat.model import Question
from sprat_cli.main import app
from sprat_cli.train.summary import MOST_LINES
from sprat_inference.artefact import load_artefact
from sprat_intent.model import IntentModel
from sprat_policy import load_task_file
from sprat_training.figures import near_outside
from support import label_sets, training_files

ROWS = list(enumerate(training_files.rows()))


def train(*arguments):
    given = ["train", "intent", *map(str, arguments)]
    return CliRunner().invoke(app, given if "--help" in given else [*given, "--encoder", str(training_files.EN_FAST)])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return training_files.write(tmp_path_factory.mktemp("train") / "hr.csv", training_files.rows())


@pytest.fixture(scope="module")
def trained(file):
    result = train(file, "--output", file.parent / "hr")
    assert result.exit_code == 0, result.output
    return result


def test_the_service_loads_the_artefact_and_knows_the_labels(file, trained):
    model = IntentModel.load(file.parent / "hr")
    answers = model.answer([Question(text, "en") for text in ("may I take three days off", "my key card is gone")])
    assert [answer.output.label for answer in answers] == ["leave", "badge"]
    assert all(answer.confidence >= model.card.keep_at for answer in answers)


def test_a_text_outside_every_label_is_not_kept_with_a_label(file, trained):
    model = IntentModel.load(file.parent / "hr")
    (answer,) = model.answer([Question("who won the cup final in 1974", "en")])
    assert answer.output.label is None or answer.confidence < model.card.keep_at


def test_the_card_has_its_sources_scores_and_limits(file, trained):
    card = load_artefact(file.parent / "hr").card
    assert card.labels == ("badge", "laptop", "leave", "payroll")
    assert [work.name for work in card.made_of] == ["all-MiniLM-L6-v2", "hr.csv"]
    assert card.licence == "Apache-2.0 AND LicenseRef-own-data"
    assert card.score("cross_validated_accuracy_low") <= card.score("cross_validated_accuracy") <= 1
    assert 0.5 <= card.keep_at < 1
    assert "97.0% right on held-out texts, 10% of them outside" in card.keep_at_rule
    assert re.search(
        r"; provisional: the kept texts \(\d+ when weighted to 10% outside every label\) show 9\d\.\d% with 95 % conf",
        card.keep_at_rule,
    )
    (of_outside,) = (limit for limit in card.limits if "held out in turn" in limit)
    near = near_outside(4, 24)
    assert (near.labels, near.rows) == (5, 20)
    assert f", {near.least:.0%} to {near.most:.0%} were kept with a label on CLINC150 and BANKING77" in of_outside
    assert (
        f"at least {near.right:.1%} of what was kept was right ({near.draws} draws of 5 labels with 20 " in of_outside
    )
    assert "on which the head was trained; the encoder, multilingual-e5-small," in of_outside
    assert of_outside in (file.parent / "hr-report.html").read_text(encoding="utf-8")


def test_the_terminal_shows_figures_doubted_labels_and_how_to_serve_the_model(file, trained):
    """The most important first: the verdict, the rows, the figures, where it all is, the next command."""
    said, folder = trained.stdout, file.parent / "hr"
    assert len(said.splitlines()) <= MOST_LINES
    parts = (
        r"(Good enough to serve|It can be served).*at keep_at (?P<at>0\.\d\d) it keeps .*\n",
        rf"check these labels, which may be right:\n  hr\.csv  row {training_files.WRONG_ROW}  badge → leave\n",
        r"Do first: Check the row whose label is doubted",
        r"\nheld out: \S+% \(.*\) of 96 texts get their label if all are kept; at keep_at (?P=at), \S+% of the",
        rf"\n{folder}: intent/hr, version \w+, keep_at (?P=at); {folder}-report\.html: the report\n",
        rf'serve it: sprat up --model intent/hr={folder}\nask it: sprat send "…" --task intent@hr\n$',
    )
    assert re.match("(?s:.*?)".join(parts), said), said
    assert "days off" not in said
    assert "by more than chance" not in said


def test_with_all_there_is_to_say_it_stays_short_and_the_report_has_the_rest(tmp_path):
    """Many doubted rows, a file with findings, a test file that is worse, and a version that is replaced."""
    others = dict(zip(training_files.PHRASES, [*list(training_files.PHRASES)[1:], "leave"], strict=True))
    rows = [(text, others[label] if place % 12 == 3 else label) for place, (text, label) in ROWS]
    more = [
        (text, "LEAVE" if label == "leave" and place % 5 == 2 else label) for place, (text, label) in enumerate(rows)
    ]
    test = training_files.write(tmp_path / "test.csv", [(f"{text} now", others[label]) for _, (text, label) in ROWS])
    options = ("--output", tmp_path / "hr", "--test", test, "--force", "--no-lexical", "--show-texts")
    for given in (rows, [*more, more[0], (more[5][0], "badge")]):
        file = training_files.write(tmp_path / "hr.csv", given)
        result = train(file, *options)
        assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) <= MOST_LINES
    head = re.fullmatch(r"check these labels, which may be right \((\d+) of (\d+); more in the report\):", lines[1])
    assert head, result.stdout
    assert int(head[1]) >= 1
    assert len([line for line in lines if line.startswith("  hr.csv  row ")]) == int(head[1])
    assert sum(line.startswith(("test file: ", "held out: ")) for line in lines) == 2
    left = re.search(r"-report\.html: the report, with (\d+) further findings?$", result.stdout, re.MULTILINE)
    assert left, result.stdout
    assert int(left[1]) >= 1
    assert lines[-1] == f"  sprat models rollback {tmp_path / 'hr'}"
    html = unescape((tmp_path / "hr-report.html").read_text("utf-8"))
    assert f"the labels of {head[2]} rows are doubted" in html
    assert "differs by case or white space alone" in html
    assert "several labels" in html


def test_the_report_says_what_a_margin_and_a_calibration_error_mean(file, trained):
    page = (file.parent / "hr-report.html").read_text("utf-8")
    assert "Margin: how much more probable the likely label is than the one in the file, from 0 to 1" in page
    assert (
        "Calibration error: how far the stated confidence and the share right lie apart, on average. 0 is best" in page
    )


def test_the_report_has_each_threshold_and_the_command_for_a_task_of_its_own(file, trained, tmp_path, monkeypatch):
    card, folder = load_artefact(file.parent / "hr").card, file.parent / "hr"
    html = unescape((file.parent / "hr-report.html").read_text("utf-8"))
    assert re.search(rf"<td[^>]*>{card.keep_at:.2f}</td><td[^>]*>[\d.]+%</td><td[^>]*>[\d.]+% \(", html)
    command = f"sprat task init NAME --artefact {folder}"
    assert command in html
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    done = CliRunner().invoke(app, shlex.split(command.replace("NAME", "desk"))[1:])
    assert done.exit_code == 0, done.output
    task = load_task_file(tmp_path / "tasks" / "desk.yaml")
    assert (tuple(task.labels), task.keep_at) == (card.labels, card.keep_at)


def test_what_becomes_of_each_text_adds_up_and_every_text_that_is_wrong_is_listed(tmp_path):
    others = dict(zip(training_files.PHRASES, [*list(training_files.PHRASES)[1:], "leave"], strict=True))
    rows = [(text, others[label] if place % 12 == 3 else label) for place, (text, label) in ROWS]
    file = training_files.write(tmp_path / "hr.csv", rows)
    options = ("--accuracy", "0.7", "--no-lexical")
    result = train(file, "--output", tmp_path / "hr", *options, "--json")
    output = json.loads(result.stdout)
    outcomes = output["outcomes"]
    assert sum(each["texts"] for each in outcomes) == output["texts"]
    assert sum(each["share_of_traffic"] for each in outcomes) == pytest.approx(1, abs=1e-3)
    right = sum(each["likeliest_label_right"] for each in outcomes) / output["texts"]
    assert right == pytest.approx(output["scores"]["cross_validated_accuracy"], abs=1e-4)
    kept = sum(each["share_of_traffic"] for each in outcomes[:3])
    assert kept == pytest.approx(output["scores"]["cross_validated_kept_share"], abs=1e-3)
    wrong = outcomes[1]["texts"] + outcomes[2]["texts"]
    assert len(output["kept_wrong"]) == wrong > 0
    train(file, "--output", tmp_path / "hr-2", *options, "--show-texts")
    html = (tmp_path / "hr-2-report.html").read_text("utf-8")
    texts = {row: text for row, (text, _) in enumerate(rows, start=2)}
    listed = html.partition("What becomes of each text")[2].partition("Findings in the data")[0]
    for name, texts_of_it in (*((each["outcome"], each["texts"]) for each in outcomes), ("all", output["texts"])):
        assert re.search(rf"<td[^>]*>{name}</td><td[^>]*>{texts_of_it}</td>", listed)
    assert all(texts[each["row"]] in listed for each in output["kept_wrong"])


def test_the_report_is_one_file_with_charts_and_without_texts(file, trained):
    html = (file.parent / "hr-report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 3
    assert "<script" not in html
    assert "days off" not in html
    assert html.index('class="verdict') < html.index("<h2>Accuracy</h2>")
    assert "<title>badge → badge: " in html
    assert not re.search(r"(src|href)=", html)


def test_figures_say_what_they_are_of(tmp_path):
    """Texts of held-out labels that stand in, labels without texts of the test, the test file, the smallest labels."""
    sizes = {"aa": 12, "bb": 11, "cc": 10, "dd": 9, "ee": 8, "yy": 7, "zz": 6}
    few = [
        (f"{label} {word} {number}", label)
        for label, size in sizes.items()
        for number in range(size)
        for word in (f"matter of {label * 3}",)
    ]
    file = training_files.write(tmp_path / "hr.csv", [*training_files.rows(), *few])
    test = training_files.write(tmp_path / "test.csv", [("please, two days of holiday", "leave")])
    result = train(file, "--output", tmp_path / "hr", "--test", test, "--no-lexical")
    assert result.exit_code == 0, result.output
    assert "7 labels have few texts, so little is known of them: zz 6, yy 7, ee 8, dd 9, cc 10, bb 11 and 1 more" in (
        result.stdout
    )
    html = (tmp_path / "hr-report.html").read_text("utf-8")
    assert re.search(
        r" Of \d+ texts of labels held out in turn, which stand in for texts outside every label, at keep_at \d\.\d\d, "
        r"\d+\.\d% are kept with a label, which is wrong, and \d+\.\d% are escalated; \d+\.\d% are called outside if ",
        html,
    )
    assert "made of all-MiniLM-L6-v2, hr.csv; measured on test.csv; licence" in html
    assert re.search(r"<td[^>]*>zz</td><td[^>]*>0</td><td[^>]*>–</td><td[^>]*>–</td>", html)


def test_a_test_file_is_measured_without_the_rows_that_are_trained_on(file, tmp_path):
    phrases = [
        ("please, two days of holiday", "leave"),
        ("no payslip came", "payroll"),
        ("a door stays shut for me", "badge"),
    ]
    test = training_files.write(tmp_path / "test.csv", [training_files.rows()[5], *phrases])
    outside = tmp_path / "outside.txt"
    outside.write_text("who won the cup\nwhat is the capital of Peru\ntell me a joke\nhow tall is the tower\n")
    more = ["--output", tmp_path / "hr", "--test", test, "--out-of-scope", outside, "--json", "--name", "staff"]
    result = train(file, *more)
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    assert output["leaked_test_rows"] == [2]
    assert output["name"] == "staff"
    assert output["scores"]["test_accuracy"] == 1
    assert output["likely_wrong"][0]["row"] == training_files.WRONG_ROW
    card = load_artefact(tmp_path / "hr").card
    assert [work.used_for for work in card.made_of[1:]] == [
        "head, calibration, scores",
        "calibration: texts outside every label",
        "scores",
    ]
    assert not any("held out in turn" in limit for limit in card.limits)


def test_rows_of_the_test_file_outside_every_label_are_counted_as_such(file, tmp_path):
    outside = [(f"what is the capital of {country}", "oos") for country in ("Peru", "Chad", "Iran", "Fiji")]
    labelled = [("please, two days of holiday", "leave"), ("no payslip came", "payroll")]
    trained_on = training_files.rows()[5][0]
    test = training_files.write(tmp_path / "test.csv", [*labelled, (trained_on, "oos"), *outside, outside[0]])
    result = train(file, "--output", tmp_path / "hr", "--test", test)
    assert result.exit_code == 0, result.output
    assert "1 row of the test is trained on, too, and left out of its figures: 4 of test.csv" in result.stdout
    model = IntentModel.load(tmp_path / "hr")
    answers = model.answer([Question(text, "en") for text, _ in outside])
    recognised = sum(answer.output.label is None for answer in answers) / len(outside)
    card = load_artefact(tmp_path / "hr").card
    assert card.score("test_outside_recall") == recognised
    kept = [answer.confidence >= model.card.keep_at for answer in answers]
    inside = [each.confidence >= model.card.keep_at for each in model.answer([Question(t, "en") for t, _ in labelled])]
    share = 0.9 * sum(inside) / len(inside) + 0.1 * sum(kept) / len(kept)
    assert card.score("test_kept_share") == pytest.approx(share, abs=1e-3)
    html = (tmp_path / "hr-report.html").read_text("utf-8")
    said = r" Of 4 texts of the test file outside every label, at keep_at 0\.\d\d, [\d.]+% are kept with a label"
    assert re.search(said, html)


def test_a_keep_at_that_the_test_file_refutes_is_not_recommended(file, tmp_path):
    labels = list(training_files.PHRASES)
    rows = [
        (
            phrase.format(when),
            labels[(labels.index(label) + place) % 4],
        )  # all but the first phrase of a label have a wrong one
        for label, phrases in training_files.PHRASES.items()
        for place, phrase in enumerate(phrases)
        for when in ("June", "August", "spring", "2024")
    ]
    test = training_files.write(tmp_path / "test.csv", rows)
    result = train(file, "--output", tmp_path / "hr", "--test", test)
    assert result.exit_code == 0, result.output
    assert "Worse on the test file than on held-out texts" in result.stdout
    differs = "of the held-out texts is right than of the test file, by more than chance: the test file's texts are "
    for said in (result.stdout, unescape((tmp_path / "hr-report.html").read_text("utf-8"))):
        assert (
            f"{differs}harder, or unlike those that were trained on, or have wrong labels; count on the lower" in said
        )
    assert result.stdout.splitlines()[0].endswith("Choose a higher keep_at with `sprat assess`.")
    assert ">Recommended" not in (tmp_path / "hr-report.html").read_text("utf-8")
    assert "measure with `sprat assess` first" in load_artefact(tmp_path / "hr").card.keep_at_rule


def test_the_label_for_outside_is_not_a_label_of_the_model(tmp_path):
    outside = [(f"what is the capital of {country}", "none of these") for country in ("Peru", "Chad", "Iran", "Fiji")]
    file = training_files.write(tmp_path / "hr.csv", [*training_files.rows(), *outside])
    result = train(file, "--output", tmp_path / "hr", "--outside-label", "none of these")
    assert result.exit_code == 0, result.output
    card = load_artefact(tmp_path / "hr").card
    assert "none of these" not in (card.labels or ())
    assert "as texts outside every label, 4 that are given as such" in card.calibration.fitted_on
    (answer,) = IntentModel.load(tmp_path / "hr").answer([Question("what is the capital of Cuba", "en")])
    assert answer.output.label is None


def test_the_same_file_gives_the_same_version(file, trained, tmp_path):
    train(file, "--output", tmp_path / "hr")
    assert load_artefact(tmp_path / "hr").card.version == load_artefact(file.parent / "hr").card.version


def test_texts_are_shown_on_request(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--show-texts")
    assert "how do I book January days off" in result.stdout
    html = (tmp_path / "hr-report.html").read_text(encoding="utf-8")
    assert "how do I book January days off" in html
    confusions = html.partition(">Confusions<")[2].partition("</table>")[0]
    assert re.search(rf">([\d]+, )*{training_files.WRONG_ROW}(, [\d]+)*<", confusions), confusions


def test_doubted_rows_are_left_out_on_request_and_the_card_says_so(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--drop-suspects", "--show-texts", "--json")
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    dropped = [each["row"] for each in output["dropped"]]
    assert training_files.WRONG_ROW in dropped
    assert output["texts"] == len(ROWS) - len(dropped)
    assert training_files.WRONG_ROW not in [each["row"] for each in output["likely_wrong"]]
    limits = load_artefact(tmp_path / "hr").card.limits
    said = "1 row whose label was doubted was left out, and its figures do not count what was left out"
    assert len(dropped) == 1
    assert any(said in limit for limit in limits)
    html = (tmp_path / "hr-report.html").read_text(encoding="utf-8")
    assert "how do I book January days off" in html.partition("Rows that were left out")[2]


def test_a_model_that_keeps_little_says_why_and_what_helps(tmp_path):
    draws = random.Random(9)
    others = {label: sorted(set(training_files.PHRASES) - {label}) for label in training_files.PHRASES}
    wrong = [
        (text, draws.choice(others[label]) if draws.random() < 1 / 9 else label)
        for text, label in training_files.rows()
    ]
    result = train(training_files.write(tmp_path / "hr.csv", wrong), "--output", tmp_path / "hr", "--json")
    verdict = json.loads(result.stdout)["verdict"]
    assert verdict["grade"] in {"fair", "poor"}
    assert "texts are doubted; if those rows are not counted" in verdict["reason"]
    assert any("--drop-suspects" in step for step in verdict["do_next"])
    assert "it keeps little" in load_artefact(tmp_path / "hr").card.keep_at_rule


def test_of_a_model_that_keeps_nothing_it_is_not_said_how_to_serve_it_but_what_to_do_first(tmp_path):
    draws = random.Random(9)
    rows = [(text, draws.choice([*training_files.PHRASES])) for text, _ in training_files.rows()]
    result = train(training_files.write(tmp_path / "hr.csv", rows), "--output", tmp_path / "hr")
    assert result.exit_code == 0, result.output
    assert "Not good enough to serve: no keep_at reaches 97.0% right, so nothing is kept." in result.stdout
    first = "correct the rows whose labels are doubted, add texts of each label to the files, and train again"
    assert result.stdout.endswith(f"\nnothing is kept, so do not serve it yet: {first}\n")
    html = (tmp_path / "hr-report.html").read_text("utf-8")
    assert f"Nothing is kept, so do not serve it yet: {first}." in html
    for said in (result.stdout, html):
        assert "sprat up --model" not in said
        assert "sprat task init" not in said


def test_each_lower_end_on_the_card_names_the_score_that_it_belongs_to(trained, file):
    card = load_artefact(file.parent / "hr").card
    names = {each.name for each in card.scores}
    ends = {each.name: each.protocol for each in card.scores if each.name.endswith(("_low", "_high"))}
    assert {"cross_validated_accuracy_low", "cross_validated_kept_right_low"} < ends.keys() <= names
    for name, protocol in ends.items():
        assert f" end of the 95 % interval of {name.rpartition('_')[0]}" in protocol


def test_of_few_texts_it_is_said_that_labels_are_doubted_and_how_many_texts_show_the_accuracy(file, tmp_path):
    rows = [row for place, row in enumerate(training_files.rows()) if place % 24 < 12]
    others = dict(zip(training_files.PHRASES, [*list(training_files.PHRASES)[1:], "leave"], strict=True))
    rows = [(text, others[label] if place in {3, 17, 30} else label) for place, (text, label) in enumerate(rows)]
    few = training_files.write(tmp_path / "hr.csv", rows)
    result = train(few, "--output", tmp_path / "hr", "--test", file)
    assert result.exit_code == 0, result.output
    html = (tmp_path / "hr-report.html").read_text("utf-8")
    assert re.search(
        r"the labels of \d+ rows are doubted; many of them may be right: check them, and correct what is wrong; a "
        r"wrong row may be missing",
        html,
    )
    assert "\ncheck these labels, which may be right" in result.stdout
    assert "Labels that are doubted, the likeliest first" in html
    assert "likely wrong" not in result.stdout + html
    check = (
        r"Check the \d rows whose labels are doubted, and the confusions of the report, where a wrong row may "
        r"stand alone \(--show-texts\): correct those that are wrong and train again; "
    )
    assert re.search(f"Do first: {check}", result.stdout)
    provisional = (
        r"This keep_at is provisional: the kept texts \(\d+ when weighted to 10% outside every label\) show "
        r"\d\d\.\d% with 95 % confidence; to show"
    )
    verdict = next(line for line in result.stdout.splitlines() if line.startswith("It can be served"))
    assert re.search(provisional, verdict)
    assert re.search(provisional, html.partition("<h2>Accuracy</h2>")[0])
    more = r"Train on more texts: about [\d,]+ with a label \(now 48\) show 97\.0% right, if the same share "
    assert re.search(more, html)


def test_labels_that_differ_only_by_case_are_listed_in_terminal_and_report_with_what_to_do(tmp_path):
    rows = [(text, "LEAVE" if label == "leave" and place % 2 else label) for place, (text, label) in ROWS]
    result = train(training_files.write(tmp_path / "hr.csv", rows), "--output", tmp_path / "hr")
    assert result.exit_code == 0, result.output
    finding = "1 group of labels differs by case or white space alone, and each is learnt as a label of its own: "
    lines = [line for line in result.stdout.splitlines() if finding in line]
    assert len(lines) == 1
    assert lines[0].endswith('"LEAVE" = "leave"; --merge-case takes each group as one label')
    assert finding in (tmp_path / "hr-report.html").read_text(encoding="utf-8")


def test_only_an_artefact_is_overwritten_and_only_on_request(file, tmp_path):
    (tmp_path / "mine").mkdir()
    result = train(file, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "exists already; name another --output" in result.stderr
    result = train(file, "--output", tmp_path / "mine", "--force")
    assert result.exit_code == 2
    assert "not an artefact, so --force does not replace it" in result.stderr
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        pytest.param("", [], "the file is empty", id="empty"),
        pytest.param("text,label\nhi,a\nho,a\n", [], 'every row has the label "a"', id="one label"),
        pytest.param(
            "text,label\nhi,a\n", ["--label-column", "x"], 'row 1, column "x": there is no such column', id="column"
        ),
        pytest.param('text,label\n"hi,a\n', [], "row 2: a quote is opened and not closed", id="quote"),
        pytest.param("text,label\n=A1,a\n", [], 'row 2, column "text": a spreadsheet formula', id="formula"),
        pytest.param("text,label\n" + "hi,a\nho,b\n", [], "labels have fewer than 5 different texts", id="few"),
        pytest.param(
            "text,label\nhé,a\n".encode() + "grüße,b\n".encode("latin-1"),
            [],
            'row 3, column "text": byte 0xfc is not UTF-8, after 2 characters of the line; save it as UTF-8',
            id="encoding",
        ),
        pytest.param(
            "text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(100_001)),
            [],
            "100,001 different texts; at most 100,000 are fitted",
            id="too many",
        ),
    ],
)
def test_a_bad_file_is_refused_and_nothing_is_written(tmp_path, content, more, message):
    (tmp_path / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    result = train(tmp_path / "bad.csv", "--output", tmp_path / "out", *more)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("sprat: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_a_language_that_the_encoder_does_not_read_is_refused(file, tmp_path):
    result = train(file, "--output", tmp_path / "hr", "--language", "de")
    assert result.exit_code == 2
    assert "--language de: the encoder en-fast reads en" in result.stderr


def test_a_text_outside_that_has_a_label_is_refused(file, tmp_path):
    (tmp_path / "outside.txt").write_text("a joke\nVacation request for May\n")
    result = train(file, "--output", tmp_path / "hr", "--out-of-scope", tmp_path / "outside.txt")
    assert result.exit_code == 2
    assert "outside.txt: row 2:" in result.stderr


def test_the_help_has_examples_and_exit_codes():
    shown = train("--help").output
    assert "sprat train intent" in shown.split("Examples:")[1]
    assert "Exit codes:" in shown
    assert "--json" in shown
    assert "[default: --name, else the first file's name]" in re.sub(r"[│\s]+", " ", shown)


def test_files_are_used_as_a_spreadsheet_writes_them(tmp_path):
    rows = [(text, "Leave" if label == "leave" and place % 3 == 0 else label) for place, (text, label) in ROWS]
    first = tmp_path / "hr.csv"
    lines = [f"{place};{text};{label}" for place, (text, label) in enumerate(rows)]
    first.write_bytes(
        "\r\n".join(["Nr;Anfrage;Kategorie", *lines, "99;;", "100;;für immer", ";;", "", ""]).encode("cp1252")
    )
    corrected = training_files.write(tmp_path / "corrected.csv", [(rows[training_files.WRONG_ROW - 2][0], "leave")])
    bad = tmp_path / "bad.csv"
    result = train(first, corrected, "--output", tmp_path / "hr", "--merge-case", "--skip-bad-rows", bad)
    assert result.exit_code == 0, result.output
    assert "\n! hr.csv is read as Windows-1252" in result.stdout
    html = (tmp_path / "hr-report.html").read_text("utf-8")
    assert "hr.csv: columns that are not read: Nr" in html
    assert "hr.csv: 3 rows have neither text nor label and are skipped" in html
    assert "1 row is left out, because" in html
    assert "1 text has another label in a later file" in html
    assert "für immer" in bad.read_text("utf-8-sig")
    card = load_artefact(tmp_path / "hr").card
    assert card.labels == ("badge", "laptop", "leave", "payroll")
    assert [work.name for work in card.made_of[1:]] == ["hr.csv", "corrected.csv"]
    assert "texts of hr.csv and corrected.csv, each by a head" in card.calibration.fitted_on


def test_rows_that_differ_by_opening_and_ending_alone_are_counted_and_the_test_is_measured_without_them(tmp_path):
    sentences = {
        label: [phrase.format(when) for phrase, when in zip(each, training_files.TIMES, strict=False)]
        for label, each in training_files.PHRASES.items()
    }
    openings = ("", "Hello, ", "Good morning, ", "Could you tell me: ", "Dear team, ")
    endings = ("", ", please", ", thank you")
    around = [(openings[place % 5], endings[place % 3]) for place in range(8)]
    rows = [
        (f"{before}{sentence}{after}", label)
        for label, each in sentences.items()
        for sentence in each
        for before, after in around[:-1]
    ]
    before, after = around[-1]
    doubles = [(f"{before}{each[0]}{after}", label) for label, each in sentences.items()]
    other = ("nobody has paid me", "payroll")
    test = training_files.write(tmp_path / "test.csv", [*doubles, other])
    result = train(training_files.write(tmp_path / "hr.csv", rows), "--output", tmp_path / "hr", "--test", test)
    assert result.exit_code == 0, result.output
    assert "96 of 112 texts repeat another one of their label but for opening, ending, numbers or" in result.stdout
    assert "the figures rest on 16 different sentences" in result.stdout
    assert "4 labels have fewer than 5 different sentences" in result.stdout
    assert re.search(
        r"4 rows of the test repeat texts that are trained on, but for opening or ending: 2, 3, 4, 5 of test\.csv; "
        r"without them "
        r"[\d.]+% \(.*\) of 1 text get their label",
        result.stdout,
    )


def test_the_version_that_is_replaced_is_kept_beside_with_its_report_and_the_way_back_is_named(tmp_path):
    rows = training_files.rows()
    versions, reports = [], []
    for kept, accuracy in ((rows, 0.97), (rows[:-4], 0.97), (rows[:-8], 0.96)):
        file = training_files.write(tmp_path / "hr.csv", kept)
        result = train(file, "--output", tmp_path / "hr", "--force", "--no-lexical", "--accuracy", accuracy)
        assert "asked before" not in result.stdout or accuracy == 0.96
        assert result.exit_code == 0, result.output
        versions.append(load_artefact(tmp_path / "hr").card)
        reports.append((tmp_path / "hr-report.html").read_bytes())
    assert len({card.version for card in versions}) == 3
    before = tmp_path / "hr.previous"
    assert load_artefact(before).card == versions[1]  # one version is kept
    assert (tmp_path / "hr.previous-report.html").read_bytes() == reports[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hr", "hr-report.html", "hr.csv", "hr.previous", "hr.previous-report.html"
    ]  # fmt: skip
    gone, kept = (f"{card.version}, keep_at {card.keep_at:.2f}" for card in versions[:2])
    said = (
        f"{before}: the version before, {kept}; {gone}, which was kept there, is thrown away; back to it, with its "
        f"report:\n  sprat models rollback {tmp_path / 'hr'}\n"
    )
    assert result.stdout.endswith(said)
    before_now = re.search(
        rf"\nbefore → now: keep_at {versions[1].keep_at:.2f} → {versions[2].keep_at:.2f}, "
        r"[\d.]+% → [\d.]+% of the traffic kept; [\d.]+% \(.*\) → [\d.]+% \(.*\) of the texts get their label "
        r"\(the intervals overlap: no difference is shown; 97\.0% asked before, 96\.0% now; a provisional keep_at "
        r"jumps from training to training\)\n",
        result.stdout,
    )
    assert before_now, result.stdout
    again = train(file, "--output", tmp_path / "hr", "--force", "--no-lexical", "--accuracy", "0.96", "--show-texts")
    assert again.stdout.endswith(f"\n{tmp_path / 'hr'}: the same version as before; {before} stays as it is\n")
    assert [load_artefact(each).card for each in (tmp_path / "hr", before)] == [versions[2], versions[1]]
    assert (tmp_path / "hr.previous-report.html").read_bytes() == reports[1]
    assert (tmp_path / "hr-report.html").read_bytes() != reports[2], "now it shows texts"
    fewer = train(file, "--output", tmp_path / "hr", "--force", "--no-lexical", "--outside-label", "badge")
    assert "the labels, and so the texts, are others than before" in fewer.stdout
    assert "others than before" not in result.stdout


def test_a_folder_of_others_is_not_taken_for_the_version_before(file, tmp_path):
    (tmp_path / "hr.previous").mkdir()
    (tmp_path / "hr.previous" / "mine.txt").write_text("x")
    assert train(file, "--output", tmp_path / "hr", "--no-lexical").exit_code == 0
    result = train(file, "--output", tmp_path / "hr", "--no-lexical", "--force")
    assert result.exit_code == 2
    assert "hr.previous: not an artefact, and the version before would be kept there; move it away" in result.stderr
    assert (tmp_path / "hr.previous" / "mine.txt").exists()


def test_the_command_that_sends_a_text_names_the_language_where_another_is_the_default(file, tmp_path, monkeypatch):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "en")
    shipped = [
        "train", "intent", str(file), "--output", str(tmp_path / "hr"), "--language", "de", "--no-lexical",
    ]  # fmt: skip
    result = CliRunner().invoke(app, shipped)
    assert result.exit_code == 0, result.output
    assert 'sprat send "…" --task intent@hr --language de\n' in result.stdout
    assert "the texts look English (en), and the model is trained for de: --language en" in result.stdout


def test_texts_count_as_the_default_language_where_none_is_named(file, tmp_path, monkeypatch):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "de")
    shipped = ["train", "intent", str(file), "--output", str(tmp_path / "hr"), "--no-lexical"]
    result = CliRunner().invoke(app, shipped)
    assert result.exit_code == 0, result.output
    assert load_artefact(tmp_path / "hr").card.languages == ("de",)
    assert result.stderr.startswith("the texts count as de, by SPRAT_DEFAULT_LANGUAGE; --language says otherwise\n")
    assert 'sprat send "…" --task intent@hr\n' in result.stdout
    assert "the texts look English (en), and the model is trained for de: --language en" in result.stdout


def test_of_labels_that_the_texts_do_not_tell_nothing_is_kept_and_no_task_is_begun(tmp_path):
    draws = random.Random(4)
    labels = [labels for _, labels in label_sets.rows()]
    draws.shuffle(labels)
    rows = [("text", "labels"), *((text, of) for (text, _), of in zip(label_sets.rows(), labels, strict=True))]
    file = tmp_path / "topics.csv"
    file.write_text("".join(f"{text},{of}\n" for text, of in rows))
    encoder = ("--encoder", training_files.EN_FAST, "--output", tmp_path / "topics")
    result = CliRunner().invoke(app, [*map(str, ("train", "multi-label", file, *encoder))])
    assert result.exit_code == 0, result.output
    assert load_artefact(tmp_path / "topics").card.keep_at == 1
    first = "correct wrong labels, add texts, and train again"
    assert re.match(
        r"keep_at 1\.00: .*, so nothing is kept\ncheck the texts of the labels that are found least: ", result.stdout
    )
    assert result.stdout.endswith(f"\nnothing is kept, so do not serve it yet: {first}\n")


def test_of_several_labels_a_text_it_is_said_in_few_lines_and_the_rest_is_in_the_json(tmp_path):
    rows = label_sets.rows()
    rows += [(f"{rows[place][0]} ", "badge|laptop") for place in (0, 1)]  # later rows with other labels
    file, test = tmp_path / "topics.csv", tmp_path / "test.csv"
    test.write_text("text,labels\n" + "".join(f"{text} now,{of}\n" for text, of in label_sets.rows()))
    file.write_text("text,labels,Nr\n" + "".join(f"{text},{of},1\n" for text, of in [*rows, ("a rare one", "rare")]))
    options = ("train", "multi-label", file, "--encoder", training_files.EN_FAST, "--test", test, "--drop-small")
    said = CliRunner().invoke(app, [*map(str, options), "--output", str(tmp_path / "topics")])
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert len(lines) <= MOST_LINES
    assert lines[0].startswith("keep_at 0.")
    assert lines[-1].startswith("serve it as a task of your own: sprat task init topics --kind multi_label --artefact ")
    shown = CliRunner().invoke(app, [*map(str, options), "--output", str(tmp_path / "topics-2"), "--json"])
    output = json.loads(shown.stdout)
    assert {*output["dropped_labels"]} == {"rare"}
    assert any("left out, as too few texts have or lack them: rare" in each for each in output["findings"])
    at = [each for each in output["held_out"]["thresholds"] if each["keep_at"] == output["keep_at"]]
    assert [each["kept_share"] for each in at] == [output["held_out"]["kept_share"]]
