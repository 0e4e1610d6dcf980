"""What counts as kept in the figures of the translation model."""

import numpy as np

from recipes.translation.corpora import ParallelTexts, written_pairs
from recipes.translation.quality import TranslatedPair
from recipes.translation.scores import scores


def seen(*rows: tuple[str, float, bool]) -> TranslatedPair:
    """Texts that are translated as their reference: text, confidence, whether it has words."""
    texts = tuple(text for text, _, _ in rows)
    confidence = np.array([each for _, each, _ in rows])
    words = np.array([has_words for *_, has_words in rows])
    return TranslatedPair(ParallelTexts(texts, texts), texts, confidence, confidence, np.full(len(rows), 100.0), words)


def test_texts_without_words_count_in_no_share_kept() -> None:
    one = seen(("Where is it?", 0.9, True), ("Thank you very much.", 0.1, True), ("1920.", 1.0, False))
    good_and_bad = TranslatedPair(
        one.pairs, one.outputs, one.confidence, one.log_probability, np.array([90.0, 10.0, 100.0]), one.has_words
    )
    sets = dict.fromkeys(("tatoeba", "chat", "flores"), good_and_bad)
    measured = {each.name: each for each in scores(sets, 0.62)}
    assert measured["chat_kept_share"].value == 0.5
    assert "without the 1 that have no words" in measured["chat_kept_share"].protocol


def test_the_chat_written_for_sprat_has_a_translation_for_each_sentence() -> None:
    pairs = written_pairs()
    assert len(pairs) == 160
    assert all(pairs.sources)
    assert all(pairs.references)
