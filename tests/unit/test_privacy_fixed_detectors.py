"""`sprat mask`, a task of personal data and the frontier find the same: each runs every detector, and the tagger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sprat.base.model import Question
from sprat_classify.pii import PiiModel
from sprat_cli.detectors import load_detectors
from sprat_contracts import MaskedOutput
from sprat_frontier.fair_queue import Sender
from sprat_frontier.redaction import Redactor
from sprat_frontier.responses import named
from sprat_policy import PrivacyPolicy, TaskFile, TermRule
from sprat_privacy import mask
from sprat_privacy.detectors.fixed import fixed_detectors
from sprat_privacy.detectors.labels import labels_to_keep
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER

TEXT = "the parcel of Anna Schmidt is lost, says zoe@example.org of Blue Heron"
PERIMETER = PrivacyPolicy(terms=(TermRule(type="PROJECT", words=("Blue Heron",)),))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the detectors that have been asked since."""
    names: set[str] = set()

    def noting(find: Callable[..., Any]) -> Callable[..., Any]:
        def note(detector: Any, text: str, language: str) -> Any:
            names.add(detector.name)
            return find(detector, text, language)

        return note

    for kind in map(type, fixed_detectors(PERIMETER)):
        monkeypatch.setattr(kind, "find", noting(kind.find))
    return names


async def masked_by_mask(folder: Path) -> str:
    policy = folder / "policy.yaml"
    policy.write_text("perimeter: {terms: [{type: PROJECT, words: [Blue Heron]}]}\n")
    return mask(TEXT, "en", load_detectors(policy, None, alone=False).detectors).text


async def masked_by_a_task(_: Path) -> str:
    (answer,) = PiiModel.load("pii", TaskFile(kind="pii"), PERIMETER).answer([Question(TEXT, "en")])
    assert isinstance(answer.output, MaskedOutput)
    return answer.output.masked


async def masked_by_the_frontier(_: Path) -> str:
    redactor = Redactor.load(SHIPPED_TAGGER, PERIMETER)
    try:
        return (await redactor.mask(Sender("acme", "acme"), TEXT, "en")).text
    finally:
        redactor.close()


@pytest.mark.parametrize("masked", [masked_by_mask, masked_by_a_task, masked_by_the_frontier])
async def test_a_text_meets_every_detector_and_the_tagger(masked, asked: set[str], tmp_path: Path) -> None:
    assert await masked(tmp_path) == "the parcel of [PERSON_1] is lost, says [EMAIL_1] of [PROJECT_1]"
    assert asked == {each.name for each in fixed_detectors(PERIMETER)}


def test_of_that_text_the_tagger_alone_finds_the_name() -> None:
    assert "Anna Schmidt" in mask(TEXT, "en", fixed_detectors(PERIMETER), validators_alone=["en"]).text


@pytest.mark.parametrize(
    "look", [lambda: labels_to_keep(["balance"], PERIMETER), lambda: named("gpt-x", "gpt-y")], ids=["label", "model"]
)
def test_a_label_and_the_name_of_a_model_meet_all_but_those_of_names(look, asked: set[str]) -> None:
    look()
    assert asked == {each.name for each in fixed_detectors(PERIMETER, names=False)}
