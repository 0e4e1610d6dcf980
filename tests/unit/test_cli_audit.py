"""Sums of egress records, without a broker."""

import json
import os

import pytest
from typer.testing import CliRunner

from sprat.audit.chain import Chain
from sprat.audit.keys import RECORD, SigningKey
from sprat.audit.places import StoredCheckpoint
from sprat_cli.commands.audit import command
from sprat_cli.main import app
from sprat_contracts import ChainPlace, EgressRecord
from sprat_frontier.settings import FrontierSettings
from sprat_local.installation.environment import audit_variables
from sprat_operations import local_run
from sprat_operations.audit_proof import AuditProof
from sprat_operations.egress import EgressSums
from support.audit_log import public_keys
from support.frontier_parts import KEY


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


def place(sequence, writer="frontier-a", signed_at=1_000_000_000):
    return ChainPlace(writer=writer, started_at=0, sequence=sequence, previous="", acknowledged=0, signed_at=signed_at)


def test_a_record_that_stands_there_again_is_not_counted():
    sums = EgressSums(1_000_000_000)
    for _ in range(500):
        sums.add(record(chain=place(1)))
        sums.add(record(phase="outcome", cost_eur=0.25, chain=place(2)))
    sums.add(record(call_id="2", chain=place(1, "frontier-b")))
    sums.add(record(call_id="3", chain=place(1, "frontier-c", signed_at=900_000_000)))  # of days before the time
    assert (sums.total.calls, sums.total.bytes_out, sums.total.cost_eur) == (2, 200, 0.25)
    assert sums.repeated == 999


@pytest.fixture
def proof():
    return AuditProof(public_keys(KEY), 10_000_000_000, horizon_ms=0)


@pytest.fixture
def verifying(monkeypatch, tmp_path, proof):
    """Run `sprat audit verify` with a proof that is there; return the result and the options that it was asked for."""
    asked = []

    async def verified(kafka, keys, places, options):
        asked.append(options)
        return proof

    (tmp_path / "public.pem").write_bytes(KEY.public_pem)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "verify_audit", verified)

    def run(*arguments, **variables):
        result = CliRunner().invoke(app, ["audit", "verify", "--public-key", "public.pem", *arguments], env=variables)
        return result, asked[-1]

    return run


def test_calls_are_looked_for_as_far_back_as_answers_live(verifying):
    assert verifying()[1].answer_ttl_ms == FrontierSettings.model_fields["answer_ttl_s"].default * 1000
    assert verifying(SPRAT_FRONTIER__ANSWER_TTL_S="7200", SPRAT_FRONTIER__MODEL="m")[1].answer_ttl_ms == 7_200_000
    assert verifying("--answer-ttl", "3d", SPRAT_FRONTIER__ANSWER_TTL_S="7200")[1].answer_ttl_ms == 3 * 86_400_000


def test_repeated_writes_are_shown_and_a_writer_without_records_has_no_times(verifying, proof):
    checkpoint = Chain(KEY, "frontier").checkpoint()
    proof.add_checkpoint(StoredCheckpoint("line 1", checkpoint.value, checkpoint.signature))
    proof.counts["repeated_writes"] = 3
    out = verifying()[0].stdout
    assert "records that stand there again: 3\n" in out
    assert ": 0 records, key " in out
    assert "1970" not in out
    assert json.loads(verifying("--json")[0].stdout.splitlines()[-1])["repeated_writes"] == 3


def test_key_and_checkpoints_of_ones_own_running_installation_are_found_by_its_kafka(monkeypatch, tmp_path, proof):
    asked = []

    async def verified(kafka, keys, places, options):
        asked.append((keys, places))
        return proof

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "verify_audit", verified)
    monkeypatch.setattr(local_run, "user_cache_path", lambda _: tmp_path / "cache")
    audit_variables(tmp_path / "data")  # as `sprat up` makes them
    local_run.LocalRun(os.getpid(), "data", "redis://127.0.0.1:6399/0", "127.0.0.1:43211").announce()
    result = CliRunner().invoke(app, ["audit", "verify", "--bootstrap", "localhost:43211"])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "data" / "audit"
    assert f"the key and the checkpoints of your `sprat up`: {folder / 'public.pem'}" in result.stderr
    ((keys, places),) = asked
    assert places.checkpoints == folder / "checkpoints"
    signing = SigningKey.read((folder / "key.pem").read_bytes(), "key")
    assert keys.check(RECORD, b"value", signing.sign(RECORD, b"value")) == signing.id

    (folder / "public.pem").unlink()  # an installation that signs with a key of the user's
    result = CliRunner().invoke(app, ["audit", "verify", "--bootstrap", "127.0.0.1:43211"])
    assert "openssl pkey -in KEY_FILE -pubout" in result.stderr
    result = CliRunner().invoke(app, ["audit", "verify", "--bootstrap", "127.0.0.1:43212"])
    assert "no `sprat up` of yours runs with Kafka at 127.0.0.1:43212" in result.stderr
