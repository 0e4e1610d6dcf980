"""`sprat evaluate --frontier tiers` and `sprat tiers calibrate`: what leaves, is recorded and is measured."""

import asyncio
import json

import pytest

from sprat.base.thresholds import read_thresholds
from sprat_contracts import EgressRecord, decode
from sprat_inference.card import label_set_hash
from support import frontier_parts as parts
from support import training_files
from support.evaluating import run, tiers
from support.stream import SECRET, read_all

FEW = [("my badge is lost, call Anna Schmidt of Blue Heron", "badge"), ("HR-1234: time off in May", "leave")]


@pytest.fixture
def asking(folder, tmp_path, monkeypatch):
    """Ask the tiers about two texts; return the result, and what both tiers got."""
    monkeypatch.delenv("SPRAT_KAFKA__BOOTSTRAP", raising=False)
    training_files.write(tmp_path / "few.csv", FEW)

    def asking(*arguments, confidence=0.9, model=folder / "hr"):
        with parts.simulator() as house, parts.simulator() as large:
            house.reset(confidence=confidence)
            (tmp_path / "policy.yaml").write_text(tiers(house, large))
            given = ["--model", model, "--frontier", "tiers", "--policy", tmp_path / "policy.yaml", "--json"]
            return run("evaluate", tmp_path / "few.csv", *given, *arguments), house.bodies, large.bodies

    return asking


def test_a_sure_tier_inside_the_house_gets_the_texts_whole_and_the_other_none(asking, tmp_path):
    result, house, large = asking("--tenant", "acme")
    assert result.exit_code == 0, result.output
    assert (len(house), large) == (2, [])
    assert any("Schmidt" in body for body in house)
    (tier,) = json.loads(result.stdout)["routed"]["tiers"]
    assert (tier["tier"], tier["asked"], tier["kept"], tier["eur_per_million"]) == ("house", 2, 2, 0)
    assert "what is sent has no egress records" in result.stderr


def test_what_leaves_the_house_is_masked_and_its_answers_are_saved(asking, folder, tmp_path):
    result, house, large = asking("--tenant", "acme", confidence=0.5)
    assert result.exit_code == 0, result.output
    assert (len(house), len(large)) == (2, 2)
    assert [word for word in ("Heron", "HR-1234", "Schmidt") if any(word in body for body in large)] == []
    routed = json.loads(result.stdout)["routed"]
    assert [(tier["tier"], tier["kept"]) for tier in routed["tiers"]] == [("house", 0), ("large", 2)]
    assert (routed["tiers"][1]["eur_per_million"] > 0, routed["simulated"]) == (True, 2)
    saved = tmp_path / "few-frontier.jsonl"
    assert f"{saved}: the answers" in result.stderr
    again = run("evaluate", tmp_path / "few.csv", "--model", folder / "hr", "--frontier", saved, "--json")
    read = json.loads(again.stdout)["routed"]
    assert (read["right"], read["eur_per_million"]) == (routed["right"], routed["eur_per_million"])


def test_nothing_leaves_for_a_tenant_that_the_policy_denies_it(asking):
    result, house, large = asking("--tenant", "closed", confidence=0.5)
    assert result.exit_code == 0, result.output
    assert (len(house), large) == (2, [])


async def test_with_a_broker_each_call_that_leaves_has_an_attempt_and_an_outcome(asking, kafka, topics, monkeypatch):
    monkeypatch.setenv("SPRAT_SECRET", SECRET)
    monkeypatch.setenv("SPRAT_AUDIT__KEY", parts.KEY.der_base64)
    monkeypatch.setenv("SPRAT_KAFKA__PREFIX", topics.prefix)

    def asked():
        monkeypatch.setenv("SPRAT_KAFKA__BOOTSTRAP", kafka.bootstrap)
        return asking("--tenant", "acme", confidence=0.5)

    result, _, large = await asyncio.to_thread(asked)
    assert result.exit_code == 0, result.output
    assert len(large) == 2
    records = [decode(record, EgressRecord).message for record in await read_all(kafka.bootstrap, topics.egress)]
    calls = {record.call_id for record in records}
    ends = {(record.call_id, record.phase, record.outcome) for record in records}
    assert ends == {(call, *end) for call in calls for end in (("attempt", None), ("outcome", "answered"))}
    assert (len(records), len(calls)) == (4, 2)


