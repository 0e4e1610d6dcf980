"""`sprat models add --task translation`: models as transformers writes them become artefacts that translate alike."""

import json
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat.processing.handler import Ask
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.agreement import (
    Translatable,
    check_translations,
    compare_translations,
    converted_translations,
    original_translations,
)
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.language_codes import languages_in, parse_pair, tag_of
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.text_to_text import TOKENIZERS, convert_text_to_text
from sprat_inference.text_to_text import LanguageMarks, load_pieces, served_tag
from sprat_translation.handler import TranslationHandler
from sprat_translation.model import TranslationModel
from support.model_hub import COMMIT, MODELS, add_model, change, expected, model_hub, run
from support.router_records import TOPICS, received, text

PAIRS = {
    "marian": ("de", "en"),
    "marian-several": ("en", "fr"),
    "m2m-100": ("de", "en"),
    "nllb": ("de", "en"),
    "mbart-50": ("de", "en"),
    "t5": ("de", "en"),
    "t5-gated": ("de", "en"),
}
PROVENANCE = Provenance("tiny", "the folder tiny", "us", "Apache-2.0", ())


def converted(source: Path, folder: Path, *pairs: str, **more: str) -> Card:
    folder.mkdir()
    saved = SavedModel.open(source, TOKENIZERS)
    return convert_text_to_text(saved, PROVENANCE, [parse_pair(each) for each in pairs], folder, **more)


def load(source: Path, folder: Path) -> TranslationModel:
    converted(source, folder)
    return TranslationModel.load(folder)


@pytest.fixture
def marian(tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(MODELS / "marian", tmp_path / "marian"))


@pytest.mark.parametrize("kind", PAIRS)
def test_pieces_probabilities_and_translations_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    source, target = PAIRS[kind]
    card = converted(MODELS / kind, tmp_path / "a", f"{source}-{target}", quantization="float32")
    assert (card.languages, card.targets) == ((source,), (target,))
    pieces, marks = load_pieces(tmp_path / "a"), LanguageMarks.load(tmp_path / "a").of(source, target)
    known = set(json.loads((tmp_path / "a" / "shared_vocabulary.json").read_text("utf-8")))
    network = ctranslate2.Translator(str(tmp_path / "a"), device="cpu")
    rows = expected(kind)
    for row in rows:
        read = marks.around(pieces.encode([row["text"]])[0])
        assert [piece if piece in known else "<unk>" for piece in read] == row["pieces"]
        written = [piece for piece in row["written"] if piece != "</s>"]
        (scored,) = network.score_batch([read], [[*marks.start, *written]])
        logs = scored.log_probs[len(marks.start) :][: len(row["logs"])]
        assert np.abs(np.array(logs) - row["logs"]).max() < 1e-3
        assert pieces.decode(written) == row["translation"]
    texts = [Translatable(row["text"], marks) for row in rows]
    longest = [len(row["written"]) for row in rows]
    found = [converted_translations(tmp_path / "a", [text], most)[0] for text, most in zip(texts, longest, strict=True)]
    agreement = compare_translations(found, [row["translation"] for row in rows])
    assert agreement.chrf > 99, agreement


@pytest.mark.parametrize("kind", PAIRS)
def test_the_service_serves_it(kind: str, tmp_path: Path) -> None:
    source, target = PAIRS[kind]
    converted(MODELS / kind, tmp_path / "a", f"{source}-{target}")
    model = TranslationModel.load(tmp_path / "a")
    first, second = model.answer(
        [Question("Wo ist das Paket?\n\n- 12.50\n", source, target), Question("Hallo", source, target)]
    )
    assert first.output.target == target
    assert first.output.text.endswith("\n\n- 12.50\n")
    assert 0 <= first.confidence <= 1
    assert [second] == model.answer([Question("Hallo", source, target)])
    for token in LanguageMarks.load(tmp_path / "a").of(source, target).start:
        assert token not in second.output.text


def test_a_model_of_many_languages_serves_the_pairs_that_are_named(tmp_path: Path) -> None:
    everything = converted(MODELS / "nllb", tmp_path / "all")
    assert everything.languages == everything.targets == ("en", "de", "fr", "zh", "zh-Hant")
    assert len(converted(MODELS / "m2m-100", tmp_path / "m2m").languages) == 100
    card = converted(MODELS / "nllb", tmp_path / "a", "de-en", "fr-en", "de-zh-Hant")
    assert (card.languages, card.targets) == (("de", "fr"), ("en", "zh-Hant"))
    model = TranslationModel.load(tmp_path / "a")
    asked = [
        Question("Wo ist mein Paket?", *pair)
        for pair in (("de", "en"), ("fr-CA", "en"), ("de-CH", "zh-Hant"), ("de", "en-GB"))
    ]
    texts = [answer.output.text for answer in model.answer(asked)]
    assert [answer.output.target for answer in model.answer(asked)] == ["en", "en", "zh-Hant", "en"]
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3, "the tokens of the languages change nothing"
    assert texts == [model.answer([each])[0].output.text for each in asked]


