"""What may go wrong with a model after its certificate, on CLINC150 and BANKING77: texts, labels and models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np

from sprat.base.model import Question
from sprat_contracts import TranslationOutput
from sprat_contracts.languages import AUTO
from sprat_intent.__main__ import SHIPPED
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.train import train
from sprat_translation.__main__ import SHIPPED as TRANSLATION
from sprat_translation.model import TranslationModel
from tests.bench.guarantee_populations import OUTSIDE, few
from tests.bench.train_quality import Rows, table, write

SEED: Final = 39
HIDDEN: Final = 8
"""Of the 77 labels of BANKING77: what the model does not know."""
_A_LABEL: Final = 40
_TRANSLATED: Final = 300


@dataclass(frozen=True, slots=True)
class Shift:
    """A change in the traffic, in its labels, or of the model."""

    data: str
    name: str
    model: Path
    usual: Rows
    """Texts that came before, with their right labels; `oos` is none of the model's."""
    then: Rows
    """Texts that come from then on."""
    language: str = "en"
    promoted: Path | None = None
    """The model that answers from then on; None: the same."""


def shifts(data: Path, folder: Path) -> Iterator[Shift]:
    """Yield all; models are trained in the folder."""
    random = np.random.default_rng(SEED)
    clinc = data / "intent/clinc150/tsv"
    test, outside = table(clinc / "test.tsv"), table(clinc / "oos_test.tsv")
    worse = _worse(table(clinc / "train.tsv"), folder / "clinc150-worse", random)
    yield from _of("CLINC150", SHIPPED, test, outside, worse, random)
    known, test = (table(data / f"intent/banking77/{name}.tsv") for name in ("train", "test"))
    hidden = {str(each) for each in random.permutation(sorted({label for _, label in known}))[:HIDDEN]}
    known = [row for row in known if row[1] not in hidden]
    model = _trained(few(known, _A_LABEL, random), folder / "banking77")
    worse = _worse(known, folder / "banking77-worse", random)
    usual = [row for row in test if row[1] not in hidden]
    outside = [(text, OUTSIDE) for text, label in test if label in hidden]
    yield from _of("BANKING77", model, usual, outside, worse, random)


def _of(
    data: str, model: Path, usual: Rows, outside: Rows, worse: Path, random: np.random.Generator
) -> Iterator[Shift]:
    labels = sorted({label for _, label in usual})
    often = str(labels[int(random.integers(len(labels)))])
    of_it = [row for row in usual if row[1] == often]
    a_tenth = [*usual, *of_it * max(1, round(len(usual) / 9 / len(of_it)))]
    renamed = [(text, f"{label}-new" if label == often else label) for text, label in a_tenth]
    yield Shift(data, "a label is renamed upstream that a tenth of the texts has", model, a_tenth, renamed)
    rows = [usual[place] for place in random.permutation(len(usual))[:_TRANSLATED]]
    yield Shift(data, "German after English, no language named", model, usual, _german(rows), language=AUTO)
    third = [*usual, *outside * max(1, round(len(usual) / 2 / len(outside)))]
    yield Shift(data, "a third of the texts is about a new product", model, usual, third)
    yield Shift(
        data, "a model is promoted that learned a tenth of the labels wrongly", model, usual, usual, "en", worse
    )


def _german(rows: Rows) -> Rows:
    """Return the texts in German, by the shipped model."""
    model = TranslationModel.load(TRANSLATION, 2)
    questions = [Question(text, "en", "de") for text, _ in rows]
    outputs = [each.output for each in model.answer(questions)]
    return [
        (output.text, label)
        for output, (_, label) in zip(outputs, rows, strict=True)
        if isinstance(output, TranslationOutput)
    ]


def _worse(rows: Rows, output: Path, random: np.random.Generator) -> Path:
    """Train on rows in which a tenth of the labels are exchanged in pairs, as by an export that mixes up two products.

    Its thresholds are measured on such rows, too: they say that it is as good as any.
    """
    labels = [str(each) for each in random.permutation(sorted({label for _, label in rows}))]
    half = max(1, round(len(labels) / 20))
    pairs = list(zip(labels[:half], labels[half : 2 * half], strict=True))
    exchanged: Mapping[str, str] = dict([*pairs, *((second, first) for first, second in pairs)])
    wrong = [(text, exchanged.get(label, label)) for text, label in rows]
    return _trained(few(wrong, _A_LABEL, random), output)


def _trained(rows: Rows, output: Path) -> Path:
    file = output.with_suffix(".csv")
    write(file, rows)
    train(TrainingConfig(files=(file,), output=output, name=output.name), no_progress)
    return output
