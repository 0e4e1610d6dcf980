"""The language of a text: what is detected, how sure, and what counts where nothing is."""

import string
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import files

import pytest

from sprat_contracts.languages import is_served
from sprat_langid import LANGUAGES, LEAST_CONFIDENCE, READ_CODE_POINTS, VERSION, detect, language_detected
from sprat_langid import resolved as language_to_read
from support.router_records import text
from support.speed import cpu_s

SENTENCES = {
    "en": "Where is my order? It was supposed to arrive on Monday.",
    "de": "Wo bleibt meine Bestellung? Sie sollte am Montag kommen.",
    "fr": "Où est ma commande ? Elle devait arriver lundi.",
    "es": "¿Dónde está mi pedido? Tenía que llegar el lunes.",
    "it": "Dov'è il mio ordine? Doveva arrivare lunedì.",
    "nl": "Waar blijft mijn bestelling? Die zou maandag komen.",
    "pl": "Gdzie jest moje zamówienie? Miało przyjść w poniedziałek.",
    "pt": "Onde está a minha encomenda? Devia ter chegado na segunda-feira.",
    "ru": "Где мой заказ? Он должен был прийти в понедельник.",
    "ja": "注文した商品はどこですか。月曜日に届くはずでした。",
}
WORDLESS = {
    "digits": "4711 0815",
    "emoji": "🙂🎉👩‍👩‍👧",
    "punctuation": string.punctuation,
    "control": "\x00\x1b[2;1\u202e",
    "white": " \n\t",
    "empty": "",
}
MOST_BYTES = 10_000_000
"""Of the library's files, unpacked: more than its wheel has."""
ODD = {
    "names alone": "Visa Mastercard Paypal Klarna",
    "one letter": "a",
    "one word": "ok",
    "an address": "https://example.com/a?b=1",
    "half a pair": "\ud800 \udfff",
    "one long word": "x" * 20_000,
    "combining": "e\u0301" * 10_000,
}


@pytest.mark.parametrize(("language", "sentence"), [pytest.param(*each, id=each[0]) for each in SENTENCES.items()])
def test_the_language_of_a_sentence_is_found(language: str, sentence: str) -> None:
    found = detect(sentence)
    assert found.language == language
    assert found.confidence > 0.95
    assert found == detect(sentence)
    assert {each.language for each in found.chances} == set(LANGUAGES)
    chances = [each.probability for each in found.chances]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("given", [pytest.param(each, id=name) for name, each in WORDLESS.items()])
def test_without_a_letter_there_is_no_language(given: str) -> None:
    assert (detect(given).language, detect(given).confidence) == (None, 1.0)


@pytest.mark.parametrize(
    "given", [pytest.param(each, id=name) for name, each in (ODD | WORDLESS).items() if each.strip()]
)
@pytest.mark.parametrize("default", ["en", "de-AT", "ca"])
def test_a_text_without_a_sure_language_is_read_in_the_default(given: str, default: str) -> None:
    found = language_detected(text(text=given.encode("utf-8", "replace").decode(), language="auto"), default)
    assert found is not None
    assert found.language == default
    assert 0 <= found.confidence < LEAST_CONFIDENCE or detect(given).language == default.partition("-")[0]


def test_of_several_languages_that_of_most_words_counts() -> None:
    mixed = f"Guten Tag! {SENTENCES['en']} {SENTENCES['en']}"
    assert detect(mixed).language == "en"


def test_only_auto_is_detected() -> None:
    assert language_detected(text(text=SENTENCES["nl"], language="de"), "en") is None
    assert language_to_read("de-AT", SENTENCES["nl"], "en") == "de-AT"
    assert language_to_read("Auto", SENTENCES["nl"], "en") == "nl"


def test_the_longest_text_takes_no_longer_than_its_beginning() -> None:
    longest = (SENTENCES["de"] + " ") * 400
    detect("warm up")
    assert cpu_s(lambda: detect(longest[:20_000])) < 0.1
    assert detect(longest[:20_000]) == detect(longest[:READ_CODE_POINTS])


def test_threads_get_the_same_answers() -> None:
    texts = list(SENTENCES.values()) * 20
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detect, texts)) == [detect(each) for each in texts]


def test_its_version_names_the_library_and_its_own_parameters() -> None:
    assert VERSION.startswith("py3langid-0.4.")
    assert len(VERSION.rpartition("-")[2]) == 8
    assert all(is_served(each, LANGUAGES) for each in SENTENCES)


def test_the_library_takes_no_more_than_ten_megabytes_where_it_is_installed() -> None:
    installed = files("py3langid")
    assert installed is not None
    sizes = {str(each): each.locate().stat().st_size for each in installed if each.suffix != ".pyc"}
    assert max(sizes.values()) > 1_000_000, "the model is among them"
    assert sum(sizes.values()) <= MOST_BYTES
