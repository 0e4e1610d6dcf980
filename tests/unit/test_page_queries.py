"""What the screens of the page show of records, without a broker."""

import json
from dataclasses import replace

import pytest

from sprat_contracts import (
    BUILT_IN,
    Declined,
    Egress,
    Envelope,
    IntentOutput,
    ModelAnnounced,
    Record,
    ReviewCell,
    TierStep,
    Topics,
    Traceparent,
    Usage,
    encode,
)
from sprat_contracts.ids import TEXT, derive
from sprat_contracts.reviews import TextName
from sprat_contracts.thresholds import Cell, Step, Thresholds
from sprat_gateway.page.notes import GROUPS, note
from sprat_gateway.page.pages import Page
from sprat_gateway.page.queries import LiveFilter, Viewer, health, live, models, one_text, overview, privacy
from sprat_gateway.page.queries.alarms import ReviewCounts
from sprat_gateway.page.queries.models import Point
from support.page_reviews import alarm, closed
from support.page_store import NOW, OWN, filled_store
from support.traced_records import BEGAN, SAID, TracedText

SENT = "the words of [PERSON_1]"
HIDDEN = replace(OWN, texts=False)
OTHERS = [
    pytest.param(replace(OWN, tenant="globex"), id="another tenant"),
    pytest.param(replace(OWN, source="/shop"), id="another source"),
    pytest.param(Viewer("globex", "/shop", texts=True), id="both"),
]


def uuid_of(text):
    return str(derive(TEXT, text.source, text.id))


def escalated(text=None):
    """All records of a text that left the house."""
    text = text or TracedText()
    egress = Egress(left=True, provider="mistral", region="eu", call_id="call-1", masked={"PERSON": 2})
    answer = text.answer(egress=egress, sent=SENT, cost_eur=0.0001, usage=Usage(input_tokens=90, output_tokens=10))
    result = text.result(egress=egress, cost_eur=0.0001)
    calls = [text.call("attempt", 30, tenant=text.tenant), text.call("outcome", 190, offset=5, tenant=text.tenant)]
    return [text.text(), text.prediction(), text.request(), *calls, answer, result]


async def test_shows_the_path_of_a_text(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, *escalated(text)) as filled:
        shown = await filled.show(one_text, OWN, uuid_of(text), NOW)
    assert (shown.id, shown.source, shown.tenant, shown.text) == ("order-7", "/crm", "acme", SAID)
    assert [(hop.kind, hop.depth, hop.offset, hop.after_ms) for hop in shown.hops] == [
        ("text", 0, 41, 0),
        ("prediction", 1, 1, 10),
        ("request", 2, 2, 20),
        ("egress", 3, 4, 30),
        ("egress", 4, 5, 190),
        ("answer", 3, 3, 200),
        ("result", 4, 5, 210),
    ]
    assert [hop.topic for hop in shown.hops][:2] == ["sprat.texts.v1", "sprat.predictions.intent.v1"]
    (task,) = shown.tasks
    assert (task.small.model, task.small.confidence) == ("en-fast", 0.71)
    assert (task.answer.answer, task.answer.decision, task.answer.total_ms) == ("transfer", "escalated", 210)
    assert shown.complete


async def test_shows_the_labels_asked_for_and_that_a_confidence_is_a_share_among_them(tmp_path):
    text = TracedText()
    text.options = {"intent": {"labels": ["transfer", "refund"]}}
    result = text.result(decision="kept", reason="uncalibrated", confidence=0.6, renormalised=True)
    async with filled_store(tmp_path, text.text(), text.prediction(), result) as filled:
        shown = await filled.show(one_text, OWN, uuid_of(text), NOW)
        html = Page(filled.store, BUILT_IN).html("_text.html", seen=shown, shown=False, may_read=True, trace_url=None)
    (task,) = shown.tasks
    assert (task.labels, task.answer.renormalised, task.small.renormalised) == (("transfer", "refund"), True, False)
    assert "one of transfer, refund" in html
    assert html.count("among the labels asked for, not calibrated") == 1