def test_a_text_in_the_targets_language_does_not_reach_the_model(tmp_path: Path) -> None:
    handler = TranslationHandler(TOPICS, converted(MODELS / "nllb", tmp_path / "a"), "default", owns_from=0)

    def ask(language: str, target: str) -> object:
        return handler.receive(
            received(text(text="Hallo", language=language, tasks={"translation": {"target": target}}))
        )

    assert isinstance(ask("de", "en"), Ask)
    (unchanged,) = ask("de-AT", "de").events
    assert (unchanged.message.declined, unchanged.message.output.text) == (None, "Hallo")
    (declined,) = ask("de", "de-AT").events
    assert (declined.message.declined.code, declined.message.output) == ("target", None)
    (declined,) = ask("it", "de").events
    assert declined.message.declined.code == "language"


def test_what_is_known_of_german_is_asked_of_no_other_language(tmp_path: Path) -> None:
    """A German translation lacks "not": unsound. A model for other languages is not judged by German words."""
    converted(MODELS / "nllb", tmp_path / "a")
    model = TranslationModel.load(tmp_path / "a")
    german, french = (model.answer([Question("It is not there.", "en", to)])[0] for to in ("de", "fr"))
    assert german.confidence == 0.0
    assert french.confidence > 0.0


def test_the_pair_is_read_from_the_tokenizer_or_the_name(marian: Path, tmp_path: Path) -> None:
    card = converted(marian, tmp_path / "stated")
    assert (card.languages, card.targets) == (("de",), ("en",))
    change(marian / "tokenizer_config.json", source_lang=None)
    with pytest.raises(UserError, match="states no languages; name them with --language"):
        converted(marian, tmp_path / "none")
    named = Provenance("tiny", "owner/opus-mt-fra-en@3f2a", "us", "MIT", ())
    (tmp_path / "named").mkdir()
    card = convert_text_to_text(SavedModel.open(marian, TOKENIZERS), named, (), tmp_path / "named")
    assert (card.languages, card.targets) == (("fr",), ("en",))


@pytest.mark.parametrize(
    ("kind", "pairs", "more", "message"),
    [
        ("marian", ["de-en", "fr-en"], {}, "one pair of languages"),
        ("marian-several", ["en-it"], {}, "does not translate into it, but into de, fr, en"),
        ("nllb", ["de-it"], {}, "does not know it; it knows en, de, fr"),
        ("t5", ["fr-en"], {}, "no words before a text for fr → en; name them with --task-prefix"),
        ("marian", [], {"prefix": "translate: "}, "--task-prefix: is for T5"),
    ],
)
def test_languages_that_it_cannot_have_are_refused(
    tmp_path: Path, kind: str, pairs: list[str], more: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        converted(MODELS / kind, tmp_path / "a", *pairs, **more)


def test_t5_is_told_what_to_do_by_words_that_the_user_may_name(tmp_path: Path) -> None:
    marks = []
    for number, prefix in enumerate(("translate French to English: ", "")):
        converted(MODELS / "t5", tmp_path / str(number), "fr-en", prefix=prefix)
        marks.append(LanguageMarks.load(tmp_path / str(number)).of("fr", "en").before)
    assert "".join(marks[0]).replace("▁", " ").strip() == "translate French to English:"
    assert marks[1] == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bart"}, "architecture bart; m2m_100, marian, mbart, mt5, t5 can be converted for translation"),
        ({"model_type": "own", "auto_map": {"AutoModel": "code.py"}}, "code of its own, which is never run"),
        ({"architectures": ["MarianModel"]}, "config.json names MarianModel"),
        ({"share_encoder_decoder_embeddings": False}, "two vocabularies"),
        ({"activation_function": "mish"}, "activation mish"),
        ({"decoder_layers": 3}, "the weights lack model.decoder.layers.2"),
        ({"encoder_attention_heads": None}, "has no encoder_attention_heads"),
        ({"d_model": 20}, "d_model is 20; the embeddings have the form"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused(
    marian: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    change(marian / "config.json", **changes)
    with pytest.raises(UserError, match=message):
        converted(marian, tmp_path / "a")


def test_mbart_of_25_languages_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "mbart-50", tmp_path / "mbart"))
    change(folder / "tokenizer_config.json", tokenizer_class="MBartTokenizer")
    with pytest.raises(UserError, match="take one of mBART-50"):
        converted(folder, tmp_path / "a", "de-en")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", None, "has no model.safetensors"),
        ("source.spm", None, "has no source.spm and target.spm and vocab.json, or sentencepiece.bpe.model"),
        ("vocab.json", b"[]", "holds a list"),
        ("source.spm", b"rubbish", "cannot be read"),
    ],
)
def test_a_damaged_folder_is_refused(
    marian: Path, tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    (marian / file).unlink() if content is None else (marian / file).write_bytes(content)
    with pytest.raises((UserError, BrokenArtefact), match=message):
        load(marian, tmp_path / "a")


def test_the_padding_is_never_written(marian: Path, tmp_path: Path) -> None:
    """Even where the network would rather write it than anything else."""
    weights = load_file(marian / "model.safetensors")
    weights["final_logits_bias"][0, -1] = 50.0
    save_file(weights, marian / "model.safetensors")
    converted(marian, tmp_path / "a")
    (answer,) = TranslationModel.load(tmp_path / "a").answer([Question("Hallo", "de", "en")])
    assert answer.output.text
    assert "<pad>" not in answer.output.text


def test_broken_marks_are_refused(tmp_path: Path) -> None:
    converted(MODELS / "nllb", tmp_path / "a")
    (tmp_path / "a" / "marks.json").write_text("{}", "utf-8")
    write_artefact(tmp_path / "a", json.loads((tmp_path / "a" / "card.json").read_text("utf-8")))
    with pytest.raises(BrokenArtefact, match=r"marks\.json: cannot be read"):
        TranslationModel.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("code", "tag"),
    [("deu", "de"), ("deu_Latn", "de"), ("zho_Hans", "zh"), ("zho_Hant", "zh-Hant"), ("__ceb__", "ceb"),
     ("en_XX", "en"), ("de_DE", "de"), (">>fra<<", "fr"), (">>pt_BR<<", "pt-BR"), ("arb_Arab", "ar"),
     ("arb_Latn", "ar-Latn")],
)  # fmt: skip
def test_a_code_is_a_tag(code: str, tag: str) -> None:
    assert tag_of(code) == tag


