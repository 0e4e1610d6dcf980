"""`sprat assess --frontier` asks a provider: what leaves, what is recorded, what it costs."""

import asyncio
import json

import pytest

from sprat_contracts import EgressRecord, decode
from support import frontier_parts as parts
from support import training_files
from support.assessing import FRONTIER_POLICY, assess, run
from support.stream import SECRET, read_all


@pytest.fixture
def asking(folder, tmp_path):
    """Run `assess --frontier` on two texts; return the result and the bodies that the provider received."""
    policy = tmp_path / "frontier.yaml"
    policy.write_text(FRONTIER_POLICY)
    texts = [("my badge is lost, call Anna Schmidt of Blue Heron", "badge"), ("HR-1234: time off in May", "leave")]
    training_files.write(tmp_path / "few.csv", texts)

    def asking(*arguments, policy=policy, region=("--frontier-region", "local")):
        with parts.simulator() as simulated:
            more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1", *region]
            more += [] if policy is None else ["--policy", policy]
            page = ["--output", tmp_path / "page.html", "--json"]
            result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", *more, *page, *arguments)
            return result, simulated.bodies

    return asking


def test_the_policys_own_terms_and_patterns_do_not_reach_the_provider(asking):
    result, bodies = asking("--tenant", "acme")
    assert result.exit_code == 0, result.output
    assert len(bodies) == 2
    assert [word for word in ("Heron", "HR-1234", "Schmidt") if any(word in body for body in bodies)] == []
    assert "2 texts to send to http://" in result.stderr
    assert "no egress records" in result.stderr
    masked = (
        "masked by the policy of acme, which lets the frontier service send them whole: `sprat assess` always masks"
    )
    assert masked in result.stderr


@pytest.mark.parametrize(
    ("more", "tenant", "said"),
    [
        ("  careful: {frontier: redact, regions: [local]}\n", "careful", "masked by the policy of careful; no broker"),
        ("inside: [127.0.0.1]\n", "acme", "masked by the policy of acme, although that host is inside the house: "),
    ],
)
def test_how_the_texts_are_sent_is_said(asking, tmp_path, more, tenant, said):
    policy = tmp_path / "more.yaml"
    rules = FRONTIER_POLICY.replace("perimeter:", f"{more}perimeter:")
    policy.write_text(rules)
    result, bodies = asking("--tenant", tenant, policy=policy)
    assert result.exit_code == 0, result.output
    assert said in result.stderr
    assert len(bodies) == 2
    assert [word for word in ("Heron", "HR-1234", "Schmidt") if any(word in body for body in bodies)] == []


def test_what_a_simulator_cost_is_called_simulated(folder, tmp_path):
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    training_files.write(tmp_path / "few.csv", [("my badge is lost", "badge"), ("time off in May", "leave")])
    with parts.simulator() as simulated:
        more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1"]
        own = ["--policy", tmp_path / "policy.yaml", "--tenant", "acme", "--frontier-region", "local"]
        page = tmp_path / "page.html"
        result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", *more, *own, "--output", page)
    said = "2 texts went to a simulator: what they cost is simulated"
    assert (said in result.stdout, said in page.read_text("utf-8")) == (True, True), result.output


@pytest.mark.parametrize(
    ("tenant", "message"),
    [("closed", "nothing may leave: the policy lets nothing of the tenant closed leave"),
     ("nobody", 'nothing may leave: the policy has no entry for the tenant nobody, nor "*" for all others'),
     ("abroad", "nothing may leave: the policy lets nothing of the tenant abroad go to the region local")],
)  # fmt: skip
def test_a_tenant_whose_policy_lets_nothing_leave_is_refused(asking, tenant, message):
    result, bodies = asking("--tenant", tenant)
    assert result.exit_code == 2
    assert message in result.stderr
    assert bodies == []


