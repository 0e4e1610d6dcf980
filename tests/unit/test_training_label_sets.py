"""Training with several labels a text: how files are read, what is fitted, and what its figures mean."""

from pathlib import Path

import numpy as np
import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.datasets.distinct import MIN_TEXTS, TooFewToHoldOutError
from sprat_training.datasets.label_sets import read_label_sets, set_numbers
from sprat_training.datasets.reader import read_labelled
from sprat_training.datasets.rows import normalised_text
from sprat_training.fitting.figures import figures_of_sets
from sprat_training.fitting.label_set_fit import fit_set_calibration, fit_sets
from sprat_training.thresholds import estimate
from support.training_data import clusters


def written(path: Path, lines: list[str], names: str = "text,labels") -> Path:
    path.write_text("\n".join([names, *lines]) + "\n", encoding="utf-8")
    return path


def enough(cells: dict[str, int]) -> list[str]:
    return [f"a text {cell} number {number},{cell}" for cell, count in cells.items() for number in range(count)]


def config(*files: Path, **fields: object) -> TrainingConfig:
    return TrainingConfig(files=files, output=Path("out"), name="m", **fields)  # type: ignore[arg-type]


def test_labels_stand_in_one_cell_and_an_empty_one_means_none(tmp_path: Path) -> None:
    rows = read_labelled(written(tmp_path / "a.csv", ["one,a | b|a", "two,", "three,b|"]), several=True)
    assert rows.labels == ("a|b", "", "b")


def test_lines_of_json_hold_a_list_or_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "one", "labels": ["a", "b"]}\n{"text": "two", "labels": "b|a"}\n{"text": "x", "labels": []}\n'
    )
    assert read_labelled(path, several=True).labels == ("a|b", "b|a", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "one", "labels": ["a|b"]}', "a label holds |, which separates labels"),
        ('{"text": "one", "labels": ["a", 1]}', "a list with something else than strings"),
        ('{"text": "one", "labels": null}', "null; write a string"),
        ('{"text": "one", "labels": "=a"}', "begins like a spreadsheet formula"),
    ],
)
def test_what_is_no_set_of_labels_is_told_by_its_row(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "zero", "labels": []}}\n{line}\n')
    with pytest.raises(UserError, match="row 2") as refused:
        read_labelled(path, several=True)
    assert said in str(refused.value)


def test_one_label_a_text_is_read_as_before(tmp_path: Path) -> None:
    assert read_labelled(written(tmp_path / "a.csv", ["one,a | b", "two,c"])).labels == ("a | b", "c")


def test_of_rows_with_one_text_the_last_counts_and_oos_means_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", [*enough({"a": 6, "b": 6, "a|b": 2, "oos": 2}), "A TEXT a number 0,b"])
    sources = read_label_sets(config(path))
    data = sources.data
    assert (data.labels, len(data.texts), sources.rows) == (("a", "b"), 16, 17)
    changed = data.texts.index("A TEXT a number 0")
    assert data.gold[changed].tolist() == [False, True]
    assert sources.conflicts == (2,)
    assert int((~data.gold.any(axis=1)).sum()) == 2
    assert sources.few_texts == {"a": 7, "b": 9}


def test_a_label_that_too_few_texts_have_or_lack_is_refused_or_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", enough({"a|all": 6, "b|all": 6, "c|all": MIN_TEXTS - 1}))
    with pytest.raises(UserError, match=rf'"c" {MIN_TEXTS - 1}, "all" {11 + MIN_TEXTS}; add texts'):
        read_label_sets(config(path))
    sources = read_label_sets(config(path, drop_small=True))
    assert sources.data.labels == ("a", "b")
    assert dict(sources.dropped_labels) == {"c": MIN_TEXTS - 1, "all": 11 + MIN_TEXTS}


def test_a_test_has_texts_of_its_own_and_known_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", enough({"a": 6, "b": 6}))
    test = written(tmp_path / "t.csv", ["new,a|b", "a text a number 1,a"])
    sources = read_label_sets(config(path, test_file=test))
    assert sources.test is not None
    assert (sources.test.texts, sources.leaked_rows) == (("new",), (3,))
    with pytest.raises(UserError, match=r'row 2.*no text is trained with the label "c"'):
        read_label_sets(config(path, test_file=written(tmp_path / "u.csv", ["new,a|c"])))
    with pytest.raises(UserError, match="a test needs texts of its own"):
        read_label_sets(config(path, test_file=written(tmp_path / "v.csv", ["a text a number 1,a"])))


def test_texts_are_held_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", enough({"a": 30, "b": 30}))
    data = read_label_sets(config(path)).data
    texts, is_b = data.texts, data.gold[:, data.labels.index("b")]
    held_out = frozenset(map(normalised_text, texts[::5]))
    sources = read_label_sets(config(path, hold_out=held_out))
    assert sources.test is not None
    assert {*map(normalised_text, sources.test.texts)} == held_out
    assert sorted((*sources.test.texts, *sources.data.texts)) == sorted(texts)
    of_b = frozenset(normalised_text(text) for text, applies in zip(texts, is_b, strict=True) if applies)
    with pytest.raises(TooFewToHoldOutError, match="too few texts of a, b are left to train on"):
        read_label_sets(config(path, hold_out=of_b))


def two_clusters(texts: int = 240) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return vectors each the sum of those of its labels, and which of three labels apply."""
    random = np.random.default_rng(1)
    centres, _ = clusters(3, 1, spread=0.0)
    gold = random.random((texts, 3)) < 0.45
    noise = random.normal(scale=0.35, size=(texts, centres.shape[1])) / 2
    vectors = gold @ centres + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), gold


def test_labels_are_found_together_and_the_confidence_is_that_of_the_whole_set() -> None:
    vectors, gold = two_clusters()
    folds = np.arange(len(gold)) % 5
    fitted = fit_sets(vectors, gold, folds, no_progress)
    figures = figures_of_sets(gold, fitted.chances, fitted.confidence, ("a", "b", "c"))
    assert 0.6 < figures.accuracy.value < 1.0
    assert figures.calibration_error < 0.12
    right = ((fitted.chances >= 0.5) == gold).all(axis=1)
    assert fitted.confidence[right].mean() > fitted.confidence[~right].mean() + 0.1
    reached = {step.accuracy: step for step in estimate(fitted.confidence, right, np.ones(len(right)))}
    assert reached[0.95].right / reached[0.95].kept >= 0.95
    again = fit_sets(vectors, gold, folds, no_progress)
    assert np.array_equal(again.chances, fitted.chances)


def test_a_label_that_was_not_learnt_has_the_share_of_its_texts() -> None:
    gold = np.array([[True], [False]] * 50)
    logits = np.where(gold, -3.0, 3.0).astype(np.float32)  # a higher logit means less
    calibration = fit_set_calibration(np.hstack([logits, -logits]), np.hstack([gold, gold]))
    assert (calibration.slopes[0], calibration.offsets[0]) == (0.0, 0.0)
    assert calibration.slopes[1] > 0


def test_sets_compare_as_one_label_whatever_their_order() -> None:
    assert len(set(set_numbers(np.array([[True, False], [False, True], [True, False]])))) == 2