def test_the_codes_of_a_vocabulary_are_of_one_form() -> None:
    assert languages_in(["▁hi", "de_DE", "en_XX", "__no__", "abc_Latin"]) == {"de": "de_DE", "en": "en_XX"}
    assert languages_in(["▁hi"]) == {}
    with pytest.raises(UserError, match="not a pair such as de-en"):
        parse_pair("de")
    assert [served_tag(tag, ("en", "pt-BR")) for tag in ("en-GB", "pt_BR", "EN")] == ["en", "pt-BR", "en"]


def test_translations_that_differ_are_refused() -> None:
    original = ["Where is my parcel?", "It is here."] * 10
    check_translations(compare_translations(original, original))
    with pytest.raises(UserError, match=r"chrF of \d+\.\d against those of the original, 95 is needed"):
        check_translations(compare_translations(["Where was it?", "It is here."] * 10, original))


def test_a_model_is_added_from_a_hub(tmp_path: Path) -> None:
    with model_hub({"owner/opus-mt-de-en": MODELS / "marian"}) as hub:
        done = add_model(hub, tmp_path, "owner/opus-mt-de-en", "--task", "translation", "--no-compare", "--output",
                         str(tmp_path / "a"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        asked = {each.rpartition("/")[2] for each in hub.requests if each.startswith("GET /owner")}
    assert {"vocab.json", "model.safetensors"} <= asked
    assert asked & {"source.spm", "target.spm"}, "equal files are downloaded once"
    assert {"source.spm", "target.spm"} <= {each.name for each in (tmp_path / "a").iterdir()}
    assert "translates de into en" in done.stdout
    card = load_artefact(tmp_path / "a").card
    assert (card.name, card.licence) == ("opus-mt-de-en", "cc-by-4.0")
    assert card.made_of[0].source == f"owner/opus-mt-de-en@{COMMIT}"
    assert "Not compared with the original model after the conversion." in card.limits


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--task", "translation", "--outside-label", "x"],
            "--outside-label: is for --task intent, not translation",
        ),
        (["--task", "poetry"], "--task poetry: models are added for intent, ner, translation"),
        (["--task", "translation", "--language", "de"], "not a pair such as de-en"),
    ],
)
def test_options_of_another_task_are_refused(words: list[str], message: str) -> None:
    assert message in run("models", "add", str(MODELS / "marian"), *words, code=2)


