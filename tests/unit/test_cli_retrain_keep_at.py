"""What `sprat retrain` says of the keep_at of a new version: a provisional one does not lower what holds."""

import pytest

from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.retrain.keep_at import KeepAtAdvice, keep_at_advice
from sprat_inference.card import Card
from sprat_policy import load_task_file
from sprat_training.keep_at import RightAt, keep_at_rule, recommend
from support.stream import card

HR = AskedModel("intent", "hr")
WHERE = "policy.yaml, under tasks.intent.models.hr"


def version(keep_at: float, *, texts: int = 400) -> Card:
    """Return the card of a version whose `keep_at` was found on so many kept texts, all right: 88 of them show 97 %."""
    chosen, rule = keep_at_rule(
        "the answers kept", 0.97, "held-out texts", recommend([RightAt(keep_at, 1, texts)], 0.97)
    )
    return card().model_copy(update={"keep_at": chosen, "keep_at_rule": rule})


@pytest.fixture
def policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text("tasks: {intent: {models: {hr: {keep_at: 0.83}}}}\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")


@pytest.mark.parametrize(
    ("new", "advice"),
    [
        (version(0.80), KeepAtAdvice(f"write in {WHERE}: keep_at: 0.80 (now 0.83)", writes=True)),
        (version(0.90, texts=20), KeepAtAdvice(f"write in {WHERE}: keep_at: 0.90 (now 0.83)", writes=True)),
        (
            version(0.80, texts=20),
            KeepAtAdvice(
                f"keep 0.83 in {WHERE}, until `sprat assess` shows a lower one: 0.80 is provisional", writes=False
            ),
        ),
        (version(0.83, texts=20), None),
    ],
    ids=["lower and shown", "higher", "lower and provisional", "the same"],
)
def test_a_provisional_keep_at_does_not_lower_that_of_the_policy(policy, new, advice):
    assert keep_at_advice(HR, None, version(0.7), new) == advice


def test_where_no_policy_is_known_that_of_the_served_versions_card_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    where = "in your policy file, under tasks.intent.models.hr"
    written = keep_at_advice(HR, None, version(0.83), version(0.8))
    assert written == KeepAtAdvice(f"write {where}: keep_at: 0.80 (the card of the served version: 0.83)", writes=True)
    kept = keep_at_advice(HR, None, version(0.83), version(0.8, texts=20))
    assert kept.said.startswith(f"keep 0.83, that of the card of the served version, {where}, until `sprat assess`")
    assert not kept.writes


def test_that_of_a_task_is_in_its_file(tmp_path):
    file = tmp_path / "desk.yaml"
    file.write_text("kind: classification\nlabels: {a: x, b: y}\nkeep_at: 0.83\n")
    kept = keep_at_advice(AskedModel("desk", "default"), load_task_file(file), version(0.7), version(0.8, texts=20))
    assert kept.said.startswith("keep 0.83 in the file of the task desk, until ")
