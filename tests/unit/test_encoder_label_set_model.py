"""A model with several labels a text: its answers, and the artefacts that it is loaded from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat_classify.__main__ import SERVICE, for_task
from sprat_encoder import identify
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.label_set_model import LabelSetModel
from sprat_inference.artefact import BrokenArtefact, write_artefact
from sprat_inference.card import Calibration, Card, label_set_hash
from sprat_inference.classifier import LogitsReading
from sprat_inference.heads import LABEL_READER, LabelHead
from sprat_inference.label_sets import MULTI_LABEL, SetCalibration
from sprat_policy import TaskFile

LABELS = ("billing", "delivery", "damage", "thanks", "other")


def card(**fields: Any) -> Card:
    labels = fields.pop("labels", LABELS)
    known = {
        "name": "topics",
        "version": "0" * 16,
        "task": MULTI_LABEL,
        "kind": MULTI_LABEL,
        "reader": LABEL_READER,
        "labels": labels,
        "label_set": label_set_hash(labels),
        "languages": ("en",),
        "max_tokens": 128,
        "licence": "MIT",
        "made_of": (),
        "scores": (),
        "calibration": Calibration(
            method="m",
            fitted_on="f",
            outside_share=0.0,
            longest_code_points=10,
            parameters=dict(SetCalibration.none(len(labels)).parameters()),
        ),
        "keep_at": 0.8,
        "keep_at_rule": "r",
        "files": {},
    }
    return Card.model_validate(known | fields)


class Network:
    """Gives every text the same chances."""

    tokenizer: Any = None

    def __init__(self, *chances: float, empty: bool = False) -> None:
        self.logits = np.log(np.array(chances) / (1.0 - np.array(chances))).astype(np.float32)
        self.empty = empty

    def read(self, texts: Any, languages: Any) -> LogitsReading:
        assert len(texts) == len(languages)
        return LogitsReading(np.tile(self.logits, (len(texts), 1)), np.full(len(texts), self.empty))


def answer(network: Network, text: str = "short") -> Any:
    (given,) = LabelSetModel(card(), network, SetCalibration.none(5)).answer([Question(text, "en")])
    return given


def test_all_likely_labels_apply_and_the_next_ones_are_alternatives() -> None:
    given = answer(Network(0.6, 0.9, 0.2, 0.1, 0.3))
    assert [(each.label, round(each.probability, 3)) for each in given.output.labels] == [
        ("delivery", 0.9),
        ("billing", 0.6),
    ]
    assert [each.label for each in given.output.alternatives] == ["other", "damage", "thanks"]
    assert given.confidence == pytest.approx(0.6 * 0.9 * 0.8 * 0.9 * 0.7, rel=1e-5)


def test_none_may_apply() -> None:
    given = answer(Network(0.1, 0.1, 0.1, 0.1, 0.1))
    assert given.output.labels == ()
    assert given.confidence == pytest.approx(0.9**5, rel=1e-5)


def test_a_text_of_which_nothing_can_be_read_surely_has_none() -> None:
    given = answer(Network(0.9, 0.9, 0.9, 0.9, 0.9, empty=True))
    assert (given.output.labels, given.confidence) == ((), 1.0)


def test_of_a_text_longer_than_those_fitted_on_it_is_less_sure() -> None:
    network = Network(0.01, 0.99, 0.01, 0.01, 0.01)
    assert answer(network, "x" * 30).confidence == pytest.approx(answer(network, "x" * 10).confidence ** 3)


def test_the_card_of_a_model_of_one_label_is_as_it_was() -> None:
    assert "kind" not in card(kind=None).model_dump(mode="json")
    assert card().model_dump(mode="json")["kind"] == MULTI_LABEL


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    LabelHead(np.zeros(384, np.float32), np.ones((384, 5), np.float32), np.zeros(5, np.float32)).save(tmp_path)
    write_artefact(tmp_path, card(built_on=identify()).model_dump(mode="json"))
    return tmp_path


def test_an_artefact_is_loaded_as_what_its_card_says(artefact: Path) -> None:
    model = SERVICE.load(artefact)
    assert isinstance(model, LabelSetModel)
    model.probe()
    assert model.tokens(Question("hello", "en")) > 0
    with pytest.raises(BrokenArtefact, match="a text several labels; serve it as a task whose file says kind: multi_l"):
        LabellingModel.load(artefact)


def test_a_calibration_for_other_labels_is_refused(artefact: Path) -> None:
    other = card().calibration.model_copy(update={"parameters": {"slope": (1.0,), "offset": (0.0,)}})
    write_artefact(artefact, card(calibration=other).model_dump(mode="json"))
    with pytest.raises(BrokenArtefact, match="no calibration of several labels"):
        LabelSetModel.load(artefact)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"kind": "classification"}, "is of the kind classification, and its model gives a text several labels"),
        ({"labels": {"billing": "", "delivery": ""}}, "has the label 'damage', which its file does not have"),
    ],
)
def test_file_and_model_must_fit(file: dict[str, Any], said: str) -> None:
    model = LabelSetModel(card(), Network(0.5), SetCalibration.none(5))
    fields = {"kind": "multi_label", "labels": dict.fromkeys(LABELS, ""), "artefact": "m"} | file
    with pytest.raises(UserError, match=said):
        for_task(model, "topics", TaskFile.model_validate(fields))


def test_under_the_name_of_its_task_it_has_its_languages() -> None:
    model = LabelSetModel(card(), Network(0.5), SetCalibration.none(5))
    file = TaskFile(kind="multi_label", labels=dict.fromkeys(LABELS, ""), languages=("de",))
    served = for_task(model, "topics", file).card
    assert (served.task, served.languages) == ("topics", ("de",))
