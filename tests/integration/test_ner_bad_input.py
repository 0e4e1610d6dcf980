"""Texts that nobody should send: each is answered within ten seconds of CPU time, its offsets right."""

import time
from pathlib import Path

import pytest

from sprat.base.model import Question
from sprat_contracts import NerOutput
from sprat_ner.model import NerModel

FOLDER = Path(__file__).resolve().parents[2] / "services/ner/src/sprat_ner/artefacts/default"
LONGEST = 20_000
MOST_CPU_S = 10.0
LONG = pytest.mark.long
"""Those that are alike to others here: each takes a second."""


@pytest.fixture(scope="module")
def model() -> NerModel:
    return NerModel.load(FOLDER)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("x", id="no space"),
        pytest.param("Ab1-", marks=LONG, id="no space, mixed"),
        pytest.param("\n", marks=LONG, id="line breaks alone"),
        pytest.param("a\n", id="10,000 lines"),
        pytest.param("😀", id="emoji alone"),
        pytest.param("e\u0301", marks=LONG, id="accents in NFD"),
        pytest.param("한", id="Hangul"),
        pytest.param("\ufdfa", marks=LONG, id="ligatures of eighteen letters"),
        pytest.param("Anna Schmidt met Siemens in München. ", marks=LONG, id="names"),
        pytest.param("<b class='x'>Anna</b> &amp; [x](y) ", id="markup"),
        pytest.param("Anna писала 東京 في برلين ", marks=LONG, id="mixed languages"),
        pytest.param("a@b.example +49 89 636 48018 https://a.example/x ", id="forms"),
    ],
)
def test_a_text_of_the_longest_kind_is_answered(model: NerModel, unit: str) -> None:
    text = (unit * (LONGEST // len(unit) + 1))[:LONGEST]
    start = time.process_time()
    (answer,) = model.answer([Question(text, "en")])
    assert time.process_time() - start <= MOST_CPU_S
    assert isinstance(answer.output, NerOutput)
    assert 0 <= answer.confidence <= 1
    assert all(entity.text == text[entity.start : entity.end] for entity in answer.output.entities)
