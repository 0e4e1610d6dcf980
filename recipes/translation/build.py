"""Make the artefact `en-de` from a trained network: count words, fit the estimate, measure, write the card.

    python -m recipes.translation.build --network DIR --data DIR      (or SPRAT_DATA=DIR)

--network is the output of train.py: model.bin, config.json, shared_vocabulary.json, source.spm, target.spm. About five
minutes on one core; needs sacreBLEU and scikit-learn, no torch.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import sprat_encoder
from recipes.common import card_texts, options_of, replace_artefact, say
from recipes.translation import choices
from recipes.translation.corpora import open_corpus
from recipes.translation.estimate import Fitted, fit
from recipes.translation.quality import TranslatedPair
from recipes.translation.scores import scores, see_tests
from recipes.translation.thresholds import OUTPUT, rows_of
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Calibration, Card, Score
from sprat_training.thresholds.levels import write_levels
from sprat_translation.model import ENCODER_TOKENS, READER, TranslationModel
from sprat_translation.network import TranslationNetwork
from sprat_translation.quality_estimate import METHOD
from sprat_translation.sentences import SentenceTranslator
from sprat_translation.vocabulary import KnownWords, SubwordVocabulary

NETWORK_FILES = ("model.bin", "config.json", "shared_vocabulary.json", "source.spm", "target.spm")
EXAMPLES = {"tatoeba": 14, "chat": 13, "flores": 13}


def main() -> None:
    """Parse the command line and build."""
    parser = options_of(__doc__)
    parser.add_argument("--network", type=Path, required=True, help="the converted network")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="measure each n-th text of Tatoeba's test only")
    options = parser.parse_args()
    replace_artefact(options.output, lambda folder: build(options.network, options.data, options.every, folder))


def build(network: Path, data: Path, every: int, folder: Path) -> Card:
    """Write the artefact into `folder`, which must be empty, and return its card."""
    for name in NETWORK_FILES:
        shutil.copyfile(network / name, folder / name)
    say("known words")
    pairs = list(dict.fromkeys(open_corpus(data).train))
    aside = pairs[:: choices.ASIDE_EVERY]
    hidden = {source for source, _ in aside}
    words = KnownWords.of(pair for pair in pairs if pair[0] not in hidden)
    say("estimate")
    sentences = SentenceTranslator(
        SubwordVocabulary.load(folder), TranslationNetwork.load(folder, 1), choices.LONGEST_SENTENCE
    )
    encoder = sprat_encoder.load(sprat_encoder.identify(), max_tokens=ENCODER_TOKENS)
    fitted = fit(sentences, encoder, words, data, aside)
    for name, value in fitted.report.items():
        print(f"         {name}: {value:.4g}")
    fitted.estimate.save(folder)
    card = describe(fitted)
    say(f"scores on the test sets, kept at {card.keep_at}")
    model = TranslationModel(card, sentences, fitted.estimate)
    seen = see_tests(model, data, every)
    write_examples(folder / "examples.json", seen)
    written = finish(folder, card, scores(seen, card.keep_at))
    say("levels")
    write_levels(folder, written, rows_of(model, data))
    return written


def finish(folder: Path, card: Card, measured: Sequence[Score]) -> Card:
    """Write the card and return it."""
    return write_artefact(folder, card.model_copy(update={"scores": tuple(measured)}).model_dump())


def describe(fitted: Fitted) -> Card:
    """Return the card without scores, files and version."""
    names = ("aside_every", "decline_below", "kept_poor", "longest_sentence", "longest_text", "outside_share")
    texts = card_texts(__file__, **{name: getattr(choices, name.upper()) for name in names})
    return Card(
        name="en-de",
        version="0" * 16,
        task="translation",
        reader=READER,
        built_on=sprat_encoder.identify(),
        languages=("en",),
        targets=("de",),
        max_tokens=choices.LONGEST_SENTENCE,
        scores=(),
        calibration=Calibration(
            method=METHOD,
            fitted_on=texts.pop("fitted_on"),
            outside_share=choices.OUTSIDE_SHARE,
            longest_code_points=choices.LONGEST_TEXT,
            parameters={**fitted.estimate.weights.parameters(), "decline_below": (choices.DECLINE_BELOW,)},
        ),
        keep_at=fitted.keep_at,
        files={},
        **texts,
    )


def write_examples(path: Path, seen: Mapping[str, TranslatedPair]) -> None:
    """Write every n-th output of each test set, whatever its quality."""
    rows = [
        {
            "test": name,
            "row": place,
            "source": some.pairs.sources[place],
            "output": some.outputs[place],
            "reference": some.pairs.references[place],
            "confidence": round(float(some.confidence[place]), 3),
            "chrf": round(float(some.chrf[place]), 1),
        }
        for name, shown in EXAMPLES.items()
        for some in [seen[name]]
        for place in range(0, len(some.pairs), -(-len(some.pairs) // shown))
    ]
    document = {
        "note": "every n-th of each test, not picked; sources and references: Tatoeba (CC BY 2.0 FR), BConTrasT and "
        "FLORES-200 (CC BY-SA 4.0), whose authors card.json names",
        "rows": rows,
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
