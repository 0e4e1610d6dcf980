"""What is doubted of an intent model's answers, what training writes of that, and what the router makes of it."""

from typing import Any

import numpy as np
import pytest

from sprat.base.model import Answer, Question, Unfinished
from sprat.processing.cached_inference import _decode, _encode
from sprat_contracts import BUILT_IN, OUTPUTS, IntentOutput
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import DoubtsCard
from sprat_inference.classifier import LogitsReading
from sprat_inference.doubts import DOUBTS_READER, WORTH, Doubts
from sprat_inference.lexical import LexicalReading
from sprat_policy import KeepRule
from sprat_router.decisions import decide
from sprat_training.fitting.doubt_fit import MOST_SEVERAL, fit_doubts
from support.router_records import prediction, worth
from unit.test_asked_labels import CARD, LABELS, Outcomes

SAYS = DoubtsCard(
    reader=DOUBTS_READER, ordering=("card_lost",), denying=("transfer",), short=("greeting",), several=True
)


class ByWord:
    """Finds the label that a text names; the first, where it names several."""

    tokenizer: Any = None

    def __init__(self) -> None:
        self.read_texts: list[str] = []

    def read(self, texts: Any, languages: Any) -> LogitsReading:
        self.read_texts += texts
        named = [min(range(4), key=lambda place: f"{text} {LABELS[place]}".index(LABELS[place])) for text in texts]
        return LogitsReading(9 * np.eye(4, dtype=np.float32)[named], np.zeros(len(texts), bool))


def doubts(*texts: str, says: DoubtsCard | None = SAYS, right: float = 0.9) -> list[str | None]:
    outcomes = Outcomes(right, 1 - right, 0.0)
    model = LabellingModel(CARD.model_copy(update={"doubts": says}), ByWord(), outcomes)
    return [answer.doubt for answer in model.answer([Question(text, "en") for text in texts])]


def test_what_is_doubted_says_why() -> None:
    assert doubts("tell me the balance", "do not tell me the balance", "the balance") == [None, "denied", "too_little"]


def test_a_text_is_several_wishes_where_its_parts_have_different_labels() -> None:
    texts = ("show me the balance and then make a transfer", "show me the balance. it is the balance I need")
    assert doubts(*texts) == ["several", None]


def test_a_card_without_doubts_has_none_and_reads_no_parts() -> None:
    network = ByWord()
    text = "do not show me the balance and then make a transfer"
    (answer,) = LabellingModel(CARD, network, Outcomes(0.9, 0.1, 0.0)).answer([Question(text, "en")])
    assert answer.doubt is None
    assert network.read_texts == [text]


def test_labels_that_are_worded_so_themselves_are_not_doubted() -> None:
    assert doubts("do not use it: card_lost", "greeting", "say my greeting here. show me the balance") == [None] * 3
    assert doubts("I don't need it: card_lost", "I don't need the transfer") == [None] * 2


def test_a_label_that_is_worded_as_what_is_not_needed_is_doubted_where_an_order_denies_it() -> None:
    assert doubts("please don't make the transfer", "I don't need the balance") == ["denied"] * 2


def test_an_answer_without_a_label_is_not_doubted() -> None:
    model = LabellingModel(CARD.model_copy(update={"doubts": SAYS}), ByWord(), Outcomes(0.1, 0.1, 0.8))
    (answer,) = model.answer([Question("do not tell me the balance", "en")])
    assert answer.output == IntentOutput(label=None, alternatives=answer.output.alternatives)  # type: ignore[union-attr]
    assert answer.doubt is None


def test_parts_that_are_unsure_are_no_wishes() -> None:
    text = "show me the balance and then make a transfer"
    assert doubts(text, right=WORTH) == ["several"]
    assert doubts(text, right=WORTH - 0.01) == [None]


@pytest.mark.parametrize(
    ("text", "part", "doubt"),
    [
        (0.99, 0.97, "several"),
        (0.99, 0.95, None),  # "my internet and phone bill": one wish, of which a part is less sure than the whole
        (0.9, 0.61, "several"),
        (0.8, 0.49, None),
    ],
)
def test_parts_count_where_they_are_about_as_sure_as_the_text(text: float, part: float, doubt: str | None) -> None:
    says = Doubts(frozenset(), frozenset(), frozenset({"greeting"}), several=True)
    assert says.of_parts([("balance", 0.999), ("transfer", part)], text) == doubt
    assert says.of_parts([("balance", 0.999), ("balance", part), ("greeting", 0.999), (None, 0.999)], text) is None


class SureWords:
    """A lexical stage that is sure of every text."""

    def read(self, texts: Any, languages: Any) -> LexicalReading:
        chances = np.tile(np.array([0.9, 0.1, 0.0]), (len(texts), 1))
        every = np.ones(len(texts), bool)
        return LexicalReading(every, ByWord().read(texts, languages).logits, chances, every)