async def test_shows_what_left_as_it_stood_in_the_request(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, *escalated(text)) as filled:
        (left,) = (await filled.show(one_text, OWN, uuid_of(text), NOW)).left
        (hidden,) = (await filled.show(one_text, HIDDEN, uuid_of(text), NOW)).left
    assert (left.sent, left.provider, left.region, left.bytes_out, left.masked) == (
        *(SENT, "mistral", "eu", 1234),
        {"PERSON": 2},
    )
    assert (left.outcome, left.cost_eur, left.shared) == ("answered", 0.0001, False)
    assert replace(left, sent=None) == hidden


async def test_shows_what_left_to_each_tier(tmp_path):
    text = TracedText()
    steps = tuple(
        TierStep(
            tier=name,
            provider=name,
            outcome=outcome,
            egress=Egress(left=True, provider=name, region="eu", call_id=f"call-{number}"),
            sent=f"{SENT} to {name}",
        )
        for number, (name, outcome) in enumerate((("small-cloud", "unsure"), ("large-cloud", "kept")))
    )
    calls = [text.call("attempt", 30 + number, f"call-{number}", offset=number) for number in range(2)]
    async with filled_store(tmp_path, text.text(), text.request(), *calls, text.answer(tiers=steps)) as filled:
        shown = await filled.show(one_text, OWN, uuid_of(text), NOW)
    assert [(each.tier, each.sent) for each in shown.left] == [
        ("small-cloud", f"{SENT} to small-cloud"),
        ("large-cloud", f"{SENT} to large-cloud"),
    ]


async def test_a_text_under_way_shows_what_it_waits_for(tmp_path):
    text = TracedText(tasks=("intent", "ner"))
    uuid, waits = uuid_of(text), []
    async with filled_store(tmp_path) as filled:
        for record in (text.text(), text.prediction(), text.request(), text.answer(), text.result()):
            await filled.put(record)
            shown = await filled.show(one_text, OWN, uuid, NOW)
            waits.append([task.waits_for for task in shown.tasks])
        assert not shown.complete
        await filled.put(text.result(task="ner", offset=9, decision="kept", output=None, status="unanswered"))
        assert (await filled.show(one_text, OWN, uuid, NOW)).complete
    assert waits == [["intent", "ner"], ["router", "ner"], ["frontier", "ner"], ["router", "ner"], [None, "ner"]]


async def test_a_call_under_way_shows_before_its_answer(tmp_path):
    text = TracedText()
    under_way = [text.text(), text.request(), text.call("attempt", 30)]
    async with filled_store(tmp_path, *under_way) as filled:
        (left,) = (await filled.show(one_text, OWN, uuid_of(text), NOW)).left
    assert (left.call_id, left.outcome, left.sent) == ("call-1", None, None)


async def test_a_call_under_a_shared_trace_is_nobodys_until_an_answer_names_it(tmp_path):
    one = TracedText()
    other = TracedText("order-8", traceparent=one.traceparent)
    other.place = (one.topics.texts, 1, 3)
    under_way = [one.text(), other.text(), one.request(), other.request(offset=12), one.call("attempt", 30)]
    async with filled_store(tmp_path, *under_way) as filled:
        before = [(await filled.show(one_text, OWN, uuid_of(text), NOW)).left for text in (one, other)]
        await filled.put(*escalated(one)[-2:])
        after = [(await filled.show(one_text, OWN, uuid_of(text), NOW)).left for text in (one, other)]
    assert before == [(), ()]
    assert [len(left) for left in after] == [1, 0]


async def test_hides_texts_from_keys_without_the_role(tmp_path):
    text = TracedText()
    output = IntentOutput(label="transfer")
    async with filled_store(tmp_path, *escalated(text), text.result(offset=9, output=output)) as filled:
        shown = await filled.show(one_text, HIDDEN, uuid_of(text), NOW)
        rows = await filled.show(live, HIDDEN, LiveFilter(), None, NOW)
    assert (shown.text, shown.tasks[0].answer.output) == (None, None)
    assert (shown.hidden.length, shown.hidden.language, shown.hidden.masked) == (len(SAID), "en", {"PERSON": 2})
    assert SAID not in repr((shown, rows))
    assert SENT not in repr((shown, rows))
    assert rows.rows[0].hidden.length == len(SAID)


