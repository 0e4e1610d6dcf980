"""Trainings compared on texts held out from both: the figures are those of the artefacts that they would write."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sprat.model import Question
from sprat_cli.assess.small_model import load_model
from sprat_training import held_out
from sprat_training.config import TrainingConfig, no_progress
from sprat_training.data import TooFewToHoldOutError
from sprat_training.datasets.rows import normalised_text
from sprat_training.encoding import RememberingEncoder, encode_texts, load_base
from sprat_training.evaluation.comparison import compare
from sprat_training.held_out import compare_trainings
from sprat_training.sources import read_sources
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


def test_what_is_read_without_an_artefact_is_what_the_artefact_answers(config: TrainingConfig) -> None:
    without = replace(config, hold_out=frozenset(map(normalised_text, [*OUTSIDE[::3], *TEXTS[::4]])))
    train(without, no_progress)
    sources = read_sources(without)
    assert sources.test is not None
    fitted = fit_labels(load_base(config.encoder, threads=1), sources, without, no_progress)
    texts, outside = sources.test.texts, sources.outside_test
    readings, best = fitted.read(texts, sources.test.labels, outside, no_progress)
    answers = load_model(config.output, 1).answer([Question(text, "en") for text in (*texts, *outside)])
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
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = compare_trainings(config, config, 0.8, no_progress)
    assert (few.fifths, few.left_out, few.comparison.texts) == (5, 0, len(TEXTS) + len(OUTSIDE))
    assert (few.outside, few.comparison.right.differing) == (len(OUTSIDE), 0)
    monkeypatch.setattr("sprat_training.held_out.MANY_TEXTS", 50)
    many = compare_trainings(config, config, 0.8, no_progress)
    assert (many.fifths, many.left_out) == (1, 0)
    assert 0 < many.comparison.texts < few.comparison.texts / 2
    # Where the first fifth cannot be held out, the next one is.
    monkeypatch.setattr(held_out, "fifth_of", lambda core: 1 + len(core) % 2)
    next_one = compare_trainings(config, config, 0.8, no_progress)
    assert (next_one.fifths, next_one.left_out) == (1, 0)
    assert 0 < next_one.comparison.texts < few.comparison.texts


def test_what_changes_once_the_second_is_served_is_measured_at_the_keep_at_that_each_has_then(
    config: TrainingConfig,
) -> None:
    found = compare_trainings(config, config, 0.5, no_progress, served_with=0.99)
    assert found.once_served is not None
    assert found.comparison.kept_right.differing == 0
    assert found.once_served.kept_right.served == found.comparison.kept_right.served
    at_099 = compare_trainings(config, config, 0.99, no_progress)
    assert at_099.once_served is None
    assert found.once_served.kept_right.new == at_099.comparison.kept_right.new
    assert found.once_served.keeps == "less"


def test_corrections_help_and_a_label_with_few_texts_is_known_to_both_trainings(config: TrainingConfig) -> None:
    """A label of five texts stays known where some of them are held out: else the corrections of it seem to help."""
    rows = [row for row in training_files.rows()[1:] if row[1] != "badge"]
    badges = [row for row in training_files.rows()[1:] if row[1] == "badge"]
    corrections = config.files[0].with_name("hr-corrections.csv")
    training_files.write(config.files[0], [*rows, *badges[:5]])
    training_files.write(corrections, badges[5:7])
    small = replace(config, drop_small=True)
    alike = compare_trainings(small, replace(small, files=(config.files[0], corrections)), 0.8, no_progress)
    assert (alike.fifths, alike.comparison.texts) == (5, len(rows) + 7 + len(OUTSIDE))
    assert alike.comparison.right.differing <= 3
    training_files.write(corrections, badges[5:])
    training_files.write(config.files[0], rows)  # the label is new
    new = compare_trainings(small, replace(small, files=(config.files[0], corrections)), 0.8, no_progress).comparison
    assert new.better == "new"
    assert new.right.served.value < new.right.new.value


def test_doubles_are_held_out_together_and_count_as_one(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrections = config.files[0].with_name("hr-corrections.csv")
    things = ("gizmo", "zipper", "handle", "pocket", "buckle", "ribbon")
    cores = [f"{thing} of my wallet is gone" for thing in things]
    openings = ("Hello to you all,", "Please tell me,", "May I ask,")
    training_files.write(corrections, [(f"{opening} {core}", "badge") for opening in openings for core in cores])
    groups: list[int] = []
    monkeypatch.setattr(
        held_out, "compare", lambda *answers, **more: groups.extend(more["groups"]) or compare(*answers, **more)
    )
    found = compare_trainings(config, replace(config, files=(*config.files, corrections)), 0.8, no_progress)
    assert found.comparison.texts == len(groups) == len(TEXTS) + len(OUTSIDE) + len(openings) * len(cores)
    assert sum(groups.count(number) == len(openings) for number in set(groups)) >= len(cores)


def test_a_label_in_another_spelling_is_the_same_where_spellings_are_merged(config: TrainingConfig) -> None:
    rows = training_files.rows()[1:]
    spelt = [
        (text, "Badge" if label == "badge" and place % 8 == 1 else label) for place, (text, label) in enumerate(rows)
    ]
    other = config.files[0].with_name("hr-corrections.csv")
    training_files.write(other, [(f"badge number {number}", "Badge") for number in range(30)])
    training_files.write(config.files[0], spelt)
    merged = replace(config, merge_case=True)
    found = compare_trainings(merged, replace(merged, files=(*merged.files, other)), 0.8, no_progress)
    assert found.comparison.right.served.value > 0.7


def test_a_fifth_that_leaves_no_text_of_a_label_is_not_compared_and_where_none_is_left_that_is_said(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "fifth_of", lambda core: 1 if core.startswith("payslip") else len(core) % 5)
    leave = [row for row in training_files.rows()[1:] if row[1] == "leave"]
    training_files.write(config.files[0], [*leave, *((f"payslip {number}", "payroll") for number in range(5))])
    found = compare_trainings(config, config, 0.8, no_progress)
    assert (found.fifths, found.left_out) == (4, 1)
    monkeypatch.setattr(held_out, "fifth_of", lambda _: 0)
    with pytest.raises(TooFewToHoldOutError):
        compare_trainings(config, config, 0.8, no_progress)
