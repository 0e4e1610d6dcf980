"""Two chapters of the documentation, followed word by word in a folder with an owner's files, on a real `sprat up`."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat.base.thresholds import find_thresholds
from sprat_cli.main import app
from sprat_inference.artefact import load_artefact
from support import owner_files
from support.chapters import Person, chapter, environment
from support.desk import SOMETHING_PERSONAL, TOPICS, Desk, at_desk, something_goes_wrong
from support.readme import DOCS
from support.traffic import DEFAULTS, submit

LABELS = chapter(DOCS / "train.md", "Bring your own labels")
EVALUATING = chapter(DOCS / "evaluate-and-promote.md", "Evaluate and promote")
OPERATING = chapter(DOCS / "operations.md", "When something is wrong")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with at_desk(LABELS, tmp_path_factory.mktemp("desk")) as desk:
        yield desk


def test_a_file_that_cannot_be_used_is_refused_in_the_words_of_the_chapter(tmp_path: Path) -> None:
    person = Person(LABELS, tmp_path, environment())
    shown = [line for block in LABELS.blocks for line in block.splitlines()]
    said = [
        person.run(f"cd {folder.name} && sprat train intent hr.csv", code=2).err
        for folder in owner_files.write_bad(tmp_path)
    ]
    assert "".join(said).splitlines() == shown
    owner_files.write_all(tmp_path)
    said = [
        person.run(f"sprat train intent hr.csv {option} topic", code=2).err
        for option in ("--text-column", "--label-column")
    ]
    refusal = "sprat: hr.csv: row 1, column \"topic\": there is no such column; there are: 'text', 'label'\n"
    assert said == [refusal, refusal]
    assert not (tmp_path / "hr").exists()


def test_bring_your_own_labels(desk: Desk) -> None:
    person, folder = desk.person, desk.person.folder
    looks_at_the_data(desk.trained.out, (folder / "hr-report.html").read_text("utf-8"))
    says_what_is_in_the_report((folder / "hr-report.html").read_text("utf-8"))
    assert "model     intent/hr" in desk.up.output
    said = person.follow('sprat send "my payslip of May is missing" --task intent@hr')
    assert said.out.startswith("intent@hr    payroll  ")
    assert person.left == []
    takes_the_new_version_over(desk)


def test_evaluate_and_promote(desk: Desk) -> None:
    person, folder = Person(EVALUATING, desk.person.folder, desk.person.environment), desk.person.folder
    owner_files.write_unseen(folder)
    for name in ("new.csv", "later.csv", "drawn.csv"):
        (folder / name).write_bytes((folder / "hr-test.csv").read_bytes())
    said = person.run("sprat evaluate new.csv --model hr").out
    assert said.startswith("hr at goal ")
    assert len(said.splitlines()) <= 40
    person.follow("sprat evaluate new.csv --model hr --write")
    version = load_artefact(folder / "hr").card.version
    found = find_thresholds(folder / "hr", model_version=version)
    assert found is not None
    assert [each.by for each in found.measurements][-1] == "evaluate"
    desk.up.wait_for(lambda: f"takes over the thresholds {found.thresholds_version}" in desk.up.output, 30)
    # Reviews of weeks certify: tests/integration/test_cli_evaluate_reviews.py
    person.take("sprat evaluate --from-reviews --model hr --period 30d..3d --write")
    person.run("sprat train intent hr.csv --name hr --output hr-2 --no-lexical --outside-share 0.05")
    second = load_artefact(folder / "hr-2").card.version
    said = person.follow("sprat evaluate later.csv --model hr-2 --against hr").out
    assert re.match(r"(hr-2 is (better|worse) than hr|not shown that hr-2 is better or worse than hr) at goal ", said)

    corrects_a_text(desk, person)
    person.follow("sprat retrain intent/hr")
    assert load_artefact(folder / "hr-3").card.name == "hr"
    told = person.follow("sprat feedback export --model hr --output checked.csv").out
    assert told.startswith("checked.csv: 1 row of intent@hr, 1 label: leave 1")
    person.run("sprat retrain intent/hr --corrections checked.csv --output hr-4")
    person.follow("sprat evaluate drawn.csv --model hr-2 --write")
    assert "the policy asks for 97 % certified" in person.run("sprat promote hr-2", code=1).err
    assert "nothing was moved" in person.follow("sprat promote hr-2 --dry-run", "--force").out
    for _ in range(3):
        person.take("sprat up")  # which runs
    for run, command, now in (
        (person.run, "sprat promote hr-2 --force", second),
        (person.follow, "sprat promote hr --back", version),
    ):
        taken_over = desk.up.output.count(f"intent.hr: version {now} is in use")
        run(command)
        assert load_artefact(folder / "hr").card.version == now
        said_now = f"intent.hr: version {now} is in use"
        desk.up.wait_for(lambda said=said_now, at=taken_over: desk.up.output.count(said) > at, 90)

    assert ["intent/hr", version] in [line.split()[:2] for line in person.follow("sprat models list").out.splitlines()]
    person.follow("sprat models clean")
    assert version in person.follow("sprat models show intent/hr").out
    desk.settle("intent.hr")
    said = person.follow("sprat models retire intent/hr", answer="y")
    assert said.out.endswith("its service has answered all that was its own, and may stop\n")
    assert "intent/hr" not in person.run("sprat models list").out
    assert person.left == []


def corrects_a_text(desk: Desk, person: Person) -> None:
    """Publish the correction of a text that asks for the model."""
    sent = person.run('sprat send "may I be away on Monday" --task intent@hr --json').out.splitlines()
    (id,) = (each["result"]["text_id"] for each in map(json.loads, sent) if each["type"] == "result")
    correct = f"sprat feedback --text-id {id} --source /sprat/send --task intent --label leave --by agent-17"
    person.run(correct)


def looks_at_the_data(said: str, page: str) -> None:
    assert len(said.splitlines()) <= 40
    assert "hr.csv row 2 badge → leave" in [" ".join(line.split()) for line in said.splitlines()]
    for found in ("1 row repeats a text", "1 text has several labels", "1 label has few texts", "doubted"):
        assert found in page
    assert "days off" not in said


def says_what_is_in_the_report(page: str) -> None:
    assert "<script" not in page
    assert "://" not in page
    assert "days off" not in page


def takes_the_new_version_over(desk: Desk) -> None:
    """`Train again into the same folder (--force), and the running sprat up takes the new version over`."""
    person, up = desk.person, desk.up
    before = load_artefact(person.folder / "hr").card.version
    owner_files.correct(person.folder)
    more = "--test hr-test.csv --out-of-scope chatter.txt --outside-share 0.2 --show-texts"
    person.run(f"sprat train intent hr.csv --force {more}")
    said = (person.folder / "hr-report.html").read_text("utf-8")
    assert "1 row of the test is trained on, too, and left out of its figures: 2" in said
    after = load_artefact(person.folder / "hr").card.version
    assert after != before
    up.wait_for(lambda: f"intent.hr: version {after} is in use" in up.output, 90)
    said = person.run('sprat send "may I take three days off in June" --task intent@hr').out
    assert said.startswith("intent@hr    leave  ")
    assert f"small model hr {after[:8]} · detected en (" in said


def test_when_something_is_wrong(desk: Desk) -> None:
    person = Person(OPERATING, desk.person.folder, desk.person.environment)
    asyncio.run(something_goes_wrong(desk.bootstrap))
    desk.settle()

    assert person.run("sprat trace nobody", code=1).out == ""
    assert "sperr mein konto" in person.follow("sprat trace ID", "--since 2d --raw", ID="t-3").out
    assert "sperr mein konto" not in person.follow("sprat trace t-3").out

    said = person.follow("sprat lag").out
    assert {line.split()[0] for line in said.splitlines()[1:]} >= {"router", "frontier", *DEFAULTS}
    watches_live(person)
    says_what_to_do(person.follow("sprat doctor").out)

    deals_with_a_dead_letter(desk, person)
    trains_from_corrections(desk, person)
    assert "no alarm was ever raised" in person.follow("sprat alarms list").err
    for command in ("explain NAME", "clear NAME --certificate MODEL"):  # tests/integration/test_cli_alarms.py
        person.take(f"sprat alarms {command}")
    erases_a_person(person)
    assert person.left == []
    # `--allow-new-labels` is tested in tests/integration/test_cli_feedback.py.
    assert OPERATING.options == {
        "--model",
        *("--bootstrap", "--prefix", "--json", "--help", "--since", "--raw"),
        *("--reason", "--service", "--yes", "--at-most", "--again", "--from"),
        *("--text-id", "--tenant", "--dry-run", "--allow-new-label", "--allow-new-labels", "--allow-missing-texts"),
        "--because",
    }


def test_all_commands_on_call_take_the_same_options_and_their_help_has_examples_and_exit_codes() -> None:
    shown = {command_of(each.command) for each in OPERATING.shown} - {"train"}
    for command in sorted(shown):
        said = CliRunner().invoke(app, [*command.split(), "--help"]).output
        assert all(word in said for word in ("--bootstrap", "--prefix", "--json", "Examples:", "Exit codes:")), command


def command_of(line: str) -> str:
    _, first, second = (*line.split(), "")[:3]
    return f"{first} {second}" if first in {"alarms", "dlq", "feedback"} and second.isalpha() else first


def watches_live(person: Person) -> None:
    top = person.start(person.take("sprat top").command)
    try:
        assert top.stdout is not None
        first = next(line for line in top.stdout if not line.startswith("using your "))  # of another `sprat up`, too
        assert "texts" in first
        top.send_signal(signal.SIGINT)
        assert top.wait(30) == 0, top.stdout.read()
    finally:
        top.kill()
        top.communicate()


def says_what_to_do(said: str) -> None:
    """`each line that is not ✓ says what to do`."""
    lines = said.splitlines()
    assert not [line for line in lines if line.startswith("✗")]
    asks = [number for number, line in enumerate(lines) if line.startswith(("!", "-"))]
    assert all(lines[number + 1].lstrip().startswith("→ ") for number in asks)
    assert sum(line.startswith("✓") for line in lines) > 5


def deals_with_a_dead_letter(desk: Desk, person: Person) -> None:
    assert "invalid_text" in person.follow("sprat dlq count").out
    listed = person.follow("sprat dlq list", "--reason defect --service intent --since 2h").out
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["0:1"]
    shown = person.follow("sprat dlq show 0:1").out
    assert "text: please transfer 100 euros to [" in shown
    assert "order-4711 of /crm" in shown
    assert "Anna" not in shown
    assert "example.org" not in shown
    assert SOMETHING_PERSONAL in person.run("sprat dlq show 0:1 --raw").out

    replay = "sprat dlq replay --service intent --since 2h"
    person.follow(replay)
    sent = person.run(f"{replay} --yes --at-most 5").out
    assert "1 record sent (1 for intent), 0 left out" in sent
    desk.settle()
    tree = person.run("sprat trace order-4711").out
    assert "replay 1" in tree
    assert tree.count("  result  ") == 1
    assert "left out  0:1  replayed before, as sprat.texts.v1 " in person.run(f"{replay} --yes").out
    assert "would replay  0:1" in person.run(f"{replay} --again").out


def erases_a_person(person: Person) -> None:
    said = person.follow("sprat erase --key KEY", "--dry-run", KEY="customer-17").out
    assert "sprat.texts.v1" in said
    assert "Redis: " in said


def trains_from_corrections(desk: Desk, person: Person) -> None:
    labels = ["transfer"] * 5 + ["balance"] * 6
    asked = {"transfer": "move {} euros to my savings", "balance": "what is left on account {}"}
    texts = [owner_files.submitted(f"c-{n}", asked[label].format(n)) for n, label in enumerate(labels)]
    asyncio.run(submit(desk.bootstrap, TOPICS, texts.__getitem__, len(texts), over_s=0))
    said = person.follow(
        "sprat feedback --text-id order-4711 --source /crm --task intent --label transfer --by agent-17"
    ).out
    assert said.startswith("published: order-4711 is intent transfer  · sprat.feedback.v1 ")
    rows = [{"text_id": f"c-{n}", "label": label} for n, label in enumerate(labels)]
    lines = [json.dumps(row) for row in [*rows, {"text_id": "gone", "label": "transfer"}]]
    (person.folder / "corrections.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    person.run(
        "sprat feedback --from corrections.jsonl --source /crm --task intent --by agent-17 --allow-missing-texts"
    )
    # An answer of the other model, which another chapter corrects, has labels of its own.
    told = person.follow("sprat feedback export --since 30d --output corrected.csv", "--model default").out.splitlines()
    assert [line for line in told if "asked for another model" not in line] == [
        "corrected.csv: 12 rows, 2 labels: transfer 6, balance 6",
        "by agent-17 12",
        "left out: 1  no text that is still there has this id and source: gone of /crm",
    ]
    assert SOMETHING_PERSONAL in (person.folder / "corrected.csv").read_text("utf-8")
    person.follow("sprat train intent corrected.csv")
    assert load_artefact(person.folder / "corrected").card.labels == ("balance", "transfer")
