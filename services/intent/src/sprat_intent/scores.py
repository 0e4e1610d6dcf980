"""The figures of the card, each with its protocol. The recipe writes them, the bench measures them again."""

from pathlib import Path

from sprat.models import Score
from sprat_intent import quality
from sprat_intent.clinc150 import read_split
from sprat_intent.model import IntentModel

SHARES = (0.03, 0.1, 0.2)
"""Out-of-scope shares of the traffic at which the confidence is held against the truth."""

TEST = "CLINC150 test, 4,500 in scope and 1,000 out of scope"
VALIDATION_SHARE = 100 / 3100
"""What validation happens to hold out of scope."""


def measure(model: IntentModel, data: Path) -> tuple[tuple[Score, ...], quality.Seen]:
    """Measure `model` on CLINC150; gives the figures, and the test set as the model saw it, for drawing.

    Raises:
        FileNotFoundError: when `data` does not hold CLINC150.
    """
    seen = quality.see(model, read_split(data, "test"), read_split(data, "oos_test"))
    validation = quality.see(model, read_split(data, "val"), read_split(data, "oos_val"))
    assumed = model.card.calibration.outside_share
    scores = [
        ("in_scope_accuracy_raw", quality.raw_accuracy(seen), f"{TEST}: the best label, nothing sent out"),
        ("auroc_out_of_scope", quality.auroc(seen), f"{TEST}: by the calibrated chance of being out of scope"),
    ]
    for name, share in (("tuned", assumed), ("tuned_unweighted", VALIDATION_SHARE)):
        inside, outside = quality.at_threshold(seen, quality.tuned_threshold(validation, share))
        rule = (
            f"{TEST}: threshold on the best logit with the best accuracy on validation (3,000 and 100), where "
            f"{share:.1%} is out of scope; an in-scope text sent out counts as wrong"
        )
        scores += [(f"{name}_in_scope_accuracy", inside, rule), (f"{name}_out_of_scope_recall", outside, rule)]
    inside, outside = quality.as_served(seen)
    rule = f"{TEST}: label or null as published, calibrated for {assumed:.0%} out of scope"
    scores += [("served_in_scope_accuracy", inside, rule), ("served_out_of_scope_recall", outside, rule)]
    for share in SHARES:
        at = f"{TEST}, weighted so that {share:.0%} is out of scope"
        error = quality.expected_calibration_error(quality.reliability(seen, share))
        part, right = quality.kept(seen, model.card.keep_at, share)
        scores += [
            (f"ece_at_{share * 100:.0f}", error, f"{at}: expected calibration error of the confidence, 15 equal bins"),
            (f"kept_share_at_{share * 100:.0f}", part, f"{at}: answers with confidence ≥ keep_at"),
            (f"kept_right_at_{share * 100:.0f}", right, f"{at}: of those kept, right as published"),
        ]
    return tuple(Score(name=name, value=round(value, 4), protocol=rule) for name, value, rule in scores), seen
