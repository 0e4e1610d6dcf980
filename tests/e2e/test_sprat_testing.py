"""`sprat-testing` as its users have it: fixed answers through the real services, the page about it, and the example."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from confluent_kafka import Producer

import sprat_testing
from sprat.base.errors import UserError
from sprat_testing import Sprat, Text
from support.readme import ROOT, commands, programs

ALLOWED = {"tenant": "acme-bank", "frontier": "redact"}
EXAMPLE = ROOT / "examples" / "consumer-tests"


@pytest.fixture(scope="module")
def sprat_session() -> Iterator[Sprat]:
    """Return Sprat for these tests alone: its thread uses the global random numbers, which Hypothesis then refuses."""
    with Sprat(models="fixed") as running:
        yield running


def test_a_fixed_answer_is_a_result_of_the_contract(sprat: Sprat) -> None:
    sprat.answer("balance", intent="balance", confidence=0.9)
    text = Text("what is my balance", fields={"reference": {"ticket": "7"}})
    assert sprat.publish(text) == text.id
    result = sprat.result(text)
    assert (result.status, result.source, result.route.decision) == ("answered", "small", "kept")
    assert (result.output.label, result.confidence) == ("balance", 0.9)
    assert result.reference == {"ticket": "7"}
    assert result.model.name == "fixed-intent"


def test_an_answer_is_kept_where_its_level_reaches_the_goal(sprat: Sprat) -> None:
    sprat.answer("sure", intent="balance", level=0.97)
    sprat.answer("unsure", intent="balance", level=0.965)
    sure, unsure = Text("a sure text"), Text("an unsure text")
    sprat.publish(sure)
    sprat.publish(unsure)
    assert sprat.expect_kept(sure, level=0.97).route.goal == 0.97
    with pytest.raises(AssertionError, match=r"intent: not kept, low_confidence; the goal is 0\.97, the level 0\.965"):
        sprat.expect_kept(unsure, timeout=30)


def test_with_auto_a_result_says_which_language_was_detected(sprat: Sprat) -> None:
    sprat.answer("bestelling", intent="order")
    text = Text("Waar blijft mijn bestelling?", fields={"language": "auto"})
    sprat.publish(text)
    result = sprat.result(text)
    assert (result.output.label, result.language, result.language_detected.language) == ("order", "auto", "nl")


def test_the_language_of_a_text_is_answered_like_the_other_tasks(sprat: Sprat) -> None:
    sprat.answer("bestelling", language_id="nl")
    sprat.answer("12", language_id=None, confidence=0.4)
    text, numbers = Text("mijn bestelling", ("language-id",)), Text("12 34", ("language-id",))
    sprat.publish(text)
    sprat.publish(numbers)
    result = sprat.result(text)
    assert (result.status, result.source, result.output.label) == ("answered", "small", "nl")
    unsure = sprat.result(numbers, timeout=30)
    assert (unsure.status, unsure.output.label) == ("degraded", None)


def test_all_tasks_of_a_text_are_answered(sprat: Sprat) -> None:
    sprat.answer("Berlin", ner=[("Anna", "PER"), ("Berlin", "LOC")], translation="Anna wohnt in Berlin", intent=None)
    text = Text("Anna lives in Berlin", {"intent": {}, "ner": {}, "translation": {"target": "de"}})
    sprat.publish(text)
    assert sprat.result(text, "intent").output.label is None
    entities = sprat.result(text, "ner").output.entities
    assert [(each.start, each.end, each.text, each.label) for each in entities] == [
        (0, 4, "Anna", "PER"),
        (14, 20, "Berlin", "LOC"),
    ]
    translated = sprat.result(text, "translation").output
    assert (translated.text, translated.target) == ("Anna wohnt in Berlin", "de")
    with pytest.raises(UserError, match="intent, ner, translation: say which"):
        sprat.result(text)


def test_a_fixed_answer_beside_the_labels_that_a_text_asks_for_is_none(sprat: Sprat) -> None:
    sprat.answer("lawyer", intent="complaint")
    sprat.answer("thanks", intent="praise")
    among, beside, unknown = (
        Text("my lawyer", {"intent": {"labels": labels}})
        for labels in (["praise", "complaint"], ["praise"], ["complaint", "order"])
    )
    for text in (among, beside, unknown):
        sprat.publish(text)
    assert sprat.result(among).output.label == "complaint"
    declined = [sprat.result(text, timeout=30).declined.code for text in (beside, unknown)]
    assert declined == ["no_answer", "labels"]


def test_an_unsure_answer_that_may_not_leave_is_degraded(sprat: Sprat) -> None:
    sprat.answer("lawyer", intent="complaint", confidence=0.3)
    text = Text("you will hear from my lawyer")
    sprat.publish(text)
    result = sprat.result(text, timeout=30)
    assert (result.status, result.output.label, result.declined.code) == ("degraded", "complaint", "policy")


def test_a_hard_case_leaves_masked_and_comes_back_from_the_frontier(sprat: Sprat) -> None:
    sprat.answer("lawyer", intent="complaint", confidence=0.3)
    sprat.answer("lawyer", intent="legal_threat", frontier=True)
    sprat.answer("anna@example.com", intent="complaint", frontier=True)  # it does not see this
    text = Text("my lawyer will write from anna@example.com", fields=ALLOWED)
    sprat.publish(text)
    result = sprat.result(text, timeout=30)
    assert (result.status, result.source, result.output.label) == ("answered", "frontier", "legal_threat")
    assert result.egress.left
    assert result.egress.masked == {"EMAIL": 1}
    assert result.cost_eur > 0


def test_declines_are_escalated_and_end_unanswered(sprat: Sprat) -> None:
    sprat.answer("hyvää", declines="language")
    text = Text("hyvää huomenta")
    sprat.publish(text)
    result = sprat.result(text, timeout=30)
    assert (result.status, result.route.reason, result.output) == ("unanswered", "declined", None)
    assert (result.declined.code, result.declined.causes[-1].code) == ("language", "policy")


def test_a_text_without_an_answer_ends_unanswered_and_says_what_to_do(sprat: Sprat) -> None:
    text = Text("nobody has said what this means", fields=ALLOWED)
    sprat.answer("something else", intent="greet")
    sprat.publish(text)
    result = sprat.result(text, timeout=30)
    assert result.status == "unanswered"
    assert "sprat.answer" in result.declined.detail


def test_the_last_answer_counts_and_another_test_does_not_see_it(sprat: Sprat) -> None:
    assert sprat.answers == ()
    sprat.answer("cat", intent="animal")
    sprat.answer(equals="the cat", intent="pet")
    texts = [Text("a cat"), Text("the cat")]
    labels = []
    for text in texts:
        sprat.publish(text)
        labels.append(sprat.result(text).output.label)
    assert labels == ["animal", "pet"]


def test_bad_bytes_become_a_dead_letter(sprat: Sprat) -> None:
    place = sprat.publish_record(b"no JSON", headers=[("team", b"crm")], key=b"k")
    letter = sprat.dead_letter(place)
    assert (letter.reason.code, letter.reason.service) == ("invalid_json", "router")
    assert (letter.key, letter.value, letter.original_headers) == (b"k", b"no JSON", [("team", b"crm")])
    assert letter in sprat.dead_letters()


def test_any_client_may_publish(sprat: Sprat) -> None:
    sprat.answer("balance", intent="balance")
    producer = Producer({"bootstrap.servers": sprat.bootstrap})
    value = json.dumps({"text": "what is my balance", "tasks": {"intent": {}}, "reference": {"from": "confluent"}})
    producer.produce(sprat.topics.texts, value)
    producer.flush(10)
    sprat.settle()
    assert [each.status for each in sprat.results() if each.reference == {"from": "confluent"}] == ["answered"]


def test_what_does_not_come_is_a_failure_that_says_what_came_instead(sprat: Sprat) -> None:
    sprat.answer("balance", intent="balance")
    text = Text("what is my balance")
    sprat.publish(text)
    sprat.result(text)
    with pytest.raises(AssertionError, match=r"no Result of .* for ner after 0.1 s\nthere is one for intent"):
        sprat.result(text, "ner", timeout=0.1)
    with pytest.raises(AssertionError, match=r"no dead letter of .*; its Results: intent: answered"):
        sprat.dead_letter(text, timeout=0.1)


def test_a_killed_installation_comes_back_and_loses_nothing(sprat: Sprat) -> None:
    sprat.answer("balance", intent="balance")
    texts = [Text(f"balance {number}") for number in range(50)]
    for number, text in enumerate(texts):
        sprat.publish(text)
        if number == 20:
            sprat.kill("router")
    for text in texts:
        assert sprat.result(text, timeout=60).status == "answered"


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=folder, env=environment | {"PATH": path}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_example_and_the_first_test_of_the_page_pass(tmp_path: Path) -> None:
    folder = tmp_path / "consumer-tests"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".pytest_cache"))
    (folder / "test_page.py").write_text(programs()["testing-first"], "utf-8")
    tests = sum(len(re.findall(r"^def test_", file.read_text("utf-8"), re.MULTILINE)) for file in folder.glob("test_*"))
    said = run(commands((folder / "README.md").read_text("utf-8"))[-1].split(), folder)
    assert f"{tests} passed" in said
    assert tests > 4


def test_the_door_of_the_page_answers_over_http(sprat: Sprat) -> None:
    namespace: dict[str, object] = {}
    exec(programs()["testing-door"], namespace)
    namespace["test_a_text_over_http"](sprat)  # type: ignore[operator]


def test_the_context_manager_of_the_page_prints_the_label(
    sprat: Sprat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It starts one more; here it gets the one that runs."""
    options: dict[str, object] = {}
    monkeypatch.setattr(sprat_testing, "Sprat", lambda **named: options.update(named) or nullcontext(sprat))
    exec(programs()["testing-context"], {})
    assert capsys.readouterr().out == "balance\n"
    assert set(options) <= set(inspect.signature(Sprat).parameters)


