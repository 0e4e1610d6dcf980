"""`Your own labels, step by step`, followed word by word by an owner with files of their own, on a real `sprat up`."""

import json
import re
import shlex
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sprat.base.thresholds import find_thresholds
from sprat_inference.artefact import load_artefact
from support import owner_files, training_files
from support.chapters import Person, chapter, environment
from support.desk import USUAL, USUAL_REDIS
from support.readme import DOCS
from support.up_process import UpProcess

PAGE = chapter(DOCS / "own-labels.md", "Your own labels, step by step")
LATER = (
    ("where do I leave my car {}", "parking"),
    ("the gate of the garage stays shut {}", "parking"),
    ("my wages came late {}", "payroll"),
    ("I want to be away for a week {}", "leave"),
)
"""Texts that arrive once the model is served, said in other words than those that it was trained on."""
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    folder = tmp_path_factory.mktemp("owner")
    training_files.write(folder / "hr.csv", owner_files.labelled())
    training_files.write(folder / "new.csv", owner_files.held_out()[1:])
    later = [(text.format(f"in week {week}"), label) for text, label in LATER for week in range(5)]
    training_files.write(folder / "later.csv", later)
    return Person(PAGE, folder, environment())


@pytest.fixture
def start(person: Person) -> Iterator[object]:
    """Start `sprat up` as the page says; end it with the test."""
    running: list[UpProcess] = []
    line = "sprat up --model intent/hr=hr --data data"

    def start() -> UpProcess:
        if not running:
            person.take(line)
        for each in running:
            assert each.interrupt()[0] == 0, each.output
            each.end()
        _, _, *arguments = shlex.split(line)
        up = UpProcess(*arguments, cwd=person.folder, env=person.environment)
        running[:] = [up]
        up.wait_ready(within_s=150)
        person.environment |= {} if up.bootstrap == USUAL else {"SPRAT_KAFKA__BOOTSTRAP": up.bootstrap}
        person.environment |= {} if USUAL_REDIS in up.redis else {"SPRAT_REDIS__URL": up.redis}
        return up

    yield start
    for each in running:
        each.end()


def version(folder: Path) -> str:
    return load_artefact(folder).card.version


def test_from_a_file_of_labels_to_a_version_that_is_promoted_and_taken_back(person: Person, start) -> None:
    folder = person.folder
    assert person.run("sprat train intent hr.csv").out
    owner_files.correct(folder)
    person.follow("sprat train intent hr.csv --force")
    person.follow("sprat init --tenant acme-bank")
    writes_the_goal(folder / "policy.yaml")
    up = start()
    first = version(folder / "hr")
    assert f"model     intent/hr {first}" in up.output
    sent = person.follow('sprat send "my payslip of May is missing" --task intent@hr --tenant acme-bank').out
    assert sent.startswith("intent@hr    payroll  ")
    assert "kept: confident" in sent

    before = thresholds(folder / "hr")
    said = person.follow("sprat evaluate new.csv --model hr --write").out
    assert said.splitlines()[0].startswith("hr at goal 90 % (estimated, on average): ")
    assert thresholds(folder / "hr") != before
    taken = f"takes over the thresholds {thresholds(folder / 'hr')}"
    up.wait_for(lambda: taken in up.output, 30)
    assert version(folder / "hr") == first

    corrects(person, LATER, follows=True)
    said = person.follow("sprat retrain intent/hr").out
    assert re.search(r"^(with the corrections is (better|worse) than|not shown that with the corrections) ", said)
    assert "\nserve it: sprat promote hr-2\n" in said
    second = version(folder / "hr-2")
    assert version(folder / "hr") == first != second
    said = person.follow("sprat evaluate later.csv --model hr-2 --against hr").out
    assert re.search(
        r"^(hr-2 is (better|worse) than hr|not shown that hr-2 is better or worse than hr) at goal 90 %", said
    )
    person.follow("sprat promote hr-2")
    assert [version(folder / name) for name in ("hr", "hr.previous")] == [second, first]
    up.wait_for(lambda: f"intent.hr: version {second} is in use" in up.output, 90)

    person.follow("sprat promote hr --back")
    assert [version(folder / name) for name in ("hr", "hr.previous")] == [first, second]
    up.wait_for(lambda: f"intent.hr: version {first} is in use" in up.output, 90)
    assert "✗" not in person.follow("sprat doctor").out
    assert person.left == []
    assert PAGE.options <= {"--write", "--from", "--source", "--language", "--outside-label", "--force"}


def writes_the_goal(policy: Path) -> None:
    """Write what the page shows where it says so."""
    (shown,) = PAGE.blocks
    text = policy.read_text("utf-8")
    assert text.count("\n  intent:\n") == 1
    policy.write_text(text.replace("\n  intent:\n", f"\n  intent:\n{shown}"), "utf-8")


def thresholds(folder: Path) -> str:
    found = find_thresholds(folder, model_version=version(folder))
    assert found is not None
    return found.thresholds_version


def corrects(person: Person, phrases: Sequence[tuple[str, str]], *, follows: bool) -> None:
    """Send texts that arrive later, and publish the right label of each; `follows`: the first one as the page does."""
    rows = [(text.format(f"before {day}"), label) for text, label in phrases for day in ("May", "June", "July")]
    (person.folder / "mails.txt").write_text("".join(f"{text}\n" for text, _ in rows), "utf-8")
    sent = map(
        json.loads, person.run("sprat send mails.txt --task intent@hr --tenant acme-bank --json").out.splitlines()
    )
    given = {each["result"]["text_id"]: rows[each["line"] - 1][1] for each in sent if each["type"] == "result"}
    assert len(given) == len(rows)
    if follows:
        id, label = next(iter(given.items()))
        one = person.take("sprat feedback --text-id ID --source /sprat/send --task intent --label payroll --by anna")
        person.run(one.command.replace("ID", id).replace("payroll", label))
        watching = person.start(person.take("sprat watch --with-text").command)
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)
    lines = [json.dumps({"text_id": id, "label": label}) for id, label in given.items()]
    (person.folder / "corrections.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    person.run("sprat feedback --from corrections.jsonl --source /sprat/send --task intent --by anna")
