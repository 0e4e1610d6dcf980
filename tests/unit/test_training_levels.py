"""The levels of a model: measured, and written beside its card."""

from pathlib import Path

import pytest

from sprat.base.thresholds import THRESHOLDS, find_thresholds
from sprat_contracts.thresholds import SOME
from sprat_inference.artefact import load_part
from sprat_inference.card import Card, PartCard

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (
    "services/intent/src/sprat_intent/artefacts/default",
    "services/intent/src/sprat_intent/artefacts/en-fast",
    "services/language-id/src/sprat_language_id/artefacts/default",
    "services/ner/src/sprat_ner/artefacts/default",
    "services/translation/src/sprat_translation/artefacts/en-de",
    "shared/encoder/src/sprat_encoder/artefacts/zero-shot",
)


def card_in(folder: Path) -> Card | PartCard:
    if folder.name == "zero-shot":
        return load_part(folder)
    return Card.model_validate_json((folder / "card.json").read_bytes())


@pytest.mark.parametrize("folder", SHIPPED)
def test_a_shipped_model_has_estimated_levels_of_its_version_that_reach_its_recommended_goal(folder: str) -> None:
    card = card_in(ROOT / folder)

    found = find_thresholds(ROOT / folder, model_version=card.version)

    assert found is not None
    assert found.model == card.name
    assert found.certificate is None, "its rows also calibrated it"
    cell = found.cell(None, SOME)
    assert cell is not None
    assert found.recommended_goal in {step.accuracy for step in cell.estimated}


def test_no_shipped_model_is_without_levels_but_the_one_that_masks() -> None:
    tasks = {path.parent.name for path in ROOT.glob("s*/*/src/*/artefacts/*/card.json")}
    levels = {path.parent.name for path in ROOT.glob(f"s*/*/src/*/artefacts/*/{THRESHOLDS}")}

    assert tasks - levels == {"pii", "e5-small", "minilm-l6", "rampart"}, "the last three are encoders"


def test_the_shipped_model_of_names_has_levels_of_each_type_and_of_nothing_missed() -> None:
    folder = ROOT / "services/ner/src/sprat_ner/artefacts/default"
    found = find_thresholds(folder, model_version=card_in(folder).version)
    assert found is not None
    reached = {each.label: {step.accuracy for step in each.estimated} for each in found.entities if not each.language}
    assert set(reached) == {"PER", "ORG", "LOC"}
    assert all(found.recommended_goal in steps for steps in reached.values())
    (missed,) = (each for each in found.nothing_missed if each.language is None)
    assert found.recommended_goal in {step.accuracy for step in missed.estimated}