@pytest.fixture
def translated(tmp_path: Path) -> Path:
    """Texts with the model's own translations as references; the less sure it is, the likelier one is another text."""
    dice = np.random.default_rng(7)
    words = " ".join(row["text"] for row in expected("marian")).split()
    texts = [" ".join(word for word in dice.choice(words, 5) if word.isalpha()) + "." for _ in range(600)]
    converted(MODELS / "marian", tmp_path / "gold", "de-en")
    answers = TranslationModel.load(tmp_path / "gold").answer([Question(text, "de", "en") for text in texts])
    ranks = np.array([answer.confidence for answer in answers]).argsort().argsort() / len(texts)
    rows = [
        json.dumps({"text": text, "reference": answer.output.text if dice.random() < rank else "1 2 3 4 5 6 7 8 9"})
        for text, answer, rank in zip(texts, answers, ranks, strict=True)
    ]
    file = tmp_path / "translated.jsonl"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return file


@pytest.mark.long
def test_a_calibrated_model_says_how_often_its_translation_is_near_that_of_people(
    translated: Path, tmp_path: Path
) -> None:
    said = run("models", "add", str(MODELS / "marian"), "--task", "translation", "--language", "de-en", "--no-compare",
               "--output", str(tmp_path / "a"), "--calibrate", str(translated), "--goal", "0.8")  # fmt: skip
    assert "600 rows of the rows to calibrate on" in said
    assert "uncalibrated" not in said
    model = TranslationModel.load(tmp_path / "a")
    raw = TranslationModel.load(tmp_path / "gold")
    assert (model.card.reader, raw.card.reader) == ("sprat-text-to-text/2", "sprat-text-to-text/1")
    rows = [json.loads(line) for line in translated.read_text("utf-8").splitlines()]
    questions = [Question(row["text"], "de", "en") for row in rows]
    answers, before = model.answer(questions), raw.answer(questions)
    assert [each.output for each in answers] == [each.output for each in before]
    right = np.array([answer.output.text == row["reference"] for row, answer in zip(rows, answers, strict=True)])
    stated = np.array([answer.confidence for answer in answers])
    impossible = np.array([answer.confidence == 0 for answer in before])
    assert (stated[impossible] == 0).all()
    possible = np.flatnonzero(~impossible)
    assert len(possible) > 100
    for part in np.array_split(possible[stated[possible].argsort()], 3):
        assert abs(stated[part].mean() - right[part].mean()) < 0.12, "the calibration does not make it a probability"
    assert model.card.calibration.fitted_on == "600 rows of translated.jsonl"
    assert model.card.calibration.longest_code_points == raw.card.calibration.longest_code_points
    assert model.card.score("calibrated_right") >= right.mean(), "a chrF of 40 is called right, of 60 good"
    found = find_thresholds(tmp_path / "a", model_version=model.card.version)
    assert (found.right, found.recommended_goal) == ("chrF of 40 or more against a translation by a person", 0.9)
    assert not any("Uncalibrated" in limit for limit in model.card.limits)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("rubbish", "row 1: not of the form"),
        ('{"text": "a"}', "row 1: not of the form"),
        ('{"text": "a", "reference": " "}', "row 1: not of the form"),
        ('{"text": "a", "reference": "b", "language": "fr"}', "row 1: the model does not translate"),
        ('{"text": "a", "reference": "b"}', "has 1 rows; 50 are needed"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(row + "\n\n", "utf-8")
    said = run("models", "add", str(MODELS / "marian"), "--task", "translation", "--language", "de-en", "--no-compare",
               "--output", str(tmp_path / "a"), "--calibrate", str(tmp_path / "rows.jsonl"), code=2)  # fmt: skip
    assert message in said
    assert not (tmp_path / "a").exists()


def test_a_calibration_of_another_kind_is_refused(tmp_path: Path) -> None:
    converted(MODELS / "marian", tmp_path / "a", "de-en")
    card = json.loads((tmp_path / "a" / "card.json").read_text("utf-8"))
    card["calibration"]["parameters"] = {"chance": [1.0]}
    write_artefact(tmp_path / "a", card)
    with pytest.raises(BrokenArtefact, match="a calibration of another kind"):
        TranslationModel.load(tmp_path / "a")


def test_the_original_is_computed_by_transformers(tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
    for kind, (source, target) in PAIRS.items():
        converted(MODELS / kind, tmp_path / kind, f"{source}-{target}", quantization="float32")
        marks = LanguageMarks.load(tmp_path / kind).of(source, target)
        rows = expected(kind)
        found, versions = original_translations(
            MODELS / kind, [Translatable(row["text"], marks) for row in rows], 16 - len(marks.start),
            not_written="<pad>" if kind.startswith("marian") else None,
        )  # fmt: skip
        assert found == [row["translation"] for row in rows], kind
        assert versions.startswith("transformers 5")
    said = run("models", "add", str(MODELS / "t5"), "--task", "translation", "--language", "de-en", "--quantization",
               "float32", "--output", str(tmp_path / "a"))  # fmt: skip
    assert "have a chrF of" in said
    assert load_artefact(tmp_path / "a").card.score("agreement_with_original") >= 95
