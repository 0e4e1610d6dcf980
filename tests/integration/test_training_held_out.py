"""Trainings compared on texts held out from both: the figures are those of the artefacts that they would write."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sprat.model import Question
from sprat_cli.assess.small_model import load_model
from sprat_training.config import TrainingConfig, no_progress
from sprat_training.data import TooFewToHoldOutError, fifth_of
from sprat_training.encoding import RememberingEncoder, encode_texts, load_base
from sprat_training.held_out import compare_trainings
from sprat_training.sources import read_sources
from sprat_training.train import fit_labels, train
from support import training_files

OUTSIDE = [f"what is the capital of {country}" for country in ("Peru", "Chad", "Iran", "Fiji", "Mali", "Cuba", "Laos")]


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
    held_out = replace(config, hold_out=0)
    train(held_out, no_progress)
    sources = read_sources(held_out)
    assert sources.test is not None
    fitted = fit_labels(load_base(config.encoder, threads=1), sources, held_out, no_progress)
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


def test_of_few_texts_each_is_compared_and_of_many_a_fifth(config: TrainingConfig) -> None:
    texts = [text for text, _ in training_files.rows()[1:]]
    few = compare_trainings(config, config, len(texts), 0.8, no_progress)
    assert (few.fifths, few.comparison.texts, few.outside) == (5, len(texts) + len(OUTSIDE), len(OUTSIDE))
    assert few.comparison.right.differing == 0
    many = compare_trainings(config, config, 500, 0.8, no_progress)
    assert (many.fifths, many.comparison.texts) == (1, sum(not fifth_of(text) for text in (*texts, *OUTSIDE)))


def test_a_fifth_that_leaves_too_few_texts_is_not_compared_and_where_none_is_left_that_is_said(
    config: TrainingConfig,
) -> None:
    rows, texts = (
        [row for row in training_files.rows()[1:] if row[1] == "leave"],
        [f"no payslip {n}" for n in range(60)],
    )
    in_one = [(text, "payroll") for text in texts if fifth_of(text) == 1][:5]
    training_files.write(config.files[0], [*rows, *in_one])
    assert compare_trainings(config, config, len(rows) + 5, 0.8, no_progress).fifths == 4
    in_each = [(next(text for text in texts if fifth_of(text) == fifth), "payroll") for fifth in range(5)]
    training_files.write(config.files[0], [*rows, *in_each])
    with pytest.raises(TooFewToHoldOutError, match=r'leaves fewer than 5 of some labels: "payroll" 4'):
        compare_trainings(config, config, len(rows) + 5, 0.8, no_progress)
