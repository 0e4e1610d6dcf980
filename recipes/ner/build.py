"""Make the artefact `default` from trained weights: convert, calibrate, measure, write. Five minutes on one core.

    python -m recipes.ner.build --data DIR --weights e5.safetensors --tokenizer tokenizer.json --work DIR
    python -m recipes.ner.build --data DIR

`--work` is the folder of `train.py` with its output `ner.safetensors`. Without it the committed network is calibrated
and measured again. Needs no torch.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from safetensors.numpy import load_file

from recipes.common import ROOT, card_texts, options_of, say
from recipes.ner import quality
from recipes.ner.calibrate import development_texts, fit
from recipes.ner.gold import Sentence
from recipes.ner.scores import GERMAN, german_half, measure, read_tests
from recipes.ner.sets import DEVELOPMENT, read_set
from recipes.ner.thresholds import GERMAN_SENTENCES, OUTPUT, measured
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_inference.card import Calibration, Card, label_set_hash
from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.heads import TokenHead
from sprat_ner.calibration import METHOD, MISSED, NAME, NONE, TEXT
from sprat_ner.model import LABELS, OWN_READERS, READER, NerModel
from sprat_training.evaluation.metrics import wilson
from sprat_training.thresholds.levels import write_levels

KEPT_RIGHT = 0.95
LICENCE_OF_ENCODER = ROOT / "shared/encoder/src/sprat_encoder/artefacts/e5-small/LICENSE"
"""The licence of the encoder requires a copy in the artefact."""
MAX_TOKENS = 128
HEADS = 12
UNCALIBRATED = {
    NAME: (0.0, 1.0, 0.0, 0.0),
    TEXT: (0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    NONE: (0.0, -1.0),
    MISSED: (0.0, -1.0, 0.0, 0.0, 0.0),
}


def main() -> None:
    """Parse the command line and build."""
    parser = options_of(__doc__)
    parser.add_argument("--weights", type=Path, help="multilingual-e5-small in float32")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--work", type=Path, help="the folder with the output of train.py")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the artefact to write (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        build(options, Path(folder))
        options.output.mkdir(parents=True, exist_ok=True)
        for path in Path(folder).iterdir():
            shutil.copy(path, options.output / path.name)
    say(f"written: {options.output}")


def build(options: argparse.Namespace, folder: Path) -> None:
    """Write the artefact into `folder`."""
    if options.work is None:
        copy_network(OUTPUT, folder)
    else:
        convert(options, folder)
    development = {name: read_set(options.data, parts) for name, parts in DEVELOPMENT.items()}
    texts = development_texts(options.data)
    card = describe(max(len(each.text) for of_set in texts.values() for each in of_set))
    tests = read_tests(options.data, GERMAN_SENTENCES)
    german = german_half(tests[GERMAN], calibrating=True)
    fitted = fit(write_and_load(folder, card), texts, {"de": german})
    calibration = card.calibration.model_copy(update={"parameters": fitted.of_all.parameters()})
    card = card.model_copy(update={"calibration": calibration})
    model = write_and_load(folder, card)
    say("calibrated")
    card = card.model_copy(update=recommended(model, development, german))
    model = write_and_load(folder, card)
    scores, _ = measure(model, tests)
    model = write_and_load(folder, card.model_copy(update={"scores": scores}))
    found = measured(model, fitted.without, options.data)
    write_levels(folder, model.card, found.texts, names=found.names)
    for score in scores:
        say(f"{score.name:24}{score.value:8.4f}")


def copy_network(artefact: Path, folder: Path) -> None:
    """Copy all that the card of an artefact lists."""
    for name in load_artefact(artefact, reader=OWN_READERS).card.files:
        shutil.copy(artefact / name, folder / name)
    say(f"copied {artefact}")


def convert(options: argparse.Namespace, folder: Path) -> None:
    """Write the encoder and the head."""
    trained = load_file(options.work / "ner.safetensors")
    weights = {**load_file(options.weights), **trained}
    layers = 1 + max(int(name.split(".")[2]) for name in trained if name.startswith("encoder.layer."))
    write_bert(weights, BertShape(layers, HEADS), options.tokenizer, folder)
    TokenHead(trained["head.weight"].T.copy(), trained["head.bias"]).save(folder)
    shutil.copy(LICENCE_OF_ENCODER, folder / "LICENSE.multilingual-e5-small")
    say(f"converted {layers} layers")


def write_and_load(folder: Path, card: Card) -> NerModel:
    """Write the card and load the model."""
    write_artefact(folder, card.model_dump(mode="json"))
    return NerModel.load(folder)


def recommended(
    model: NerModel, development: dict[str, list[Sentence]], german: list[Sentence]
) -> dict[str, float | str | dict[str, float]]:
    """Return the card's thresholds, that of English for every language without one of its own, and how they were found.

    A threshold is the lowest, in hundredths, at which the answers kept that hold a name are right often enough.
    """
    english = quality.pooled([quality.see(model, sentences) for sentences in development.values()])
    own = quality.see(model, german, "de")
    show_kept(english, "English")
    show_kept(own, "German")
    keep_at, german_keep_at = least_keep_at(english), least_keep_at(own)
    rule = keep_at_rule(kept_with_name(english, keep_at), kept_with_name(own, german_keep_at))
    return {"keep_at": keep_at, "keep_at_by_language": {"de": german_keep_at}, "keep_at_rule": rule}


def least_keep_at(seen: quality.ReadSentence) -> float:
    """Return the least hundredth at which enough of the answers kept that hold a name are wholly right.

    Shares are rounded to a tenth of a percent: int8 products differ a little between processors.
    """
    hundredths = (step / 100 for step in range(100))
    shares = ((at, quality.kept(seen, at, seen.answered_with_name)[1]) for at in hundredths)
    return next(at for at, right in shares if round(right, 3) >= KEPT_RIGHT)


def kept_with_name(seen: quality.ReadSentence, keep_at: float) -> tuple[int, int, int]:
    """Return how many answers hold a name, how many of them are kept, and how many of those are wholly right."""
    enough = seen.answered_with_name & (seen.confidence >= keep_at)
    return int(seen.answered_with_name.sum()), int(enough.sum()), int(seen.right[enough].sum())


def show_kept(seen: quality.ReadSentence, language: str) -> None:
    """Print what is kept of the answers that hold a name."""
    among = seen.answered_with_name
    for step in range(70, 100, 2):
        share, right = quality.kept(seen, step / 100, among)
        count = kept_with_name(seen, step / 100)[1]
        say(f"{language}, answers with a name, kept at {step / 100:.2f}: {share:.1%} or {count}, {right:.1%} right")


def keep_at_rule(english: tuple[int, int, int], german: tuple[int, int, int]) -> str:
    """Return how the thresholds were found.

    Args:
        english: the answers that hold a name, those of them that are kept, and those of these that are wholly right.
        german: as `english`.
    """
    return (
        f"the least hundredth at which {KEPT_RIGHT:.1%} of the answers kept that hold a name are wholly right (all "
        f"names exact, none missed); English on the development sentences ({_counted(*english)}), German on the half "
        f"of its sentences that calibrates ({_counted(*german)}); texts whose names are all missed do not count there"
    )


def _counted(answers: int, kept: int, right: int) -> str:
    share = wilson(right, kept)
    bounds = f"95 % interval {share.low:.0%} to {share.high:.0%}"
    return f"{answers:,} answers with a name, {right:,} of {kept:,} kept right, {bounds}"


def describe(longest: int) -> Card:
    """Return the card without calibration, thresholds, scores, files and version."""
    texts = card_texts(__file__)
    calibration = Calibration(
        method=METHOD,
        fitted_on=texts.pop("fitted_on"),
        outside_share=0.0,
        longest_code_points=longest,
        parameters=UNCALIBRATED,
    )
    return Card(
        name="default",
        version="0" * 16,
        task="ner",
        reader=READER,
        labels=LABELS,
        label_set=label_set_hash(LABELS),
        languages=("en", "de"),
        max_tokens=MAX_TOKENS,
        scores=(),
        calibration=calibration,
        keep_at=1.0,
        keep_at_rule="none yet",
        files={},
        **texts,
    )


if __name__ == "__main__":
    main()
