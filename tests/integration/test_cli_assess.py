"""`sprat assess`: a trained model and a frontier model on a user's own texts."""

import asyncio
import json
import re
import shutil
from html import unescape

import pytest
from typer.testing import CliRunner

from sprat.model import Question
from sprat_cli.assess.policy_file import write_keep_at
from sprat_cli.doctor.models import check_policy
from sprat_cli.main import app
from sprat_contracts import EgressRecord, ModelAnnounced, decode
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_inference.platt import Platt
from sprat_intent.model import IntentModel
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun
from sprat_policy import load_policy, load_task_file
from support import frontier_parts as parts
from support import training_files
from support.stream import SECRET, read_all

POLICY = (
    "tenants:\n  default: {frontier: allow, regions: [eu]}\n"
    "tasks:\n  intent:\n    keep_at: 0.75 # as shipped\n    out_of_scope: keep\n"
)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a trained model in `hr` and texts to test it on in `test.csv`."""
    folder = tmp_path_factory.mktemp("assess")
    lines = training_files.rows()
    training_files.write(folder / "hr.csv", lines[::2] + lines[1::4])
    held_out = [*lines[3::4], ("who won the cup final", "oos"), ("what is the capital of Peru", "oos")]
    training_files.write(folder / "test.csv", held_out)
    answers = [json.dumps({"text": text, "label": label, "cost_eur": 0.0002}) for text, label in held_out]
    (folder / "answers.jsonl").write_text("\n".join(answers))
    result = run("train", "intent", folder / "hr.csv", "--output", folder / "hr", "--encoder", training_files.EN_FAST)
    assert result.exit_code == 0, result.output
    return folder


def assess(folder, *arguments, file="test.csv"):
    return run("assess", folder / file, "--model", folder / "hr", *arguments)


def test_all_ways_to_divide_the_work_are_shown_with_intervals_and_pictures(folder, tmp_path):
    page = tmp_path / "page.html"
    result = assess(folder, "--frontier-answers", folder / "answers.jsonl", "--output", page)
    assert result.exit_code == 0, result.output
    assert "small alone" in result.stdout
    assert "frontier alone" in result.stdout
    shares = re.findall(r"keep_at 0\.\d\d.*? ([\d.]+%)", result.stdout)
    assert shares, result.stdout
    assert len(set(shares)) == len(shares)  # one row a strategy
    assert page.read_text().count("<svg") == 2
    note = "2 of 26 texts are outside every label (7.7%), and right where no label is given; they count as they are; "
    assert f"{note}training counts them as 10% of the traffic" in result.stdout
    assert note in page.read_text()
    assert "no policy" not in result.stderr  # nothing is sent


def test_how_many_texts_outside_every_label_are_kept_with_a_label_is_said_at_each_keep_at(folder, tmp_path):
    policy, page = tmp_path / "policy.yaml", tmp_path / "page.html"
    policy.write_text(f"{POLICY}    models: {{hr: {{keep_at: 0.0}}}}\n")
    common = ["--accuracy", "0.9", "--policy", policy, "--output", page]
    found = json.loads(assess(folder, *common, "--json").stdout)
    by = {each["of"]: each for each in found["outside_kept"]}
    assert list(by) == ["chosen", "card", "policy"]
    assert by["chosen"]["keep_at"] == found["keep_at"]
    texts = ("who won the cup final", "what is the capital of Peru")
    answers = IntentModel.load(folder / "hr").answer([Question(text, "en") for text in texts])
    sure = [answer.confidence for answer in answers if answer.output.label is not None]
    for each in by.values():
        assert each["outside"] == 2
        assert each["kept_with_label"] == sum(confidence >= each["keep_at"] for confidence in sure)
    count, (share, low, high) = by["policy"]["kept_with_label"], by["policy"]["share"]
    assert share == count / 2
    assert low <= share <= high
    shown = assess(folder, *common).stdout
    line = next(each for each in shown.splitlines() if each.startswith("kept with a label, which is wrong, of the 2 "))
    assert f"{count} at keep_at 0.00 (that of the policy), {share:.1%} (" in line
    assert (
        f"of the 2 texts outside every label: {by['chosen']['kept_with_label']} at keep_at {found['keep_at']:.2f}"
        in line
    )
    assert line in page.read_text("utf-8")
    training_files.write(tmp_path / "inside.csv", training_files.rows()[3::4])
    inside = run("assess", tmp_path / "inside.csv", "--model", folder / "hr", "--output", page, "--json")
    assert json.loads(inside.stdout)["outside_kept"] == []


def test_rows_that_the_model_was_trained_on_are_named(folder, tmp_path):
    rows = training_files.rows()
    training_files.write(tmp_path / "seen.csv", [rows[3], rows[0], rows[2]])
    more = ["--frontier-accuracy", "1", "--output", tmp_path / "page.html"]
    result = run("assess", tmp_path / "seen.csv", "--model", folder / "hr", *more)
    assert (
        "2 of 3 texts were trained on by this model (rows 3, 4 of seen.csv): these figures are too good"
        in result.stderr
    )
    assert "2 of 3 texts were trained on by this model" in (tmp_path / "page.html").read_text("utf-8")
    assert "trained on by this model" not in assess(folder, *more).output
    assert json.loads(assess(folder, *more, "--json").stdout)["trained_on_rows"] == []


def test_a_keep_at_from_rows_that_the_model_was_trained_on_is_written_only_with_force(folder, tmp_path):
    rows = training_files.rows()
    training_files.write(tmp_path / "seen.csv", [rows[3], rows[0], rows[2]])
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    more = ["--model", folder / "hr", "--frontier-accuracy", "1", "--accuracy", "0.9", "--policy", policy]
    more += ["--write", "--as", "hr", "--output", tmp_path / "page.html"]
    result = run("assess", tmp_path / "seen.csv", *more)
    assert (result.exit_code, policy.read_text()) == (2, POLICY)
    assert "--write: 2 of 3 texts were trained on by this model (rows 3, 4 of seen.csv)" in result.stderr
    assert "or add --force" in result.stderr
    result = run("assess", tmp_path / "seen.csv", *more, "--force")
    assert result.exit_code == 0, result.output
    assert "hr:" in policy.read_text()


@pytest.mark.parametrize(
    ("tenants", "tenant", "denied"),
    [
        ("default: {frontier: deny}", "default", True),
        ("default: {frontier: deny}\n  acme: {frontier: allow, regions: [eu]}", "default", True),
        ("default: {frontier: deny}\n  acme: {frontier: allow, regions: [eu]}", "default2", True),
        ("acme: {frontier: allow, regions: [eu]}", "default", True),  # as the services judge it: "all others: deny"
        ("acme: {frontier: allow, regions: [eu]}", None, True),
        ("acme: {frontier: allow, regions: [eu]}", "acme", False),
        ('"*": {frontier: allow, regions: [eu]}', None, False),
    ],
)
def test_where_the_policy_denies_the_frontier_the_kept_answers_are_judged(folder, tmp_path, tenants, tenant, denied):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"tenants:\n  {tenants}\n")
    more = ["--frontier-accuracy", "1", "--accuracy", "0.9", "--policy", policy]
    more += [] if tenant is None else ["--tenant", tenant]
    result = assess(folder, *more, "--output", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    of = "default (that of texts without one; --tenant judges another)" if tenant in {None, "default"} else tenant
    note = f"policy.yaml denies the frontier to the tenant {of}: what is not kept ends as the small model"
    assert result.output.count(note) == result.stderr.count(note) == denied  # once
    assert (note in (tmp_path / "page.html").read_text()) == denied
    assert ("frontier alone" in result.stdout) != denied
    found = json.loads(assess(folder, *more, "--json", "--output", tmp_path / "page.html").stdout)
    assert found["frontier_denied"] == denied
    chosen = found["routed"][round(found["keep_at"] * 100)]
    if denied:
        assert chosen["right_of_kept"][0] >= 0.9
        assert {each["accuracy"][0] for each in found["routed"]} == {found["small"]["accuracy"][0]}
    else:
        assert chosen["accuracy"][0] >= 0.9


def test_nothing_is_asked_about_the_frontier_where_the_policy_denies_it(folder, tmp_path):
    policy, page = tmp_path / "policy.yaml", tmp_path / "page.html"
    policy.write_text("tenants: {acme: {frontier: allow, regions: [local]}, closed: {frontier: deny}}\n")
    options = ["--policy", policy, "--accuracy", "0.8", "--output", page]
    closed = assess(folder, *options, "--tenant", "closed")
    assert closed.exit_code == 0, closed.output
    (head,) = (line for line in closed.stdout.splitlines() if "RIGHT OF THOSE KEPT" in line)
    assert head.endswith("RIGHT OF THOSE KEPT")
    assert "DEGRADED" in head
    assert "frontier alone" not in closed.stdout
    assert re.search(r"^keep_at 0\.\d\d: .* right, [\d.]+% degraded, ", closed.stdout, re.MULTILINE), closed.stdout
    assert "<th>EUR" not in page.read_text()


def test_options_about_a_frontier_that_the_policy_denies_are_said_to_have_no_effect(folder, tmp_path):
    policy, page = tmp_path / "policy.yaml", tmp_path / "page.html"
    policy.write_text(
        "tenants: {acme: {frontier: allow, regions: [eu]}, shop: {frontier: redact, regions: [eu]}, "
        "closed: {frontier: deny}}\n"
    )
    options = ["--policy", policy, "--accuracy", "0.8", "--output", page]
    assumed = ["--frontier-accuracy", "0.95", "--frontier-eur", "0.0004"]
    said = assess(folder, *options, *assumed)
    assert said.exit_code == 0, said.output
    effect = "--frontier-accuracy and --frontier-eur have no effect: add --tenant acme or --tenant shop, which may"
    assert said.stderr.count(effect) == 1
    assert effect in page.read_text()
    assert "assumed to be right" not in said.stdout + page.read_text()
    answers = assess(folder, *options, "--frontier-answers", folder / "answers.jsonl")
    assert "--frontier-answers has no effect: add --tenant acme" in answers.stderr
    assert "no effect" not in assess(folder, *options).output
    asked = assess(folder, *options, *assumed, "--tenant", "acme")
    assert "no effect" not in asked.output
    assert "assumed to be right 95.0% of the time" in asked.stdout
    policy.write_text("tenants: {closed: {frontier: deny}}\n")
    assert "have no effect: no tenant that it names may send anything" in assess(folder, *options, *assumed).stderr


def test_why_a_cheaper_keep_at_is_not_taken_is_said_also_where_it_is_written(folder, tmp_path):
    """On 25 texts no keep_at shows 90 %, and one below the chosen reaches it."""
    policy, page = tmp_path / "policy.yaml", tmp_path / "page.html"
    policy.write_text(POLICY)
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    options = ["--frontier-answers", folder / "answers.jsonl", "--policy", policy, "--output", page, "--as", "hr"]
    for accuracy in ("0.9", "0.93", "0.95", "0.97"):
        found = json.loads(assess(folder, *options, "--accuracy", accuracy, "--json").stdout)
        if found["recommended"]["least_reached"] is not None:
            break
    else:
        pytest.fail(f"no accuracy is reached by a cheaper keep_at on {len(rows)} texts")
    least = found["recommended"]["least_reached"]
    said = assess(folder, *options, "--accuracy", accuracy, "--write", "--force")
    assert said.exit_code == 0, said.output
    why = (
        rf"^Why not {least['keep_at']:.2f}\? It reaches {float(accuracy):.1%} on these texts \(.*\), but 26 texts show "
    )
    assert re.search(why, said.stdout, re.MULTILINE), said.stdout
    assert f"Why not {least['keep_at']:.2f}?" in page.read_text()
    assert f" is now {found['keep_at']:.2f} (provisional: assess again with more texts), was " in said.stdout


def test_without_a_large_model_the_small_one_is_measured_alone(folder, tmp_path):
    page, policy = tmp_path / "page.html", tmp_path / "policy.yaml"
    policy.write_text("tenants: {acme: {frontier: allow, regions: [local]}}\n")
    for more in ([], ["--policy", policy, "--tenant", "acme"]):
        result = assess(folder, *more, "--accuracy", "0.8", "--output", page)
        assert result.exit_code == 0, result.output
        assert "of the small model alone: nothing is said of a large one" in result.stdout
        assert "of the small model alone" in page.read_text()
        head, alone = (line for line in result.stdout.splitlines() if re.search("ESCALATED|^small alone", line))
        assert re.sub("  +", "|", head.strip()) == "ESCALATED|RIGHT OF THOSE KEPT (95 % INTERVAL)"
        assert re.fullmatch(r"small alone +0\.0% +[\d.]+% \([\d.]+% to [\d.]+%\)", alone.strip())
        assert "frontier alone" not in result.stdout
        assert "no costs are known" not in result.stdout
        said = r"^keep_at 0\.\d\d: [\d.]+% escalated, [\d.]+% \(.*\) right of those kept\. "
        assert re.search(said, result.stdout, re.MULTILINE)
        assert "<svg" not in page.read_text()
    found = json.loads(assess(folder, "--accuracy", "0.8", "--json", "--output", page).stdout)
    assert (found["frontier"], found["frontier_denied"]) == (None, False)
    chosen = found["routed"][round(found["keep_at"] * 100)]
    assert chosen["right_of_kept"][0] >= 0.8
    assert found["small"]["accuracy"][0] > 0
    assert {each["accuracy"] is None for each in found["routed"] if each["escalated"]} == {True}


def test_where_a_keep_at_goes_that_is_not_provisional_is_said_where_it_is_not_written(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    policy, place = tmp_path / "policy.yaml", "tasks.intent.models.hr.keep_at"
    policy.write_text(POLICY)
    options = ["--accuracy", "0.6", "--output", tmp_path / "page.html"]
    measured = assess(folder, *options)
    assert measured.exit_code == 0, measured.output
    last = measured.stdout.splitlines()[-1]
    assert re.match(rf"write 0\.\d\d under {place} in your policy file: it is shown here, ", last), last
    assert last.endswith("; add `--policy FILE --write --as hr` to this command")
    with_policy = assess(folder, *options, "--policy", policy, "--tenant", "default").stdout.splitlines()[-1]
    assert f" under {place} in {policy}: it is shown here, so it goes before the card's, " in with_policy
    assert with_policy.endswith("; add `--write --as hr` to this command")
    assumed = ["--frontier-accuracy", "0.9", *options, "--policy", policy]
    plan = assess(folder, *assumed).stdout.splitlines()[-1]
    rests = (
        r"keep_at 0\.\d\d is a plan, not a measurement: it rests on --frontier-accuracy 0\.9\. Until the frontier is "
    )
    assert re.match(rests, plan), plan
    assert f"To write {plan.split()[1]} under {place} in {policy} all the same, add `--write --as hr`" in plan
    assert policy.read_text() == POLICY
    written = assess(folder, *assumed, "--write", "--as", "hr").stdout
    assert (
        f"{place} is now {plan.split()[1]} (it rests on --frontier-accuracy 0.9, a plan until the frontier" in written
    )
    assert load_policy(policy).task("intent", "hr").keep_at == float(plan.split()[1])


def test_that_another_version_is_served_is_said_before_its_keep_at_is_replaced(folder, tmp_path, monkeypatch):
    served, policy = tmp_path / "served", tmp_path / "policy.yaml"
    shutil.copytree(folder / "hr", served)
    card = json.loads((served / "card.json").read_text())
    write_artefact(served, card | {"limits": ["another version"]})
    policy.write_text(POLICY)
    running = {"intent/hr": str(served)}
    monkeypatch.setattr(local_run, "for_commands", lambda: [LocalRun(1, str(tmp_path), "", models=running)])
    common = ["--policy", policy, "--as", "hr", "--output", tmp_path / "page.html"]
    said = f"this is version {card['version']}; your `sprat up` serves version "
    assert said not in assess(folder, *common).stderr, "nothing is chosen"
    chosen = assess(folder, *common, "--accuracy", "0.6", "--write")
    assert (chosen.exit_code, said in chosen.stderr) == (0, True), chosen.output
    assert "What stands under tasks.intent.models.hr.keep_at holds for that one: write this one's" in chosen.stderr
    not_written = assess(folder, *common, "--accuracy", "0.7").stdout
    assert not_written.splitlines()[-1].endswith(
        "; once this version is served, give --model the folder that it is served from, and add `--write --as hr` to "
        "this command"
    )
    running["intent/hr"] = str(folder / "hr")
    assert said not in assess(folder, *common, "--accuracy", "0.6").stderr


PROVISIONAL = ["--frontier-accuracy", "1", "--accuracy", "0.97"]
WHY = "Provisional: these 26 texts show "


@pytest.fixture
def assess_stricter(folder, tmp_path):
    """Assess a model whose card says 0.99, which was shown, with the policy `policy.yaml`."""
    rule = "the least hundredth at which the answers kept are right, with 95 % confidence"
    model, page = tmp_path / "hr", tmp_path / "page.html"
    shutil.copytree(folder / "hr", model)
    write_artefact(model, json.loads((model / "card.json").read_text()) | {"keep_at": 0.99, "keep_at_rule": rule})
    (tmp_path / "policy.yaml").write_text(POLICY)

    def assess_stricter(*more, policy=("--policy", tmp_path / "policy.yaml", "--as", "hr")):
        return run("assess", folder / "test.csv", "--model", model, "--output", page, *policy, *more)

    return assess_stricter


def test_that_of_the_card_is_written_where_a_lower_one_is_found_and_not_shown(assess_stricter, tmp_path):
    policy, place = tmp_path / "policy.yaml", "tasks.intent.models.hr.keep_at"
    found = assess_stricter(*PROVISIONAL)
    assert (found.exit_code, policy.read_text()) == (0, POLICY), found.output
    assert WHY in found.stdout
    higher = "The keep_at of the card is higher, 0.99. "
    write = f"Write 0.99 under {place}: the card's keep_at is higher than 0.75, which is in force. "
    caution = f"{higher}{write}More texts may show a lower one."
    to_write = f"to write 0.99, the card's, under {place} in {policy}, add `--write --as hr` to this command"
    assert found.stdout.splitlines()[-1] == to_write
    assert found.stdout.count(caution) == 1
    html = (tmp_path / "page.html").read_text("utf-8")
    assert (html.count(caution.replace("'", "&#x27;")), WHY in html) == (1, True), "the report gives the same advice"
    assert ">Found, and not recommended</h2>" in html
    assert ">Recommended</h2>" not in html
    no_policy = assess_stricter(*PROVISIONAL, policy=())
    assert f"{higher}Write 0.99, the card's keep_at, under {place}. More texts may" in no_policy.stdout
    written = assess_stricter(*PROVISIONAL, "--write")
    assert (written.exit_code, load_policy(policy).task("intent", "hr").keep_at) == (0, 0.99), written.output
    now = rf"{place} is now 0\.99 \(that of the card; 0\.\d\d, found here, is lower and provisional\), was not set; "
    assert re.search(now, written.stdout)
    policy.write_text(POLICY)
    as_json = json.loads(assess_stricter(*PROVISIONAL, "--write", "--json").stdout)
    assert (as_json["written"]["now"], as_json["written"]["changed"]) == (0.99, True)


@pytest.mark.parametrize("in_force", ["0.99", "1"])
def test_nothing_is_written_where_one_is_found_that_is_not_shown_and_that_of_the_card_is_in_force(
    assess_stricter, tmp_path, in_force
):
    policy, has_it = tmp_path / "policy.yaml", f"{POLICY}    models: {{hr: {{keep_at: {in_force}}}}}\n"
    policy.write_text(has_it)
    found = assess_stricter(*PROVISIONAL, "--write")
    assert (found.exit_code, policy.read_text()) == (0, has_it), found.output
    not_written = assess_stricter(*PROVISIONAL)
    assert not_written.stdout.splitlines()[-1].startswith("with --write, nothing is written: 0.")
    stays = "It is in force, so there is nothing to do" if in_force == "0.99" else "0.99 may be written under "
    higher = f"The keep_at of the card is higher, 0.99. {stays}"
    assert (higher in found.stdout, WHY in found.stdout, ". More texts may show" in found.stdout) == (True, True, True)
    nothing = (
        r"nothing is written: (0\.\d\d) is provisional and lower than the keep_at of the card, and "
        rf"{float(in_force):.2f} is in force; --force writes \1"
    )
    at = re.search(nothing, found.stdout)[1]
    as_json = assess_stricter(*PROVISIONAL, "--write", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["written"]) == (0, None)
    assert re.search(nothing, as_json.stderr)
    forced = assess_stricter(*PROVISIONAL, "--write", "--force")
    assert (forced.exit_code, load_policy(policy).task("intent", "hr").keep_at) == (0, float(at)), forced.output
    assert f"tasks.intent.models.hr.keep_at is now {at}" in forced.stdout
    lower = f"\n{at} is lower than 0.99, that of the card, which is for 97.0% of the kept answers right; here "
    assert lower in forced.stdout
    of_all = "; --accuracy is of all answers, the frontier's included\n"
    assert f" of those kept are right{of_all}" in forced.stdout


@pytest.mark.parametrize("in_force", ["", "    models: {hr: {keep_at: 0.99}}\n"], ids=["lower", "the card's"])
def test_that_of_the_card_is_not_written_where_the_frontier_gets_fewer_right_than_what_is_kept(
    assess_stricter, tmp_path, in_force
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + in_force)
    worse = ["--frontier-accuracy", "0.5", "--accuracy", "0.62"]
    found = assess_stricter(*worse)
    assert found.exit_code == 0, found.output
    said = re.search(
        r"The keep_at of the card is higher, 0\.99, but at 0\.99 only [\d.]+% of all answers are right here, less than "
        r"the 62\.0% asked for, and [\d.]+% at (0\.\d\d): the frontier gets fewer right than what is kept\. So neither "
        r"is shown: assess with more texts, or write \1 all the same, with --write --force\.",
        found.stdout,
    )
    assert said is not None, found.stdout
    last = found.stdout.splitlines()[-1]
    assert last.startswith(f"with --write, nothing is written: {said[1]} is provisional, and at 0.99 only ")
    written = assess_stricter(*worse, "--write")
    assert (written.exit_code, policy.read_text()) == (0, POLICY + in_force), written.output
    forced = assess_stricter(*worse, "--write", "--force")
    assert (forced.exit_code, load_policy(policy).task("intent", "hr").keep_at) == (0, float(said[1])), forced.output


@pytest.mark.parametrize("in_force", ["", "    models: {hr: {keep_at: 0.99}}\n"], ids=["lower", "the card's"])
def test_a_budget_writes_neither_one_that_is_not_shown_nor_one_that_may_cost_more(assess_stricter, tmp_path, in_force):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + in_force)
    budget = ["--frontier-accuracy", "1", "--frontier-eur", "0.001", "--budget", "100EUR/1M", "--write"]
    found = assess_stricter(*budget)
    assert (found.exit_code, policy.read_text()) == (0, POLICY + in_force), found.output
    assert "a budget asks for no accuracy, and none is shown. The keep_at of the card is higher, 0.99" in found.stdout
    assert "and 0.99, the card's, may cost more than the budget; --force writes" in found.stdout
    forced = assess_stricter(*budget, "--force")
    assert (forced.exit_code, policy.read_text() == POLICY + in_force) == (0, False), forced.output


def test_a_file_that_differs_from_the_held_out_texts_by_more_than_chance_is_said_to(folder, tmp_path):
    page, lines = tmp_path / "page.html", training_files.rows()[3::4]
    labels = sorted({label for _, label in lines})
    wrong = [(text, labels[labels.index(label) - 1]) for text, label in lines]
    outside = [(f"who won cup final number {number}", "oos") for number in range(100)]
    for name, rows in (("wrong.csv", wrong), ("outside.csv", wrong + outside)):
        training_files.write(tmp_path / name, rows)
    scores = {score.name: score.value for score in load_artefact(folder / "hr").card.scores}

    def on(file, *more):
        result = assess(folder, "--output", page, *more, file=file)
        assert result.exit_code == 0, result.output
        return result

    found = json.loads(on(tmp_path / "wrong.csv", "--json").stdout)["beside_held_out"]
    assert found["right_held_out"] == [scores[f"cross_validated_accuracy{end}"] for end in ("", "_low", "_high")]
    assert found["right"][2] < found["right_held_out"][1]
    assert found["differs"]
    with_outside = json.loads(on(tmp_path / "outside.csv", "--json").stdout)["beside_held_out"]
    assert with_outside == found, "the training counts texts with a label alone"
    said = on(tmp_path / "wrong.csv").stderr
    figures = rf"{found['right'][0]:.1%} \(.*\) of {len(wrong)} texts with a label get it if all are kept, "
    assert re.search(rf"{figures}{found['right_held_out'][0]:.1%} \(.*\) at the training: more of the held-out", said)
    why = (
        "more of the held-out texts is right than of wrong.csv, by more than chance: wrong.csv's texts are harder, or "
        "unlike those that were trained on, or have wrong labels; count on the lower figure unless these are new texts "
        "of your traffic"
    )
    assert why in said
    assert why in unescape(page.read_text())
    same = on("test.csv")
    assert "by more than chance" not in same.output


def test_the_report_of_one_model_does_not_replace_that_of_another(folder, tmp_path):
    shutil.copytree(folder / "hr", tmp_path / "other")
    shutil.copy(folder / "test.csv", tmp_path)
    for model in (folder / "hr", tmp_path / "other"):
        result = run("assess", tmp_path / "test.csv", "--model", model)
        assert result.exit_code == 0, result.output
        assert f"{tmp_path / f'test-{model.name}-assessment.html'}: the report" in result.stdout
    assert len(list(tmp_path.glob("*.html"))) == 2


def test_what_the_card_and_the_policy_keep_is_shown_beside(folder, tmp_path):
    policy, page = tmp_path / "policy.yaml", tmp_path / "page.html"
    policy.write_text(f"{POLICY}    models: {{hr: {{keep_at: 0.725}}}}\n")
    common = ["--frontier-accuracy", "0.98", "--output", page]
    card = load_artefact(folder / "hr").card.keep_at
    shown = assess(folder, *common, "--policy", policy)
    assert shown.exit_code == 0, shown.output
    for who, at in (("card", f"{card:.2f}"), ("policy", "0.725")):
        assert re.search(rf"^keep_at .*\b{who} {at}\b.*\) +\d+\.\d%", shown.stdout, re.MULTILINE), shown.stdout
        assert f"{who} {at}" in page.read_text()
    found = json.loads(assess(folder, *common, "--policy", policy, "--json").stdout)["named"]
    assert [(each["of"], each["keep_at"]) for each in found] == [("card", card), ("policy", 0.725)]
    assert "policy" not in assess(folder, *common).stdout
    of_task = json.loads(assess(folder, *common, "--policy", policy, "--as", "other", "--json").stdout)["named"]
    assert of_task[1]["keep_at"] == 0.75


def test_what_the_lexical_stage_answers_is_shown_and_how_often_it_is_right(folder, tmp_path):
    shipped = [
        ("how do i freeze my account", "freeze_account"),
        ("what is my balance", "balance"),
        ("tell me a joke", "balance"),  # labelled wrongly: the stage answers tell_joke
        ("what is the capital of Peru", "oos"),
    ]
    file, page = training_files.write(tmp_path / "few.csv", shipped), tmp_path / "page.html"
    options = ["--model", training_files.EN_FAST, "--frontier-accuracy", "1", "--output", page]
    found = json.loads(run("assess", file, *options, "--json").stdout)["by_words"]
    assert found["share"] == 0.75
    assert found["accuracy"][0] == pytest.approx(2 / 3, abs=1e-4)
    said = "by words: the lexical stage answered 75.0% of them without the encoder, 66.7% ("
    assert said in run("assess", file, *options).stdout
    assert said in page.read_text()
    assert json.loads(assess(folder, *options[2:], "--json").stdout)["by_words"] is None


def test_the_cheapest_keep_at_for_an_accuracy_is_written_into_the_policy(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    options = ["--accuracy", "0.97", "--policy", policy, "--write", "--as", "hr", "--output", tmp_path / "page.html"]
    result = assess(folder, "--frontier-answers", folder / "answers.jsonl", *options, "--json")
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    chosen = output["routed"][round(output["keep_at"] * 100)]
    assert chosen["accuracy"][0] >= 0.97
    assert chosen["eur_per_million"][0] <= output["frontier"]["eur_per_million"][0] == pytest.approx(200)
    assert load_policy(policy).task("intent", "hr").keep_at == output["keep_at"]
    assert "lower than" not in result.stdout
    shown = "" if output["recommended"]["is_shown"] else ", provisional"
    of = f"# sprat assess: version {load_artefact(folder / 'hr').card.version}, --accuracy 0.97{shown}"
    own = f"    models:\n      hr:\n        keep_at: {output['keep_at']:.2f}  {of}\n"
    assert sorted(policy.read_text().splitlines()) == sorted((POLICY + own).splitlines())
    field = "tasks.intent.models.hr.keep_at"
    assert output["written"] == {
        "file": str(policy),
        "field": field,
        "now": output["keep_at"],
        "was": None,
        "changed": True,
    }
    written = policy.read_bytes()
    same = assess(folder, "--frontier-answers", folder / "answers.jsonl", *options)
    assert f"{field} is {output['keep_at']:.2f} already; nothing is changed" in same.stdout
    assert "restart" not in same.stdout
    assert policy.read_bytes() == written
    assess(folder, "--frontier-accuracy", "1", "--frontier-eur", "0.001", *options)
    again = json.loads(assess(folder, "--frontier-answers", folder / "answers.jsonl", *options, "--json").stdout)
    assert again["written"]["was"] is not None


def test_what_it_wrote_is_known_to_doctor_as_shown_for_this_version_alone(assess_stricter, tmp_path):
    policy, model = tmp_path / "policy.yaml", tmp_path / "hr"
    written = assess_stricter("--accuracy", "0.5", "--write")
    assert written.exit_code == 0, written.output

    def fixes():
        card = load_artefact(model).card
        advised = {"keep_at": card.keep_at, "keep_at_rule": card.keep_at_rule}
        announced = ModelAnnounced(task="intent", model="hr", version=card.version, owns_from=1, card=advised)
        return [check.fix for check in check_policy(load_policy(policy), [announced])]

    before, keep_at = load_artefact(model).card, load_policy(policy).task("intent", "hr").keep_at
    assert fixes() == [], written.stdout
    write_artefact(model, json.loads((model / "card.json").read_text()) | {"limits": ["another version"]})
    after = load_artefact(model).card.version
    (said,) = fixes()
    assert said.startswith(
        f"{keep_at:.2f}, which is in force, was found for version {before.version}, not for {after}: `sprat assess "
        "FILE --model DIR --accuracy 0.5 --write --as hr` finds its own; until then, write 0.99 under "
    )
    noted = f"keep_at {keep_at:.2f} is in force already, for version {before.version}; to note it for this one, add `"
    assert noted in assess_stricter("--accuracy", "0.5").stdout
    again = assess_stricter("--accuracy", "0.5", "--write").stdout
    assert f"is {keep_at:.2f} already; the comment behind it names this version now" in again
    assert fixes() == []


def test_one_that_was_shown_for_this_version_is_not_replaced_where_fewer_texts_show_less(assess_stricter, tmp_path):
    policy, version = tmp_path / "policy.yaml", load_artefact(tmp_path / "hr").card.version

    def written(of):
        of_hr = f"    models:\n      hr:\n        keep_at: 0.95  # sprat assess: version {version}, --accuracy {of}\n"
        policy.write_text(POLICY + of_hr)
        before, result = policy.read_text(), assess_stricter(*PROVISIONAL, "--write")
        assert result.exit_code == 0, result.output
        return result.stdout, policy.read_text() == before

    said, is_left = written("0.99")
    assert is_left, said
    assert f"0.95 is in force, shown for this version (version {version}, --accuracy 0.99), so there is nothing" in said
    assert "0.95 is in force, shown for this version; --force writes" in said
    said, is_left = written("0.5")
    assert not is_left, "a lower accuracy was asked for then"
    assert " is now 0.99 (that of the card; " in said


def test_a_comment_does_not_call_shown_what_rests_on_an_assumption_or_on_texts_of_the_training(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    options = ["--accuracy", "0.5", "--policy", policy, "--write", "--as", "hr", "--output", tmp_path / "page.html"]

    def source(file, *more):
        policy.write_text(POLICY)
        result = assess(folder, *options, *more, file=file)
        assert result.exit_code == 0, result.output
        return load_policy(policy).task("intent", "hr").keep_at_source("hr")

    version = load_artefact(folder / "hr").card.version
    assert source("test.csv").shows(version)
    assert source("test.csv", "--frontier-accuracy", "0.98").but == "a plan by --frontier-accuracy 0.98"
    assert source("hr.csv", "--force").but == "on texts of its training"


def test_the_policy_of_the_folder_is_written_as_one_that_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    (tmp_path / ".env").write_text("SPRAT_POLICY=policy.yaml\n")
    result = assess(folder, "--accuracy", "0.9", "--write", "--force", "--as", "hr", "--output", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    written = load_policy(policy).tasks.intent.models["hr"].keep_at
    assert f"policy.yaml: tasks.intent.models.hr.keep_at is now {written:.2f}" in result.stdout


@pytest.fixture
def beside(folder, tmp_path, monkeypatch):
    """Return a model as `models add --task mood` writes it, a policy, and the file of the task, whose model is `hr`."""
    monkeypatch.delenv("SPRAT_TASKS", raising=False)
    model, policy, file = tmp_path / "mood-80", tmp_path / "policy.yaml", tmp_path / "tasks" / "mood.yaml"
    shutil.copytree(folder / "hr", model)
    card = json.loads((model / "card.json").read_text())
    write_artefact(model, card | {"task": "mood", "name": "mood-bert"})
    policy.write_text(POLICY)
    file.parent.mkdir()
    labels = "{badge: , laptop: , leave: , payroll: }"
    file.write_text(f"kind: classification\nlabels: {labels}\nartefact: {folder / 'hr'}\nkeep_at: 0.61\n")
    return model, policy, file


def test_a_model_beside_that_of_a_task_is_measured_and_written_there(folder, beside, tmp_path):
    """As `sprat up --model mood/mood-bert=mood-80` serves it."""
    model, policy, file = beside
    file.write_text(f"{file.read_text()}models:\n  mood-bert:\n    keep_at: 0.66  # ours\n")
    common = ["assess", folder / "test.csv", "--model", model, "--policy", policy, "--output", tmp_path / "page.html"]
    alone = run(*common)
    assert alone.exit_code == 0, alone.output
    assert f"measured as the task mood, that of the card of {model}" in alone.stderr
    assert "model: mood/mood-bert, version " in alone.stdout
    assert re.search(r"^keep_at .*\btask 0\.66\b", alone.stdout, re.MULTILINE), alone.stdout
    assert "policy 0." not in alone.stdout
    named = run(*common, "--task", "mood", "--json")
    assert {each["of"]: each["keep_at"] for each in json.loads(named.stdout)["named"]}["task"] == 0.66
    found = run(*common, "--accuracy", "0.9", "--write", "--force", "--as", "mood-bert", "--json")
    assert found.exit_code == 0, found.output
    written = json.loads(found.stdout)["written"]
    assert (written["file"], written["field"], written["was"]) == (str(file), "models.mood-bert.keep_at", 0.66)
    tasks = load_task_file(file)
    assert (tasks.keep_at, tasks.of("mood-bert").keep_at) == (0.61, pytest.approx(written["now"], abs=0.005))
    assert policy.read_text() == POLICY


def test_a_keep_at_of_a_model_beside_that_of_a_task_is_written_only_by_its_name(folder, beside, tmp_path):
    model, policy, file = beside
    before = file.read_text()
    common = ["assess", folder / "test.csv", "--model", model, "--policy", policy, "--output", tmp_path / "page.html"]
    writes = [*common, "--accuracy", "0.9", "--write", "--force"]
    unnamed = run(*writes)
    assert unnamed.exit_code == 2
    assert "mood.yaml does not name this model as its artefact" in unnamed.stderr
    assert "add --as mood-bert to write models.mood-bert.keep_at" in unnamed.stderr
    other = run(*writes, "--as", "mood-bert", "--task", "intent")
    assert other.exit_code == 2
    assert "says that the model is for the task mood; nothing is written for another one" in other.stderr
    assert (file.read_text(), policy.read_text()) == (before, POLICY)


def test_that_of_the_card_is_written_into_the_file_of_the_task(folder, beside, tmp_path):
    model, policy, file = beside
    card = json.loads((model / "card.json").read_text())
    write_artefact(model, card | {"keep_at": 0.99})
    common = ["assess", folder / "test.csv", "--model", model, "--policy", policy, "--output", tmp_path / "page.html"]
    written = run(*common, "--accuracy", "0.9", "--write", "--as", "mood-bert")
    assert written.exit_code == 0, written.output
    assert f"Write 0.99 under models.mood-bert.keep_at in {file}: the card's keep_at is higher" in written.stdout
    assert f"{file}: models.mood-bert.keep_at is now 0.99 (that of the card; " in written.stdout
    assert load_task_file(file).of("mood-bert").keep_at == 0.99


@pytest.mark.parametrize(
    ("policy", "named", "message"),
    [
        (
            POLICY,
            "hr",
            "tasks.intent.keep_at holds for the shipped model, too; add --as hr to write tasks.intent.models.",
        ),
        (f"{POLICY}    models: {{hr: {{keep_at: 0.5}}}}\n", "hr", "has a section for it; add --as hr to write"),
        (f"{POLICY}    models: {{default: {{keep_at: 0.5}}}}\n", "default", "add --as default to write tasks.intent"),
    ],
)
def test_a_keep_at_is_not_written_for_other_models_than_the_one_assessed(folder, tmp_path, policy, named, message):
    (tmp_path / "policy.yaml").write_text(policy)
    model = folder / "hr"
    if named == "default":
        shipped = ["--output", tmp_path / "shipped", "--name", "default", "--encoder", training_files.EN_FAST]
        assert run("train", "intent", folder / "hr.csv", *shipped).exit_code == 0
        model = tmp_path / "shipped"
    options = [
        "--accuracy",
        "0.97",
        "--policy",
        tmp_path / "policy.yaml",
        "--write",
        "--output",
        tmp_path / "page.html",
    ]
    result = run("assess", folder / "test.csv", "--model", model, "--frontier-accuracy", "1", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert (tmp_path / "policy.yaml").read_text() == policy


def test_the_shipped_models_keep_at_is_the_tasks(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    named = ["--output", tmp_path / "shipped", "--name", "default", "--encoder", training_files.EN_FAST]
    assert run("train", "intent", folder / "hr.csv", *named).exit_code == 0
    options = ["--accuracy", "0.97", "--policy", policy, "--write", "--output", tmp_path / "page.html", "--json"]
    result = run("assess", folder / "test.csv", "--model", tmp_path / "shipped", "--frontier-accuracy", "1", *options)
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    assert output["written"] == {
        "file": str(policy),
        "field": "tasks.intent.keep_at",
        "now": output["keep_at"],
        "was": 0.75,
        "changed": output["keep_at"] != 0.75,
    }
    assert policy.read_text() == POLICY.replace("0.75", f"{output['keep_at']:.2f}")


def test_without_costs_the_share_escalated_decides_and_the_output_says_so(folder, tmp_path):
    page = tmp_path / "page.html"
    common = ["--frontier-accuracy", "1", "--accuracy", "0.5", "--output", page]
    result = assess(folder, *common)
    assert result.exit_code == 0, result.output
    assert "no costs are known: the share escalated decides\n" in result.stdout
    assert "no costs are known: the share escalated decides" in page.read_text()
    output = json.loads(assess(folder, *common, "--json").stdout)
    assert output["costs_known"] is False
    assert output["recommended"]["is_shown"] >= 0.5
    chosen = output["routed"][round(output["keep_at"] * 100)]["escalated"]
    assert all(each["escalated"] <= chosen for each in output["routed"] if each["keep_at"] <= output["keep_at"])
    assert "no costs are known" not in assess(folder, *common, "--frontier-eur", "0.001").stdout


def test_a_lower_accuracy_gives_no_stricter_keep_at_and_what_few_texts_do_not_show_is_provisional(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("tenants: {default: {frontier: deny}}\n")
    options = ["--frontier-accuracy", "0.98", "--output", tmp_path / "page.html", "--policy", policy]
    shown = [assess(folder, *options, "--accuracy", accuracy).stdout for accuracy in ("0.6", "0.75", "0.9", "0.97")]
    found = [re.findall(r"^keep_at (0\.\d\d): ", each, re.MULTILINE) for each in shown]
    assert [len(each) for each in found] == [1, 1, 1, 1], shown
    assert found == sorted(found)
    assert "The least from 0.50 on at which 60.0% right is shown with 95 % confidence" in shown[0]
    provisional = r"Provisional: the \d+ kept texts show \d\d\.\d% with 95 % confidence; to show 97\.0% takes "
    assert re.search(provisional, shown[-1])
    of_card = load_artefact(folder / "hr").card.keep_at
    stays = f"The keep_at of the card is higher, {of_card:.2f}: "
    assert [stays in each for each in shown[:1]] == [False]  # it is shown
    assert (stays in shown[-1]) == (float(found[-1][0]) < of_card)
    assert re.search(provisional, (tmp_path / "page.html").read_text())


def test_answers_are_read_by_the_columns_that_were_named_where_they_have_them(folder, tmp_path):
    lines = training_files.rows()[3::4]
    own = training_files.write(tmp_path / "own.csv", [("x", "y"), *lines], names=("Frage", "Thema"))
    own.write_text("".join(f"1,{line}" for line in own.read_text().splitlines(keepends=True) if line != "x,y\n"))
    alike = tmp_path / "alike.csv"
    alike.write_text(own.read_text().replace("1,Frage,Thema", "nr,Frage,Thema"))
    others = training_files.write(tmp_path / "others.csv", lines)
    named = ["--text-column", "Frage", "--label-column", "Thema", "--output", tmp_path / "page.html", "--json"]
    for answers in (own, alike, others):
        result = run("assess", own, "--model", folder / "hr", "--frontier-answers", answers, *named)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["frontier"]["accuracy"][0] == 1


@pytest.mark.parametrize(("name", "end"), [("answers.csv", ","), ("answers.tsv", "\t")])
def test_costs_stand_in_a_column_of_a_table_too(folder, tmp_path, name, end):
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    costs = ["", "3E-04", *["0.0002"] * (len(rows) - 2)]
    lines = [end.join((row["text"], cost, row["label"])) for row, cost in zip(rows, costs, strict=True)]
    answers = tmp_path / name
    answers.write_text("\n".join([end.join(("text", "Cost_EUR", "label")), *lines]))
    more = ["--frontier-eur", "0.0001", "--output", tmp_path / "page.html", "--json"]
    result = assess(folder, "--frontier-answers", answers, *more)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frontier"]["eur_per_million"][0] == pytest.approx(200)
    for wrong in ("cheap", "0;1", "-1", "nan", "1_0"):
        answers.write_text(
            "\n".join([end.join(("text", "cost_eur", "label")), lines[0], lines[1].replace("3E-04", wrong)])
        )
        result = assess(folder, "--frontier-answers", answers, *more)
        assert result.exit_code == 2
        assert 'row 3, column "cost_eur": not an amount of euros; write a number, with a point' in result.stderr


def test_a_table_with_semicolons_may_have_decimal_commas_as_a_german_excel_writes_it(folder, tmp_path):
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    costs = ["0,0001", "0.0003", ",0002", *["2E-4"] * (len(rows) - 3)]
    lines = [f'"{row["text"]}";{row["label"]};{cost}' for row, cost in zip(rows, costs, strict=True)]
    answers, more = tmp_path / "answers.csv", ["--output", tmp_path / "page.html", "--json"]
    answers.write_bytes("\r\n".join(["text;label;cost_eur", *lines, ""]).encode("cp1252"))
    result = assess(folder, "--frontier-answers", answers, *more)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frontier"]["eur_per_million"][0] == pytest.approx(200)
    for wrong in ("1.000,50", "0,000,1", "0,0004 EUR"):
        answers.write_text("\n".join(["text;label;cost_eur", lines[0].replace("0,0001", wrong), *lines[1:]]))
        result = assess(folder, "--frontier-answers", answers, *more)
        assert result.exit_code == 2
        assert "not an amount of euros; write a number, with a point or a comma, as 0.0003" in result.stderr


def test_a_budget_is_kept(folder, tmp_path):
    options = ["--frontier-accuracy", "1", "--frontier-eur", "0.001", "--budget", "100EUR/1M", "--json"]
    output = json.loads(assess(folder, *options, "--output", tmp_path / "page.html").stdout)
    assert output["routed"][round(output["keep_at"] * 100)]["eur_per_million"][0] <= 100


def test_a_policy_that_escalates_what_is_outside_costs_more(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("keep\n", "escalate\n"))
    common = ["--frontier-accuracy", "1", "--json", "--output", tmp_path / "page.html"]
    kept, escalated = (json.loads(assess(folder, *common, *more).stdout) for more in ([], ["--policy", policy]))
    assert escalated["routed"][0]["escalated"] > kept["routed"][0]["escalated"] == 0


FRONTIER_POLICY = """
tenants:
  acme: {frontier: allow, regions: [local]}
  closed: {frontier: deny}
  abroad: {frontier: redact, regions: [eu]}
