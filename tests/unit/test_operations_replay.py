"""The plan of a replay, without a broker."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.kafka.signatures import Signatures
from sprat_contracts import DeadLetterReason, Record, Topics, decode
from sprat_contracts.texts import TextSubmitted
from sprat_contracts.wire import read_envelope
from sprat_operations.dead_letters import DeadLetter, read_dead_letter, without_copies
from sprat_operations.replay import Plan, plan, skip_sent
from support.stream import SECRET, SIGNATURES
from support.wire_records import event, plain, signed, signed_letter

TOPICS = Topics()
REASON = DeadLetterReason("model_error", "it broke", TOPICS.texts, 3, 41, 1_767_225_600_000, "intent", "1.2.3")


def letter(record: Record | None = None, offset: int = 0, **changes) -> DeadLetter:
    """The dead letter that a service writes of a record."""
    record = record or plain()
    reason = replace(REASON, partition=record.partition, offset=record.offset, timestamp_ms=record.timestamp)
    headers = tuple(replace(reason, **changes).headers(record.headers))
    written_at = record.timestamp + 1_000 + offset
    made = Record(TOPICS.dead_letters, 0, offset, written_at, record.key, record.value, headers)
    return read_dead_letter(signed_letter(made), SIGNATURES)


def planned(*letters: DeadLetter, known: tuple[DeadLetter, ...] = ()) -> Plan:
    return plan(letters, [*letters, *known], TOPICS, SIGNATURES)


def codes(made: Plan) -> list[str]:
    return [each.code for each in made.left_out]


def replayed(made: Plan, offset: int = 500) -> Record:
    """Return the one planned record as it is on its topic."""
    (replay,) = made.replays
    sent = replay.letter
    return Record(replay.topic, 0, offset, 1_767_225_700_000, sent.key, sent.value, tuple(replay.headers))


def test_a_plain_text_keeps_the_identity_of_its_original_place():
    original = plain()
    before, after = (
        read_envelope(original, TextSubmitted),
        decode(replayed(planned(letter(original))), TextSubmitted),
    )
    assert (after.envelope.source, after.envelope.id) == (before.source, before.id)
    assert after.envelope.traceparent == before.traceparent
    assert (after.envelope.replay_for, after.envelope.replays) == ("intent", 1)


def test_a_cloudevent_is_replayed_as_it_came():
    original = event(ce_tenant="shop", x_odd=b"\xff\x00")
    record = replayed(planned(letter(original)))
    assert record.headers[: len(original.headers)] == original.headers
    added = dict(record.headers[len(original.headers) :])
    assert added.pop("sprat_replay_signature").startswith(b"v1=")
    assert added == {"sprat_replays": b"1", "sprat_replay_for": b"intent"}
    assert (record.key, record.value) == (original.key, original.value)


def test_a_second_replay_keeps_the_identity_and_counts_on():
    first = replayed(planned(letter(plain())))
    second = replayed(planned(letter(first, offset=1, replays=1)))
    assert dict(second.headers)["sprat_replays"] == b"2"
    assert read_envelope(second, TextSubmitted).id == read_envelope(plain(), TextSubmitted).id
    assert sum(name == "ce_id" for name, _ in second.headers) == 1


def test_what_the_router_rejected_goes_to_all():
    (replay,) = planned(letter(service="router")).replays
    assert replay.replay_for is None
    assert "sprat_replay_for" not in dict(replay.headers)


@pytest.mark.parametrize(
    ("topic", "service", "replay_for"),
    [
        (TOPICS.frontier_requests, "frontier", "frontier"),
        (TOPICS.predictions("ner"), "router", None),
        (TOPICS.frontier_answers, "router", None),
    ],
)
def test_other_topics_are_replayed_to_whoever_reads_them(topic, service, replay_for):
    made = planned(letter(signed(replace(event(), topic=topic)), topic=topic, service=service))
    (replay,) = made.replays
    assert (replay.topic, replay.replay_for) == (topic, replay_for)
    assert SIGNATURES.accepts(replayed(made)), "it keeps its signature"


def test_only_the_texts_go_back_unsigned_unless_the_services_accept_it():
    here = {"topic": TOPICS.predictions("ner"), "service": "router"}
    unsigned = letter(event(), **here)
    forged = letter(signed(event(ce_id="t-2")), offset=1, **here)
    assert codes(planned(unsigned, forged)) == ["not_signed", "not_signed"]
    accepting = Signatures(Keys(SecretStr(SECRET)), accept_unsigned=True)
    made = plan([unsigned, forged], [], TOPICS, accepting)
    assert [replay.letter for replay in made.replays] == [unsigned]
    assert codes(made) == ["not_signed"], "a wrong signature is never sent"


def places(*letters: DeadLetter) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.place, each.copies) for each in without_copies(letters)]


def test_a_letter_that_was_written_again_after_a_kill_is_one_with_the_places_of_its_copies():
    later, first, last = letter(offset=1, code="defect", version="2"), letter(), letter(offset=2)
    assert places(later, first, last) == [("0:0", ("0:1", "0:2"))]


@pytest.mark.parametrize(
    "other",
    [
        letter(offset=1, service="ner"),
        letter(plain(offset=42), offset=1),
        letter(plain(partition=4), offset=1),
        letter(replace(plain(), value=b"{}"), offset=1),
    ],
    ids=["another service", "the next record", "another partition", "a topic that was made anew"],
)
def test_letters_about_something_else_are_no_copies(other):
    assert places(letter(), other) == [("0:0", ()), ("0:1", ())]


def test_what_somebody_else_wrote_hides_no_letter():
    real = letter(offset=1)
    unsigned, forged = replace(letter(), signed="unsigned"), replace(letter(offset=2), signed="invalid")
    again = replace(forged, offset=4)
    assert places(unsigned, real, forged, again) == [("0:0", ()), ("0:1", ()), ("0:2", ()), ("0:4", ())]
    rotated = replace(letter(offset=3), signed="previous")
    assert places(real, rotated) == [("0:1", ("0:3",))]


def test_a_letter_of_somebody_else_is_left_out_and_hides_no_other():
    stranger = Signatures(Keys(SecretStr("what somebody else made up")))
    real = letter()
    forged = replace(letter(offset=1, replays=1), signed="invalid")
    unsigned = replace(letter(offset=2, replays=1), signed="unsigned")
    made = planned(real, forged, unsigned)
    assert [replay.letter for replay in made.replays] == [real]
    assert codes(made) == ["letter_wrongly_signed", "letter_unsigned"]
    accepting = Signatures(Keys(SecretStr(SECRET)), accept_unsigned=True)
    assert [replay.letter for replay in plan([forged, unsigned], [], TOPICS, accepting).replays] == [unsigned]
    record = signed_letter(Record(TOPICS.dead_letters, 0, 0, 0, b"k", b"v", tuple(REASON.headers(()))), stranger)
    assert read_dead_letter(record, SIGNATURES).signed == "invalid"
    assert read_dead_letter(replace(record, headers=record.headers[:-1]), SIGNATURES).signed == "unsigned"
    assert read_dead_letter(record).signed is None, "who has no secret reads it all the same"


def test_a_replay_is_signed_for_its_service_and_its_record():
    record = replayed(planned(letter(plain(key=b"k"))))
    assert SIGNATURES.accepts_replay(record)
    others = [(name, b"ner" if name == "sprat_replay_for" else value) for name, value in record.headers]
    again = [(name, b"2" if name == "sprat_replays" else value) for name, value in record.headers]
    renamed = [(name, b"t-2" if name == "ce_id" else value) for name, value in record.headers]
    for forged in (
        *(replace(record, headers=tuple(headers)) for headers in (others, again, renamed)),
        replace(record, value=b"{}"),
        replace(record, key=b"l"),
        replace(record, key=None),
        replace(record, topic="other.texts.v1"),
    ):
        assert not SIGNATURES.accepts_replay(forged)


def test_a_plan_without_the_secret_is_to_be_shown_alone():
    (replay,) = plan([letter()], [], TOPICS, None).replays
    assert "sprat_replay_signature" not in dict(replay.headers)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"replays": 3}, "at_limit"),
        ({"detail": "text: too long; the value is too large to be kept"}, "value_lost"),
        ({"topic": TOPICS.results("intent")}, "foreign_topic"),
        ({"topic": "other.texts.v1"}, "foreign_topic"),
        ({"service": "frontier"}, "unknown_service"),
        ({"service": "intent", "topic": TOPICS.predictions("intent")}, "unknown_service"),
    ],
)
def test_what_cannot_be_replayed_is_left_out(changes, code):
    made = planned(letter(event(), **changes))
    assert (made.replays, codes(made)) == ([], [code])


def test_what_is_larger_than_its_topic_takes_is_left_out():
    assert codes(planned(letter(event(b"x" * (TOPICS.table()[0].max_batch_bytes + 1))))) == ["too_large"]


def test_a_letter_that_was_written_twice_is_replayed_once():
    made = planned(letter(plain()), letter(plain(), offset=9))
    assert (len(made.replays), codes(made)) == (1, ["duplicate"])


def test_two_services_that_failed_on_a_text_both_get_it():
    made = planned(letter(event(), service="intent"), letter(event(), offset=1, service="ner"))
    assert [replay.replay_for for replay in made.replays] == ["intent", "ner"]


def test_a_replay_to_all_is_one_for_each_service():
    made = planned(letter(event(), service="intent"), letter(event(), offset=1, service="router", code="unknown_task"))
    assert [replay.replay_for for replay in made.replays] == [None]
    assert codes(made) == ["goes_to_all"]


def test_what_came_back_is_replayed_as_its_newest_letter():
    first = letter(plain())
    again = letter(replayed(planned(first)), offset=7, replays=1)
    made = planned(first, known=(again,))
    assert codes(made) == ["came_back"]
    assert made.left_out[0].why.endswith("as 0:7")
    made = planned(first, again)
    assert [replay.number for replay in made.replays] == [2]


def test_another_services_replay_that_came_back_does_not_hold_ours_up():
    mine = letter(event(), service="ner")
    others = letter(event(), offset=5, service="intent", replays=1)
    assert len(planned(mine, known=(others,)).replays) == 1


def test_a_replay_that_was_sent_before_is_left_out():
    made = planned(letter(event()), letter(event(ce_id="t-2"), offset=1))
    sent = {made.replays[0].mark: "sprat.texts.v1 0@500"}
    left = skip_sent(made, sent)
    assert [replay.letter.offset for replay in left.replays] == [1]
    assert left.left_out[0].why == "replayed before, as sprat.texts.v1 0@500"


def test_what_went_to_all_was_for_each_service():
    to_all = planned(letter(event(), service="router")).replays[0].mark
    made = skip_sent(planned(letter(event(), service="intent")), {to_all: "sprat.texts.v1 0@500"})
    assert codes(made) == ["replayed"]


def test_an_event_without_a_readable_id_is_identified_by_its_bytes():
    one, other = event(b"a", ce_id=None), event(b"b", ce_id=None)
    made = planned(letter(one, service="router"), letter(other, offset=1, service="router"))
    assert len({replay.mark for replay in made.replays}) == 2
    assert dict(made.replays[0].headers) == {**dict(one.headers), "sprat_replays": b"1"}


def test_an_event_in_structured_mode_gets_no_second_identity():
    original = plain(headers=(("content-type", b"application/cloudevents+json"),))
    (replay,) = planned(letter(original, service="router", code="structured_mode")).replays
    assert [name for name, _ in replay.headers] == ["content-type", "sprat_replays"]


def test_replays_are_in_the_order_of_the_originals():
    made = planned(*(letter(plain(offset=offset), offset=10 - offset) for offset in (3, 1, 2)))
    assert [replay.letter.reason.offset for replay in made.replays] == [1, 2, 3]


@pytest.mark.parametrize("gone", ["sprat_service", "sprat_origin_offset", "sprat_error_code"])
def test_a_record_without_a_reason_is_no_letter(gone):
    headers = tuple((name, value) for name, value in REASON.headers(()) if name != gone)
    with pytest.raises(ValueError, match=f"not a dead letter: header {gone} is missing"):
        read_dead_letter(Record(TOPICS.dead_letters, 0, 0, 0, None, b"", headers))


def test_a_letter_does_not_show_its_text():
    assert "Schmidt" not in repr(letter(plain(b"Anna Schmidt", key=b"Schmidt", headers=(("x-name", b"Schmidt"),))))


def test_a_text_fixed_and_sent_again_under_its_id_is_another_event():
    bad, corrected = letter(event(b"bad"), service="router"), letter(event(b"corrected"), offset=1, service="router")
    made = planned(bad, corrected)
    assert [replay.letter.value for replay in made.replays] == [b"bad", b"corrected"]
    sent = {planned(bad).replays[0].mark: "sprat.texts.v1 0@500"}
    assert [replay.letter.value for replay in skip_sent(made, sent).replays] == [b"corrected"]


def test_a_letter_that_came_back_does_not_block_a_text_fixed_under_its_id():
    back = letter(event(b"bad"), offset=7, service="intent", replays=1)
    assert len(planned(letter(event(b"corrected")), known=(back,)).replays) == 1


def test_a_replay_to_all_does_not_stand_for_other_bytes_under_its_id():
    made = planned(letter(event(b"bad"), service="router"), letter(event(b"corrected"), offset=1, service="intent"))
    assert [replay.replay_for for replay in made.replays] == [None, "intent"]