@pytest.mark.parametrize("other", OTHERS)
async def test_shows_nothing_of_another_tenant_or_source(tmp_path, other):
    text = TracedText()
    letter = text.letter(text.text(), offset=70)
    async with filled_store(tmp_path, *escalated(text), letter) as filled:
        assert await filled.show(one_text, other, uuid_of(text), NOW) is None
        assert (await filled.show(live, other, LiveFilter(), None, NOW)).rows == ()
        sums = await filled.show(overview, other, "hour", NOW)
        assert (sums.texts, sums.counted.results, sums.waiting, sums.oldest, sums.p50_ms) == (0, 0, 0, None, None)
        left = await filled.show(privacy, other, "hour", NOW)
        assert (left.egress, left.denied, left.inside, left.left) == ((), {}, 0, 0)
        state = await filled.show(health, other, NOW)
        assert (state.letters, state.unattributed, state.store.pairs, state.store.since_ms) == ((), {}, 0, None)


async def test_two_tenants_may_use_the_same_source_and_id(tmp_path):
    texts = [TracedText(tenant=tenant) for tenant in ("acme", "globex")]
    texts[1].place = (texts[1].topics.texts, 1, 41)
    records = [replace(each, partition=n) for n, text in enumerate(texts) for each in escalated(text)]
    async with filled_store(tmp_path, *records) as filled:
        for tenant in ("acme", "globex"):
            shown = await filled.show(one_text, replace(OWN, tenant=tenant), uuid_of(texts[0]), NOW)
            assert (shown.tenant, len(shown.hops), len(shown.left)) == (tenant, 7, 1)


def numbered(number, **changes):
    """A text at a place of its own."""
    text = TracedText(f"order-{number}", **changes)
    text.place = (text.topics.texts, 0, 41 + number)
    return text


def kept(number):
    """All records of a text whose answer is kept."""
    text = numbered(number)
    return [text.text(), text.result(40, offset=100 + number, decision="kept", reason="confident")]


async def test_sums_of_a_span_and_what_keeping_saved(tmp_path):
    records = []
    for number, (tokens, cost_eur) in enumerate([(10, 0.001), (1_000, 0.1), (100, 0.01)]):
        paid, call_id = numbered(number), f"call-{number}"
        usage = Usage(input_tokens=tokens - 5, output_tokens=5)
        outcome = paid.call("outcome", 190, call_id, offset=50 + number, usage=usage, cost_eur=cost_eur)
        records += [paid.text(), paid.request(offset=number), paid.call("attempt", 30, call_id, offset=number), outcome]
        records.append(paid.result(offset=number, cost_eur=cost_eur))
    waiting = numbered(9)
    records += [*kept(3), *kept(4), waiting.text(after_ms=500)]
    async with filled_store(tmp_path, *records) as filled:
        shown = await filled.show(overview, OWN, "hour", NOW)
        minute = await filled.show(overview, OWN, "minute", NOW)
        later = await filled.show(overview, OWN, "hour", NOW + 2 * 3_600_000)
    assert (shown.texts, shown.counted.kept, shown.counted.escalated, shown.waiting) == (6, 2, 3, 1)
    assert shown.counted.spent_eur == pytest.approx(0.111)
    assert shown.counted.saved_eur == pytest.approx(2 * 0.01)  # the call with the median tokens
    assert shown.tasks["intent"].kept == 2
    assert (shown.oldest.id, shown.oldest.tasks, shown.oldest.at_ms) == ("order-9", ("intent",), BEGAN + 500)
    assert shown.oldest.for_ms == NOW - BEGAN - 500
    assert shown.p50_ms == pytest.approx(210, rel=0.05)
    assert (minute.texts, len(minute.moments), len(shown.moments)) == (6, 6, 60)
    assert sum(moment.texts for moment in shown.moments) == 6
    assert (later.texts, later.counted.results) == (0, 0)


