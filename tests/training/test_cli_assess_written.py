"""The `keep_at` that `sprat assess` writes, or says where to write."""

import json
import re
import shutil

import pytest

from sprat_cli.assess.policy_file import write_keep_at
from sprat_cli.doctor.models import check_policy
from sprat_contracts import ModelAnnounced
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun
from sprat_policy import load_policy, load_task_file
from support import training_files
from support.assessing import POLICY, assess, run


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
    runs = [LocalRun(1, str(tmp_path), "", "127.0.0.1:9092", models=running)]
    monkeypatch.setattr(local_run, "for_commands", lambda: runs)
    common = ["--policy", policy, "--as", "hr", "--output", tmp_path / "page.html"]
    said = f"this is version {card['version']}; your `sprat up` at 127.0.0.1:9092 serves version "
    assert said not in assess(folder, *common).stderr, "nothing is chosen"
    chosen = assess(folder, *common, "--accuracy", "0.6", "--write")
    assert (chosen.exit_code, said in chosen.stderr) == (0, True), chosen.output
    again = f"`--model intent/hr={folder / 'hr'}`"
    reads = "`sprat up` reads what stands under tasks.intent.models.hr.keep_at when it starts: write this version's "
    assert f"{reads}where you start it again with {again}\n" in chosen.stderr
    not_written = assess(folder, *common, "--accuracy", "0.7").stdout
    assert not_written.splitlines()[-1].endswith(
        f"; add `--write --as hr` to this command, and start `sprat up` again with {again}"
    )
    runs.append(LocalRun(2, str(tmp_path), "", "127.0.0.1:9192", models={"intent/hr": str(folder / "hr")}))
    assert said not in assess(folder, *common, "--accuracy", "0.6").stderr, "another one serves this version"
    runs.pop()
    running["intent/hr"] = str(folder / "hr")
    assert said not in assess(folder, *common, "--accuracy", "0.6").stderr


@pytest.mark.parametrize(("line", "unnoted"), [("{keep_at: 0.75}", False), ("\n        keep_at: 0.75  # ours", True)])
def test_where_no_comment_can_stand_behind_the_number_that_is_said(folder, tmp_path, line, unnoted):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"tasks:\n  intent:\n    models:\n      hr: {line}\ntenants:\n  default: {{frontier: deny}}\n")
    said = assess(
        folder, "--policy", policy, "--as", "hr", "--output", tmp_path / "page.html", "--accuracy", "0.6", "--write"
    ).stdout
    without = "; no comment behind it says for which version it is: something else stands there, or it shares its line"
    assert (without in said) is unnoted
    assert (load_policy(policy).task("intent", "hr").keep_at_comment("hr").source is None) is unnoted


def test_several_files_are_one_sample_and_the_report_is_named_for_all(folder, tmp_path):
    rows = [tuple(line.rsplit(",", 1)) for line in (folder / "test.csv").read_text().splitlines()[1:]]
    first, second = (
        training_files.write(tmp_path / name, part) for name, part in (("one.csv", rows[::2]), ("two.csv", rows[1::2]))
    )
    model = ("--model", folder / "hr", "--accuracy", "0.6", "--json")
    both, whole = (
        json.loads(run("assess", *files, *model).stdout) for files in ((first, second), (folder / "test.csv",))
    )
    assert [each.pop("report") for each in (both, whole)] == [
        str(tmp_path / "one+1-more-hr-assessment.html"),
        str(folder / "test-hr-assessment.html"),
    ]
    assert both["texts"] == whole["texts"] == len(rows)
    assert both["routed"] == whole["routed"]
    assert run("assess", first, second, *model[:4]).stdout.startswith(f"{len(rows)} texts of one.csv and two.csv\n")
    again = run("assess", first, first, second, *model)
    assert json.loads(again.stdout)["texts"] == len(rows)
    assert (
        f"{first}: {len(rows[::2])} rows with a text and label of an earlier file, which counts once\n" in again.stderr
    )
    seen = [training_files.write(tmp_path / name, training_files.rows()[1:4]) for name in ("a.csv", "b.csv")]
    assessed = json.loads(run("assess", seen[0], first, *model).stdout)
    assert assessed["trained_on"] == [{"file": "a.csv", "row": row} for row in assessed["trained_on_rows"]]
    assert assessed["trained_on"]
    wrong = training_files.write(tmp_path / "wrong.csv", [("my desk", "desks")])
    refused = run("assess", first, wrong, *model)
    assert (refused.exit_code, f"{wrong}: row 2: the model has no label" in refused.stderr) == (2, True)


