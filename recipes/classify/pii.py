"""Calibrate how sure masking is that nothing personal is left in a text, and write the card with what was measured.

    python -m recipes.classify.pii --data DIR [--write]

Texts: presidio-research, synth_dataset_v2 and generated_small. Those whose template has an even number are fitted on,
the others are measured on.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recipes.common import calibration_error, card_texts, options_of
from recipes.privacy.sources import AnnotatedText
from sprat_classify.pii import CARD, PARAMETERS, READER, left_feature
from sprat_contracts.kept import least_kept
from sprat_inference.artefact import write_artefact
from sprat_policy import PrivacyPolicy
from sprat_privacy import NameDetector, mask
from sprat_privacy.detection import ReadNames
from sprat_privacy.detectors.fixed import fixed_detectors
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER, Tagger
from sprat_privacy.readings import without_touching_signs
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.fitting.label_set_fit import fit_platt

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

FILES: Final = ("synth_dataset_v2.jsonl.gz", "generated_small.jsonl.gz")
PERSONAL: Final = frozenset(
    {
        *("PERSON", "GPE", "LOCATION", "STREET_ADDRESS", "ADDRESS", "ZIP_CODE", "PHONE_NUMBER", "EMAIL_ADDRESS"),
        *("CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_DRIVER_LICENSE", "IP_ADDRESS"),
    }
)
"""The annotated types that masking claims to find. Public web addresses stay by design."""
ACCURACY: Final = 0.97


@dataclass(frozen=True, slots=True)
class Measured:
    """Of each text: its features, and whether every personal span is masked completely."""

    features: Doubles
    clean: Flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; return the exit code."""
    parser = options_of(__doc__)
    parser.add_argument("--write", action="store_true", help="write the card")
    options = parser.parse_args(argv)
    tagger = Tagger.load(SHIPPED_TAGGER)
    rows = read(options.data)
    fitted = measure(tagger, [row for row in rows if row.template % 2 == 0])
    tested = measure(tagger, [row for row in rows if row.template % 2])
    weights, bias = fit_platt(fitted.features, fitted.clean)
    parameters = (bias, *map(float, weights))
    hundredths = (step / 100 for step in range(50, 100))
    confidence = _confidence(fitted, parameters)
    keep_at = next((at for at in hundredths if _kept(fitted, confidence, at).low >= ACCURACY), 1.0)
    scores = {
        "fitted": _scores(fitted, parameters, keep_at),
        "held_out": _scores(tested, parameters, keep_at),
    }
    print(json.dumps({"parameters": parameters, "keep_at": keep_at, **scores}, indent=1))
    if options.write:
        longest = max(len(row.text) for row in rows if row.template % 2 == 0)
        _write(tagger, parameters, keep_at, scores, len(fitted.clean), longest)
    return 0


def read(data: Path) -> list[AnnotatedText]:
    """Return the texts of both files."""
    rows = []
    for name in FILES:
        with gzip.open(data / "pii/presidio_research" / name, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                spans = tuple((span["start"], span["end"], span["type"]) for span in row["spans"])
                rows.append(AnnotatedText(row["text"], spans, row["template_id"]))
    return rows


def measure(tagger: Tagger, rows: Sequence[AnnotatedText]) -> Measured:
    """Mask the texts as the service does, without terms and patterns of a policy."""
    names = NameDetector(tagger, frozenset(tagger.card.languages))
    others = fixed_detectors(PrivacyPolicy())
    features, clean = [], []
    for row, reading in zip(rows, tagger.read([without_touching_signs(row.text) for row in rows]), strict=True):
        masked = mask(row.text, "en", (ReadNames(names, row.text, reading.detections), *others))
        hidden = {place for span in masked.spans for place in range(span.start, span.end)}
        personal = {
            place
            for start, end, type in row.spans
            if type in PERSONAL
            for place in range(start, end)
            if row.text[place].isalnum()
        }
        features.append([left_feature(masked, reading.words())])
        clean.append(personal <= hidden)
    return Measured(np.array(features), np.array(clean))


def _confidence(measured: Measured, parameters: Sequence[float]) -> Doubles:
    bias, *weights = parameters
    confidence: Doubles = 1.0 / (1.0 + np.exp(-(measured.features @ np.array(weights) + bias)))
    return confidence


def _kept(measured: Measured, confidence: Doubles, keep_at: float) -> Interval:
    """Return the share of the kept texts that is masked completely."""
    kept = confidence >= least_kept(keep_at)
    return wilson(int((measured.clean & kept).sum()), int(kept.sum()))


def _scores(measured: Measured, parameters: Sequence[float], keep_at: float) -> dict[str, float]:
    confidence = _confidence(measured, parameters)
    kept = _kept(measured, confidence, keep_at)
    return {
        "texts": len(measured.clean),
        "clean": float(measured.clean.mean()),
        "kept_share": float((confidence >= least_kept(keep_at)).mean()),
        "kept_clean": kept.value,
        "kept_clean_low": kept.low,
        "calibration_error": calibration_error(confidence, measured.clean),
    }


_MEANING: Final = {
    "clean": "every annotated personal span is masked completely",
    "kept_share": "of the texts, those with confidence ≥ keep_at",
    "kept_clean": "of those kept, every annotated personal span is masked completely",
    "kept_clean_low": "lower end of the 95 % interval of the above (Wilson)",
    "calibration_error": "expected calibration error, 15 equal bins",
}


def _write(
    tagger: Tagger,
    parameters: Sequence[float],
    keep_at: float,
    scores: dict[str, dict[str, float]],
    fitted: int,
    longest: int,
) -> None:
    card = tagger.card
    held_out = scores["held_out"]
    protocol = f"{held_out['texts']:,} texts of presidio-research (synthetic, English), templates with an odd number"
    texts = card_texts(__file__, fitted=fitted, accuracy=ACCURACY)
    CARD.mkdir(parents=True, exist_ok=True)
    write_artefact(
        CARD,
        {
            "name": "pii",
            "task": "pii",
            "reader": READER,
            "built_on": {"name": card.name, "version": card.version},
            "languages": list(card.languages),
            "max_tokens": card.max_tokens,
            "licence": texts["licence"],
            "made_of": [
                *(
                    work.model_dump(mode="json")
                    for work in card.made_of
                    if work.name != "presidio-research, synth_dataset_v2"
                ),
                *texts["made_of"],
            ],
            "scores": [
                {"name": name, "value": round(held_out[name], 4), "protocol": f"{protocol}: {meaning}"}
                for name, meaning in _MEANING.items()
            ],
            "limits": [
                *texts["limits"],
                *card.limits[:5],
            ],
            "calibration": {
                "method": texts["method"],
                "fitted_on": texts["fitted_on"],
                "outside_share": 0.0,
                "longest_code_points": longest,
                "parameters": {PARAMETERS: list(parameters)},
            },
            "keep_at": keep_at,
            "keep_at_rule": texts["keep_at_rule"],
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