perimeter:
  terms: [{type: PROJECT, words: [Blue Heron]}]
  patterns: [{type: CASE, pattern: "HR-[0-9]{4}"}]
"""


@pytest.fixture
def asking(folder, tmp_path):
    """Run `assess --frontier` on two texts; return the result and the bodies that the provider received."""
    policy = tmp_path / "frontier.yaml"
    policy.write_text(FRONTIER_POLICY)
    texts = [("my badge is lost, call Anna Schmidt of Blue Heron", "badge"), ("HR-1234: time off in May", "leave")]
    training_files.write(tmp_path / "few.csv", texts)

    def asking(*arguments, policy=policy, region=("--frontier-region", "local")):
        with parts.simulator() as simulated:
            more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1", *region]
            more += [] if policy is None else ["--policy", policy]
            page = ["--output", tmp_path / "page.html", "--json"]
            result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", *more, *page, *arguments)
            return result, simulated.bodies

    return asking


def test_the_policys_own_terms_and_patterns_do_not_reach_the_provider(asking):
    result, bodies = asking("--tenant", "acme")
    assert result.exit_code == 0, result.output
    assert len(bodies) == 2
    assert [word for word in ("Heron", "HR-1234", "Schmidt") if any(word in body for body in bodies)] == []
    assert "2 texts to send to http://" in result.stderr
    assert "no egress records" in result.stderr
    masked = (
        "masked by the policy of acme, which lets the frontier service send them whole: `sprat assess` always masks"
    )
    assert masked in result.stderr


@pytest.mark.parametrize(
    ("more", "tenant", "said"),
    [
        ("  careful: {frontier: redact, regions: [local]}\n", "careful", "masked by the policy of careful; no broker"),
        ("inside: [127.0.0.1]\n", "acme", "masked by the policy of acme, although that host is inside the house: "),
    ],
)
def test_how_the_texts_are_sent_is_said(asking, tmp_path, more, tenant, said):
    policy = tmp_path / "more.yaml"
    rules = FRONTIER_POLICY.replace("perimeter:", f"{more}perimeter:")
    policy.write_text(rules)
    result, bodies = asking("--tenant", tenant, policy=policy)
    assert result.exit_code == 0, result.output
    assert said in result.stderr
    assert len(bodies) == 2
    assert [word for word in ("Heron", "HR-1234", "Schmidt") if any(word in body for body in bodies)] == []


def test_what_a_simulator_cost_is_called_simulated(folder, tmp_path):
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    training_files.write(tmp_path / "few.csv", [("my badge is lost", "badge"), ("time off in May", "leave")])
    with parts.simulator() as simulated:
        more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1"]
        own = ["--policy", tmp_path / "policy.yaml", "--tenant", "acme", "--frontier-region", "local"]
        page = tmp_path / "page.html"
        result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", *more, *own, "--output", page)
    said = "2 texts went to a simulator: what they cost is simulated"
    assert (said in result.stdout, said in page.read_text("utf-8")) == (True, True), result.output


@pytest.mark.parametrize(
    ("tenant", "message"),
    [("closed", "nothing may leave: the policy lets nothing of the tenant closed leave"),
     ("nobody", 'nothing may leave: the policy has no entry for the tenant nobody, nor "*" for all others'),
     ("abroad", "nothing may leave: the policy lets nothing of the tenant abroad go to the region local")],
)  # fmt: skip
def test_a_tenant_whose_policy_lets_nothing_leave_is_refused(asking, tenant, message):
    result, bodies = asking("--tenant", tenant)
    assert result.exit_code == 2
    assert message in result.stderr
    assert bodies == []


def test_without_a_policy_or_a_region_nothing_is_asked(asking):
    for changes, message in (
        ({"policy": None}, "--frontier sends texts to a provider: it needs --policy FILE"),
        ({"region": ()}, "--frontier needs --frontier-region NAME"),
    ):
        result, bodies = asking("--tenant", "acme", **changes)
        assert result.exit_code == 2
        assert message in result.stderr
        assert bodies == []


async def test_with_a_broker_each_call_has_an_attempt_and_an_outcome_on_the_audit_topic(
    asking, kafka, topics, monkeypatch
):
    monkeypatch.setenv("SPRAT_SECRET", SECRET)
    monkeypatch.setenv("SPRAT_AUDIT__KEY", parts.KEY.der_base64)
    given = ["--tenant", "acme", "--bootstrap", kafka.bootstrap, "--prefix", topics.prefix]
    result, bodies = await asyncio.to_thread(asking, *given)
    assert result.exit_code == 0, result.output
    assert len(bodies) == 2
    records = [decode(record, EgressRecord).message for record in await read_all(kafka.bootstrap, topics.egress)]
    calls = {record.call_id for record in records}
    ends = {(record.call_id, record.phase, record.outcome) for record in records}
    expected = {(call, *end) for call in calls for end in (("attempt", None), ("outcome", "answered"))}
    assert (len(records), len(calls), ends) == (4, 2, expected)
    assert {(record.tenant, record.region, record.provider) for record in records} == {("acme", "local", "127.0.0.1")}
    masked = [dict(record.masked) for record in records if record.phase == "attempt"]
    assert {"CASE": 1} in masked


def test_a_broker_without_the_services_secret_is_refused(asking, monkeypatch):
    monkeypatch.delenv("SPRAT_SECRET", raising=False)
    result, bodies = asking("--tenant", "acme", "--bootstrap", "127.0.0.1:9")
    assert result.exit_code == 2
    assert "SPRAT_SECRET is missing or too short" in result.stderr
    assert bodies == []


def test_nothing_is_sent_while_the_egress_records_cannot_be_written(asking, monkeypatch):
    monkeypatch.setenv("SPRAT_SECRET", SECRET)
    monkeypatch.setenv("SPRAT_AUDIT__KEY", parts.KEY.der_base64)
    result, bodies = asking("--tenant", "acme", "--bootstrap", "127.0.0.1:9")
    assert result.exit_code == 2
    assert "Kafka at 127.0.0.1:9 cannot be reached" in result.stderr
    assert bodies == []


def test_the_frontier_is_asked_with_personal_data_masked_and_its_answers_are_saved(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(FRONTIER_POLICY)
    own = ["--policy", policy, "--tenant", "acme", "--frontier-region", "local"]
    training_files.write(
        tmp_path / "few.csv", [("my badge is lost, call Anna Schmidt", "badge"), ("time off in May", "leave")]
    )
    with parts.simulator() as simulated:
        more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1", *own]
        keep = ["--save-answers", tmp_path / "answers.jsonl", "--output", tmp_path / "page.html", "--json"]
        result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", *more, *keep)
        assert result.exit_code == 0, result.output
        bodies = simulated.bodies
    assert len(bodies) == 2
    assert not any("Schmidt" in body for body in bodies)
    assert json.loads(result.stdout)["frontier"]["eur_per_million"][0] > 0
    kept = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert {line["label"] for line in kept} <= {"badge", "laptop", "leave", "payroll", "oos"}
    again = run(
        "assess", tmp_path / "few.csv", "--model", folder / "hr", "--frontier-answers", tmp_path / "answers.jsonl"
    )
    assert again.exit_code == 0, again.output


TIERS = """
inside: [127.0.0.1]
regions: {{local: [localhost]}}
tenants: {{acme: {{frontier: redact, regions: [local]}}, closed: {{frontier: deny}}}}
tiers:
  - {{name: house, preset: "vllm:{house}", model: phi, keep_at: 0.8, price: {price}}}
  - {{name: large, preset: "openai:large", url: "{large}", region: local, price: {price}}}