def test_without_a_policy_or_a_region_nothing_is_asked(asking):
    for changes, message in (
        ({"policy": None}, "--frontier sends texts to a provider: it needs --policy FILE"),
        ({"region": ()}, "--frontier needs --frontier-region NAME"),
    ):
        result, bodies = asking("--tenant", "acme", **changes)
        assert result.exit_code == 2
        assert message in result.stderr
        assert bodies == []


async def test_with_a_broker_each_call_has_an_attempt_and_an_outcome_on_the_audit_topic(
    asking, kafka, topics, monkeypatch
):
    monkeypatch.setenv("SPRAT_SECRET", SECRET)
    monkeypatch.setenv("SPRAT_AUDIT__KEY", parts.KEY.der_base64)
    given = ["--tenant", "acme", "--bootstrap", kafka.bootstrap, "--prefix", topics.prefix]
    result, bodies = await asyncio.to_thread(asking, *given)
    assert result.exit_code == 0, result.output
    assert len(bodies) == 2
    records = [decode(record, EgressRecord).message for record in await read_all(kafka.bootstrap, topics.egress)]
    calls = {record.call_id for record in records}
    ends = {(record.call_id, record.phase, record.outcome) for record in records}
    expected = {(call, *end) for call in calls for end in (("attempt", None), ("outcome", "answered"))}
    assert (len(records), len(calls), ends) == (4, 2, expected)
    assert {(record.tenant, record.region, record.provider) for record in records} == {("acme", "local", "127.0.0.1")}
    masked = [dict(record.masked) for record in records if record.phase == "attempt"]
    assert {"CASE": 1} in masked


def test_a_broker_without_the_services_secret_is_refused(asking, monkeypatch):
    monkeypatch.delenv("SPRAT_SECRET", raising=False)
    result, bodies = asking("--tenant", "acme", "--bootstrap", "127.0.0.1:9")
    assert result.exit_code == 2
    assert "SPRAT_SECRET is missing or too short" in result.stderr
    assert bodies == []


def test_nothing_is_sent_while_the_egress_records_cannot_be_written(asking, monkeypatch):
    monkeypatch.setenv("SPRAT_SECRET", SECRET)
    monkeypatch.setenv("SPRAT_AUDIT__KEY", parts.KEY.der_base64)
    result, bodies = asking("--tenant", "acme", "--bootstrap", "127.0.0.1:9")
    assert result.exit_code == 2
    assert "Kafka at 127.0.0.1:9 cannot be reached" in result.stderr
    assert bodies == []


def test_the_frontier_is_asked_with_personal_data_masked_and_its_answers_are_saved(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(FRONTIER_POLICY)
    own = ["--policy", policy, "--tenant", "acme", "--frontier-region", "local"]
    training_files.write(
        tmp_path / "few.csv", [("my badge is lost, call Anna Schmidt", "badge"), ("time off in May", "leave")]
    )
    with parts.simulator() as simulated:
        more = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1", *own]
        keep = ["--save-answers", tmp_path / "answers.jsonl", "--output", tmp_path / "page.html", "--json"]
        result = run("assess", tmp_path / "few.csv", "--model", folder / "hr", *more, *keep)
        assert result.exit_code == 0, result.output
        bodies = simulated.bodies
    assert len(bodies) == 2
    assert not any("Schmidt" in body for body in bodies)
    assert json.loads(result.stdout)["frontier"]["eur_per_million"][0] > 0
    kept = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert {line["label"] for line in kept} <= {"badge", "laptop", "leave", "payroll", "oos"}
    again = run(
        "assess", tmp_path / "few.csv", "--model", folder / "hr", "--frontier-answers", tmp_path / "answers.jsonl"
    )
    assert again.exit_code == 0, again.output


def test_an_unreachable_frontier_gives_an_error_of_one_line(folder, tmp_path):
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    own = ["--policy", tmp_path / "policy.yaml", "--tenant", "acme", "--frontier-region", "local"]
    more = ["--frontier", "http://127.0.0.1:1/v1", "--frontier-model", "any", *own]
    result = assess(folder, *more, "--output", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "calls in a row failed, the last with unreachable" in result.stderr
