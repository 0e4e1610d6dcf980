"""Sums of egress records, without a broker."""

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import EgressRecord
from sprat_operations.egress import EgressSums


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
        (["verify"], "--public-key FILE is missing"),
        (["verify", "--public-key", "no.pem"], "--public-key no.pem: cannot be read: No such file or directory"),
        (["verify", "--public-key", "/dev/null"], "not an Ed25519 public key in PEM; `openssl pkey"),
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