def test_the_options_of_the_page_are_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest, "fixture", lambda **_: lambda function: function)
    namespace: dict[str, object] = {}
    exec(programs()["testing-options"], namespace)
    options = namespace["sprat_options"]()
    assert options
    assert set(options) <= set(inspect.signature(Sprat).parameters)


TASK_FILES = {
    "desk": "kind: classification\nlabels: {badge: , laptop: }\n",
    "topics": "kind: multi_label\nlabels: {billing: , delivery: }\n",
    "clean": "kind: pii\n",
    "summary": "kind: text\ninstruction: Summarise it.\n",
}


@pytest.mark.long
def test_tasks_from_files_are_answered_by_their_kind(tmp_path: Path) -> None:
    for name, content in TASK_FILES.items():
        (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
    policy = tmp_path.parent / "tasks-policy.yaml"
    policy.write_text('tenants:\n  "*": {frontier: redact, regions: [local]}\n', encoding="utf-8")
    with Sprat(tasks=tmp_path, policy=policy) as sprat:
        sprat.answer("door", task="desk", label="badge")
        sprat.answer("late", task="topics", labels=("billing",), confidence=0.1)
        sprat.answer("late", task="topics", labels=["billing", "delivery"], frontier=True)
        sprat.answer("late", task="clean", masked="[PERSON_1] is late")
        sprat.answer("late", task="summary", content="It is late.", frontier=True)
        with pytest.raises(UserError, match="task='desk': needs label= and nothing else"):
            sprat.answer("door", task="desk", labels=("badge",))
        with pytest.raises(UserError, match="there is no such task file"):
            sprat.answer("door", task="dessk", label="badge")
        door, late = Text("the door", ("desk",)), Text("Anna is late", ("topics", "clean", "summary"))
        sprat.publish(door)
        sprat.publish(late)
        assert sprat.result(door).output.label == "badge"
        topics = sprat.result(late, "topics", timeout=30)
        assert (topics.source, [each.label for each in topics.output.labels]) == ("frontier", ["billing", "delivery"])
        assert sprat.result(late, "clean").output.masked == "[PERSON_1] is late"
        assert sprat.result(late, "summary", timeout=30).output.content == "It is late."


def test_a_kept_answer_is_drawn_where_the_policy_says_so(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "tasks: {intent: {review: {share: 1, per_day: 1000000}}}\nregions: {}\ntenants: {default: {frontier: deny}}\n",
        "utf-8",
    )
    with Sprat(models="fixed", policy=policy, timeout=20) as sprat:
        sprat.answer("card", intent="card_lost")
        text = Text("I have lost my card")
        sprat.publish(text)
        sprat.expect_kept(text)
        drawn = sprat.draw(text)
        assert (drawn.prediction.output.label, drawn.share, drawn.by) == ("card_lost", 1.0, "people")
        with pytest.raises(AssertionError, match=r"was not drawn after 0\.5 s"):
            sprat.draw("another", timeout=0.5)