async def test_beside_what_was_saved_stands_what_reviews_found(tmp_path):
    verdicts = ["right", "right", "wrong", "cannot_tell", "unanswered", "right"]
    records = [closed(numbered(n), verdict, offset=n, after_ms=900) for n, verdict in enumerate(verdicts)]
    records.append(closed(numbered(5), "wrong", offset=20, after_ms=950, disputed=True))
    records += [
        closed(numbered(30 + n), verdict, offset=30 + n, after_ms=900, by="tier:large")
        for n, verdict in enumerate(verdicts[:3])
    ]
    records.append(closed(numbered(9, tenant="globex"), "wrong", offset=21, after_ms=950))
    async with filled_store(tmp_path, *records) as filled:
        shown = await filled.show(overview, OWN, "hour", NOW)
        later = await filled.show(overview, OWN, "hour", NOW + 2 * 3_600_000)
        others = await filled.show(overview, replace(OWN, source="/shop"), "hour", NOW)
    assert shown.reviewed == ReviewCounts(right=2, wrong=1, undecided=3, agreed=2, disagreed=1)
    assert (list(shown.tasks), shown.reviewed_tasks["intent"].decided) == (["intent"], 3)
    assert later.reviewed == others.reviewed == ReviewCounts()


async def test_alarms_that_stand_are_shown_to_whom_they_concern(tmp_path):
    text = TracedText()
    cells = [ReviewCell(), ReviewCell(tenant="default"), ReviewCell(tenant="acme", language="de")]
    cells.append(ReviewCell(tenant="globex"))
    names = (TextName(text_source="/crm", text_id=text.id), TextName(text_source="/shop", text_id="order-1"))
    alarms = [alarm(text, offset=n, cell=cell, texts=names) for n, cell in enumerate(cells)]
    async with filled_store(tmp_path, text.text(), *alarms) as filled:
        shown = await filled.show(overview, OWN, "hour", NOW)
        await filled.put(alarm(text, 2, offset=9, cell=ReviewCell(), state="cleared"))
        then = await filled.show(overview, OWN, "hour", NOW)
    names = [each.name for each in shown.alarms]
    assert names == ["errors/intent", "errors/intent/acme/de", "errors/intent/default"]
    assert [each.texts for each in shown.alarms] == [((uuid_of(text), text.id),)] * 3  # no text of another source
    assert [each.name for each in then.alarms] == names[1:]


@pytest.mark.parametrize("detail", ["21 of 90 reviewed answers were wrong; the goal allows 10 %", ""])
async def test_an_alarm_says_its_numbers_once(tmp_path, detail):
    async with filled_store(tmp_path, alarm(TracedText(), detail=detail)) as filled:
        seen = await filled.show(overview, OWN, "hour", NOW)
        html = Page(filled.store, BUILT_IN).html("_overview.html", seen=seen)
    assert html.count("21 of 90") == 1


async def test_what_keeping_saved_is_not_known_before_a_call(tmp_path):
    async with filled_store(tmp_path, *kept(1)) as filled:
        assert (await filled.show(overview, OWN, "day", NOW)).counted.saved_eur is None


