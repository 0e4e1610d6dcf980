"""`sprat models add --task generalist`: language models of transformers become generators that compute the same."""

import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from sprat.base.errors import UserError
from sprat_inference.artefact import load_artefact
from sprat_inference.card import Card
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.generator import convert_generator
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.generator import GENERATOR_READER, Generator
from sprat_local.installation.models import served_models
from support.model_hub import MODELS, change, expected, run
from support.tiny_generator import write_saved

KINDS = ("llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")
PROVENANCE = Provenance("tiny", "the folder tiny", "us", "Apache-2.0", ())


def converted(source: Path, folder: Path, **more: str) -> Card:
    folder.mkdir()
    return convert_generator(SavedModel.open(source), PROVENANCE, folder, **more)


def load(folder: Path) -> Generator:
    return Generator.load(folder, load_artefact(folder, reader=GENERATOR_READER).card)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(MODELS / "llama", tmp_path / "llama"))


@pytest.mark.parametrize("kind", KINDS)
def test_questions_probabilities_and_answers_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    converted(MODELS / kind, tmp_path / "a", quantization="float32")
    model = load(tmp_path / "a")
    for row in expected(kind):
        question = model.question(row["system"], row["user"])
        assert question == row["tokens"]
        log = model._log_probabilities(question, [model._tokens(row["answer"])])[0]
        assert abs(log - sum(row["logs"])) < 2e-3 * len(row["logs"])
        written, _ = model.write(row["system"], row["user"], most=12)
        assert written.text == model._tokenizer.decode(row["written"])


@pytest.mark.parametrize("kind", KINDS)
def test_int8_is_the_same_network_rounded(kind: str, tmp_path: Path) -> None:
    logits = []
    for quantization in ("int8", "float32"):
        converted(MODELS / kind, tmp_path / quantization, quantization=quantization)
        network = ctranslate2.Generator(str(tmp_path / quantization), device="cpu")
        logits.append(np.array(network.forward_batch([row["tokens"] for row in expected(kind)[:1]])))
    assert np.corrcoef(*(each.ravel() for each in logits))[0, 1] > 0.7


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    card = converted(MODELS / "phi3", tmp_path / "a")
    assert (card.task, card.labels, card.keep_at) == ("generalist", None, 1.0)
    assert card.max_tokens == 512, "beyond the first positions, Phi-3 has other frequencies"
    assert "Phi3ForCausalLM" in card.made_of[0].used_for
    assert converted(MODELS / "mistral", tmp_path / "b").max_tokens == 1024, "the window"
    assert converted(MODELS / "qwen2", tmp_path / "c").max_tokens == 2048
    assert converted(MODELS / "qwen2", tmp_path / "d").version == load_artefact(tmp_path / "c").card.version


def test_a_template_in_the_tokenizers_configuration_is_read(llama: Path, tmp_path: Path) -> None:
    template = (llama / "chat_template.jinja").read_text("utf-8")
    (llama / "chat_template.jinja").unlink()
    change(llama / "tokenizer_config.json", chat_template=[{"name": "default", "template": template}])
    converted(llama, tmp_path / "a")
    assert load(tmp_path / "a").question("a", "b")[0] == "<|begin_of_text|>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma"}, "can be converted. Another server can serve it as a tier"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "a model that writes is a …ForCausalLM"),
        ({"quantization_config": {"quant_method": "awq"}}, "take the model that they were made of"),
        ({"hidden_act": "relu"}, "the activation relu cannot be converted"),
        ({"hidden_size": 34}, "num_attention_heads is 4"),
        ({"head_dim": 16}, "should be"),
        ({"num_key_value_heads": 3}, "cannot share"),
        ({"num_hidden_layers": 3}, "the weights lack model.layers.2"),
        ({"vocab_size": 10, "intermediate_size": 41}, "should be"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "scaled by yarn, which cannot be converted"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8}}, "low_freq_factor must be a positive number"),
        ({"rope_parameters": {"rope_type": "longrope", "short_factor": [1]}}, "longrope cannot be converted"),
        ({"rope_theta": "many"}, "must be a positive number"),
        ({"eos_token_id": 9_999}, "eos_token_id must be an integer"),
        ({"max_position_embeddings": None}, "has no max_position_embeddings"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_cannot_be_converted_is_refused(llama: Path, tmp_path: Path, changes: dict, message: str) -> None:
    (llama / "generation_config.json").unlink()
    if "rope_theta" in changes:
        changes |= {"rope_parameters": None}
    if "head_dim" not in changes and "hidden_size" in changes:
        changes |= {"head_dim": None}
    change(llama / "config.json", **changes)
    with pytest.raises(UserError, match=message):
        converted(llama, tmp_path / "a")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for message in messages %}{{ message.content", "does not write one system and one user message"),
        ("{{ raise_exception('never') }}", "does not write one system and one user message"),
        ("{{ messages[0].content[:9] }}|", "does not write one system and one user message"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "writes nothing after a question"),
        ("{{ ''.__class__.__mro__ }}{% for m in messages %}{{ m.content }}{% endfor %}|", "does not write one"),
        (None, "take the model's variant for instructions"),
    ],
)
def test_a_template_that_asks_nothing_is_refused(
    llama: Path, tmp_path: Path, template: str | None, message: str
) -> None:
    path = llama / "chat_template.jinja"
    path.unlink() if template is None else path.write_text(template)
    with pytest.raises(UserError, match=message):
        converted(llama, tmp_path / "a")


