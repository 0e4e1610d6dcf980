"""`sprat assess`: a trained model and a frontier model on a user's own texts."""

import json
import re
import shutil
from html import unescape

import pytest

from sprat.model import Question
from sprat_inference.artefact import load_artefact
from sprat_intent.model import IntentModel
from support import training_files
from support.assessing import POLICY, assess, run


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
    of_card = [scores[f"cross_validated_accuracy{end}"] for end in ("", "_low", "_high")]
    assert found["right_held_out"] == pytest.approx(of_card, abs=1e-4)
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
