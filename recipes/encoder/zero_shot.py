"""Fit what zero-shot needs besides the encoder, on CLINC150, and measure it on labels that it has not seen.

    python -m recipes.encoder.zero_shot --data DIR        # or SPRAT_DATA=DIR

`DIR` holds `intent/clinc150` and `intent/banking77`. Two minutes on one core. It replaces
`shared/encoder/src/sprat_encoder/artefacts/zero-shot`, and prints the table of docs/benchmarks/intent.md.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recipes.common import ROOT, calibration_error, card_texts, options_of
from sprat_encoder import identify, load
from sprat_encoder.zero_shot import ARRAYS, ARTEFACT, KEEP_AT, OUTSIDE_SHARE, READER, head_of, label_vectors
from sprat_inference.artefact import load_part, write_part
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import OUTCOMES, OUTSIDE, RIGHT, LabelCalibrator, features
from sprat_training.fitting.heads import fit_calibrator, fit_head, logits_of

Rows = list[tuple[str, str]]
Integers = NDArray[np.int64]

MAX_TOKENS = 128
COUNTS = (2, 3, 5, 8, 12, 20, 40, 77, 150)
DRAWS = 6
SHOTS = (1, 5, 10)
SHOT_DRAWS = 3


class Texts:
    """Texts with labels, as vectors."""

    def __init__(self, encoder: SentenceEncoder, rows: Rows, labels: list[str]) -> None:
        self.vectors: Floats = encoder.encode([text for text, _ in rows]).vectors
        self.gold: Integers = np.array([labels.index(label) for _, label in rows])

    def of(self, chosen: Integers) -> "Texts":
        """Return the texts of these labels, numbered by their place in `chosen`."""
        found = Texts.__new__(Texts)
        inside = np.isin(self.gold, chosen)
        places = {int(label): place for place, label in enumerate(chosen)}
        found.vectors = self.vectors[inside]
        found.gold = np.array([places[int(label)] for label in self.gold[inside]])
        return found


def fit_calibration(train: Texts, outside: Floats, names: Floats, means: tuple[Floats, Floats]) -> LabelCalibrator:
    """Fit one calibration on tasks with few and many labels, drawn from those of CLINC150.

    Outside of such a task are texts of the labels that were not drawn, and those outside all of CLINC150.
    """
    random = np.random.default_rng(1)
    count = len(names)
    inside: list[NDArray[np.float64]] = []
    beyond: list[NDArray[np.float64]] = []
    right: list[NDArray[np.bool_]] = []
    for size in COUNTS:
        for _ in range(DRAWS):
            chosen = random.permutation(count)[:size]
            head = head_of(names[chosen], *means)
            drawn = train.of(chosen)
            some = random.choice(len(drawn.gold), min(300, len(drawn.gold)), replace=False)
            logits = logits_of(head, drawn.vectors[some])
            inside.append(features(logits))
            right.append(logits.argmax(axis=1) == drawn.gold[some])
            beyond.append(features(logits_of(head, outside)))
            if size < count:
                others = random.choice(np.flatnonzero(~np.isin(train.gold, chosen)), 150)
                beyond.append(features(logits_of(head, train.vectors[others])))
    return fit_calibrator(np.concatenate(inside), np.concatenate(right), np.concatenate(beyond), OUTSIDE_SHARE)


def measure(name: str, head: LabelHead, calibrator: LabelCalibrator, texts: Texts, data: str) -> list[dict[str, Any]]:
    """Return accuracy, calibration error, and what is kept and right at KEEP_AT, as scores of a card."""
    logits = logits_of(head, texts.vectors)
    chances = calibrator.chances(features(logits))
    outside = chances[:, OUTSIDE] > chances[:, RIGHT]
    best = logits.argmax(axis=1) == texts.gold
    confidence = np.where(outside, chances[:, OUTSIDE], chances[:, RIGHT])
    right = best & ~outside
    error = calibration_error(confidence, right)
    kept = (confidence >= KEEP_AT) & ~outside
    figures = {
        "accuracy": (best.mean(), "the nearest label, nothing sent out"),
        "ece": (error, "expected calibration error of the confidence, 15 equal bins; none of the texts is outside"),
        "kept": (kept.mean(), f"share that gets a label with a confidence of {KEEP_AT} or more"),
        "kept_right": (right[kept].mean(), "of those kept"),
    }
    return [
        {"name": f"{name}_{figure}", "value": round(float(value), 4), "protocol": f"{data}: {what}"}
        for figure, (value, what) in figures.items()
    ]


def few_shot(train: Texts, test: Texts, labels: int) -> dict[int, float]:
    """Return examples per label → accuracy on the test texts of a head fitted on them, the mean of several draws."""
    found = {}
    for shots in SHOTS:
        accuracies = []
        for seed in range(SHOT_DRAWS):
            random = np.random.default_rng(seed)
            rows = np.concatenate(
                [random.choice(np.flatnonzero(train.gold == label), shots, replace=False) for label in range(labels)]
            )
            head = fit_head(train.vectors[rows], train.gold[rows], labels)
            accuracies.append((logits_of(head, test.vectors).argmax(axis=1) == test.gold).mean())
        found[shots] = float(np.mean(accuracies))
    return found


def main() -> None:
    """Fit, measure and write."""
    data = options_of(__doc__).parse_args().data / "intent"
    encoder = load(identify(), max_tokens=MAX_TOKENS)
    with gzip.open(data / "clinc150" / "data_full.json.gz", "rt", encoding="utf-8") as file:
        clinc: dict[str, list[tuple[str, str]]] = json.load(file)
    labels = sorted({label for _, label in clinc["train"]})
    train, test = Texts(encoder, clinc["train"], labels), Texts(encoder, clinc["test"], labels)
    outside = encoder.encode([text for text, _ in clinc["oos_val"] + clinc["oos_train"]]).vectors
    names = label_vectors(encoder, dict.fromkeys(labels, ""))
    means = (train.vectors.mean(axis=0), names.mean(axis=0))
    calibrator = fit_calibration(train, outside, names, means)

    bank = {part: read_rows(data / "banking77" / f"{part}.tsv") for part in ("train", "test")}
    bank_labels = sorted({label for _, label in bank["train"]})
    bank_train, bank_test = (Texts(encoder, bank[part], bank_labels) for part in ("train", "test"))
    bank_names = label_vectors(encoder, dict.fromkeys(bank_labels, ""))
    scores = measure(
        "clinc150",
        head_of(names, *means),
        calibrator,
        test,
        f"CLINC150 test, {len(test.gold)} texts, 150 labels, whose names it was fitted on",
    )
    scores += measure(
        "banking77",
        head_of(bank_names, *means),
        calibrator,
        bank_test,
        f"BANKING77 test, {len(bank_test.gold)} texts, 77 labels that it has not seen",
    )
    random = np.random.default_rng(5)
    for size in (3, 10, 20):
        chosen = [np.sort(random.permutation(len(bank_labels))[:size]) for _ in range(20)]
        drawn = [(each, bank_test.of(each)) for each in chosen]
        figures = [measure("x", head_of(bank_names[each], *means), calibrator, texts, "") for each, texts in drawn]
        for place, figure in ((0, "accuracy"), (2, "kept"), (3, "kept_right")):
            value = float(np.mean([each[place]["value"] for each in figures]))
            what = f"mean of 20 draws of {size} of the 77 labels of BANKING77 test: {figures[0][place]['protocol'][2:]}"
            scores.append({"name": f"banking77_{size}_labels_{figure}", "value": round(value, 4), "protocol": what})
    for language in ("de", "fr"):
        rows = read_rows(ROOT / "tests" / "data" / f"queries_{language}.tsv")
        texts = Texts(encoder, rows, labels)
        scores += measure(
            f"queries_{language}",
            head_of(names, *means),
            calibrator,
            texts,
            f"{len(rows)} queries ({language}) written for Sprat, one for each label of CLINC150, labels in English",
        )
    ARTEFACT.mkdir(parents=True, exist_ok=True)
    rows_of = np.array([calibrator.parameters()[outcome] for outcome in OUTCOMES])
    np.savez(ARTEFACT / ARRAYS, text_mean=means[0], label_mean=means[1], calibration=rows_of)
    encoder_card = load_part(ARTEFACT.parent / "e5-small")
    made_of = [work.model_dump() for work in encoder_card.made_of if work.name == "multilingual-e5-small"]
    about = card_texts(__file__, "zero_shot.toml", first=COUNTS[0], last=COUNTS[-1], draws=DRAWS, sizes=len(COUNTS))
    made_of += about.pop("made_of")
    card = write_part(
        ARTEFACT,
        {
            "name": "zero-shot",
            "reader": READER,
            "languages": encoder_card.languages,
            "max_tokens": MAX_TOKENS,
            "made_of": made_of,
            "scores": scores,
            **about,
        },
    )
    print(card.version)
    for score in card.scores:
        print(f"{score.name:32} {score.value:.4f}  {score.protocol}")
    for name, found in (
        ("CLINC150", few_shot(train, test, len(labels))),
        ("BANKING77", few_shot(bank_train, bank_test, len(bank_labels))),
    ):
        print(name, {shots: round(value, 4) for shots, value in found.items()}, "accuracy by examples per label")
    print("longest text", max(len(text) for text, _ in clinc["train"]))


def read_rows(path: Path) -> Rows:
    """Return text and label of each line of a file, without its head."""
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    return [(row[0], row[1]) for row in rows if len(row) > 1 and row[1] not in {"category", "label"}]


if __name__ == "__main__":
    main()
