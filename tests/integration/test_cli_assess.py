"""`sprat assess`: a trained model and a frontier model on an owner's own texts."""

import json

import pytest
from typer.testing import CliRunner

import frontier_parts as parts
import training_files
from sprat.cli.main import app
from sprat.policy import load_policy

POLICY = "tasks:\n  intent:\n    keep_at: 0.75 # as shipped\n    out_of_scope: keep\n"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained model in `hr`, a test of its own in `test.csv`."""
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


def test_all_ways_are_told_with_intervals_and_a_picture(folder, tmp_path):
    page = tmp_path / "page.html"
    result = assess(folder, "--frontier-answers", folder / "answers.jsonl", "--output", page)
    assert result.exit_code == 0, result.output
    assert "small alone" in result.stdout
    assert "frontier alone" in result.stdout
    assert "keep_at 0.50" in result.stdout
    assert page.read_text().count("<svg") == 2


def test_the_cheapest_keep_at_for_an_accuracy_is_written_into_the_policy(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    wanted = ["--accuracy", "0.97", "--policy", policy, "--write", "--output", tmp_path / "page.html"]
    result = assess(folder, "--frontier-answers", folder / "answers.jsonl", *wanted, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    chosen = told["routed"][round(told["keep_at"] * 100)]
    assert chosen["accuracy"][0] >= 0.97
    assert chosen["eur_per_million"][0] <= told["frontier"]["eur_per_million"][0] == pytest.approx(200)
    assert load_policy(policy).tasks.intent.keep_at == told["keep_at"]
    assert policy.read_text() == POLICY.replace("0.75", f"{told['keep_at']:.2f}")


def test_a_budget_is_kept(folder, tmp_path):
    wanted = ["--frontier-accuracy", "1", "--frontier-eur", "0.001", "--budget", "100EUR/1M", "--json"]
    told = json.loads(assess(folder, *wanted, "--output", tmp_path / "page.html").stdout)
    assert told["routed"][round(told["keep_at"] * 100)]["eur_per_million"][0] <= 100


def test_a_policy_that_escalates_what_is_outside_costs_more(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("keep\n", "escalate\n"))
    common = ["--frontier-accuracy", "1", "--json", "--output", tmp_path / "page.html"]
    kept, escalated = (json.loads(assess(folder, *common, *more).stdout) for more in ([], ["--policy", policy]))
    assert escalated["routed"][0]["escalated"] > kept["routed"][0]["escalated"] == 0


def test_the_frontier_is_asked_now_with_what_is_personal_masked_and_its_answers_are_kept(folder, tmp_path):
    training_files.write(
        tmp_path / "few.csv", [("my badge is lost, call Anna Schmidt", "badge"), ("time off in May", "leave")]
    )
    with parts.simulator() as simulated:
        more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1"]
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


def test_a_frontier_that_nobody_serves_is_said_in_a_line(folder, tmp_path):
    more = ["--frontier", "http://127.0.0.1:1/v1", "--frontier-model", "any"]
    result = assess(folder, *more, "--output", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "calls in a row failed, the last with unreachable" in result.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "say what the frontier answers: --frontier-answers FILE, or --frontier URL"),
        (["--frontier-accuracy", "1", "--frontier", "http://x"], "say what the frontier answers"),
        (["--frontier", "http://127.0.0.1:1/v1"], "--frontier needs --frontier-model"),
        (
            ["--frontier-accuracy", "1", "--accuracy", "0.9", "--budget", "1EUR/1M"],
            "--accuracy and --budget: it is one",
        ),
        (["--frontier-accuracy", "1", "--write"], "--write needs --policy FILE"),
        (["--frontier-accuracy", "1", "--as", "b nk"], "--as 'b nk': no name of a model; expected: a model's name"),
        (["--frontier-accuracy", "1", "--as", "#x"], "--as '#x': no name of a model; expected: a model's name"),
        (["--frontier-accuracy", "1", "--budget", "much"], "--budget much: needs euros for so many texts"),
        (["--frontier-accuracy", "1", "--language", "de"], "--language de: the model serves en"),
        (["--frontier-accuracy", "1", "--outside-label", "none"], 'the model has no label "oos"'),
    ],
)
def test_a_mistake_is_said_with_what_to_do(folder, more, said):
    result = assess(folder, *more)
    assert result.exit_code == 2
    assert said in result.stderr


def test_answers_that_miss_a_text_are_refused(folder, tmp_path):
    short = tmp_path / "short.csv"
    training_files.write(short, [("another text", "leave")])
    result = assess(folder, "--frontier-answers", short)
    assert result.exit_code == 2
    assert "the first of them in row 2" in result.stderr


def test_an_accuracy_out_of_reach_is_exit_code_two_and_the_picture_is_there(folder, tmp_path):
    page = tmp_path / "page.html"
    training_files.write(tmp_path / "odd.csv", [("time off in May", "badge"), ("time off in July", "leave")])
    wanted = ["--frontier-accuracy", "0", "--accuracy", "1", "--output", page]
    result = run("assess", tmp_path / "odd.csv", "--model", folder / "hr", *wanted)
    assert result.exit_code == 2
    assert "no keep_at reaches it" in result.stderr
    assert page.is_file()
