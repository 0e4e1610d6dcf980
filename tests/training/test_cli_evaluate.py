"""`sprat evaluate`: a trained model on a user's own rows, its thresholds, and another version beside it."""

import json
import shutil

import pytest

from sprat.base.errors import UserError
from sprat.base.thresholds import THRESHOLDS, read_thresholds
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_training.datasets.record import FILE
from sprat_training.evaluation.decision import Goal
from sprat_training.evaluation.evaluate import evaluate
from sprat_training.evaluation.models import model_of_folder
from sprat_training.thresholds.wording import PARAGRAPH
from support import training_files
from support.evaluating import POLICY, run


@pytest.fixture
def model(folder, tmp_path):
    """Return a copy of the trained model: thresholds are written beside it."""
    shutil.copytree(folder / "hr", tmp_path / "hr")
    (tmp_path / "hr" / THRESHOLDS).unlink(missing_ok=True)
    return tmp_path / "hr"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return a file with rows enough for a certificate at 0.8: each time in many forms, and texts outside."""
    months = ["January", "February", "April", "June", "August", "September", "November", "December"]
    times = [f"{when} {month}" for month in months for when in ("early", "mid", "late", "all of")]
    rows = [
        (phrase.format(time), label) for label, of in training_files.PHRASES.items() for phrase in of for time in times
    ]
    rows += [(f"who won the cup final in {time}", "oos") for time in times]
    return training_files.write(tmp_path_factory.mktemp("many") / "many.csv", rows)


def evaluated(*arguments):
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_what_is_kept_at_the_goal_is_right_as_the_figures_say(model, many):
    found = evaluated(many, "--model", model, "--goal", "0.9")
    assert (found["goal"], found["evidence"], found["served"], found["verdict"]) == (0.9, "estimated", None, None)
    assert (found["rows"], found["outside"]) == (544, 32)
    total, *cells = found["new"]["cells"]
    assert total["rows"] == sum(each["rows"] for each in cells if each["language"] is None) == 544
    assert 0.9 * total["kept"] <= total["right"] <= total["kept"]
    steps = {
        cell["says"]: {step["accuracy"]: step for step in cell["estimated"]} for cell in found["thresholds"]["cells"]
    }
    assert cells[0]["threshold"] == steps["some"][0.9]["threshold"]
    assert found["written"] is None
    assert not (model / THRESHOLDS).exists()


@pytest.mark.parametrize(("keep_at", "of_kept"), [(0.0, 2), (1.0, 0)])
def test_doubted_rows_are_counted_by_reason_and_how_many_count_as_kept(model, tmp_path, keep_at, of_kept):
    rows = [("please do not send a new badge for May", "badge"), ("badge", "badge"), ("is my badge ready", "badge")]
    file = training_files.write(tmp_path / "odd.csv", rows)
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"{POLICY}    models: {{hr: {{keep_at: {keep_at}}}}}\n")
    options = (file, "--model", model, "--policy", policy)
    found = evaluated(*options)
    assert found["rows"] == 3
    assert found["doubted"] == {"rows": 2, "reasons": {"denied": 1, "too_little": 1}, "of_kept": of_kept}
    said = f"doubted: 2 rows (denied 1, too_little 1); {of_kept} of them count as kept here, "
    assert said in run("evaluate", *options).stdout


def test_the_report_begins_with_what_is_kept_and_fits_a_screen(model, many, tmp_path):
    page = tmp_path / "page.html"
    looked = run("evaluate", many, "--model", model, "--goal", "0.8")
    assert "nothing is certified without --write" in looked.stdout, "a certificate that is looked at is an attempt"
    result = run("evaluate", many, "--model", model, "--goal", "0.8", "--html", page, "--write")
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first.startswith("hr at goal 80 % (estimated, on average): ")
    assert len(rest) < 40
    meaning = PARAGRAPH.replace("97 %", "80 %").partition("k of n")[0]
    assert any(line.startswith(meaning) for line in rest), result.stdout
    html = page.read_text("utf-8")
    assert first in html
    assert meaning in html
    assert "<script" not in html


def test_written_thresholds_are_the_models_and_the_same_rows_change_nothing(model, many):
    found = evaluated(many, "--model", model, "--goal", "0.8", "--write")
    card = load_artefact(model).card
    thresholds = read_thresholds(model / THRESHOLDS, model_version=card.version, label_set=card.label_set)
    assert found["written"] == str(model / THRESHOLDS)
    assert found["thresholds"] == thresholds.model_dump(mode="json")
    assert thresholds.certificate.goals == (0.8,)
    assert (thresholds.certificate.attempt, thresholds.certificate.drawn) == (1, "file")
    before = (model / THRESHOLDS).read_bytes()
    again = run("evaluate", many, "--model", model, "--goal", "0.9", "--write")
    assert again.exit_code == 0, again.output
    assert (
        "these rows were measured before, so nothing changes: a goal that is named later needs new rows" in again.stdout
    )
    assert (model / THRESHOLDS).read_bytes() == before


def test_another_attempt_on_a_version_is_counted_and_its_rows_are_judged_by_the_thresholds_so_far(
    model, many, tmp_path
):
    evaluated(many, "--model", model, "--goal", "0.8", "--write")
    lines = many.read_text().splitlines()
    (tmp_path / "more.csv").write_text("\n".join([*lines, "is my badge ready,badge", "the last cup final,oos"]))
    found = evaluated(
        tmp_path / "more.csv", "--model", model, "--goal", "0.8", "--write", "--drawn", "traffic", "--force"
    )
    assert found["served"]["judged"] == "file"
    assert found["served"]["name"] == "so far"
    certificate = found["thresholds"]["certificate"]
    assert (certificate["attempt"], certificate["drawn"]) == (2, "traffic")
    assert [each["attempt"] for each in found["thresholds"]["measurements"]] == [1, 2]


def test_a_certificate_is_not_replaced_by_none_without_force(folder, model, many):
    evaluated(many, "--model", model, "--goal", "0.8", "--write")
    before = (model / THRESHOLDS).read_bytes()
    refused = run("evaluate", folder / "test.csv", "--model", model, "--goal", "0.8", "--write")
    assert refused.exit_code == 2
    assert "these rows certify nothing; --force replaces it all the same" in refused.stderr
    assert (model / THRESHOLDS).read_bytes() == before
    evaluated(folder / "test.csv", "--model", model, "--goal", "0.8", "--write", "--force")
    assert json.loads((model / THRESHOLDS).read_text())["certificate"] is None


def measured_here(model, many):
    """Return an evaluation that is not yet written."""
    return evaluate([many], model_of_folder(model), Goal(0.8), lambda done, total: None)


def test_thresholds_are_not_written_over_those_of_a_measurement_that_ended_meanwhile(folder, model, many):
    slow = measured_here(model, many)
    evaluated(folder / "test.csv", "--model", model, "--goal", "0.8", "--write")
    before = (model / THRESHOLDS).read_bytes()
    with pytest.raises(UserError, match=r"thresholds\.json: was measured anew meanwhile.*evaluate again"):
        slow.write(force=True)
    assert (model / THRESHOLDS).read_bytes() == before


def test_thresholds_are_not_written_beside_a_version_that_was_promoted_meanwhile(folder, model, many):
    slow = measured_here(model, many)
    other = json.loads((model / "card.json").read_text()) | {"keep_at": 0.99}
    write_artefact(model, other)
    with pytest.raises(UserError, match=r"holds version [0-9a-f]+ now, not .* that was evaluated"):
        slow.write(force=True)
    assert not (model / THRESHOLDS).exists()
    shutil.rmtree(model)
    with pytest.raises(UserError):
        slow.write(force=True)
    assert not model.exists(), "no folder is made where a version is being moved"


def test_rows_that_the_model_was_trained_on_are_left_out(folder, model, tmp_path):
    rows = training_files.rows()
    mixed = training_files.write(tmp_path / "mixed.csv", [rows[2], *rows[3::4], rows[4]])
    result = run("evaluate", mixed, "--model", model)
    assert "left out: 2 of 26 texts were trained on by this model (rows 2, 27 of mixed.csv)" in result.stdout
    assert evaluated(mixed, "--model", model)["rows"] == 24
    seen = training_files.write(tmp_path / "seen.csv", [rows[2], rows[4]])
    refused = run("evaluate", seen, "--model", model)
    assert refused.exit_code == 2
    assert "no row is left; take rows that it has not seen" in refused.stderr
    (model / FILE).unlink()
    write_artefact(model, json.loads((model / "card.json").read_text()))
    assert "hr has no training.json: nobody can say whether" in run("evaluate", mixed, "--model", model).stdout


@pytest.mark.parametrize(("column", "value"), [("escalated", "yes"), ("given_at", "2026-12-01")])
def test_corrections_and_escalated_rows_certify_nothing(model, many, tmp_path, column, value):
    lines = many.read_text().splitlines()
    (tmp_path / "picked.csv").write_text(
        "\n".join([f"{lines[0]},{column}", *(f"{line},{value}" for line in lines[1:])])
    )
    found = evaluated(tmp_path / "picked.csv", "--model", model, "--goal", "0.8")
    assert found["thresholds"]["certificate"] is None
    assert "corrections or escalated rows, which certify nothing: 544" in found["notes"]
    assert found["thresholds"]["cells"][0]["estimated"]


def test_without_texts_outside_nothing_is_certified_unless_the_owner_says_that_there_are_none(model, many, tmp_path):
    inside = tmp_path / "inside.csv"
    inside.write_text("\n".join(line for line in many.read_text().splitlines() if not line.endswith(",oos")))
    found = evaluated(inside, "--model", model, "--goal", "0.8")
    assert found["thresholds"]["certificate"] is None
    assert any("no row is outside every label; add such rows" in note for note in found["notes"])
    stated = evaluated(inside, "--model", model, "--goal", "0.8", "--no-outside-texts", "--write")
    assert stated["thresholds"]["certificate"]["no_outside_texts"]


def test_a_column_says_which_texts_are_outside_and_in_which_language(model, tmp_path):
    rows = [("who won the cup", "badge", "en", "yes"), ("my badge is lost", "badge", "en-GB", "")]
    file = tmp_path / "columns.csv"
    file.write_text("\n".join(",".join(row) for row in [("text", "label", "language", "outside"), *rows]))
    assert evaluated(file, "--model", model)["outside"] == 1
    file.write_text(file.read_text().replace("yes", "perhaps"))
    refused = run("evaluate", file, "--model", model)
    assert refused.exit_code == 2
    assert 'row 2, column "outside": write yes or no' in refused.stderr
    file.write_text(file.read_text().replace("perhaps", "").replace("en-GB", "de"))
    assert "the model serves en, not de" in run("evaluate", file, "--model", model).stderr


def test_the_goal_is_that_of_the_policy_and_a_keep_at_there_is_a_fixed_number(model, many, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("tenants: {}\ntasks: {intent: {models: {hr: {goal: 0.85}}}}\n")
    assert evaluated(many, "--model", model, "--policy", policy)["goal"] == 0.85
    policy.write_text(f"{POLICY}    models: {{hr: {{keep_at: 0.0}}}}\n")
    found = evaluated(many, "--model", model, "--policy", policy)
    assert (found["keep_at"], found["new"]["cells"][0]["kept"]) == (0, found["rows"])
    assert evaluated(many, "--model", model)["goal"] == 0.97
    assert evaluated(many, "--model", model, "--policy", policy, "--goal", "0.9")["keep_at"] is None


def test_two_versions_get_one_verdict(model, many, tmp_path):
    """The other version has its labels exchanged, and so is nearly always wrong."""
    other = tmp_path / "hr-2"
    shutil.copytree(model, other)
    card = json.loads((other / "card.json").read_text())
    write_artefact(other, card | {"labels": card["labels"][1:] + card["labels"][:1]})
    found = evaluated(many, "--model", model, "--against", other, "--goal", "0.9")
    assert (found["verdict"], found["new"]["name"], found["served"]["name"]) == ("better", "hr", "hr-2")
    assert found["new"]["judged"] == found["served"]["judged"] == "rows"
    assert found["compared"]["chance"] < 0.01
    assert found["compared"]["low"] > 0
    back = run("evaluate", many, "--model", other, "--against", model, "--goal", "0.9")
    assert back.stdout.startswith("hr-2 is worse than hr at goal 90 % (estimated, on average): kept and right -"), (
        back.output
    )
    written = evaluated(many, "--model", model, "--against", other, "--goal", "0.8", "--write")
    assert written["thresholds"]["certificate"]["also_chose"]


def test_two_versions_with_thresholds_are_judged_by_their_own(model, many, tmp_path):
    other = tmp_path / "later" / "hr"
    shutil.copytree(model, other)
    card = json.loads((other / "card.json").read_text())
    write_artefact(other, card | {"keep_at": 0.5, "keep_at_rule": "another"})
    for folder in (model, other):
        evaluated(many, "--model", folder, "--goal", "0.8", "--write")
    found = evaluated(many, "--model", model, "--against", other, "--goal", "0.8")
    assert found["verdict"] == "not shown"
    assert found["new"]["judged"] == found["served"]["judged"] == "file"
    assert (found["new"]["name"], found["served"]["name"]) == (str(model), str(other))


def test_what_cannot_be_compared_is_refused(model, folder):
    same = run("evaluate", folder / "test.csv", "--model", model, "--against", folder / "hr")
    assert same.exit_code == 2
    assert "are one version, " in same.stderr
    kinds = run("evaluate", folder / "test.csv", "--model", model, "--against", "ner/default")
    assert kinds.exit_code == 2
    assert "are models of different kinds: they cannot be compared" in kinds.stderr


def test_answers_of_a_frontier_say_what_the_routing_gives(folder, model):
    found = evaluated(folder / "test.csv", "--model", model, "--goal", "0.97", "--frontier", folder / "answers.jsonl")
    routed, total = found["routed"], found["new"]["cells"][0]
    assert routed["frontier_right"][0] == 1
    escalated = total["rows"] - total["kept"]
    assert routed["escalated"] == pytest.approx(escalated / total["rows"], abs=1e-4)
    assert routed["right"][0] == pytest.approx((total["right"] + escalated) / total["rows"], abs=1e-4)
    assert routed["eur_per_million"][0] == pytest.approx(200 * escalated / total["rows"], abs=0.01)
    said = run("evaluate", folder / "test.csv", "--model", model, "--frontier", folder / "answers.jsonl")
    assert "with the frontier: " in said.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--goal", "0.973"), "--goal 0.973: goals are 0.80 to 0.995 in steps of 0.005; write 0.97 or 0.975"),
        (("--goal", "0.5"), "write 0.8"),
        (("--frontier", "tiers"), "--frontier tiers sends texts to a provider: name the policy that allows it"),
        (("--frontier", "nowhere.jsonl"), "nowhere.jsonl: there is no such file"),
        (("--html", "/nowhere/page.html"), "/nowhere/page.html: cannot be written"),
        (("--text-column", "subject"), "there is no such column"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(folder, model, monkeypatch, options, said):
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    result = run("evaluate", folder / "test.csv", "--model", model, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_label_that_the_model_does_not_know_is_named_with_its_row_and_can_mean_outside(model, tmp_path):
    file = training_files.write(tmp_path / "odd.csv", [("my badge is lost", "badge"), ("hello", "greeting")] * 3)
    refused = run("evaluate", file, "--model", model)
    assert refused.exit_code == 2
    assert 'odd.csv: row 3: the model has no label "greeting"' in refused.stderr
    assert evaluated(file, "--model", model, "--outside-label", "greeting")["outside"] == 3


def test_a_name_that_is_no_model_is_refused_with_those_that_are(folder):
    result = run("evaluate", folder / "test.csv", "--model", "nobody")
    assert result.exit_code == 2
    assert "nobody: no folder, and no model that is served or shipped here has this name: " in result.stderr
    assert "intent/default" in result.stderr


def test_the_thresholds_of_a_shipped_model_are_written_beside_the_tasks(many, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [("transfer 20 dollars to my savings", "transfer"), ("what is my balance", "balance")] * 5
    file = training_files.write(tmp_path / "bank.csv", rows)
    result = run("evaluate", file, "--model", "intent/en-fast", "--write")
    assert result.exit_code == 0, result.output
    written = tmp_path / "thresholds" / "intent.en-fast.json"
    assert json.loads(written.read_text())["model"] == "en-fast"
    assert "a service reads it where SPRAT_INTENT__THRESHOLDS names it" in result.stdout