@pytest.mark.parametrize(
    ("secret", "said"),
    [(None, "SPRAT_SECRET is missing or too short"), (SECRET, "Kafka at 127.0.0.1:9 cannot be reached")],
)
def test_nothing_is_sent_where_egress_records_cannot_be_written(asking, monkeypatch, secret, said):
    monkeypatch.setenv("SPRAT_KAFKA__BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("SPRAT_AUDIT__KEY", parts.KEY.der_base64)
    monkeypatch.setenv("SPRAT_SECRET", secret or "")
    result, house, large = asking("--tenant", "acme", confidence=0.5)
    assert result.exit_code == 2
    assert said in result.stderr
    assert (house, large) == ([], [])


def test_a_large_model_is_asked_for_labels_only(asking):
    result, house, _ = asking("--tenant", "acme", model="ner/default")
    assert result.exit_code == 2
    assert house == []


@pytest.fixture
def calibrating(folder, tmp_path):
    """Calibrate the tier `house`, which states 90 %, on rows of which it gets some wrong; return the result."""
    rows = [*training_files.rows()[1:], *[(f"who won the cup final in {time}", "oos") for time in training_files.TIMES]]
    training_files.write(tmp_path / "rows.csv", rows)
    gold = [{"text": text, "gold": {"intent": label}} for text, label in rows if label != "oos"]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, gold)))

    def calibrating(*arguments, wrong_rate=0.0, confidence=0.9, tier="house"):
        with parts.simulator(GOLD=str(tmp_path / "gold.jsonl")) as house, parts.simulator() as large:
            (tmp_path / "policy.yaml").write_text(tiers(house, large))
            house.reset(confidence=confidence, wrong_rate=wrong_rate)
            given = ["--tier", tier, "--policy", tmp_path / "policy.yaml", "--tenant", "closed", "--json"]
            return run("tiers", "calibrate", tmp_path / "rows.csv", "--model", folder / "hr", *given, *arguments)

    return calibrating


def test_a_tier_is_measured_and_its_thresholds_stand_beside_the_policy(calibrating, tmp_path):
    result = calibrating("--goal", "0.8", "--no-outside-texts")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    file = tmp_path / "thresholds" / "house.intent.json"
    labels = label_set_hash(training_files.PHRASES)
    thresholds = read_thresholds(file, model_version="phi", label_set=labels)
    assert (thresholds.model, thresholds.task, found["written"]) == ("phi", "intent", str(file))
    cell = thresholds.cell(None, "some")
    assert cell.estimated[0].threshold == pytest.approx(0.9, abs=1e-3)
    assert thresholds.certificate.goals == (0.8,)


def test_a_tier_that_is_often_wrong_reaches_no_level_however_sure_it_says_it_is(calibrating, tmp_path):
    result = calibrating("--goal", "0.8", wrong_rate=0.5)
    assert result.exit_code == 0, result.output
    thresholds = json.loads((tmp_path / "thresholds" / "house.intent.json").read_text())
    assert [cell["estimated"] for cell in thresholds["cells"] if cell["says"] == "some"] == [[], []]


@pytest.mark.parametrize(
    ("options", "tier", "said"),
    [
        ((), "attic", "policy.yaml has no tier attic; it has: house, large"),
        (("--goal", "0.4"), "house", "--goal 0.4: goals are 0.80 to 0.995"),
        ((), "large", "the policy lets nothing leave for the tenant closed"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(calibrating, tmp_path, options, tier, said):
    result = calibrating(*options, tier=tier)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "thresholds").exists()


def test_a_policy_is_needed(folder, monkeypatch):
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    result = run("tiers", "calibrate", folder / "test.csv", "--tier", "house")
    assert result.exit_code == 2
    assert "name the policy that has the tier" in result.stderr