async def test_live_rows_are_the_newest_and_say_how_many_came(tmp_path):
    async with filled_store(tmp_path, *kept(1)) as filled:
        first = await filled.show(live, OWN, LiveFilter(), None, NOW)
        await filled.put(*(record for number in range(2, 52) for record in kept(number)))
        then = await filled.show(live, OWN, LiveFilter(), first.last, NOW)
        nothing = await filled.show(live, OWN, LiveFilter(), then.last, NOW)
    assert ([row.id for row in first.rows], first.matching) == (["order-1"], 1)
    assert [row.id for row in then.rows] == [f"order-{number}" for number in range(51, 31, -1)]
    assert (then.matching, nothing.rows, nothing.matching, nothing.last) == (50, (), 0, then.last)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"decision": "kept"}, {"order-1"}),
        ({"status": "unanswered"}, {"order-2"}),
        ({"reason": "no_service"}, {"order-2"}),
        ({"task": "ner"}, set()),
        ({"model": "en-fast"}, set()),
        ({"task": "intent"}, {"order-1", "order-2"}),
    ],
)
async def test_filters_live_rows(tmp_path, wanted, ids):
    none = {"status": "unanswered", "output": None, "source": "none", "reason": "no_service"}
    records = [*kept(1), numbered(2).text(), numbered(2).result(offset=7, **none)]
    async with filled_store(tmp_path, *records) as filled:
        shown = await filled.show(live, OWN, LiveFilter(**wanted), 0, NOW)
    assert ({row.id for row in shown.rows}, shown.matching) == (ids, len(ids))


async def test_egress_by_region_and_what_was_not_let_out(tmp_path):
    text, denied = TracedText(), numbered(3)
    refused = denied.result(
        *(210, "intent", 33), declined=Declined(code="policy"), status="degraded", egress=Egress(left=False)
    )
    failed = [
        text.call("attempt", 10, "call-0", offset=80, masked={"IBAN": 1}),
        text.call("outcome", 20, "call-0", offset=81, outcome="provider", cost_eur=0.0),
    ]
    mistaken = numbered(5)
    unasked = mistaken.result(*(210, "intent", 53), declined=Declined(code="target"), status="degraded")
    records = [text.text(), text.request(), *failed, *escalated(text)[3:], denied.text(), refused, *kept(4)]
    records += [mistaken.text(), unasked]
    async with filled_store(tmp_path, *records) as filled:
        shown = await filled.show(privacy, OWN, "day", NOW)
    (row,) = shown.egress
    assert (row.tenant, row.region, row.provider, row.calls, row.bytes_out) == ("acme", "eu", "mistral", 2, 2468)
    assert (row.masked, row.failures) == ({"PERSON": 2, "IBAN": 1}, {"provider": 1})
    assert (shown.denied, shown.unasked, shown.left, shown.inside) == ({"policy": 1}, {"target": 1}, 1, 3)
    assert shown.verified is None


async def test_dead_letters_by_reason_with_the_command_that_replays_them(tmp_path):
    text = TracedText()
    odd = text.letter(text.text(), code="it's; rm -rf /", service="intent", offset=71)
    broken = text.letter(replace(text.text(), value=b"{"), code="invalid_json", offset=72)
    letters = [text.letter(text.text(), offset=offset) for offset in (70, 73)]
    async with filled_store(tmp_path, text.text(), *letters, odd, broken) as filled:
        shown = await filled.show(health, OWN, NOW)
        path = await filled.show(one_text, OWN, uuid_of(text), NOW)
    commands = {row.code: (row.count, row.cause, row.command) for row in shown.letters}
    assert commands == {
        "invalid_text": (2, "record", "sprat dlq replay --reason invalid_text --service router"),
        "it's; rm -rf /": (1, "fault", """sprat dlq replay --reason 'it'"'"'s; rm -rf /' --service intent"""),
    }
    assert shown.unattributed == {"invalid_json": 1}
    assert (path.complete, path.tasks[0].waits_for) == (True, None)
    assert [each.whole for each in path.rejections] == [True, False, True]


async def test_health_says_when_nobody_knows_it_any_more(tmp_path):
    group = {"name": "router", "members": 1, "lag": 0, "oldest_s": None, "keeps_up": True, "measured_ms": NOW}
    async with filled_store(tmp_path) as filled:
        assert (await filled.show(health, OWN, NOW)).measured_ms is None
        await filled.store.write(note, GROUPS, [group])
        assert (await filled.show(health, OWN, NOW + 30_000)).measured_ms is None
        assert (await filled.show(health, OWN, NOW + 61_000)).measured_ms == NOW


