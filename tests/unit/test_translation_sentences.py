from collections.abc import Sequence

import pytest

from sprat_translation.network import Candidate
from sprat_translation.protected_tokens import SYMBOLS, find_protected
from sprat_translation.sentences import SentenceTranslator
from sprat_translation.vocabulary import SubwordVocabulary
from support.translated_texts import protected_texts


class WordPieces(SubwordVocabulary):
    """A word is a piece; a symbol stands alone."""

    def __init__(self, *, copies_symbols: bool = True) -> None:
        self.copies_symbols = copies_symbols

    def encode(self, sentences):
        for symbol in SYMBOLS:
            sentences = [sentence.replace(symbol, f" {symbol} ") for sentence in sentences]
        return [sentence.split() for sentence in sentences]

    def decode(self, pieces):
        return " ".join(pieces)


class FakeNetwork:
    """Writes what a function makes of the pieces, and keeps what it was asked."""

    def __init__(self, write, better: Sequence[Candidate] = ()) -> None:
        self.write = write
        self.better = better
        self.read: list[list[str]] = []

    def translate(self, sentences: Sequence[Sequence[str]], start: Sequence[str] = ()) -> list[tuple[Candidate, ...]]:
        self.read += [list(pieces) for pieces in sentences]
        return [(*self.better, Candidate(tuple(self.write(pieces)), -0.1)) for pieces in sentences]

    def log_probabilities(self, sources, targets, start=()):
        return [(-0.1,) * (len(target) + 1) for target in targets]


def sentences(write, *, copies_symbols=True, longest=60) -> SentenceTranslator:
    return SentenceTranslator(WordPieces(copies_symbols=copies_symbols), FakeNetwork(write), longest)


@pytest.mark.parametrize("written", [["Teil", "sie"], ["Teil", "sie", "nicht"]])
def test_a_translation_that_lost_its_not_keeps_its_tokens_but_is_unsound(written):
    done = sentences(lambda pieces: written).translate(["Do not share it"])["Do not share it"]
    assert (done.is_kept, done.is_sound) == (True, "nicht" in written)


def test_a_number_that_is_misunderstood_when_copied_makes_the_translation_unsound():
    done = sentences(lambda pieces: pieces).translate(["Pay 1,000 now", "Pay 100 now"])
    assert [(each.is_kept, each.is_sound) for each in done.values()] == [(True, False), (True, True)]


def test_500_texts_keep_everything_where_the_network_copies_symbols():
    backwards = sentences(lambda pieces: [piece.lower() for piece in reversed(pieces)])
    for text, wanted in protected_texts(500):
        for sentence, done in backwards.translate(text.split("\n")).items():
            assert done.is_kept
            assert all(value in done.text for value in wanted if value in sentence)


def test_500_texts_are_not_kept_where_the_network_loses_the_last_symbol_and_every_digit():
    def forgetful(pieces):
        return [piece.lower() for piece in pieces if piece not in SYMBOLS and not any(find_protected(piece))]

    for text, _ in protected_texts(500):
        for done in sentences(forgetful).translate(text.split("\n")).values():
            assert done.is_kept == (not any(find_protected(done.source)))


def test_a_sentence_whose_symbol_was_lost_is_translated_unchanged():
    some = sentences(lambda pieces: [piece for piece in pieces if piece not in {*SYMBOLS, "Tom"}])
    done = some.translate(["Pay 500 now"])["Pay 500 now"]
    assert done.is_kept
    assert done.text == "Pay 500 now"
    assert done.read == "Pay 500 now"


def test_a_lost_symbol_is_replaced_by_a_name():
    some = sentences(lambda pieces: [piece for piece in pieces if piece not in SYMBOLS])
    done = some.translate(["Hello {0} again"])["Hello {0} again"]
    assert (done.text, done.read, done.is_kept) == ("Hello {0} again", "Hello Tom again", True)


def test_a_network_without_symbols_translates_unchanged_sentences():
    some = sentences(lambda pieces: pieces, copies_symbols=False)
    assert some.translate(["Pay 500 now"])["Pay 500 now"].is_kept
    assert some._network.read == [["Pay", "500", "now"]]


def test_a_sentence_of_protected_tokens_only_is_not_translated():
    some = sentences(lambda pieces: ["nonsense"])
    done = some.translate(["https://shop.example/a?b=1."])["https://shop.example/a?b=1."]
    assert (done.text, done.hypothesis, done.is_kept) == ("https://shop.example/a?b=1.", None, True)


def test_a_sentence_longer_than_the_network_reads_is_copied_and_not_kept():
    some = sentences(lambda pieces: pieces, longest=3)
    done = some.translate(["one two three four"])["one two three four"]
    assert (done.text, done.hypothesis, done.is_kept) == ("one two three four", None, False)


def test_the_best_candidate_with_all_tokens_is_chosen():
    forgetful = Candidate(("Zahl", "jetzt"), -0.01)
    some = SentenceTranslator(WordPieces(), FakeNetwork(lambda pieces: pieces, [forgetful]), 60)
    done = some.translate(["Pay 500 now"])["Pay 500 now"]
    assert (done.text, done.is_kept) == ("Pay 500 now", True)
    assert done.hypothesis.agreement.lead == pytest.approx(-0.09)
    assert done.hypothesis.agreement.share < 0.5


def test_similar_candidates_agree_and_others_do_not():
    alike = Candidate(("Pay", "now", "please"), -0.1)
    other = Candidate(("Ganz", "etwas", "anderes"), -0.1)
    figures = []
    for better in (alike, other):
        some = SentenceTranslator(WordPieces(), FakeNetwork(lambda pieces: ["Pay", "me", "please"], [better]), 60)
        figures.append(some.translate(["Pay me"])["Pay me"].hypothesis.agreement.consensus)
    assert 0 < figures[1] < figures[0] < 1


@pytest.mark.parametrize("sentence", ["Pay now", "Pay 500 now"])
def test_an_empty_translation_is_not_kept(sentence):
    done = sentences(lambda pieces: []).translate([sentence])[sentence]
    assert (done.text, done.is_kept) == ("", False)


def test_equal_sentences_are_translated_once():
    some = sentences(lambda pieces: pieces)
    some.translate(["hello there", "hello there"])
    assert len(some._network.read) == 1