def test_a_version_before_is_served_by_the_way_back(folder, tmp_path, monkeypatch):
    served, before, policy = tmp_path / "hr", tmp_path / "hr.previous", tmp_path / "policy.yaml"
    for place in (served, before):
        shutil.copytree(folder / "hr", place)
    write_artefact(served, json.loads((served / "card.json").read_text()) | {"limits": ["another version"]})
    policy.write_text(POLICY)
    running = LocalRun(1, str(tmp_path), "", "127.0.0.1:9092", models={"intent/hr": str(served)})
    monkeypatch.setattr(local_run, "for_commands", lambda: [running])
    said = run("assess", folder / "test.csv", "--model", before, "--policy", policy, "--as", "hr", "--accuracy", "0.6")
    assert f"start it again after `sprat models rollback {served}`\n" in said.stderr


PROVISIONAL = ["--frontier-accuracy", "1", "--accuracy", "0.97"]


WHY = "Provisional: these 26 texts show "


def test_that_of_the_card_is_written_where_a_lower_one_is_found_and_not_shown(assess_stricter, tmp_path):
    policy, place = tmp_path / "policy.yaml", "tasks.intent.models.hr.keep_at"
    found = assess_stricter(*PROVISIONAL)
    assert (found.exit_code, policy.read_text()) == (0, POLICY), found.output
    assert WHY in found.stdout
    higher = "The keep_at of the card is higher, 0.99. "
    write = f"Write 0.99 under {place}: the card's keep_at is higher than 0.75, which is in force. "
    here = r"Here it gets [\d.]+% of all answers right(, as at 0\.\d\d,| in place of [\d.]+%,) for "
    here += r"\d+% escalated in place of \d+%\. "
    first = r"Neither is shown, so the one that keeps less goes first; --write --force writes 0\.\d\d\. "
    beside = re.search(here + first, found.stdout)[0]
    caution = f"{higher}{write}{beside}More texts may show a lower one."
    to_write = f"to write 0.99, the card's, under {place} in {policy}, add `--write --as hr` to this command"
    assert found.stdout.splitlines()[-1] == to_write
    assert found.stdout.count(caution) == 1
    html = (tmp_path / "page.html").read_text("utf-8")
    assert (html.count(caution.replace("'", "&#x27;")), WHY in html) == (1, True), "the report gives the same advice"
    assert ">Found, and not recommended</h2>" in html
    assert ">Recommended</h2>" not in html
    no_policy = assess_stricter(*PROVISIONAL, policy=())
    assert f"{higher}Write 0.99, the card's keep_at, under {place}. {beside}More texts may" in no_policy.stdout
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
    now, version = f"{output['keep_at']:.2f}", load_artefact(folder / "hr").card.version
    of = f"# sprat assess: {now} for version {version}, --accuracy 0.97 of all answers{shown}"
    own = f"    models:\n      hr:\n        keep_at: {now}  {of}\n"
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
        return [check.fix for check in check_policy(load_policy(policy), [announced]) if check.fix]

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

    def written(of, later=""):
        comment = f"# sprat assess: {later}0.95 for version {version}, --accuracy {of} of all answers"
        of_hr = f"    models:\n      hr:\n        keep_at: 0.95  {comment}\n"
        policy.write_text(POLICY + of_hr)
        before, result = policy.read_text(), assess_stricter(*PROVISIONAL, "--write")
        assert result.exit_code == 0, result.output
        return result.stdout, policy.read_text() == before

    said, is_left = written("0.99")
    assert is_left, said
    assert f"0.95 is in force, shown for this version (version {version}, --accuracy 0.99 of all answers), so " in said
    assert "0.95 is in force, shown for this version; --force writes" in said
    said, is_left = written("0.99", later="0.80 for version 99ca5f58b3a956e0, --accuracy 0.9; before: ")
    assert is_left, said
    assert "0.95 is in force, shown for this version; --force writes" in said, "it was, before another version"
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
        return load_policy(policy).task("intent", "hr").keep_at_comment("hr").source

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


def test_how_to_apply_a_written_keep_at_depends_on_who_runs_the_router(tmp_path, monkeypatch):
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks:\n  intent:\n    keep_at: 0.5\n")
    assert str(write_keep_at(policy, 0.6, None)).endswith("is now 0.60, was 0.5; restart the router")
    monkeypatch.setattr(local_run, "for_commands", lambda: [LocalRun(1, "/data", "")])
    assert "was 0.60; your `sprat up` reads it when it starts: stop it (Ctrl-C)" in str(
        write_keep_at(policy, 0.7, None)
    )
