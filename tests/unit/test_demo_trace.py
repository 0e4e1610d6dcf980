"""The trace that the demo shows: every hop in the order in which one causes the next."""

from sprat_local.demo.trace import pick_trace
from support.demo_records import APPENDED_AT, TOPICS, TRACE, Record, account, prediction, published, record, result

RESULTS = TOPICS.results("intent")


def test_hops_stand_in_the_order_of_their_causes_with_milliseconds_since_the_text() -> None:
    text = published()
    traced = list(text.outgoing.headers)
    seen = account(
        record(RESULTS, result(decision="escalated", reason="low_confidence"), timestamp=APPENDED_AT + 300),
        record(TOPICS.predictions("intent"), prediction(), timestamp=APPENDED_AT),
        Record(TOPICS.texts, b'{"text": "hello", "tasks": {"intent": {}}}', traced),
    )
    trace = pick_trace([text], seen)

    assert trace is not None
    assert (trace.trace_id, trace.text_id) == (TRACE, "s-1")
    assert [(hop.after_ms, hop.topic) for hop in trace.hops] == [
        (0, TOPICS.texts),
        (0, TOPICS.predictions("intent")),
        (300, RESULTS),
    ]
    assert [hop.says for hop in trace.hops] == [
        "asks for intent",
        "en-fast: transfer, 90 % sure",
        "answered by frontier: transfer",
    ]


def test_no_hop_tells_the_text() -> None:
    text = published()
    seen = account(Record(TOPICS.texts, b'{"text": "my secret", "tasks": {"intent": {}}}', list(text.outgoing.headers)))
    trace = pick_trace([text], seen)

    assert trace is not None
    assert "secret" not in repr(trace)


def test_a_hop_that_cannot_be_read_is_shown_without_words() -> None:
    text = published()
    trace = pick_trace([text], account(Record(TOPICS.texts, b"\xff", list(text.outgoing.headers))))

    assert trace is not None
    assert [hop.says for hop in trace.hops] == [""]


def test_without_an_accepted_text_there_is_no_trace() -> None:
    assert pick_trace([], account()) is None
