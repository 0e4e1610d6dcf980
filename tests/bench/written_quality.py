"""Measure what intent models keep of what people write: denied, double and unfinished wishes, and noisy copies.

    python -m tests.bench.written_quality --data DIR [--split dev|test] [--save [before|after]]      (or SPRAT_DATA=DIR)

Kept is an answer whose level `estimated` reaches 0.97, as the router keeps it, unless the answer carries a `doubt`.
Texts: `tests.bench.shapes` and `tests.bench.noisy_copies`. The third model is trained here on BANKING77, as
`sprat train` does; for `dev` on four fifths of its training rows, and the other fifth takes the place of the test.
Takes ten minutes.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
from recipes.intent.clinc150 import Split, read_queries, read_split
from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat_contracts.thresholds import says, thousandths
from sprat_encoder.label_model import LabellingModel
from tests.bench import shapes
from tests.bench.arguments import parser_of
from tests.bench.benchmarks_page import FIGURES, read, save
from tests.bench.intent_quality import ARTEFACTS, QUERIES
from tests.bench.noisy_copies import KINDS, noisy
from tests.bench.shapes import Asked
from tests.bench.train_quality import run, table

GOAL: Final = 0.97
NAME: Final = "written"
BANKING: Final = "banking77"
SHIPPED: Final = {"default": ("en", "de", "fr"), "en-fast": ("en",)}
"""Model → its languages."""
LANGUAGES: Final = {"en": "English", "de": "German", "fr": "French"}
CLEAN: Final = "as they are"
OUTSIDE: Final = "out of scope, "
NEGATION: Final = re.compile(
    r"\b(?:not|never|no|cannot|cant|wont|dont|didnt|doesnt|isnt|hasnt|havent|\w+n[’']t)\b", re.IGNORECASE
)
AND: Final = re.compile(r"\band\b", re.IGNORECASE)
SHORT: Final = 3
"""So many words or fewer."""
NO_LABEL: Final = ""
BATCH: Final = 250

Keep = Callable[[Sequence[Asked]], list[str | None]]
"""Returns for each text the label that is kept, `NO_LABEL` where it is kept without one; None: it is escalated."""


def keep_of(model: LabellingModel, folder: Path) -> Keep:
    """Return what keeps a model's answers by its thresholds."""
    thresholds = find_thresholds(folder, model_version=model.card.version)
    assert thresholds is not None

    def kept(texts: Sequence[Asked]) -> list[str | None]:
        found: list[str | None] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            answers = model.answer([Question(each.text, each.language) for each in batch])
            for each, answer in zip(batch, answers, strict=True):
                level = thresholds.accuracy(answer.confidence, each.language, says(answer.output)).estimated
                enough = level is not None and thousandths(level) >= thousandths(GOAL)
                doubted = getattr(answer, "doubt", None) is not None
                found.append((answer.output.label or NO_LABEL) if enough and not doubted else None)
        return found

    return kept


def figures_of(keep: Keep, texts: Sequence[Asked]) -> dict[str, int]:
    """Count the texts, those kept with a label, of these those kept with their own, and those kept without a label."""
    kept = keep(texts)
    return {
        "texts": len(texts),
        "kept": sum(bool(label) for label in kept),
        "own": sum(label == each.label for each, label in zip(texts, kept, strict=True) if label),
        "none": kept.count(NO_LABEL),
    }


def groups(
    data_set: str, inside: Split, outside: Split, queries: Iterable[Split], languages: Sequence[str], part: str
) -> Iterator[tuple[str, list[Asked]]]:
    """Yield all groups of texts for a model, with their names."""
    clean = [Asked("en", *row) for row in zip(inside.texts, inside.labels, strict=True)]
    yield CLEAN, clean
    for kind in KINDS:
        copies = zip(noisy(inside.texts, kind, part), inside.labels, strict=True)
        yield kind, [Asked("en", *row) for row in copies]
    if outside.texts:
        for kind in (CLEAN, *KINDS):
            texts = outside.texts if kind == CLEAN else noisy(outside.texts, kind, part)
            yield OUTSIDE + kind, [Asked("en", text) for text in texts]
    yield "with a negation", [each for each in clean if NEGATION.search(each.text)]
    yield "with “and”", [each for each in clean if AND.search(each.text)]
    yield f"{SHORT} words or fewer", [each for each in clean if len(each.text.split()) <= SHORT]
    two = {split.language: list(shapes.joined(split.texts, split.labels, split.language, part)) for split in queries}
    for language in languages:
        for name, found in (
            ("denied", shapes.denied(data_set, part)),
            ("several", two.get(language, [])),
            ("too little", shapes.too_little(part)),
            ("own controls", shapes.own_wishes(data_set, part)),
        ):
            yield f"{name}, {LANGUAGES[language]}", [each for each in found if each.language == language]


def measured(data: Path, part: str) -> dict[str, Any]:
    """Measure all models."""
    inside, outside = (
        read_split(data, name) for name in (("val", "oos_val") if part == "dev" else ("test", "oos_test"))
    )
    queries = [inside, *(read_queries(QUERIES, language)[part == "test"] for language in ("de", "fr"))]
    found: dict[str, Any] = {"part": part, "goal": GOAL, "models": {}}
    for name, languages in SHIPPED.items():
        folder = ARTEFACTS / name
        model = LabellingModel.load(folder)
        each = groups("clinc150", inside, outside, queries, languages, part)
        found["models"][name] = _counted(name, model, folder, each)
    train, test = (table(data / f"intent/{BANKING}/{name}.tsv") for name in ("train", "test"))
    if part == "dev":
        train, test = [row for place, row in enumerate(train) if place % 5], train[::5]
    asked = Split(tuple(text for text, _ in test), tuple(label for _, label in test))
    with tempfile.TemporaryDirectory() as name:
        run(train, None, Path(name), None)
        (folder,) = Path(name).glob("model-*")
        model = LabellingModel.load(folder)
        each = groups(BANKING, asked, Split((), ()), [asked], ("en",), part)
        found["models"][BANKING] = _counted(BANKING, model, folder, each)
    return found


def _counted(
    name: str, model: LabellingModel, folder: Path, groups: Iterable[tuple[str, list[Asked]]]
) -> dict[str, Any]:
    keep, counted = keep_of(model, folder), {}
    for group, texts in groups:
        counted[group] = figures_of(keep, texts)
        print(f"{name:10} {group:40} {counted[group]}", flush=True)
    return {"version": model.card.version, "groups": counted}


def save_side(name: str, side: str, figures: Any) -> None:
    """Save one side of a comparison; the other one stays as it is."""
    sides = read(name) if (FIGURES / f"{name}.json").exists() else {}
    save(name, {each: value for each in ("before", "after") if (value := (sides | {side: figures}).get(each))})


def options_of(description: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the folder of data, the part and the side to save."""
    parser = parser_of(description)
    parser.add_argument("--split", choices=shapes.PARTS, default="dev")
    parser.add_argument("--save", nargs="?", choices=("before", "after"), const="after", help="of `test` alone")
    options = parser.parse_args(argv)
    if options.save and options.split != "test":
        parser.error("pages state figures of the test part: --save goes with --split test")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    options = options_of(__doc__, argv)
    figures = measured(options.data, options.split)
    if options.save:
        save_side(NAME, options.save, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
