"""`sprat models add` on a tokenizer that fails on a text: a refusal before a service has it, and no stack trace."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, processors
from typer.testing import CliRunner

from sprat.base.errors import UserError
from sprat_cli.main import app
from sprat_inference.converters.hard_texts import LONGEST, check_hard_texts, hard_texts
from sprat_inference.tokenizer import GuardedTokenizer
from sprat_training.adding import new_folder

MODELS = Path(__file__).parents[1] / "data" / "hub"
PANICS = {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}
"""The library panics on a run of some 30 of the letter a: its regular expressions give up."""


class Panic(BaseException):
    """As pyo3 raises what a native library panics with."""


@pytest.mark.parametrize(
    ("kind", "task"),
    [("bert", "intent"), ("bert-tokens", "ner"), ("t5", "translation")],
)
def test_a_tokenizer_that_panics_is_refused(tmp_path: Path, kind: str, task: str) -> None:
    folder = Path(shutil.copytree(MODELS / kind, tmp_path / "model"))
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    first = [] if content["pre_tokenizer"] is None else [content["pre_tokenizer"]]
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [PANICS, *first]}
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    (tmp_path / "place").mkdir()
    command = [sys.executable, "-m", "sprat_cli", "models", "add", str(folder), "--task", task, "--no-compare",
               "--licence", "MIT", "--output", str(tmp_path / "place" / "added"),
               *(["--language", "en-de", "--task-prefix", ""] if task == "translation" else [])]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"RUST_BACKTRACE": "0"}, check=False
    )
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "its tokenizer fails on a long run of 'a', as it would in a service" in said
    assert "Traceback" not in said
    assert "serve it" not in done.stdout
    assert list((tmp_path / "place").iterdir()) == []


@pytest.mark.parametrize("missing", ["normalizer", "pre_tokenizer"])
def test_a_unigram_vocabulary_needs_neither_normaliser_nor_words(tmp_path: Path, missing: str) -> None:
    folder = Path(shutil.copytree(MODELS / "xlm-roberta", tmp_path / "model"))
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    template = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    changed = content | {missing: None, "post_processor": json.loads(template.__getstate__())}  # as XLM-RoBERTa has it
    (folder / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    command = ["models", "add", str(folder), "--task", "intent", "--no-compare", "--output", str(tmp_path / "added")]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    library.no_truncation()
    ours = GuardedTokenizer.load(tmp_path / "added", max_tokens=10_000)
    texts = ["Where is my order?", "Où est mon colis ?  ½ ﬁn", *(text[:999] for _, text in hard_texts())]
    assert ours.ids(texts)[0] == [each.ids for each in library.encode_batch(texts)]


def test_any_error_of_a_tokenizer_is_a_refusal() -> None:
    def encode(texts: list[str]) -> None:
        if "😀" in texts[0]:
            raise Panic if texts[0].count("😀") > 2 else ValueError

    with pytest.raises(UserError, match=r"fails on .*U0001f600.* \(Panic\)"):
        check_hard_texts(Path("model"), encode)
    with pytest.raises(UserError, match=r"fails on an empty text.* \(KeyError\)"):
        check_hard_texts(Path("model"), lambda _: {}["x"])


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_who_stops_the_command_stops_it(tmp_path: Path, stop: type[BaseException]) -> None:
    def encode(_: list[str]) -> None:
        raise stop

    with pytest.raises(stop):
        check_hard_texts(Path("model"), encode)
    with pytest.raises(stop), new_folder(tmp_path / "added"):
        raise stop
    assert list(tmp_path.iterdir()) == []


def test_a_panic_while_a_model_is_added_is_a_refusal(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="a native library failed while the model was added"),
        new_folder(tmp_path / "a"),
    ):
        raise Panic
    assert list(tmp_path.iterdir()) == []


def test_the_texts_are_those_that_users_send() -> None:
    texts = dict(hard_texts())
    assert all(text.encode("utf-8").decode("utf-8") == text for text in texts.values())
    assert all(letter * 1_000 in texts.values() for letter in "aA0 .\n")
    assert all(letter * LONGEST in texts.values() for letter in "a \n😀")
    assert max(map(len, texts.values())) == LONGEST == 20_000
