"""Two chapters of the documentation, followed word by word in a folder with an owner's files, on a real `sprat up`."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_cli.train.summary import MOST_LINES
from sprat_inference.artefact import load_artefact
from support import owner_files
from support.chapters import Person, chapter, environment
from support.desk import SOMETHING_PERSONAL, TOPICS, Desk, at_desk, something_goes_wrong
from support.readme import DOCS
from support.traffic import DEFAULTS, submit

LABELS = chapter(DOCS / "own-models.md", "Bring your own labels")
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

    said = person.follow("sprat init --tenant NAME", "case", NAME="acme")
    assert "  acme:\n" in (folder / "case" / "policy.yaml").read_text("utf-8")
    takes_the_new_version_over(desk)
    goes_back_to_the_version_before(desk)
    compares_both_versions(person)
    said = person.follow("sprat assess hr-test.csv --model hr --accuracy 0.97 --tenant acme-bank")
    assert "RIGHT OF THOSE KEPT (95 % INTERVAL)" in said.out
    writes_the_one_number(desk)
    said = person.follow(
        "sprat assess hr-test.csv --model hr --frontier-accuracy 0.98 --frontier-eur 0.0004 --budget 20EUR/1M "
        "--tenant acme-bank"
    )
    assert "assumed to be right 98.0% of the time, at 0.0004 EUR an answer" in said.out
    assert (folder / "hr-test-hr-assessment.html").read_text("utf-8").count("<svg") == 2

    version = load_artefact(folder / "hr").card.version
    assert ["intent/hr", version] in [line.split()[:2] for line in person.follow("sprat models list").out.splitlines()]
    person.follow("sprat models clean")
    assert version in person.follow("sprat models show intent/hr").out
    desk.settle("intent.hr")
    said = person.follow("sprat models retire intent/hr", answer="y")
    assert said.out.endswith("its service has answered all that was its own, and may stop\n")
    assert "intent/hr" not in person.run("sprat models list").out

    assert person.left == []
    # `--frontier URL` is tested in tests/training, and so are files as they are.
    assert LABELS.options == {
        *("--json", "--text-column", "--label-column", "--test", "--show-texts", "--out-of-scope", "--outside-share"),
        *("--model", "--force", "--write", "--keep-at", "--new-keep-at", "--frontier", "--policy"),
        *("--frontier-region", "--tenant", "--bootstrap", "--frontier-accuracy", "--frontier-eur"),
        *("--frontier-model", "--frontier-price", "--tiers", "--skip-trained"),
        *("--encoding", "--merge-case", "--skip-bad-rows", "--accuracy", "--drop-suspects", "--no-lexical"),
        *("--language", "--outside-label", "--data", "--replace", "--budget", "--name", "--output"),
    }


def looks_at_the_data(said: str, page: str) -> None:
    assert len(said.splitlines()) <= MOST_LINES
    assert "check these labels, which may be right" in said
    assert "hr.csv row 2 badge → leave" in [" ".join(line.split()) for line in said.splitlines()]
    assert "1 row repeats a text with the same label" in page
    assert "1 text has several labels" in page
    assert "1 label has few texts, so little is known of them: parking 6" in page
    assert "doubted; it may be right: check it, and correct what is wrong" in page
    assert "labels held out in turn, which stand in for texts outside every label" in page
    assert "days off" not in said


def says_what_is_in_the_report(page: str) -> None:
    assert page.count("<svg") == 3
    assert page.index('class="verdict') < page.index("<h2>")
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
    assert "1 row of the test is trained on, too, and left out of its figures: 2 of " in said
    assert "count as 20% of the traffic" in said
    assert "held out in turn" not in said
    after = load_artefact(person.folder / "hr").card.version
    assert after != before
    up.wait_for(lambda: f"intent.hr: version {after} is in use" in up.output, 90)
    said = person.run('sprat send "may I take three days off in June" --task intent@hr').out
    assert said.startswith("intent@hr    leave  ")
    assert f"small model hr {after[:8]} · detected en (" in said
    assert " · kept: confident (needs 65 %)" in said


def goes_back_to_the_version_before(desk: Desk) -> None:
    """`A running sprat up takes the folder over; the same command undoes it`."""
    folder = desk.person.folder
    after, before = (load_artefact(folder / name).card for name in ("hr", "hr.previous"))
    line = "sprat models rollback hr"
    for run, card in ((desk.person.follow, before), (desk.person.run, after)):
        taken_over = desk.up.output.count(f"intent.hr: version {card.version} is in use")
        said = run(line).out
        assert said.startswith(f"hr: version {card.version}, keep_at {card.keep_at:.2f} ")
        assert load_artefact(folder / "hr").card == card
        desk.up.wait_for(
            lambda said=f"intent.hr: version {card.version} is in use", at=taken_over: desk.up.output.count(said) > at,
            90,
        )


def compares_both_versions(person: Person) -> None:
    """`Both read each text … One sentence says whether the second version is better or worse`."""
    (person.folder / "new.csv").write_bytes((person.folder / "hr-test.csv").read_bytes())
    said = person.follow("sprat models compare hr.previous hr new.csv").out
    head = next(line for line in said.splitlines() if "TEXTS THAT DIFFER" in line)
    assert head.split()[:2] == ["hr.previous", "hr"]
    assert ", that of the card of the served version, as no policy is known\n" in said, "SPRAT_POLICY names none"
    assert re.search(
        r"^(On \d+ texts, right: no difference shown|hr is (better|worse) on \d+ texts: right: )", said, re.MULTILINE
    )


def writes_the_one_number(desk: Desk) -> None:
    """`every comment stays, and the router follows once it is started again`."""
    person, up = desk.person, desk.up
    policy = person.folder / "policy.yaml"
    before = policy.read_text("utf-8")
    assert before.count("keep_at: 0.65") == 1
    command = (
        "sprat assess hr-test.csv --model hr --frontier-answers answers.jsonl --accuracy 0.97 --policy policy.yaml "
        "--tenant acme-bank --write --as hr"
    )
    refused = person.run(command, code=2).err
    assert "--write: 1 of " in refused
    assert "trained on by this model (row 2 of " in refused
    owner_files.write_unseen(person.folder)
    said = person.follow(command).out
    for way in ("small alone", "frontier alone", "keep_at 0.", "95 % INTERVAL", "AT RANDOM"):
        assert way in said
    told = said.rpartition("policy.yaml: tasks.intent.models.hr.keep_at is now ")[2]
    assert ", was 0.65; your `sprat up` reads it when it starts: stop it (Ctrl-C), and start it again" in told
    assert told.splitlines()[0].endswith("with the same options, --data among them: without --data it begins anew")
    written, comments = re.subn(
        r"  # sprat assess: [\d.]+ for version [0-9a-f]{16}, --accuracy 0\.97.*", "", policy.read_text("utf-8")
    )
    assert (written, comments) == (before.replace("0.65", told[:4]), 1)
    router = up.pid_of("sprat_router")
    assert router is not None
    os.kill(router, signal.SIGTERM)
    up.wait_for(lambda: up.pid_of("sprat_router") not in {None, router}, 30)
    said = person.run('sprat send "my badge opens no door" --task intent@hr').out
    assert f"kept: confident (needs {float(told[:4]):.0%}".replace("%", " %") in said


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
    erases_a_person(person)
    assert person.left == []
    # `--allow-new-labels` is tested in tests/integration/test_cli_feedback.py.
    assert OPERATING.options == {
        "--model",
        *("--bootstrap", "--prefix", "--json", "--help", "--since", "--raw"),
        *("--reason", "--service", "--yes", "--at-most", "--again", "--from"),
        *("--text-id", "--tenant", "--dry-run", "--allow-new-label", "--allow-new-labels", "--allow-missing-texts"),
    }


def test_all_commands_on_call_take_the_same_options_and_their_help_has_examples_and_exit_codes() -> None:
    shown = {command_of(each.command) for each in OPERATING.shown} - {"train"}
    for command in sorted(shown):
        said = CliRunner().invoke(app, [*command.split(), "--help"]).output
        assert all(word in said for word in ("--bootstrap", "--prefix", "--json", "Examples:", "Exit codes:")), command


def command_of(line: str) -> str:
    _, first, second = (*line.split(), "")[:3]
    return f"{first} {second}" if first in {"dlq", "feedback"} and second.isalpha() else first


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
    told = person.follow("sprat feedback export --since 30d --output corrected.csv").out.splitlines()
    assert told == [
        "corrected.csv: 12 rows, 2 labels: transfer 6, balance 6",
        "by agent-17 12",
        "left out: 1  no text that is still there has this id and source: gone of /crm",
    ]
    assert SOMETHING_PERSONAL in (person.folder / "corrected.csv").read_text("utf-8")
    person.follow("sprat train intent corrected.csv")
    assert load_artefact(person.folder / "corrected").card.labels == ("balance", "transfer")
