"""The scores of the card, each with its protocol. The recipe writes them; `tests/bench` measures them again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from recipes.common import auroc, calibration_error
from recipes.ner import quality
from recipes.ner.gold import Sentence, read_spans
from recipes.ner.quality import ReadSentence
from recipes.ner.sets import TESTS, read_set
from sprat_inference.card import Score
from sprat_ner.model import NerModel

GERMAN: Final = "german"

NAMES: Final[Mapping[str, str]] = {
    "uner_ewt": "UNER English EWT test",
    "wnut17": "WNUT17 test, corporations and groups as ORG",
    "wnut17_companies": "WNUT17 test, corporations alone as ORG",
    "btc": "Broad Twitter Corpus test (section F)",
    "crossner_ai": "CrossNER test, artificial intelligence",
    "crossner_literature": "CrossNER test, literature",
    "crossner_music": "CrossNER test, music",
    "crossner_politics": "CrossNER test, politics",
    "crossner_science": "CrossNER test, science",
    "sec": "SEC filings test",
    GERMAN: "sentences in German written for Sprat",
}
"""Data set → its name in protocols."""

POOLED: Final = tuple(name for name in TESTS if name != "wnut17_companies")
"""The data sets of the calibration scores; each text occurs once."""


def read_tests(data: Path, german: Path | None) -> dict[str, list[Sentence]]:
    """Read every test set; the German one is a file of the repository.

    Raises:
        FileNotFoundError: when one is missing.
    """
    sets = {name: read_set(data, parts) for name, parts in TESTS.items()}
    if german is not None:
        sets[GERMAN] = read_spans(german)
    return sets


def measure(model: NerModel, tests: Mapping[str, list[Sentence]]) -> tuple[tuple[Score, ...], dict[str, ReadSentence]]:
    """Measure `model`; return the scores, and the model's answers on each set."""
    seen = {name: quality.see(model, sentences, "de" if name == GERMAN else "en") for name, sentences in tests.items()}
    rule = "PER, ORG and LOC, entity micro-F1 on exact spans (seqeval)"
    scores = [
        (f"f1_{name}", each.counts.f1, f"{NAMES[name]}, {len(each.gold)} texts: {rule}") for name, each in seen.items()
    ]
    english = quality.pooled([seen[name] for name in POOLED])
    scores += _confidence(english, model.card.keep_at_of("en"), "", "all English tests")
    if GERMAN in tests:
        reported = quality.see(model, german_half(tests[GERMAN], calibrating=False), "de")
        sets = f"{NAMES[GERMAN]}, the half not calibrated on"
        scores += _confidence(reported, model.card.keep_at_of("de"), "_german", sets)
        sets += ", at the keep_at of English"
        scores += _kept_apart(reported, model.card.keep_at_of("en"), "_german_as_english", sets)
    return tuple(Score(name=name, value=round(value, 4), protocol=rule) for name, value, rule in scores), seen


def german_half(sentences: Sequence[Sentence], *, calibrating: bool) -> list[Sentence]:
    """Return every other sentence: even lines of the file, counted from 1, for calibration, odd lines for scores."""
    return list(sentences[1::2] if calibrating else sentences[::2])


def _confidence(seen: ReadSentence, keep_at: float, suffix: str, sets: str) -> list[tuple[str, float, str]]:
    on = f"{sets}, {len(seen.gold)} texts"
    share, right = quality.kept(seen, keep_at)
    bins = min(15, 1 + len(seen.gold) // 50)  # with few texts, many bins would only measure noise
    whole = "a text is right when all its names are, and none is missed"
    return [
        (f"exact{suffix}", float(seen.right.mean()), f"{on}: share that is right; {whole}"),
        (
            f"auroc{suffix}",
            auroc(seen.confidence, seen.right),
            f"{on}: confidence, right against wrong; {whole}",
        ),
        (
            f"ece{suffix}",
            calibration_error(seen.confidence, seen.right, bins),
            f"{on}: expected calibration error of the confidence, {bins} equal bins",
        ),
        (
            f"ece_names{suffix}",
            calibration_error(seen.chances, seen.names_right, bins),
            f"{on}, {len(seen.chances)} names found: the same of a name's probability",
        ),
        (f"kept_share{suffix}", share, f"{on}: confidence ≥ keep_at"),
        (f"kept_right{suffix}", right, f"{on}: of those kept, right as published"),
        *_kept_apart(seen, keep_at, suffix, sets),
    ]


def _kept_apart(seen: ReadSentence, keep_at: float, suffix: str, sets: str) -> list[tuple[str, float, str]]:
    """Return what is kept of texts that hold a name, of texts that hold none, and of answers that hold a name."""
    parts = (
        ("with_name", seen.with_name, "texts that hold a name"),
        ("without_name", ~seen.with_name, "texts that hold none"),
        ("answered_with_name", seen.answered_with_name, "texts whose answer holds a name"),
    )
    rows = []
    for part, among, what in parts:
        share, right = quality.kept(seen, keep_at, among)
        count = int((among & (seen.confidence >= keep_at)).sum())
        on = f"{sets}, the {int(among.sum())} {what}"
        rows += [
            (f"kept_share_{part}{suffix}", share, f"{on}: confidence ≥ keep_at"),
            (f"kept_right_{part}{suffix}", right, f"{on}: of the {count} kept, right as published"),
        ]
    return rows
