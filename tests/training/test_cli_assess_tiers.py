"""`sprat assess --tiers` compares the tiers of a policy and calibrates them."""

import json

import pytest

from sprat_inference.platt import Platt
from sprat_policy import load_policy
from support import frontier_parts as parts
from support import training_files
from support.assessing import FRONTIER_POLICY, assess, run

TIERS = """
inside: [127.0.0.1]
regions: {{local: [localhost]}}
tenants: {{acme: {{frontier: redact, regions: [local]}}, closed: {{frontier: deny}}}}
tiers:
  - {{name: house, preset: "vllm:{house}", model: phi, keep_at: 0.8, price: {price}}}
  - {{name: large, preset: "openai:large", url: "{large}", region: local, price: {price}}}
"""


def test_the_tiers_of_a_policy_are_compared(folder, tmp_path):
    rows = [(f"call {name}, my badge is lost", "badge") for name in ("Ann", "Ben", "Cid", "Dan")]
    training_files.write(tmp_path / "few.csv", rows)
    page = ["--output", tmp_path / "page.html", "--policy", tmp_path / "tiers.yaml", "--tenant", "acme"]
    asked = ["assess", tmp_path / "few.csv", "--model", folder / "hr", "--tiers", *page]
    with parts.simulator() as house, parts.simulator() as large:
        outside = large.base_url.replace("127.0.0.1", "localhost")
        price = "{input_eur: 1, output_eur: 1}"
        (tmp_path / "tiers.yaml").write_text(TIERS.format(house=house.base_url, large=outside, price=price))
        house.reset(confidence=0.5)
        assert (
            "tier house: 4 texts reached it; kept 0.0% (0.0% to 49.0%); right of those kept –; " in run(*asked).output
        )
        house.reset(confidence=0.5)
        large.reset()
        result = run(*asked, "--json")
        assert result.exit_code == 0, result.output
        assert "by the policy of acme: masked on the way to those outside, whole to those inside the" in result.stderr
        first, last = json.loads(result.stdout)["tiers"]
        assert (first["tier"], first["asked"], first["answered"], first["kept"][0]) == ("house", 4, 4, 0)
        assert (last["tier"], last["asked"], last["answered"], last["kept"][0]) == ("large", 4, 4, 1)
        assert 0 < first["eur_per_million"][1] <= first["eur_per_million"][0] <= first["eur_per_million"][2]
        assert json.loads(result.stdout)["frontier"]["eur_per_million"][0] == pytest.approx(
            first["eur_per_million"][0] + last["eur_per_million"][0], abs=0.02
        )
        assert (len(house.bodies), len(large.bodies)) == (4, 1), "masked outside, the texts are equal: paid once"
        house.reset(confidence=0.9)
        large.reset()
        said = run(*asked)
        assert "right of those kept –" not in said.output
        assert "tier house: 4 texts reached it; kept 100.0% (" in said.output
        assert large.bodies == []
        denied = run(*asked, "--tenant", "closed", "--json")
        assert [tier["tier"] for tier in json.loads(denied.stdout)["tiers"]] == ["house"]
        assert "not asked" not in denied.stderr, "no text reached the other one"
        house.reset(confidence=0.5)
        unsure = run(*asked, "--tenant", "closed")
        assert "tier large: not asked, by the policy of closed; add --tenant acme, which may" in unsure.stderr
        calibrated = run(*asked, "--calibrate-tiers")
        assert "tier large: 0 answers with a probability; not calibrated: without a keep_at it is" in calibrated.stdout


def test_tiers_that_are_free_are_known_to_cost_nothing(folder, tmp_path):
    training_files.write(tmp_path / "few.csv", [("call Ann, my badge is lost", "badge")])
    free = "{input_eur: 0, output_eur: 0}"
    with parts.simulator() as house, parts.simulator() as large:
        outside = large.base_url.replace("127.0.0.1", "localhost")
        (tmp_path / "tiers.yaml").write_text(TIERS.format(house=house.base_url, large=outside, price=free))
        said = run("assess", tmp_path / "few.csv", "--model", folder / "hr", "--tiers", "--tenant", "acme",
                   "--policy", tmp_path / "tiers.yaml", "--output", tmp_path / "page.html").output  # fmt: skip
    assert "; costs: 0\n" in said
    assert "costs: 0, by the prices of the tiers" in said
    assert "no costs are known" not in said
    assert "EUR per million texts asked" not in said


