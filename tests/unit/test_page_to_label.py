"""What the screen "To label" hands out, in which order, and to whom."""

from dataclasses import replace

import pytest

from sprat.processing.leases import LEASE_S, Leases
from sprat_contracts import (
    BUILT_IN,
    Entity,
    Envelope,
    IntentOutput,
    ModelAnnounced,
    ModelRef,
    NerOutput,
    Record,
    SmallAnswer,
    Topics,
    Traceparent,
    encode,
)
from sprat_contracts.topics import DAY_MS
from sprat_gateway.page.labelling import in_words
from sprat_gateway.page.queries import to_label
from sprat_gateway.page.render import environment
from sprat_operations.record_summary import short_answer
from sprat_operations.reviews import JUDGED
from support.page_reviews import closed, draw, given
from support.page_store import NOW, OWN, filled_store
from support.traced_records import BEGAN, SAID, TracedText


def announced(*labels, version="v1"):
    message = ModelAnnounced(task="intent", version=version, labels=labels)
    value, headers = encode(message, Envelope(version, "/sprat/intent", Traceparent.root("/", version)))
    return Record(Topics().models, 0, 0, BEGAN, b"intent/default", value, tuple(headers))


def numbered(number, **changes):
    text = TracedText(f"order-{number}", **changes)
    text.place = (text.topics.texts, 0, 41 + number)
    return text


def escalated(text, label="transfer", small=(), status="answered", **changes):
    said = SmallAnswer(model=ModelRef(name="en-fast", version="v1"), labels=small, confidence=0.4)
    output = None if label is None else IntentOutput(label=label)
    number = text.place[2]
    return [text.text(), text.result(offset=number, output=output, small=said, status=status, **changes)]


async def ids(filled, viewer=OWN, now=NOW):
    return [item.id for item in (await filled.show(to_label, viewer, BUILT_IN, now)).items]


async def test_reviews_come_first_the_oldest_of_them_and_then_texts_whose_models_disagree(tmp_path):
    texts = [numbered(number) for number in range(6)]
    records = [announced("transfer", "balance"), draw(texts[1], offset=2), draw(texts[0], offset=5)]
    records += escalated(texts[2], "transfer", ("transfer",))
    records += escalated(texts[3], None, status="unanswered")
    records += escalated(texts[4], "transfer", ("balance",))
    records += [texts[5].text(), texts[5].result(offset=50, decision="kept", reason="confident")]
    async with filled_store(tmp_path, *records) as filled:
        assert await ids(filled) == ["order-1", "order-0", "order-4", "order-3", "order-2"]
        queue = await filled.show(to_label, OWN, BUILT_IN, NOW)
    review, hard = queue.items[0], queue.items[2]
    assert (queue.reviews, queue.hard) == (2, 3)
    assert (review.form, review.labels, review.text) == ("label", ("transfer", "balance"), SAID)
    assert review.answers == (("the model", IntentOutput(label="transfer")),)
    assert (hard.asked, hard.disagrees) == (None, True)
    assert [output.label for _, output in hard.answers] == ["balance", "transfer"]


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        (lambda text: closed(text, "unanswered"), False),
        (given, False),
        (lambda text: given(text, token="f" * 64), True),  # nobody's answer: it has not the token of this draw
        (lambda text: given(text, of=None, token=None), True),  # somebody picked the text
        (lambda text: draw(text, offset=2), True),
    ],
    ids=["closed", "answered", "another token", "a correction", "drawn again"],
)
async def test_a_draw_waits_until_it_is_answered_or_closed(tmp_path, more, waits):
    text = TracedText()
    async with filled_store(tmp_path, announced("transfer"), draw(text), more(text)) as filled:
        assert await ids(filled) == ["order-7"] * waits
        assert await ids(filled, now=NOW + 7 * DAY_MS) == []


async def test_what_a_tier_reviews_waits_for_nobody_and_a_correction_ends_a_hard_text(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, announced("transfer"), draw(text, by="a-tier")) as filled:
        assert await ids(filled) == []
        await filled.put(*escalated(numbered(8)))
        assert await ids(filled) == ["order-8"]
        await filled.put(given(numbered(8), of=None, token=None))
        assert await ids(filled) == []


@pytest.mark.parametrize(
    "other",
    [replace(OWN, tenant="globex"), replace(OWN, source="/shop"), replace(OWN, texts=False)],
    ids=["another tenant", "another source", "without texts"],
)
async def test_nothing_of_another_tenant_or_source_and_nothing_without_the_role(tmp_path, other):
    records = [announced("transfer"), draw(TracedText()), *escalated(numbered(8))]
    async with filled_store(tmp_path, *records) as filled:
        queue = await filled.show(to_label, other, BUILT_IN, NOW)
        assert (queue.items, queue.reviews, queue.hard) == ((), 0, 0)


async def test_an_answer_without_labels_is_judged(tmp_path):
    text = TracedText(tasks=("ner",))
    prediction = text.predicted("ner").model_copy(update={"output": NerOutput(entities=())})
    async with filled_store(tmp_path, draw(text, "ner", prediction=prediction), draw(TracedText())) as filled:
        shown = (await filled.show(to_label, OWN, BUILT_IN, NOW)).items
    assert {(item.task, item.form, item.labels) for item in shown} == {("ner", "judge", ()), ("intent", "judge", ())}


def test_a_reviewer_sees_which_names_are_uncertain_and_the_path_of_a_text_counts_them():
    names = tuple(
        Entity(start=0, end=5, text=text, label="PER", uncertain=uncertain)
        for text, uncertain in (("Peter", False), ("Paula", True))
    )
    output = NerOutput(entities=names)
    assert in_words(output) == "Peter (PER)\nPaula (PER, uncertain)"
    assert short_answer(output.model_dump(), "ner") == "2 names, 1 uncertain"


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        ("text", "<p>Is it right?</p>"),
        ("names", "<p>Is it right? Right: each name is right but for uncertain ones, and none is missed.</p>"),
        ("sure_names", "<p>Is it right? Right: each name is right but for uncertain ones; others may be missed.</p>"),
    ],
)
async def test_a_reviewer_is_told_what_is_judged(tmp_path, judged, told):
    text = TracedText(tasks=("ner",))
    prediction = text.predicted("ner").model_copy(update={"output": NerOutput(entities=())})
    async with filled_store(tmp_path, draw(text, "ner", prediction=prediction, judged=judged)) as filled:
        queue = await filled.show(to_label, OWN, BUILT_IN, NOW)
    template = environment({}).get_template("label.html")
    values = {"queue": queue, "item": queue.items[0], "say": in_words, "judged": JUDGED, "last": (), "undo_s": 5}
    values |= {"problem": None, "missing": [], "root": "/page", "csrf": "c", "refresh_s": 5}
    assert told in "".join(template.blocks["content"](template.new_context(values)))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


async def test_a_lease_is_one_persons_for_five_minutes():
    clock = Clock()
    leases = Leases(None, "", clock)
    assert [await leases.take("draw", who) for who in ("anna", "ben", "anna")] == [True, False, True]
    clock.now += LEASE_S
    assert [await leases.take("draw", who) for who in ("ben", "anna")] == [True, False]
    await leases.assign("draw", "anna")
    assert [await leases.take("draw", who) for who in ("ben", "anna")] == [False, True]