def test_both_stages_doubt_as_the_whole_model_does() -> None:
    words: Any = SureWords()
    model = LabellingModel(CARD.model_copy(update={"doubts": SAYS}), ByWord(), Outcomes(0.9, 0.1, 0.0), words)
    texts = ("tell me the balance", "do not tell me the balance", "show me the balance and then make a transfer")
    questions = [Question(text, "en") for text in texts]
    began = model.begin(questions)
    finished = model.finish([each for each in began if isinstance(each, Unfinished)])
    assert [isinstance(each, Unfinished) for each in began] == [False, False, True]
    assert [each for each in began if isinstance(each, Answer)] + finished == model.answer(questions)
    assert [(each.doubt, each.stage) for each in finished] == [("several", "lexical")]


def test_a_card_for_other_rules_is_refused() -> None:
    with pytest.raises(BrokenArtefact, match="its doubts are made for sprat-doubts/0"):
        Doubts.of(CARD.model_copy(update={"doubts": SAYS.model_copy(update={"reader": "sprat-doubts/0"})}))


def test_a_card_of_the_rules_before_is_served() -> None:
    said = {name: value for name, value in SAYS.model_dump().items() if name != "ordering"}
    before = DoubtsCard.model_validate(said | {"reader": "sprat-doubts/1"})
    now = SAYS.model_copy(update={"ordering": ()})
    assert Doubts.of(CARD.model_copy(update={"doubts": before})) == Doubts.of(CARD.model_copy(update={"doubts": now}))


def test_a_card_without_doubts_is_written_as_before() -> None:
    from sprat_intent.__main__ import SERVICE  # noqa: PLC0415 - its settings are read where it is imported

    assert SERVICE.shipped is not None
    card = LabellingModel.load(SERVICE.shipped).card
    assert "doubts" not in card.model_copy(update={"doubts": None}).model_dump()
    assert card.model_copy(update={"doubts": SAYS}).model_dump()["doubts"] == SAYS.model_dump()


@pytest.mark.parametrize("doubt", [None, "denied"])
@pytest.mark.parametrize("renormalised", [False, True])
@pytest.mark.parametrize("stage", [None, "lexical"])
def test_a_cached_answer_keeps_its_doubt(doubt: str | None, renormalised: bool, stage: str | None) -> None:  # noqa: FBT001 - of pytest
    answer = Answer(IntentOutput(label="balance"), 0.9, stage, renormalised=renormalised, doubt=doubt)
    assert _decode(BUILT_IN, "intent", _encode(answer)) == answer


@pytest.mark.parametrize("doubt", ["denied", "several", "too_little", "of_a_later_version"])
def test_a_doubted_answer_is_escalated_whatever_its_confidence_is(doubt: str) -> None:
    for rule in (KeepRule(goal=0.97), KeepRule(keep_at=0.0)):
        made = prediction(confidence=1.0, accuracy=worth(0.995), doubt=doubt)
        found = decide(made, OUTPUTS["intent"], rule, None)
        assert (found.reasons[0], found.kept) == (doubt, False)


def test_a_doubted_answer_is_kept_where_the_policy_says_so_and_it_reaches_the_goal() -> None:
    for level, kept in ((0.97, True), (0.96, False)):
        made = prediction(confidence=1.0, accuracy=worth(level), doubt="several")
        found = decide(made, OUTPUTS["intent"], KeepRule(goal=0.97, doubts="keep"), None)
        assert (found.reasons, found.kept) == (("confident",) if kept else ("low_confidence",), kept)


def test_training_finds_labels_that_are_worded_so_themselves() -> None:
    own = {
        "cancel": [*["never mind"] * 2, *["do not continue"] * 3],
        "pay": ["please don't pay it"],
        "quiet": ["do not talk"] * 4,
        "weather": ["why"] * 2,
        "cancel_table": ["the table is not needed"] * 2,
    }
    texts = [text for worded in own.values() for text in [*worded, *["pay my bill now"] * (40 - len(worded))]]
    found = fit_doubts(texts, np.repeat(np.arange(5), 40), tuple(own), lambda parts: [("pay", 0.9)] * len(parts))
    assert found == DoubtsCard(
        reader=DOUBTS_READER,
        ordering=("quiet",),
        denying=("cancel", "quiet", "cancel_table"),
        short=("weather",),
        several=True,
    )


def test_training_reads_no_parts_where_its_own_texts_have_different_ones() -> None:
    count = 100
    several = ["show me the balance. then pay my bill"]
    plain = ["show me the balance now"]

    def read(parts: Any) -> list[tuple[str | None, float]]:
        return [("balance" if "balance" in part else "pay", 0.9) for part in parts]

    def reads(share: float) -> bool:
        own = several * round(share * count)
        texts = own + plain * (count - len(own))
        return fit_doubts(texts, np.zeros(count, np.int64), ("balance", "pay"), read).several

    assert reads(MOST_SEVERAL)
    assert not reads(MOST_SEVERAL + 0.01)
