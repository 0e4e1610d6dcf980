import shutil
import unicodedata
from itertools import pairwise
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.encoder import TokenEncoder
from sprat_inference.heads import TokenHead
from sprat_inference.windows import Windows
from sprat_privacy import Detection
from sprat_privacy.detectors.tagger import OVERLAP, SHIPPED_TAGGER, Tagger
from sprat_privacy.detectors.tagger_decoding import TYPES
from sprat_privacy.normalisation import fold

quick = settings(max_examples=60)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.load(SHIPPED_TAGGER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in SHIPPED_TAGGER.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def shown(text: str, found: list[Detection]) -> set[tuple[str, str]]:
    return {(text[one.start : one.end], one.type) for one in found}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(
            "My name is Anna Müller and I live at 12 Baker Street, London NW1 6XE.",
            {("Anna Müller", "PERSON"), ("12 Baker Street", "ADDRESS"), ("London", "LOCATION"), ("NW1 6XE", "ADDRESS")},
            id="English",
        ),
        pytest.param(
            "Ich heiße Jürgen Weißgerber und wohne in der Hauptstraße 12, 10115 Berlin.",
            {("Jürgen Weißgerber", "PERSON"), ("Berlin", "LOCATION")},
            id="German",
        ),
        pytest.param(
            "Je m'appelle Éloïse O'Connor-Lefèvre, j'habite 5 rue de la Paix, 75002 Paris.",
            {("Éloïse O'Connor-Lefèvre", "PERSON"), ("5 rue de la Paix", "ADDRESS"), ("Paris", "LOCATION")},
            id="French",
        ),
        pytest.param(
            "Me llamo José García López, mi correo es jose.garcia@example.com",
            {("José García López", "PERSON"), ("jose.garcia@example.com", "EMAIL")},
            id="Spanish",
        ),
        pytest.param(
            "Mi chiamo Giulia Rossi e abito in Via Roma 5, Milano.",
            {("Giulia Rossi", "PERSON"), ("Via Roma 5", "ADDRESS"), ("Milano", "LOCATION")},
            id="Italian",
        ),
        pytest.param(
            "O meu nome é João da Silva, moro em Lisboa.",
            {("João da Silva", "PERSON"), ("Lisboa", "LOCATION")},
            id="Portuguese",
        ),
        pytest.param(
            "Mijn naam is Pieter van den Berg uit Utrecht.",
            {("Pieter van den Berg", "PERSON"), ("Utrecht", "LOCATION")},
            id="Dutch",
        ),
    ],
)
def test_people_and_places_are_found_in_the_languages_of_the_card(
    tagger: Tagger, text: str, wanted: set[tuple[str, str]]
) -> None:
    assert wanted <= shown(text, tagger.find(text))


@pytest.mark.parametrize("text", ["Where is my order?", "please book me a table for tonight", "", " \n\t", "?!", "\0"])
def test_nothing_is_found_in_a_text_without_personal_data(tagger: Tagger, text: str) -> None:
    assert tagger.find(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("Call 👩‍👩‍👧 Anna Schmidt 🙂 now", "Anna Schmidt", id="emoji of many code points"),
        pytest.param(
            unicodedata.normalize("NFD", "Please call José Núñez today"), "Jose\u0301 Nu\u0301n\u0303ez", id="NFD"
        ),
        pytest.param("Jo\u200bhn Smi\u200dth called me", "Jo\u200bhn Smi\u200dth", id="zero-width inside a name"),
        pytest.param("I am Ann\u0301a\ufe0f Smith, hello", "Ann\u0301a\ufe0f Smith", id="marks at the end of a word"),
        pytest.param("Please call ＪＯＨＮ at noon", "ＪＯＨＮ", id="full-width letters"),
        pytest.param("\u202eHello, I am John Smith\u202c.", "John Smith\u202c", id="direction marks"),
        pytest.param("\U0001d569\U0001d56a Peter Schmidt lives here", "Peter Schmidt", id="beyond the first plane"),
        pytest.param("I am John Smith\ud800 ok", "John Smith", id="lone surrogate"),
    ],
)
def test_offsets_are_exact_in_odd_text(tagger: Tagger, text: str, value: str) -> None:
    assert (value, "PERSON") in shown(text, tagger.find(text))


@quick
@given(st.text(st.characters(), max_size=120))
def test_spans_of_any_text_are_inside_it_in_order_and_disjoint(tagger: Tagger, text: str) -> None:
    check(text, tagger.find(text))


pieces_of_text = st.sampled_from(
    [
        "Anna Schmidt",
        "+49 30 1234567",
        "a@b.de",
        "\u200b",
        "\u0301",
        "İ",
        "한국",
        "東京",
        "[SEP]",
        "ﬁ",
        ", ",
        " ",
        "\n",
        "👍🏽",
    ]
)


@quick
@given(st.lists(pieces_of_text, max_size=30).map("".join))
def test_spans_among_odd_characters_are_inside_the_text(tagger: Tagger, text: str) -> None:
    check(text, tagger.find(text))


