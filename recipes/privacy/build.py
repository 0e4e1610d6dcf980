"""Build the artefact `rampart`: fetch, dequantise, centre, convert, measure, write. About a minute on one core.

    python -m recipes.privacy.build --data DIR      (or SPRAT_DATA=DIR)

DIR holds the open data that `sources.py` reads. The README in this folder says how well the build reproduces.
"""

from pathlib import Path

from recipes.common import ROOT, card_texts, options_of, replace_artefact, say
from recipes.privacy.convert import convert
from recipes.privacy.measure import Agreement, Quality, measure_agreement, measure_quality
from recipes.privacy.sources import (
    CACHE,
    PACKAGE,
    SHA256,
    AnnotatedText,
    agreement_texts,
    centring_texts,
    fetch,
    read_annotated,
)
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Calibration, Card, Score, label_set_hash
from sprat_inference.encoder import TokenEncoder
from sprat_inference.heads import TokenHead
from sprat_inference.windows import Windows
from sprat_privacy.detectors.tagger import OVERLAP, READER, Tagger
from sprat_privacy.detectors.tagger_decoding import LEAST_NEXT_TO_NAME

OUTPUT = ROOT / "shared/privacy/src/sprat_privacy/artefacts/rampart"
MAX_TOKENS = 32
"""Length of a window. Shorter ones find more names at the same precision (README); 32 still hold a long address."""

FALSE_POSITIVE_SHARE = 1 / 16
"""Accepted share of masked letters and digits that are not personal. One word too many costs a little meaning; one name
too few is a leak."""
COVERED_TYPES = ("PERSON", "STREET_ADDRESS", "GPE", "ZIP_CODE", "PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD")
VALUES = {"package": PACKAGE, "sha256": SHA256["onnx/model_q4.onnx"], "least_next_to_name": LEAST_NEXT_TO_NAME}
LONGEST_CODE_POINTS = 20_000
"""Length of the longest text that the contract allows."""


def main() -> None:
    """Parse the command line and build."""
    parser = options_of(__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the weights are kept (default: %(default)s)")
    options = parser.parse_args()
    replace_artefact(options.output, lambda folder: build(options.data, options.cache, folder))


def build(data: Path, cache: Path, folder: Path) -> Card:
    """Write the whole artefact into `folder`, which is empty; return its card."""
    say("weights")
    files = fetch(cache)
    graph = files["onnx/model_q4.onnx"]
    say("4 bits to int8")
    labels = convert(graph, files["config.json"], files["tokenizer.json"], centring_texts(data), folder)
    rows = read_annotated(data)
    even = [row for row in rows if row.template % 2 == 0]
    odd = [row for row in rows if row.template % 2 == 1]
    say("keep_at")
    card = choose_keep_at(describe(labels), folder, even)
    tagger = load_without_card(card, folder)
    say("scores")
    parts = (measure_agreement(tagger, graph, texts) for texts in agreement_texts(data).values())
    scores = scores_of(sum(parts, Agreement(0, 0, 0)), measure_quality(tagger, odd))
    write_artefact(folder, card.model_copy(update={"scores": scores}).model_dump())
    return Tagger.load(folder).card


def choose_keep_at(card: Card, folder: Path, rows: list[AnnotatedText]) -> Card:
    """Return the card with the lowest hundredth as `keep_at` at which precision is high enough."""
    candidates = (card.model_copy(update={"keep_at": step / 100}) for step in range(1, 100))
    least = 1 - FALSE_POSITIVE_SHARE
    return next(
        each for each in candidates if measure_quality(load_without_card(each, folder), rows).precision >= least
    )


def load_without_card(card: Card, folder: Path) -> Tagger:
    """Load the tagger of a folder that has no card yet."""
    windows = Windows.load(folder, max_tokens=MAX_TOKENS, overlap=OVERLAP)
    return Tagger(
        card,
        TokenEncoder.load(folder, max_tokens=MAX_TOKENS, threads=1),
        windows,
        TokenHead.load(folder, len(card.labels or ())),
    )


def scores_of(agreement: Agreement, quality: Quality) -> tuple[Score, ...]:
    """Return the scores of the card."""
    rules = card_texts(__file__, **VALUES)["rules"]
    return (
        Score(name="agreement_with_onnx", value=agreement.same / agreement.tokens, protocol=rules["agreement"]),
        Score(name="same_side_as_onnx", value=agreement.same_side / agreement.tokens, protocol=rules["same_side"]),
        Score(name="precision", value=quality.precision, protocol=rules["precision"]),
        *(
            Score(name=f"covered_{type.lower()}", value=quality.covered[type], protocol=rules["covered"].format(type))
            for type in COVERED_TYPES
        ),
    )


def describe(labels: tuple[str, ...]) -> Card:
    """Return the card, still without scores, files, version and `keep_at`."""
    texts = card_texts(__file__, **VALUES)
    del texts["rules"]
    return Card(
        name="rampart",
        version="0" * 16,
        task="pii",
        reader=READER,
        labels=labels,
        label_set=label_set_hash(labels),
        max_tokens=MAX_TOKENS,
        scores=(),
        calibration=Calibration(
            method=texts.pop("method"),
            fitted_on=texts.pop("fitted_on"),
            outside_share=0.0,
            longest_code_points=LONGEST_CODE_POINTS,
            parameters={},
        ),
        keep_at=1.0,
        files={},
        **texts,
    )


if __name__ == "__main__":
    main()