"""


def test_the_tiers_of_a_policy_are_compared(folder, tmp_path):
    rows = [(f"call {name}, my badge is lost", "badge") for name in ("Ann", "Ben", "Cid", "Dan")]
    training_files.write(tmp_path / "few.csv", rows)
    page = ["--output", tmp_path / "page.html", "--policy", tmp_path / "tiers.yaml", "--tenant", "acme"]
    asked = ["assess", tmp_path / "few.csv", "--model", folder / "hr", "--tiers", *page]
    with parts.simulator() as house, parts.simulator() as large:
        outside = large.base_url.replace("127.0.0.1", "localhost")
        price = "{input_eur: 1, output_eur: 1}"
        (tmp_path / "tiers.yaml").write_text(TIERS.format(house=house.base_url, large=outside, price=price))
        house.reset(confidence=0.5)
        assert (
            "tier house: 4 texts reached it; kept 0.0% (0.0% to 49.0%); right of those kept –; " in run(*asked).output
        )
        house.reset(confidence=0.5)
        large.reset()
        result = run(*asked, "--json")
        assert result.exit_code == 0, result.output
        assert "by the policy of acme: masked on the way to those outside, whole to those inside the" in result.stderr
        first, last = json.loads(result.stdout)["tiers"]
        assert (first["tier"], first["asked"], first["answered"], first["kept"][0]) == ("house", 4, 4, 0)
        assert (last["tier"], last["asked"], last["answered"], last["kept"][0]) == ("large", 4, 4, 1)
        assert 0 < first["eur_per_million"][1] <= first["eur_per_million"][0] <= first["eur_per_million"][2]
        assert json.loads(result.stdout)["frontier"]["eur_per_million"][0] == pytest.approx(
            first["eur_per_million"][0] + last["eur_per_million"][0], abs=0.02
        )
        assert (len(house.bodies), len(large.bodies)) == (4, 1), "masked outside, the texts are equal: paid once"
        house.reset(confidence=0.9)
        large.reset()
        said = run(*asked)
        assert "right of those kept –" not in said.output
        assert "tier house: 4 texts reached it; kept 100.0% (" in said.output
        assert large.bodies == []
        denied = run(*asked, "--tenant", "closed", "--json")
        assert [tier["tier"] for tier in json.loads(denied.stdout)["tiers"]] == ["house"]
        assert "not asked" not in denied.stderr, "no text reached the other one"
        house.reset(confidence=0.5)
        unsure = run(*asked, "--tenant", "closed")
        assert "tier large: not asked, by the policy of closed; add --tenant acme, which may" in unsure.stderr
        calibrated = run(*asked, "--calibrate-tiers")
        assert "tier large: 0 answers with a probability; not calibrated: without a keep_at it is" in calibrated.stdout


def test_tiers_that_are_free_are_known_to_cost_nothing(folder, tmp_path):
    training_files.write(tmp_path / "few.csv", [("call Ann, my badge is lost", "badge")])
    free = "{input_eur: 0, output_eur: 0}"
    with parts.simulator() as house, parts.simulator() as large:
        outside = large.base_url.replace("127.0.0.1", "localhost")
        (tmp_path / "tiers.yaml").write_text(TIERS.format(house=house.base_url, large=outside, price=free))
        said = run("assess", tmp_path / "few.csv", "--model", folder / "hr", "--tiers", "--tenant", "acme",
                   "--policy", tmp_path / "tiers.yaml", "--output", tmp_path / "page.html").output  # fmt: skip
    assert "; costs: 0\n" in said
    assert "costs: 0, by the prices of the tiers" in said
    assert "no costs are known" not in said
    assert "EUR per million texts asked" not in said


def test_a_tier_is_calibrated_on_labelled_texts_and_its_keep_at_then_holds_for_that(folder, tmp_path, monkeypatch):
    """A tier that states 90 % and is right in 60 of 100."""
    monkeypatch.setattr(local_run, "for_commands", list)
    rows = training_files.rows()[1:]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(json.dumps({"text": text, "gold": {"intent": label}}) for text, label in rows))
    training_files.write(tmp_path / "rows.csv", rows)
    policy = tmp_path / "tiers.yaml"
    more = ["--policy", policy, "--tenant", "closed", "--output", tmp_path / "page.html"]
    asked = ["assess", tmp_path / "rows.csv", "--model", folder / "hr", "--tiers", *more]
    with parts.simulator(GOLD=str(gold)) as house:
        policy.write_text(CALIBRATED_TIERS.format(house=house.base_url))
        house.reset(confidence=0.9, wrong_rate=0.4)
        before = json.loads(run(*asked, "--json").stdout)["tiers"][0]
        assert before["kept"][0] == 1
        result = run(*asked, "--calibrate-tiers")
        assert result.exit_code == 0, result.output
        assert f"tier house: {len(rows)} answers with a probability" in result.stdout
        assert "Brier score" in result.stdout
        assert "tiers.0.calibration.intent is now this" in result.stdout
        assert "restart the frontier" in result.stdout
        (tier,) = load_policy(policy).tiers
        fitted = tier.calibration["intent"]
        assert (fitted.model, fitted.texts) == ("phi", len(rows))
        right = before["right_of_answered"][0]
        assert Platt(fitted.bias, fitted.slope).chance(0.9) == pytest.approx(right, abs=0.02)
        assert "# stays" in policy.read_text()
        after = json.loads(run(*asked, "--json").stdout)["tiers"][0]
        assert after["kept"][0] == 0, "below its keep_at once calibrated"
        again = run(*asked, "--calibrate-tiers", "--json")
        (fit,) = json.loads(again.stdout)["tier_calibrations"]
        assert fit["stated"] == pytest.approx(0.9), "a calibration is of what the model states, not of the one before"
        assert fit["answers"] == len(rows)


CALIBRATED_TIERS = """
inside: [127.0.0.1]
tenants: {{closed: {{frontier: deny}}}}
tiers:
  - name: house
    preset: "vllm:{house}"
    model: phi
    keep_at: 0.8  # stays
