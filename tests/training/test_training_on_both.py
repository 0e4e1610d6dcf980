"""Training on both shared encoders, `--encoder both`: what is written, what is served, what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import sprat_encoder
from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat_cli.main import app
from sprat_encoder import pair
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.label_set_model import LabelSetModel
from sprat_encoder.pair import PAIR, EncoderPair, describe
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact
from sprat_inference.card import PartRef
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.fitting.encoding import BOTH, encoder_of, load_base
from sprat_training.retraining import FormerTraining
from sprat_training.train import Trained, checklanguages_of, train
from support import label_sets, training_files

ROWS = training_files.rows()[1:]
TEXTS = [text for text, _ in ROWS[::5]]


def config_in(folder: Path, **changed: Any) -> TrainingConfig:
    file = training_files.write(folder / "hr.csv", ROWS)
    test = training_files.write(folder / "test.csv", [(f"please, {text}", label) for text, label in ROWS[::5]])
    given: dict[str, Any] = {
        "files": (file,),
        "output": folder / "hr",
        "name": "hr",
        "test_file": test,
        "encoder": BOTH,
        "threads": 1,
    }
    return TrainingConfig(**{**given, **changed})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(config_in(tmp_path_factory.mktemp("both")), no_progress)


@pytest.fixture(scope="module")
def folder(trained: Trained) -> Path:
    return trained.config.output


def test_a_text_has_the_vector_of_each_encoder() -> None:
    both = load_base(BOTH, threads=1).encoder.encode(["where is my order", ""])
    assert both.vectors.shape == (2, 2, 384)
    for place, part in enumerate((sprat_encoder.ARTEFACT, sprat_encoder.MINILM)):
        alone = load_base(part, threads=1).encoder.encode(["where is my order", ""])
        assert (both.vectors[:, place] == alone.vectors).all()
    assert both.empty.tolist() == [False, True]


def test_the_card_names_both_encoders_and_the_folder_has_no_weights_of_them(folder: Path) -> None:
    card = load_artefact(folder).card
    assert card.built_on == PartRef(name="e5-small+minilm-l6", version=describe(PAIR).version)
    assert [work.name for work in card.made_of[:3]] == ["multilingual-e5-small", "wordfreq 3", "all-MiniLM-L6-v2"]
    assert card.licence == "MIT AND Apache-2.0 AND LicenseRef-own-data"
    assert (card.languages, card.max_tokens) == (("en",), 256)
    assert "model.bin" not in card.files


def test_the_service_answers_as_the_training_read_the_test(trained: Trained, folder: Path) -> None:
    assert trained.test is not None
    model = LabellingModel.load(folder)
    model.probe()
    texts = [f"please, {text}" for text in TEXTS]
    answers = model.answer([Question(text, "en") for text in texts])
    assert np.allclose([each.confidence for each in answers], trained.test.rows.confidence, atol=1e-6)
    alone = [model.answer([Question(text, "en")])[0] for text in texts]
    assert [each.output.label for each in alone] == [each.output.label for each in answers]
    assert trained.test.accuracy.value > 0.8


def test_another_version_of_one_of_the_two_is_refused_with_what_is_there(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "hr")
    other = PartRef(name=PAIR, version="0" * 16)
    write_artefact(copy, load_artefact(folder).card.model_dump() | {"built_on": other.model_dump()})
    there = f"holds e5-small {sprat_encoder.identify().version} and minilm-l6 [0-9a-f]{{16}}, together [0-9a-f]{{16}}, "
    with pytest.raises(BrokenArtefact, match=f"{there}the model was made on {PAIR.replace('+', '.')} 0000000000000000"):
        LabellingModel.load(copy)


def test_a_missing_encoder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pair, "MINILM", tmp_path / "minilm-l6")
    with pytest.raises(BrokenArtefact, match=r"minilm-l6/card\.json: not found"):
        LabellingModel.load(folder)
    with pytest.raises(UserError, match=r"--encoder: .*minilm-l6/card\.json: not found"):
        load_base(BOTH, threads=1)


@pytest.mark.parametrize("languages", [("de",), ("en", "de")])
def test_a_language_that_one_of_the_two_does_not_read_is_refused(tmp_path: Path, languages: tuple[str, ...]) -> None:
    config = config_in(tmp_path)
    options = [part for language in languages for part in ("--language", language)]
    result = CliRunner().invoke(
        app, ["train", "intent", str(config.files[0]), "--encoder", "both", "--output", str(config.output), *options]
    )
    assert result.exit_code == 2
    assert f"--language de: the encoder {PAIR} reads en; name one of these, or another --encoder" in result.stderr
    assert not config.output.exists()


def test_a_region_of_a_language_that_both_read_is_taken(tmp_path: Path) -> None:
    checklanguages_of(config_in(tmp_path, languages=("en-GB",)), load_base(BOTH, threads=1))


@pytest.mark.parametrize("given", ["./both", "both/"])
def test_a_folder_called_as_the_word_is_told_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    config = config_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "both").mkdir()
    result = CliRunner().invoke(
        app, ["train", "intent", str(config.files[0]), "--encoder", given, "--output", str(config.output)]
    )
    assert result.exit_code == 2
    assert str(tmp_path / "both") in result.stderr.replace("\n", "")


def test_a_model_of_several_labels_is_trained_on_both(tmp_path: Path) -> None:
    file = training_files.write(tmp_path / "sets.csv", label_sets.rows())
    trained = train(config_in(tmp_path, files=(file,), test_file=None), no_progress, several=True)
    assert trained.card.built_on is not None
    assert trained.card.built_on.name == PAIR
    model = LabelSetModel.load(tmp_path / "hr")
    assert len(model.answer([Question(text, "en") for text, _ in label_sets.rows()[:3]])) == 3


def test_training_again_takes_the_same_encoders(folder: Path) -> None:
    former = FormerTraining.of(folder)
    files = former.files()
    again = former.config(files, files[0], folder.with_name("hr-2"), outside=None, encoder=None, threads=1)
    assert again.encoder == BOTH
    card = load_artefact(folder).card
    assert load_base(folder, threads=1).built_on == load_base(BOTH, threads=1).built_on == card.built_on
    fast = load_artefact(training_files.EN_FAST).card
    assert encoder_of(training_files.EN_FAST, fast) == training_files.EN_FAST
    shipped = training_files.EN_FAST.with_name("default")
    assert encoder_of(shipped, load_artefact(shipped).card) is None
    assert encoder_of(folder, card.model_copy(update={"built_on": None})) == folder


def test_a_model_on_minilm_copies_no_weights_and_reads_as_much_as_its_card_says() -> None:
    base = load_base(training_files.EN_FAST, threads=1)
    assert (base.files, base.card.max_tokens, base.card.name) == ((), 128, "minilm-l6")
    assert base.built_on == sprat_encoder.identify(sprat_encoder.MINILM)
    assert not isinstance(base.encoder, EncoderPair)
    assert base.encoder.encode(["word " * 200]).truncated.all()
