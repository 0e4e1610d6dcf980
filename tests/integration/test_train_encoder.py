"""`sprat train --encoder`: sentence encoders of others, from a folder or a hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat_cli.main import app
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import PartCard
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.sentence_encoder import convert_encoder
from sprat_inference.encoder import Pooling, SentenceEncoder
from sprat_training.fitting.encoding import load_base
from support import training_files
from support.model_hub import COMMIT, model_hub

MODELS = Path(__file__).parents[1] / "data" / "hub"
PROVENANCE = Provenance("tiny", "the folder tiny", "us", "Apache-2.0", ("en",))


def expected(kind: str) -> list[dict]:
    """Return what transformers computed; see make_sentences.py there."""
    return json.loads((MODELS / kind / "expected.json").read_text("utf-8"))


def converted(source: Path, folder: Path, **more: str) -> PartCard:
    folder.mkdir()
    saved = SavedModel.open(source)
    return convert_encoder(saved, saved.weights(), PROVENANCE, folder, **more)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(MODELS / "bert-sentences", tmp_path / "bert"))


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize("kind", ["bert-sentences", "xlm-roberta-sentences"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_vectors_are_those_of_transformers(kind: str, pooling: str, tmp_path: Path) -> None:
    """The prompt is that of the model: it counts among the tokens whose mean is taken."""
    card = converted(MODELS / kind, tmp_path / "a", quantization="float32")
    found = Pooling.load(tmp_path / "a")
    assert found == Pooling("mean", "order: " if kind == "bert-sentences" else "")
    Pooling(pooling, found.prefix).save(tmp_path / "a")
    encoder = SentenceEncoder.load(tmp_path / "a", max_tokens=card.max_tokens)
    rows = [row for row in expected(kind) if len(row["text"]) < 60]
    vectors = encoder.encode([row["text"] for row in rows]).vectors
    assert np.abs(vectors - np.array([row[pooling] for row in rows])).max() < 1e-3


def test_what_the_files_say_is_what_is_done(bert: Path, tmp_path: Path) -> None:
    assert converted(bert, tmp_path / "stated").max_tokens == 32
    change(bert / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    change(bert / "config_sentence_transformers.json", default_prompt_name=None)
    converted(bert, tmp_path / "cls")
    assert Pooling.load(tmp_path / "cls") == Pooling("cls", "")
    (bert / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    converted(bert, tmp_path / "later", prefix="query: ")
    assert Pooling.load(tmp_path / "later") == Pooling("mean", "query: ")


def test_a_text_with_nothing_to_read_is_empty_whatever_stands_before_it(tmp_path: Path) -> None:
    card = converted(MODELS / "bert-sentences", tmp_path / "a")
    encoder = SentenceEncoder.load(tmp_path / "a", max_tokens=card.max_tokens)
    assert encoder.encode(["", "\0", "order"]).empty.tolist() == [True, True, False]
    assert encoder.tokenizer.upper_bound("order") >= len("order: order")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", [{"type": "a.Transformer"}, {"type": "a.Pooling", "path": "1_Pooling"}, {"type": "a.Dense"}],
         "names Dense, which cannot be converted"),
        ("modules.json", [{"type": "a.Transformer"}], "names no Pooling"),
        ("modules.json", [{"type": "a.Pooling", "path": "../x"}], "a file outside this folder"),
        ("modules.json", {}, "is no list of modules"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "by pooling_mode_max_tokens; mean or cls"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean or cls"),
        ("1_Pooling/config.json", {}, "mean or cls is needed"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_converted_is_refused(
    bert: Path, tmp_path: Path, file: str, content: object, message: str
) -> None:
    (bert / file).write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match=message):
        converted(bert, tmp_path / "a")


@pytest.mark.parametrize(
    "content", ["rubbish", "{}", '{"pooling": "max", "prefix": ""}', '{"pooling": "cls", "prefix": 1}']
)
def test_a_broken_pooling_is_refused(tmp_path: Path, content: str) -> None:
    card = converted(MODELS / "bert-sentences", tmp_path / "a")
    (tmp_path / "a" / "pooling.json").write_text(content, "utf-8")
    with pytest.raises(BrokenArtefact, match=r"pooling\.json"):
        SentenceEncoder.load(tmp_path / "a", max_tokens=card.max_tokens)


def test_a_model_is_trained_on_it_served_and_trained_on_again(tmp_path: Path) -> None:
    file = training_files.write(tmp_path / "hr.csv", training_files.rows())
    words = ["train", "intent", str(file), "--no-lexical", "--encoder"]
    done = CliRunner().invoke(app, [*words, str(MODELS / "bert-sentences"), "--output", str(tmp_path / "hr")])
    assert done.exit_code == 0, done.output
    model = LabellingModel.load(tmp_path / "hr")
    card = model.card
    assert (card.reader, card.built_on, card.max_tokens) == ("sprat-intent-pooled/1", None, 32)
    assert (card.made_of[0].name, card.made_of[0].source) == ("bert-sentences", "the folder bert-sentences")
    assert "apache-2.0" in card.licence
    assert card.score("cross_validated_accuracy") > 0.4
    rows = training_files.rows()
    answers = model.answer([Question(text, "en") for text, _ in rows])
    best = [answer.output.alternatives[0].label for answer in answers]
    assert np.mean([label == gold for label, (_, gold) in zip(best, rows, strict=True)]) > 0.6
    again = load_base(tmp_path / "hr", threads=1)
    (tmp_path / "scratch").mkdir()
    first = load_base(MODELS / "bert-sentences", threads=1, scratch=tmp_path / "scratch")
    texts = [text for text, _ in rows[:9]]
    assert np.array_equal(again.encoder.encode(texts).vectors, first.encoder.encode(texts).vectors)
    assert again.reader == card.reader
    refused = CliRunner().invoke(
        app, [*words, str(tmp_path / "hr"), "--encoder-prefix", "x", "--output", str(tmp_path / "b")]
    )
    assert "--encoder-prefix: is for an encoder of others" in " ".join(refused.output.split())


LOAD = """
import sys
from pathlib import Path
from sprat_training.fitting.encoding import load_base

