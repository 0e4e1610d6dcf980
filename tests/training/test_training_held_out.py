"""Trainings compared on texts held out from both: the figures are those of the artefacts that they would write."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sprat.base.model import Question
from sprat_inference.artefact import load_artefact
from sprat_inference.card import Card
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.datasets.distinct import TooFewToHoldOutError
from sprat_training.datasets.rows import normalised_text
from sprat_training.datasets.sources import read_sources
from sprat_training.evaluation.decision import Decision, Goal, compare
from sprat_training.evaluation.models import model_of_folder
from sprat_training.fitting import held_out
from sprat_training.fitting.encoding import RememberingEncoder, encode_texts, load_base
from sprat_training.fitting.held_out import compare_trainings
from sprat_training.train import fit_labels, train
from support import training_files

OUTSIDE = [f"what is the capital of {country}" for country in ("Peru", "Chad", "Iran", "Fiji", "Mali", "Cuba", "Laos")]
TEXTS = [text for text, _ in training_files.rows()[1:]]


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    training_files.write(tmp_path / "hr.csv", training_files.rows()[1:])
    (tmp_path / "oos.txt").write_text("\n".join(OUTSIDE))
    return TrainingConfig(
        files=(tmp_path / "hr.csv",),
        output=tmp_path / "hr",
        name="hr",
        outside_file=tmp_path / "oos.txt",
        encoder=training_files.EN_FAST,
    )


KEEP_ALL = Goal(0.8, keep_at=0.0)


@pytest.fixture(scope="module")
def card() -> Card:
    return load_artefact(training_files.EN_FAST).card


def compared(served: TrainingConfig, new: TrainingConfig, card: Card, goal: Goal = KEEP_ALL) -> Decision:
    return compare_trainings(served, new, goal, (card, card), no_progress)


def test_what_is_read_without_an_artefact_is_what_the_artefact_answers(config: TrainingConfig) -> None:
    without = replace(config, hold_out=frozenset(map(normalised_text, [*OUTSIDE[::3], *TEXTS[::4]])))
    train(without, no_progress)
    sources = read_sources(without)
    assert sources.test is not None
    fitted = fit_labels(load_base(config.encoder, threads=1), sources, without, no_progress)
    texts, outside = sources.test.texts, sources.outside_test
    readings, best = fitted.read(texts, sources.test.labels, outside, no_progress)
    answers = model_of_folder(config.output).load().answer([Question(text, "en") for text in (*texts, *outside)])
    assert [answer.output.label is None for answer in answers] == readings.is_rejected.tolist()
    assert [answer.confidence for answer in answers] == pytest.approx(readings.confidence.tolist(), abs=1e-3)
    likeliest = [answer.output.alternatives[0].label for answer in answers[: len(texts)]]
    assert likeliest == [fitted.data.labels[number] for number in best]


def test_each_text_is_encoded_once_and_has_the_same_vector() -> None:
    encoder = load_base(training_files.EN_FAST, threads=1).encoder
    asked: list[str] = []
    counting = SimpleNamespace(encode=lambda texts: asked.extend(texts) or encoder.encode(texts))
    remembering = RememberingEncoder(counting)
    first, second = ["a day off", "my payslip", "a day off"], ["my payslip", "no laptop"]
    for texts in (first, second, []):
        found, wanted = (encode_texts(each, texts, no_progress) for each in (remembering, encoder))
        np.testing.assert_array_equal(found.vectors, wanted.vectors)
        assert found.truncated == wanted.truncated
    assert sorted(asked) == ["a day off", "my payslip", "no laptop"]


def test_of_few_texts_each_is_compared_and_of_many_a_fifth(
    config: TrainingConfig, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = compared(config, config, card)
    assert (few.rows, few.outside) == (len(TEXTS) + len(OUTSIDE), len(OUTSIDE))
    assert few.compared is not None
    assert (few.compared.gained, few.compared.lost, few.verdict) == (0, 0, "not shown")
    assert [each.judged for each in (few.served, few.new) if each is not None] == ["cross-fitted"] * 2
    monkeypatch.setattr("sprat_training.fitting.held_out.MANY_TEXTS", 50)
    many = compared(config, config, card)
    assert many.notes == ("held out from both trainings: a fifth of the texts",)
    assert 0 < many.rows < few.rows / 2
    # Where the first fifth cannot be held out, the next one is.
    monkeypatch.setattr(held_out, "fifth_of", lambda core: 1 + len(core) % 2)
    assert 0 < compared(config, config, card).rows < few.rows


def test_what_is_kept_is_what_the_thresholds_of_each_fifth_keep_and_a_fixed_number_takes_their_place(
    config: TrainingConfig, card: Card
) -> None:
    at_goal = compared(config, config, card, Goal(0.8)).new
    assert at_goal.kept is not None
    assert at_goal.all.kept == at_goal.kept.kept.sum() > 0
    assert at_goal.all.right == (at_goal.kept.kept & at_goal.kept.right).sum()
    assert sum(each.rows for each in at_goal.cells[1:]) == at_goal.all.rows == len(TEXTS) + len(OUTSIDE)
    everything = compared(config, config, card, Goal(0.8, keep_at=0.0)).new
    assert everything.all.kept_share == 1.0
    assert compared(config, config, card, Goal(0.8, keep_at=1.0)).new.all.kept == 0


def test_corrections_help_and_a_label_with_few_texts_is_known_to_both_trainings(
    config: TrainingConfig, card: Card
) -> None:
    """A label of five texts stays known where some of them are held out: else the corrections of it seem to help."""
    rows = [row for row in training_files.rows()[1:] if row[1] != "badge"]
    badges = [row for row in training_files.rows()[1:] if row[1] == "badge"]
    corrections = config.files[0].with_name("hr-corrections.csv")
    training_files.write(config.files[0], [*rows, *badges[:5]])
    training_files.write(corrections, badges[5:7])
    small = replace(config, drop_small=True)
    alike = compared(small, replace(small, files=(config.files[0], corrections)), card)
    assert alike.rows == len(rows) + 7 + len(OUTSIDE)
    assert alike.compared is not None
    assert alike.compared.gained + alike.compared.lost <= 3
    training_files.write(corrections, badges[5:])
    training_files.write(config.files[0], rows)  # the label is new
    new = compared(small, replace(small, files=(config.files[0], corrections)), card)
    assert new.verdict == "better"
    assert new.compared is not None
    assert new.compared.served_right < new.compared.new_right


def test_doubles_are_held_out_together_and_count_as_one(
    config: TrainingConfig, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrections = config.files[0].with_name("hr-corrections.csv")
    things = ("gizmo", "zipper", "handle", "pocket", "buckle", "ribbon")
    cores = [f"{thing} of my wallet is gone" for thing in things]
    openings = ("Hello to you all,", "Please tell me,", "May I ask,")
    training_files.write(corrections, [(f"{opening} {core}", "badge") for opening in openings for core in cores])
    groups: list[int] = []
    monkeypatch.setattr(held_out, "compare", lambda *given: groups.extend(given[-1].group.tolist()) or compare(*given))
    found = compared(config, replace(config, files=(*config.files, corrections)), card)
    assert found.rows == len(groups) == len(TEXTS) + len(OUTSIDE) + len(openings) * len(cores)
    assert found.compared is not None
    assert found.compared.rows == len(set(groups))
    assert sum(groups.count(number) == len(openings) for number in set(groups)) >= len(cores)


def test_a_label_in_another_spelling_is_the_same_where_spellings_are_merged(config: TrainingConfig, card: Card) -> None:
    rows = training_files.rows()[1:]
    spelt = [
        (text, "Badge" if label == "badge" and place % 8 == 1 else label) for place, (text, label) in enumerate(rows)
    ]
    other = config.files[0].with_name("hr-corrections.csv")
    training_files.write(other, [(f"badge number {number}", "Badge") for number in range(30)])
    training_files.write(config.files[0], spelt)
    merged = replace(config, merge_case=True)
    found = compared(merged, replace(merged, files=(*merged.files, other)), card, KEEP_ALL)
    assert found.served is not None
    assert (found.served.all.right_of_kept or 0) > 0.7


def test_a_fifth_that_leaves_no_text_of_a_label_is_not_compared_and_where_none_is_left_that_is_said(
    config: TrainingConfig, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "fifth_of", lambda core: 1 if core.startswith("payslip") else len(core) % 5)
    leave = [row for row in training_files.rows()[1:] if row[1] == "leave"]
    training_files.write(config.files[0], [*leave, *((f"payslip {number}", "payroll") for number in range(5))])
    assert compared(config, config, card).notes == (
        "held out from both trainings: 4 of 5 fifths of the texts, one at a time",
    )
    monkeypatch.setattr(held_out, "fifth_of", lambda _: 0)
    with pytest.raises(TooFewToHoldOutError):
        compared(config, config, card)