def test_linear_scaling_divides_every_frequency(tmp_path: Path) -> None:
    """A model whose positions are half as fast reads at place 2 n what the other one reads at place n."""
    write_saved(tmp_path / "plain")
    write_saved(tmp_path / "scaled")
    change(tmp_path / "scaled" / "config.json", rope_scaling={"type": "linear", "factor": 2.0}, rope_theta=100.0)
    change(tmp_path / "plain" / "config.json", rope_theta=100.0)
    plain, scaled = (load_converted(tmp_path, name) for name in ("plain", "scaled"))
    first, second = (np.array(each.probabilities("s", "u", ["a", "b"])[0]) for each in (plain, scaled))
    assert np.abs(first - second).max() > 1e-4


def load_converted(folder: Path, name: str) -> Generator:
    converted(folder / name, folder / f"{name}-artefact", quantization="float32")
    return load(folder / f"{name}-artefact")


def test_the_command_adds_it_and_says_how_to_serve_it(tmp_path: Path) -> None:
    folder = tmp_path / "added"
    words = ("models", "add", str(MODELS / "phi3"), "--task", "generalist", "--no-compare", "--output", str(folder))
    said = run(*words, "--name", "phi")
    assert "reads questions of up to 512 tokens" in said
    assert f"sprat up --model generalist/phi={folder} --policy FILE" in said
    assert '{preset: "generalist:http://127.0.0.1:8090/v1", model: phi, keep_at: YOURS}' in said
    card = load_artefact(folder, reader=GENERATOR_READER).card
    assert (card.licence, card.languages) == ("apache-2.0", ("en",))
    assert any("Not compared" in limit for limit in card.limits)
    (model,) = served_models([f"generalist/phi={folder}"])
    assert (model.task, model.version) == ("generalist", card.version)
    with pytest.raises(UserError, match="a model for generalist, not for intent"):
        served_models([f"intent/phi={folder}"])


def test_what_is_not_for_a_generator_is_refused(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n")
    words = ("models", "add", str(MODELS / "phi3"), "--task", "generalist", "--output", str(tmp_path / "a"))
    assert "--calibrate: is for --task intent or ner or translation" in run(*words, "--calibrate", str(rows), code=2)
    assert "model_type" not in run(*words, "--no-compare")
    wrong = ("models", "add", str(MODELS / "phi3"), "--task", "intent", "--output", str(tmp_path / "b"))
    assert "architecture phi3" in run(*wrong, "--no-compare", code=2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_compares_it_with_the_original(kind: str, tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
    folder = tmp_path / "added"
    words = ("models", "add", str(MODELS / kind), "--task", "generalist", "--quantization", "float32")
    said = run(*words, "--output", str(folder))
    assert "of 200 answers by their first token get the label of the original" in said
    card = load_artefact(folder, reader=GENERATOR_READER).card
    assert card.score("agreement_with_original") >= 0.99
    assert "transformers" in card.scores[0].protocol
