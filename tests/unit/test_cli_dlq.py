"""`sprat dlq`: help, user errors and output, without a broker."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat_cli.commands.dlq.listing import next_steps
from sprat_cli.commands.dlq.replay import Run
from sprat_cli.main import app
from sprat_cli.render import dead_letter_json
from sprat_contracts import DeadLetterReason, Record, Topics
from sprat_contracts.codes import ReasonCode
from sprat_operations.dead_letter_selection import DeadLetterFilter, SelectedDeadLetters, check_names, not_found
from sprat_operations.dead_letters import DeadLetter, read_dead_letter
from sprat_operations.replay import SkippedReplay, plan
from support.stream import SIGNATURES
from support.wire_records import signed_letter

TOPICS = Topics()
REASON = DeadLetterReason("model_error", "it broke", TOPICS.texts, 3, 41, 1_767_225_600_000, "intent", "1.2.3")


def letter(offset: int = 0, written_at: int = 5_000, **changes) -> DeadLetter:
    headers = tuple(replace(REASON, offset=41 + offset, **changes).headers(()))
    record = Record(TOPICS.dead_letters, 0, offset, written_at, b"k", b"Anna Schmidt", headers)
    return read_dead_letter(signed_letter(record), SIGNATURES)


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["dlq", *arguments])


def test_help_says_that_an_id_is_not_masked(run):
    shown = " ".join(run("show", "--help").output.split())
    assert "ce_id" in shown
    assert "never masked" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--since", "1x"], "--since 1x: needs a number and s, m, h or d"),
        (["count", "--until", "1x"], "--until 1x: needs"),
        (["replay", "--since", "1h", "--until", "2h"], "--until 2h ends before --since 1h begins"),
        (["show", "0:1", "--raw", "--bootstrap", "localhost"], "'localhost' is not HOST:PORT"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, arguments, said):
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (DeadLetterFilter(), True),
        (DeadLetterFilter(reasons=frozenset({"model_error", "defect"})), True),
        (DeadLetterFilter(reasons=frozenset({"defect"})), False),
        (DeadLetterFilter(services=frozenset({"router"})), False),
        (DeadLetterFilter(since_ms=5_000, until_ms=5_000), True),
        (DeadLetterFilter(since_ms=5_001), False),
        (DeadLetterFilter(until_ms=4_999), False),
        (DeadLetterFilter(names=frozenset({"0:0"})), True),
        (DeadLetterFilter(names=frozenset({"41-1767225600000"})), True),
        (DeadLetterFilter(names=frozenset({"0:1"})), False),
    ],
)
def test_options_choose_letters(choice, taken):
    assert choice.takes(letter()) is taken


BOUNDS = {0: (5, 12), 1: (0, 0), 2: (7, 7)}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("9:9", "no such partition; there are 3, from 0 on"),
        ("0:12", "not yet written; the newest of partition 0 is 0:11"),
        ("1:0", "partition 1 has no dead letters"),
        ("0:4", "past its retention; the oldest of partition 0 is 0:5"),
        ("2:6", "past its retention"),
        ("0:7", "the record there is not a dead letter"),
        ("nope", "neither PARTITION:OFFSET, as 3:17, nor the id of a text that has a dead letter here"),
        ("0:x", "neither PARTITION:OFFSET, as 3:17, nor the id of a text that has a dead letter here"),
    ],
)
def test_a_name_that_matches_nothing_is_explained(name, why):
    assert not_found([name], BOUNDS, chosen=False) == f"{name}: {why}. `sprat dlq list` shows what there is"


def test_names_that_other_options_may_exclude_are_explained():
    said = not_found(["0:7", "a\x1bb"], BOUNDS, chosen=True)
    assert said.startswith("0:7: the other options leave it out; a\ufffdb: neither PARTITION:OFFSET")
    assert "has a dead letter here, or the other options leave it out. `sprat dlq list`" in said


def test_a_name_that_matches_nothing_is_a_user_error():
    check_names(SelectedDeadLetters([letter()], []))
    with pytest.raises(UserError, match="0:7: past its retention"):
        check_names(SelectedDeadLetters([], [], missing="0:7: past its retention"))


def test_a_letter_for_machines_names_the_text_by_where_it_stood():
    fields = dead_letter_json(letter())
    assert (fields["letter"], fields["text_id"], fields["text_source"]) == (
        "0:0",
        "41-1767225600000",
        "/sprat.texts.v1/3",
    )
    assert fields["trace_id"] == letter().trace_id
    assert "Anna" not in json.dumps(fields)


@pytest.mark.parametrize("code", list(ReasonCode)[: list(ReasonCode).index(ReasonCode.NO_SERVICE)])
def test_every_code_of_a_dead_letter_has_a_cause(code):
    record = {"structured_mode", "unsupported_content_type", "unexpected_type", "empty_value", "no_known_task"}
    record |= {"task_not_requested", "too_large"}
    if code in {"model_error", "defect"}:
        assert letter(code=code).cause == "fault"
    else:
        assert letter(code=code).cause == ("record" if code in record or code.startswith("invalid") else "settings")


def test_a_code_of_a_later_version_is_a_fault():
    assert letter(code="later").cause == "fault"


def test_what_to_do_next_depends_on_the_cause():
    assert next_steps([letter(code="invalid_text")] * 2) == (
        "next: the record itself is invalid: correct it and publish it again; a replay fails again"
    )
    assert next_steps([letter()]) == "next: the service failed: repair the cause, then replay it: sprat dlq replay"
    assert next_steps([letter(code="no_known_task")]) == (
        "next: the router knew no task that it asks for: where the task has been added since, replay it: sprat dlq "
        "replay; else correct it and publish it again"
    )
    mixed = next_steps([letter(), letter(1, code="invalid_text"), letter(2), letter(3, code="foreign_source")])
    assert mixed.startswith("next: 1 × the record itself is invalid: correct it")
    assert "1 × the settings or the policy do not accept it: " in mixed
    assert mixed.endswith("; 2 × the service failed: repair the cause, then replay it: sprat dlq replay")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_replay_warns_of_records_that_will_fail_again(capsys, as_json):
    letters = [
        letter(number, code="invalid_text" if number % 2 else "model_error", service="router") for number in range(5)
    ]
    run = Run(KafkaSettings(), plan(letters, (), TOPICS, SIGNATURES), as_json=as_json)
    run.warn()
    run.show_plan_end()
    out, err = capsys.readouterr()
    if as_json:
        assert (err, json.loads(out.splitlines()[-1])["invalid"]) == ("", 2)
    else:
        assert err.startswith("2 of 5 records will fail again: the records themselves are invalid; correct")
    added = Run(
        KafkaSettings(), plan([letter(code="no_known_task", service="router")], (), TOPICS, SIGNATURES), as_json=as_json
    )
    added.warn()
    said = capsys.readouterr().err
    assert said == "" if as_json else "unless the task has been added since" in said
    fine = Run(KafkaSettings(), plan([letter()], (), TOPICS, SIGNATURES), as_json=as_json)
    fine.warn()
    assert capsys.readouterr().err == ""


def test_a_plan_names_the_first_and_counts_the_rest(capsys):
    planned = plan([letter(number) for number in range(25)], (), TOPICS, SIGNATURES)
    run = Run(
        KafkaSettings(), replace(planned, left_out=[SkippedReplay(letter(9), "at_limit", "three times")]), as_json=False
    )
    run.show_plan()
    run.show_plan_end()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "would replay  0:0  model_error  → sprat.texts.v1 for intent, replay 1 of 3  · 41-1767225600000"
    )
    assert lines[20:] == [
        "… and 5 more: 25 model_error for intent",
        "left out  0:9  three times",
        "25 records would be sent, 1 left out; nothing was sent: add --yes",
    ]
