"""Sums and pairs of egress records, without a broker."""

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import EgressRecord
from sprat_operations.egress import EgressPairing, EgressSums, StoredEgress


def record(call_id="1", phase="attempt", **changes):
    fields = {
        "call_id": call_id,
        "phase": phase,
        "tenant": "acme",
        "task": "intent",
        "provider": "mistral",
        "region": "eu",
        "model": "small",
        "bytes_out": 100,
        "text_hash": "h",
        "outcome": "answered" if phase == "outcome" else None,
    }
    return EgressRecord(**(fields | changes))


def seen(call_id, phase, at_ms=0):
    return StoredEgress(record(call_id, phase), at_ms)


@pytest.mark.parametrize("order", [("attempt", "outcome"), ("outcome", "attempt")])
def test_a_pair_is_a_pair_in_either_order_and_nothing_of_it_is_held(order):
    pairs = EgressPairing()
    for number in range(1000):
        for phase in order:
            assert pairs.add(seen(str(number), phase)) is None
    assert pairs.paired == 1000
    assert pairs.rest() == []


def test_what_is_alone_is_given_by_time():
    pairs = EgressPairing()
    for call_id, phase, at_ms in (("a", "outcome", 3), ("b", "attempt", 1), ("c", "attempt", 2)):
        pairs.add(seen(call_id, phase, at_ms))
    assert [(each.call_id, each.phase) for each in pairs.rest()] == [
        ("b", "attempt"),
        ("c", "attempt"),
        ("a", "outcome"),
    ]


def test_pairs_that_ended_before_the_time_asked_for_are_not_counted():
    pairs = EgressPairing(since_ms=10)
    for call_id, ends in (("early", 9), ("across", 10)):
        pairs.add(seen(call_id, "attempt", 1))
        pairs.add(seen(call_id, "outcome", ends))
    assert pairs.paired == 1


@pytest.mark.parametrize("phase", ["attempt", "outcome"])
def test_memory_has_a_bound_and_the_oldest_goes_first(phase):
    pairs = EgressPairing(max_open=3)
    given_up = [pairs.add(seen(str(number), phase)) for number in range(5)]
    assert [each and each.call_id for each in given_up] == [None, None, None, "0", "1"]
    assert [each.call_id for each in pairs.rest()] == ["2", "3", "4"]


def test_sums_take_what_left_from_attempts_and_what_it_cost_from_outcomes():
    sums = EgressSums()
    masked = {"PERSON": 2}
    for phase, changes in (
        ("attempt", {}),
        ("outcome", {"cost_eur": 0.25}),
        ("attempt", {}),
        ("outcome", {"outcome": "timeout"}),
        ("attempt", {}),
    ):
        sums.add(record(phase=phase, masked=masked, **changes))
    sums.add(record(region="us"))
    assert sums.by_route["acme", "mistral", "eu"].as_json() == {
        "calls": 3,
        "bytes_out": 300,
        "masked": {"PERSON": 6},
        "cost_eur": 0.25,
        "answered": 1,
        "failures": {"timeout": 1},
    }
    assert sums.total.calls == 4
    assert EgressSums().total.calls == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "1x"], "--since 1x: needs a number and s, m, h or d"),
        (["verify", "--since", "1x"], "--since 1x: needs"),
        (["verify", "--grace", "1x"], "--grace 1x: needs"),
        (["--since", "1h", "verify"], "options go after the subcommand: sprat audit verify --since 7d"),
        (["--bootstrap", "localhost"], "'localhost' is not HOST:PORT"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["audit", *arguments])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [["audit"], ["audit", "verify"]])
def test_help_has_examples_and_exit_codes(arguments):
    shown = CliRunner().invoke(app, [*arguments, "--help"]).output
    assert f"sprat {' '.join(arguments)}" in shown.split("Examples:")[1]
    assert "Exit codes:" in shown
    assert "--json" in shown