scratch = Path(sys.argv[1])
print(load_base(Path("owner/sentences"), threads=1, prefix="query: ", scratch=scratch).made_of[0].source)
"""


def test_it_is_taken_from_a_hub_by_its_id(tmp_path: Path) -> None:
    """In a process of its own, for the hub's client reads its variables when it is imported."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with model_hub({"owner/sentences": MODELS / "bert-sentences"}) as hub:
        environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run([sys.executable, "-c", LOAD, str(scratch)], capture_output=True, text=True,
                              env=environment, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"owner/sentences@{COMMIT}"
    assert Pooling.load(scratch) == Pooling("mean", "query: ")


def test_its_licence_can_be_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "bert-sentences", tmp_path / "model"))
    (folder / "README.md").unlink()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="states no licence; find it out, and name it with --encoder-licence"):
        load_base(folder, threads=1, scratch=tmp_path / "a")
    file = training_files.write(tmp_path / "hr.csv", training_files.rows())
    words = ["train", "intent", str(file), "--no-lexical", "--licence", "CC0-1.0"]
    more = ["--encoder", str(folder), "--encoder-licence", "MIT", "--output", str(tmp_path / "hr")]
    done = CliRunner().invoke(app, [*words, *more])
    assert done.exit_code == 0, done.output
    assert [work.licence for work in load_artefact(tmp_path / "hr").card.made_of][:2] == ["MIT", "CC0-1.0"]
    with pytest.raises(UserError, match="--encoder-licence: is for an encoder of others"):
        load_base(tmp_path / "hr", threads=1, licence="MIT")


def test_what_is_no_encoder_is_said(tmp_path: Path) -> None:
    file = training_files.write(tmp_path / "hr.csv", training_files.rows())
    done = CliRunner().invoke(app, ["train", "intent", str(file), "--encoder", "./nothing/is/here", "--output", "x"])
    assert done.exit_code == 2
    assert "no such folder" in done.output