def test_a_tier_is_calibrated_on_labelled_texts_and_its_keep_at_then_holds_for_that(folder, tmp_path):
    """A tier that states 90 % and is right in 60 of 100."""
    rows = training_files.rows()[1:]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(json.dumps({"text": text, "gold": {"intent": label}}) for text, label in rows))
    training_files.write(tmp_path / "rows.csv", rows)
    policy = tmp_path / "tiers.yaml"
    more = ["--policy", policy, "--tenant", "closed", "--output", tmp_path / "page.html"]
    asked = ["assess", tmp_path / "rows.csv", "--model", folder / "hr", "--tiers", *more]
    with parts.simulator(GOLD=str(gold)) as house:
        policy.write_text(CALIBRATED_TIERS.format(house=house.base_url))
        house.reset(confidence=0.9, wrong_rate=0.4)
        before = json.loads(run(*asked, "--json").stdout)["tiers"][0]
        assert before["kept"][0] == 1
        result = run(*asked, "--calibrate-tiers")
        assert result.exit_code == 0, result.output
        assert f"tier house: {len(rows)} answers with a probability" in result.stdout
        assert "Brier score" in result.stdout
        assert "tiers.0.calibration.intent is now this" in result.stdout
        assert "restart the frontier" in result.stdout
        (tier,) = load_policy(policy).tiers
        fitted = tier.calibration["intent"]
        assert (fitted.model, fitted.texts) == ("phi", len(rows))
        right = before["right_of_answered"][0]
        assert Platt(fitted.bias, fitted.slope).chance(0.9) == pytest.approx(right, abs=0.02)
        assert "# stays" in policy.read_text()
        after = json.loads(run(*asked, "--json").stdout)["tiers"][0]
        assert after["kept"][0] == 0, "below its keep_at once calibrated"
        again = run(*asked, "--calibrate-tiers", "--json")
        (fit,) = json.loads(again.stdout)["tier_calibrations"]
        assert fit["stated"] == pytest.approx(0.9), "a calibration is of what the model states, not of the one before"
        assert fit["answers"] == len(rows)


CALIBRATED_TIERS = """
inside: [127.0.0.1]
tenants: {{closed: {{frontier: deny}}}}
tiers:
  - name: house
    preset: "vllm:{house}"
    model: phi
    keep_at: 0.8  # stays
"""


def test_a_tier_is_calibrated_for_the_task_of_the_card(folder, beside, tmp_path):
    model, policy, _ = beside
    rows = training_files.rows()[1:]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(json.dumps({"text": text, "gold": {"mood": {"label": label}}}) for text, label in rows))
    training_files.write(tmp_path / "rows.csv", rows)
    more = ["--policy", policy, "--tenant", "closed", "--output", tmp_path / "page.html"]
    with parts.simulator(GOLD=str(gold)) as house:
        policy.write_text(CALIBRATED_TIERS.format(house=house.base_url))
        house.reset(confidence=0.9, wrong_rate=0.4)
        result = run("assess", tmp_path / "rows.csv", "--model", model, "--tiers", *more, "--calibrate-tiers")
    assert result.exit_code == 0, result.output
    assert f"asked as the task mood, that of the card of {model}" in result.stderr
    assert "tiers.0.calibration.mood is now this" in result.stdout
    assert list(load_policy(policy).tiers[0].calibration) == ["mood"]


def test_tiers_are_calibrated_in_a_policy_that_is_named(folder, tmp_path):
    policy = "--policy FILE or SPRAT_POLICY: it asks the tiers of the policy"
    for missing, more in (
        (f"--tiers, and {policy}", []),
        (policy, ["--tiers"]),
        ("--tiers: it asks", ["--policy", "policy.yaml"]),
    ):
        result = assess(folder, "--frontier-accuracy", "1", "--calibrate-tiers", *more)
        assert result.exit_code == 2
        assert f"--calibrate-tiers needs {missing}" in result.stderr


def test_tiers_need_a_policy_that_has_some(folder, tmp_path):
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    training_files.write(tmp_path / "few.csv", [("my badge is lost", "badge")])
    for more, message in (
        (("--policy", tmp_path / "policy.yaml"), "policy.yaml has no `tiers`; name a model by --frontier URL instead"),
        ((), "--tiers sends texts to a provider: it needs --policy FILE or SPRAT_POLICY"),
    ):
        result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", "--tiers", *more)
        assert result.exit_code == 2
        assert message in result.stderr
