"""Measure the levels of the committed artefact, and write them beside its card. Takes two minutes.

    python -m recipes.ner.thresholds --data DIR      (or SPRAT_DATA=DIR)

The rows are the development sentences, which the calibration was fitted on, each as it is: the levels are estimates,
and nothing is certified.
"""

from collections.abc import Sequence
from pathlib import Path

from recipes.common import ROOT, options_of
from recipes.ner.gold import Sentence, laid_on, read_spans
from recipes.ner.quality import BATCH, canonical
from recipes.ner.scores import german_half
from recipes.ner.sets import DEVELOPMENT, read_set
from sprat.base.model import Question
from sprat_contracts import NerOutput
from sprat_contracts.thresholds import NONE, says
from sprat_ner.decoding import TYPES
from sprat_ner.model import NerModel
from sprat_training.thresholds import Rows
from sprat_training.thresholds.levels import write_levels

OUTPUT = ROOT / "services/ner/src/sprat_ner/artefacts/default"
GERMAN_SENTENCES = ROOT / "tests/data/ner_de.jsonl"


def rows_of(model: NerModel, data: Path) -> Rows:
    """Return the answers to the English development sentences, and to the German ones that calibrate."""
    english = [sentence for parts in DEVELOPMENT.values() for sentence in read_set(data, parts)]
    german = german_half(read_spans(GERMAN_SENTENCES), calibrating=True)
    return Rows.concat([read_rows(model, english, "en"), read_rows(model, german, "de")])


def read_rows(model: NerModel, sentences: Sequence[Sentence], language: str) -> Rows:
    """Return the answers as they are published: with emails, amounts and the like, which no data set marks."""
    questions = [Question(sentence.text, language) for sentence in sentences]
    batches = (questions[first : first + BATCH] for first in range(0, len(questions), BATCH))
    answers = [answer for batch in batches for answer in model.answer(batch)]
    right = []
    for sentence, answer in zip(sentences, answers, strict=True):
        assert isinstance(answer.output, NerOutput)  # noqa: S101 - a recipe, stopped by it
        names = [(each.start, each.end, each.label) for each in answer.output.entities if each.label in TYPES]
        right.append(canonical(laid_on(sentence.bounds, names)) == canonical(sentence.labels))
    return Rows.of(
        [answer.confidence for answer in answers],
        right,
        says_none=[says(answer.output) == NONE for answer in answers],
        languages=language,
    )


def main() -> None:
    """Parse the command line and measure."""
    parser = options_of(__doc__)
    options = parser.parse_args()
    model = NerModel.load(OUTPUT)
    print(write_levels(OUTPUT, model.card, rows_of(model, options.data)).thresholds_version)


if __name__ == "__main__":
    main()