def check(text: str, found: list[Detection]) -> None:
    end = 0
    for one in found:
        assert end <= one.start < one.end <= len(text)
        assert 0 < one.score <= 1
        assert one.type in TYPES.values()
        assert any(character.isalnum() for character in fold(text[one.start : one.end]).text)
        end = one.end


@pytest.mark.parametrize("name", ["[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]"])
def test_a_special_token_in_a_text_is_read_as_text(tagger: Tagger, name: str) -> None:
    text = f"hello {name} I am John Smith {name}"
    (pieces,), (window,) = tagger.windows.cut([text])
    special = tagger.windows._tokenizer.token_to_id(name)
    assert special not in pieces.ids
    assert window.ids[1:-1] == pieces.ids
    assert ("John Smith", "PERSON") in shown(text, tagger.find(text))


def test_a_name_is_found_at_any_position_of_a_long_text(tagger: Tagger) -> None:
    filler = "Thank you for the quick answer, the parcel came in time and all was well. "
    for before in range(12):
        text = "word " * before + filler * 4 + "My name is Anna Schmidt. " + filler * 4
        assert ("Anna Schmidt", "PERSON") in shown(text, tagger.find(text))


def test_a_text_of_20_000_code_points_is_read_to_its_end(tagger: Tagger) -> None:
    text = ("The parcel came in time. " * 800)[: 20_000 - 25] + " My name is Anna Schmidt."
    assert len(text) == 20_000
    assert ("Anna Schmidt", "PERSON") in shown(text, tagger.find(text)[-1:])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 20_000, id="one word"),
        pytest.param("한" * 3_000, id="Hangul, three tokens each"),
        pytest.param("." * 1_000, id="punctuation"),
        pytest.param("\u0301" * 20_000, id="combining marks"),
        pytest.param("👨‍👩‍👧‍👦" * 500, id="emoji"),
    ],
)
def test_long_odd_text_is_read(tagger: Tagger, text: str) -> None:
    check(text, tagger.find(text))


def test_a_batch_gives_the_same_detections_as_single_texts(tagger: Tagger) -> None:
    texts = [
        "I am Anna Schmidt",
        "",
        "hi",
        "Where is my order?",
        "Peter Weber, Main Street 5 " * 20,
        "I am Anna Schmidt",
    ]
    assert tagger.find_many(texts) == [tagger.find(text) for text in texts]
    assert tagger.find_many([]) == []


def test_two_threads_give_the_same_detections_as_one(tagger: Tagger) -> None:
    texts = [f"Number {place}: Anna Schmidt, {'very ' * place}late" for place in range(30)]
    assert Tagger.load(SHIPPED_TAGGER, threads=2).find_many(texts) == tagger.find_many(texts)


def test_windows_cover_every_token_overlap_and_are_never_too_long(tagger: Tagger) -> None:
    texts = ["word " * 300, "한국어" * 50, "", "a.b" * 90, "hi"]
    pieces, windows = tagger.windows.cut(texts)
    for place, each in enumerate(pieces):
        mine = [window for window in windows if window.text == place]
        covered = [range(window.first, window.first + len(window.ids) - 2) for window in mine]
        assert sorted({token for stretch in covered for token in stretch}) == list(range(len(each.ids)))
        assert all(3 <= len(window.ids) <= tagger.windows.max_tokens for window in mine)
        assert all(window.ids[1:-1] == each.ids[window.first :][: len(window.ids) - 2] for window in mine)
        for one, other in pairwise(covered):
            assert OVERLAP <= one.stop - other.start <= 2 * OVERLAP


def test_windows_that_cannot_advance_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Windows.load(SHIPPED_TAGGER, max_tokens=32, overlap=15)


def test_every_label_of_the_card_has_a_type(tagger: Tagger) -> None:
    labels = tagger.card.labels or ()
    assert len(labels) == 35
    assert {label[2:] for label in labels if label != "O"} == set(TYPES)


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "vocabulary.json", "head.npz", "card.json"])
def test_a_damaged_file_is_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"\x00\x01rubbish")
    with pytest.raises(BrokenArtefact, match=name):
        Tagger.load(copy)


def test_a_head_for_other_labels_is_refused() -> None:
    with pytest.raises(BrokenArtefact, match="labels"):
        TokenHead.load(SHIPPED_TAGGER, 34)


class NotFiniteModel:
    def forward_batch(self, ids: ctranslate2.StorageView, lengths: ctranslate2.StorageView) -> object:
        class Output:
            last_hidden_state = np.full((*ids.shape, 384), np.nan, np.float32)

        return Output()


class FailingModel:
    def forward_batch(self, ids: ctranslate2.StorageView, lengths: ctranslate2.StorageView) -> object:
        raise RuntimeError("out of memory")


@pytest.mark.parametrize(("model", "says"), [(NotFiniteModel(), "not finite"), (FailingModel(), "out of memory")])
def test_invalid_numbers_and_failures_are_errors_without_the_text(tagger: Tagger, model: object, says: str) -> None:
    broken = Tagger(
        tagger.card, TokenEncoder(model, 512, threads=1), tagger.windows, TokenHead.load(SHIPPED_TAGGER, 35)
    )
    with pytest.raises(ModelError, match=says) as caught:
        broken.find("secret")
    assert "secret" not in str(caught.value)
