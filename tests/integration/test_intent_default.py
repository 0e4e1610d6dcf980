"""The intent model as it is shipped: on the shared encoder, for eight languages, of which three are calibrated."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import sprat_encoder
from recipes.intent.clinc150 import read_outside, read_queries
from recipes.intent.metrics import in_scope_only, kept_share, raw_accuracy, read_splits
from sprat.base.model import Answer, Model, Question
from sprat_contracts import IntentOutput
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact
from sprat_inference.card import PartRef
from sprat_inference.label_calibration import CalibratorsByLanguage
from sprat_intent.__main__ import SERVICE, SHIPPED
from support.int8 import needs_vnni

QUERIES = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="module")
def model() -> LabellingModel:
    return LabellingModel.load(SHIPPED)


def ask(model: LabellingModel, language: str, *texts: str) -> list[Answer]:
    return model.answer([Question(text, language) for text in texts])


def label(answer: Answer) -> str | None:
    assert isinstance(answer.output, IntentOutput)
    return answer.output.label


def test_it_is_the_default_of_the_service_and_built_on_the_shared_encoder(model: LabellingModel) -> None:
    served: Model = model
    assert SERVICE.section(SERVICE.settings(secret="s" * 32, _env_file=None)).artefact == SHIPPED
    assert served.card.built_on == sprat_encoder.identify()
    assert served.card.languages == ("en", "de", "fr", "es", "it", "nl", "pl", "pt")
    assert model.calibrated == ("en", "de", "fr")
    assert "model.bin" not in served.card.files


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en", "please move 100 euros to my savings", "transfer"),
        ("de", "bitte überweise 100 Euro auf mein Sparkonto", "transfer"),
        ("de-AT", "Ich habe meinen Koffer am Flughafen verloren", "lost_luggage"),
        ("fr", "quelle est la météo à Lyon demain", "weather"),
        ("fr-CA", "fais un virement de 100 euros vers mon livret", "transfer"),
    ],
)
def test_a_plain_request_gets_its_label_with_a_confidence_to_keep(
    model: LabellingModel, language: str, text: str, wanted: str
) -> None:
    (answer,) = ask(model, language, text)
    assert label(answer) == wanted
    assert answer.confidence >= model.card.keep_at


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("es", "por favor transfiere 100 euros a mi cuenta de ahorros"),
        ("it", "per favore trasferisci 100 euro sul mio conto di risparmio"),
        ("nl", "maak alsjeblieft 100 euro over naar mijn spaarrekening"),
        ("pl", "przelej proszę 100 euro na moje konto oszczędnościowe"),
        ("pt", "por favor transfere 100 euros para a minha conta poupança"),
    ],
)
def test_a_language_without_calibration_has_no_higher_confidence_than_any_calibrated_one(
    model: LabellingModel, language: str, text: str
) -> None:
    classification = model.classify([text], [language])
    assert (model.card.labels or ())[int(classification.best[0])] == "transfer"
    by_language = CalibratorsByLanguage.of(model.card.calibration).by_language
    each = [
        CalibratorsByLanguage({"en": one}).chances(classification.logits, ["en"])[0] for one in by_language.values()
    ]
    assert classification.right[0] == pytest.approx(min(chances[0] for chances in each))
    assert classification.outside[0] == pytest.approx(min(chances[2] for chances in each))


@pytest.mark.parametrize("language", ["de", "fr"])
def test_unseen_queries_get_their_labels_and_the_confidence_is_calibrated(model: LabellingModel, language: str) -> None:
    _, reported = read_queries(QUERIES, language)
    readings = read_splits(model, reported, read_outside(QUERIES, language))
    inside = in_scope_only(readings)
    assert abs(inside.confidence.mean() - inside.right.mean()) <= 0.06
    share, right = kept_share(readings, model.card.keep_at, 0.0)
    assert share >= 0.6
    assert right >= 0.94
    kept_as_label = ~readings.is_rejected & (readings.confidence >= model.card.keep_at)
    assert kept_as_label[~readings.in_scope].mean() <= 0.1
    if raw_accuracy(readings) < 0.88:  # German without VNNI: 65 of 75
        needs_vnni()
    assert raw_accuracy(readings) >= 0.88


def test_the_card_states_the_promised_scores(model: LabellingModel) -> None:
    score = model.card.score
    assert score("in_scope_accuracy_raw") >= 0.955
    assert score("auroc_out_of_scope") >= 0.964
    assert score("recall_at_10_escalated") >= 0.905
    assert min(score("top1_de"), score("top1_fr")) >= 0.88
    assert all(score(f"ece_at_{share}") <= 0.03 for share in (3, 10, 20))
    assert score("kept_right_at_10") >= 0.97
    untidy = ("typing_error", "capitals", "courtesy", "mail")
    assert min(score(f"kept_right_{kind}") for kind in untidy) >= 0.95
    assert score("kept_right_letter") >= 0.9


def test_a_text_gets_the_same_answer_alone_and_among_others_in_other_languages(model: LabellingModel) -> None:
    questions = [
        Question("überweise bitte 50 Euro", "de"),
        Question("move 50 euros", "en"),
        Question("vire 50 euros", "fr"),
    ]
    together = model.answer(questions * 5)
    for question, answer in zip(questions, together, strict=False):
        (alone,) = model.answer([question])
        assert label(alone) == label(answer)
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-4)


def test_plain_words_in_english_need_no_encoder_and_texts_in_other_languages_do(model: LabellingModel) -> None:
    (english,) = ask(model, "en", "how do i freeze my account")
    assert (label(english), english.stage) == ("freeze_account", "lexical")
    (unusual,) = ask(model, "en", "please move 100 euros to my savings")
    (german,) = ask(model, "de", "how do i freeze my account")
    assert (unusual.stage, german.stage) == ("encoder", "encoder")
    foreign = [text for language in ("de", "fr") for split in read_queries(QUERIES, language) for text in split.texts]
    assert model.classify(foreign, ["en"] * len(foreign)).by_words.mean() < 0.01  # "stell timer auf 8 minuten"


def test_without_its_lexical_stage_the_encoder_reads_every_text(model: LabellingModel) -> None:
    (answer,) = model.encoder_alone().answer([Question("how do i freeze my account", "en")])
    assert (label(answer), answer.stage) == ("freeze_account", None)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in SHIPPED.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_model_made_on_another_encoder_is_refused(copy: Path) -> None:
    other = PartRef(name="e5-small", version="0" * 16)
    write_artefact(copy, load_artefact(SHIPPED).card.model_dump() | {"built_on": other.model_dump()})
    with pytest.raises(BrokenArtefact, match="was made on e5-small 0000000000000000"):
        LabellingModel.load(copy)


def test_a_language_mean_of_another_width_is_refused(copy: Path) -> None:
    with np.load(copy / "head.npz") as arrays:
        changed = dict(arrays) | {"mean_de": np.zeros(3, np.float32)}
    np.savez(copy / "head.npz", **changed)
    write_artefact(copy, load_artefact(SHIPPED).card.model_dump())
    with pytest.raises(BrokenArtefact, match="150 labels"):
        LabellingModel.load(copy)