"""


def test_a_tier_is_calibrated_for_the_task_of_the_card(folder, beside, tmp_path, monkeypatch):
    monkeypatch.setattr(local_run, "for_commands", list)
    model, policy, _ = beside
    rows = training_files.rows()[1:]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(json.dumps({"text": text, "gold": {"mood": {"label": label}}}) for text, label in rows))
    training_files.write(tmp_path / "rows.csv", rows)
    more = ["--policy", policy, "--tenant", "closed", "--output", tmp_path / "page.html"]
    with parts.simulator(GOLD=str(gold)) as house:
        policy.write_text(CALIBRATED_TIERS.format(house=house.base_url))
        house.reset(confidence=0.9, wrong_rate=0.4)
        result = run("assess", tmp_path / "rows.csv", "--model", model, "--tiers", *more, "--calibrate-tiers")
    assert result.exit_code == 0, result.output
    assert f"asked as the task mood, that of the card of {model}" in result.stderr
    assert "tiers.0.calibration.mood is now this" in result.stdout
    assert list(load_policy(policy).tiers[0].calibration) == ["mood"]


def test_tiers_are_calibrated_in_a_policy_that_is_named(folder, tmp_path):
    policy = "--policy FILE or SPRAT_POLICY: it asks the tiers of the policy"
    for missing, more in (
        (f"--tiers, and {policy}", []),
        (policy, ["--tiers"]),
        ("--tiers: it asks", ["--policy", "policy.yaml"]),
    ):
        result = assess(folder, "--frontier-accuracy", "1", "--calibrate-tiers", *more)
        assert result.exit_code == 2
        assert f"--calibrate-tiers needs {missing}" in result.stderr


def test_tiers_need_a_policy_that_has_some(folder, tmp_path):
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    training_files.write(tmp_path / "few.csv", [("my badge is lost", "badge")])
    for more, message in (
        (("--policy", tmp_path / "policy.yaml"), "policy.yaml has no `tiers`; name a model by --frontier URL instead"),
        ((), "--tiers sends texts to a provider: it needs --policy FILE or SPRAT_POLICY"),
    ):
        result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", "--tiers", *more)
        assert result.exit_code == 2
        assert message in result.stderr


def test_an_unreachable_frontier_gives_an_error_of_one_line(folder, tmp_path):
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    own = ["--policy", tmp_path / "policy.yaml", "--tenant", "acme", "--frontier-region", "local"]
    more = ["--frontier", "http://127.0.0.1:1/v1", "--frontier-model", "any", *own]
    result = assess(folder, *more, "--output", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "calls in a row failed, the last with unreachable" in result.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--budget", "1EUR/1M"], "say what the frontier answers: --frontier-answers FILE, or --frontier URL"),
        (["--frontier-model", "any"], "say what the frontier answers"),
        (["--frontier-eur", "0.1"], "say what the frontier answers"),
        (["--frontier-accuracy", "1", "--frontier", "http://x"], "say what the frontier answers"),
        (["--frontier", "http://127.0.0.1:1/v1"], "--frontier needs --frontier-model"),
        (
            ["--frontier-accuracy", "1", "--accuracy", "0.9", "--budget", "1EUR/1M"],
            "--accuracy and --budget exclude each other",
        ),
        (["--write"], "--write needs --policy FILE or SPRAT_POLICY, and --accuracy or --budget to choose by\n"),
        (["--write", "--accuracy", "0.9"], "--write needs --policy FILE or SPRAT_POLICY\n"),
        (["--write", "--policy", "policy.yaml"], "--write needs --accuracy or --budget to choose by\n"),
        (["--frontier-accuracy", "1", "--as", "b nk"], "--as 'b nk': not a name of a model; expected: a model's name"),
        (["--frontier-accuracy", "1", "--as", "#x"], "--as '#x': not a name of a model; expected: a model's name"),
        (["--frontier-accuracy", "1", "--budget", "1EUR/1M"], "--budget: no costs are known: say what an answer costs"),
        (
            ["--frontier", "http://127.0.0.1:1/v1", "--frontier-model", "any", "--budget", "1EUR/1M"],
            "--budget: no costs are known: say what an answer costs",
        ),
        (["--frontier-accuracy", "1", "--budget", "much"], "--budget much: needs euros per number of texts"),
        (["--frontier-accuracy", "1", "--language", "de"], "--language de: the model serves en"),
        (["--frontier-accuracy", "1", "--outside-label", "none"], 'the model has no label "oos"'),
    ],
)
def test_the_error_of_a_wrong_option_says_what_to_do(folder, more, message):
    result = assess(folder, *more)
    assert result.exit_code == 2
    assert message in result.stderr


def test_answers_that_lack_a_text_are_refused(folder, tmp_path):
    short = tmp_path / "short.csv"
    training_files.write(short, [("another text", "leave")])
    result = assess(folder, "--frontier-answers", short)
    assert result.exit_code == 2
    assert "the first of them in row 2" in result.stderr


def test_an_accuracy_out_of_reach_is_exit_code_two_and_the_report_is_written(folder, tmp_path):
    page = tmp_path / "page.html"
    training_files.write(tmp_path / "odd.csv", [("time off in May", "badge"), ("time off in July", "leave")])
    options = ["--frontier-accuracy", "0", "--accuracy", "1", "--output", page]
    result = run("assess", tmp_path / "odd.csv", "--model", folder / "hr", *options)
    assert result.exit_code == 2
    assert "no keep_at from 0.50 on reaches it" in result.stderr
    assert page.is_file()


def test_a_file_is_read_as_the_model_was_trained(tmp_path):
    rows = training_files.rows()
    own = training_files.write(tmp_path / "own.csv", [*rows, ("who won the cup", "Rest")], names=("Was", "Wohin"))
    named = ["--text-column", "Was", "--label-column", "Wohin", "--outside-label", "Rest", "--no-lexical"]
    encoder = ["--encoder", training_files.EN_FAST]
    trained = run("train", "intent", own, "--output", tmp_path / "hr", "--name", "hr", *named, *encoder)
    assert trained.exit_code == 0, trained.output
    new = [("may I take a week off", "leave"), ("tell me a joke", "oos"), ("how tall is a giraffe", "Rest")]
    for names in (("Was", "Wohin"), ("Text", "Label")):
        test = training_files.write(tmp_path / "test.csv", new, names=names)
        result = run("assess", test, "--model", tmp_path / "hr", "--frontier-accuracy", "1", "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["texts"] == 3
        columns = "--text-column Was --label-column Wohin " if names[0] == "Was" else ""
        assert f"as at the training of the model: {columns}--outside-label Rest\n" in result.stderr
    test = training_files.write(tmp_path / "newer.csv", [*new, ("the wifi is down", "wifi")])
    asked = ["assess", test, "--model", tmp_path / "hr", "--frontier-accuracy", "1", "--json"]
    result = run(*asked)
    assert result.exit_code == 2
    assert 'the model has no label "wifi"; correct it, or add --outside-label wifi where it is outside' in result.stderr
    result = run(*asked, "--outside-label", "Rest", "--outside-label", "wifi", "--outside-label", "oos")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["texts"] == 4


def test_how_to_apply_a_written_keep_at_depends_on_who_runs_the_router(tmp_path, monkeypatch):
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks:\n  intent:\n    keep_at: 0.5\n")
    monkeypatch.setattr(local_run, "for_commands", list)
    assert str(write_keep_at(policy, 0.6, None)).endswith("is now 0.60, was 0.5; restart the router")
    monkeypatch.setattr(local_run, "for_commands", lambda: [LocalRun(1, "/data", "")])
    assert "was 0.60; your `sprat up` reads it when it starts: stop it (Ctrl-C)" in str(
        write_keep_at(policy, 0.7, None)
    )