async def test_a_rejected_text_waits_for_nothing(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, text.letter(text.text()), text.text()) as filled:
        assert (await filled.show(overview, OWN, "hour", NOW)).waiting == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": "abc"},
        {"warnings": [1]},
        {"reference": [1]},
        {"language_detected": {"language": 5, "confidence": 1}},
        {"origin": {"partition": 0, "offset": 41, "appended_at": 10**17}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_result_of_wrong_types_is_left_out_and_counted(tmp_path, wrong):
    text = TracedText()
    good = text.result()
    broken = replace(good, value=json.dumps(json.loads(good.value) | wrong).encode())
    async with filled_store(tmp_path, text.text(), broken) as filled:
        assert (await filled.show(live, OWN, LiveFilter(), None, NOW)).rows == ()
        assert [
            hop.kind for hop in (await filled.show(one_text, OWN, str(derive(TEXT, "/crm", "order-7")), NOW)).hops
        ] == ["text"]
        assert filled.reader.left_out == 1


async def test_an_announcement_for_a_time_that_cannot_be_shown_is_left_out(tmp_path):
    value = {"task": "intent", "model": "hr", "version": "v1", "card": {}, "owns_from": 10**17}
    records = [
        Record(Topics().models, 0, offset, BEGAN, b"intent/hr", json.dumps(value | changed).encode(), ())
        for offset, changed in enumerate([{}, {"version": "v0", "owns_from": BEGAN}])
    ]
    async with filled_store(tmp_path, *records) as filled:
        shown = (await filled.show(models)).models
        assert ([each.owns_from_ms for each in shown], filled.reader.left_out) == ([BEGAN], 1)


async def test_models_with_the_version_before(tmp_path):
    def announced(version, after_ms, **changes):
        message = ModelAnnounced(task="intent", model="hr", version=version, labels=("leave", "pay"), **changes)
        value, headers = encode(message, Envelope(version, "/sprat/intent", Traceparent.root("/", version)))
        return Record(Topics().models, 0, after_ms, BEGAN + after_ms, b"intent/hr", value, tuple(headers))

    steps = (Step(accuracy=0.9, threshold=0.6, kept=80, right=75),)
    thresholds = Thresholds(
        thresholds_version="0" * 16,
        task="intent",
        model="hr",
        model_version="v2",
        right="the label",
        recommended_goal=0.97,
        cells=(Cell(says="some", rows=100, estimated=steps),),
    )
    card = {"licence": "MIT", "scores": [{"name": "accuracy", "value": 0.95, "protocol": "own test"}]}
    gone = Record(Topics().models, 0, 9, BEGAN + 9, b"ner/default", None, ())
    records = [announced("v1", 1), announced("v2", 2, owns_from=BEGAN, thresholds=thresholds, card=card), gone]
    async with filled_store(tmp_path, *records) as filled:
        (shown,) = (await filled.show(models)).models
        await filled.put(Record(Topics().models, 0, 10, BEGAN + 10, b"intent/hr", None, ()))
        assert (await filled.show(models)).models == ()
    assert (shown.current.version, shown.before.version, shown.owns_from_ms) == ("v2", "v1", BEGAN)
    assert (shown.command, shown.licence, shown.goal) == ("sprat promote DIR --back", "MIT", 0.97)
    assert [(curve.says, curve.estimated) for curve in shown.curves] == [("some", (Point(0.6, 0.9),))]
    assert [(score.name, score.value) for score in shown.scores] == [("accuracy", 0.95)]


async def test_an_announcement_that_is_none_does_not_hide_the_others(tmp_path):
    broken = b'{"task": "intent", "version": "v1", "thresholds": {"cells": [{}]}}'
    whole = b'{"task": "ner", "version": "v1"}'
    records = [Record(Topics().models, 0, 0, BEGAN, b"intent/default", broken, ())]
    records.append(Record(Topics().models, 0, 1, BEGAN, b"ner/default", whole, ()))
    async with filled_store(tmp_path, *records) as filled:
        assert [each.task for each in (await filled.show(models)).models] == ["ner"]
