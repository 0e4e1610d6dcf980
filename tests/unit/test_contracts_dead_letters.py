"""Dead letters: the original record and, beside it, why."""

import json

import pytest

from sprat_contracts import DeadLetterReason
from sprat_contracts.dead_letters import ERROR_CODE, ORIGIN_OFFSET, REPLAY_FOR, REPLAYS, original_headers

REASON = DeadLetterReason(
    "invalid_json", "EOF at line 1", "sprat.texts.v1", 3, 41, 1_767_225_600_000, "router", "0.1", 2
)
ORIGINAL = [("k", b"\xff\xfe"), ("k", b"again"), ("ce_id", b"t-1"), ("empty", b"")]


def test_the_original_headers_stay_as_they_came_byte_for_byte_and_twice() -> None:
    assert REASON.headers(ORIGINAL)[: len(ORIGINAL)] == ORIGINAL


def test_the_reason_can_be_read_back() -> None:
    assert DeadLetterReason.from_headers(REASON.headers(ORIGINAL)) == REASON


def test_the_headers_of_an_earlier_round_give_way() -> None:
    earlier = [*REASON.headers(ORIGINAL), (REPLAY_FOR, b"intent")]
    later = DeadLetterReason("model_error", "", "sprat.texts.v1", 3, 90, 1_767_225_700_000, "intent", "0.2", 3)
    headers = later.headers(earlier)
    assert DeadLetterReason.from_headers(headers) == later
    assert [name for name, _ in headers].count(ERROR_CODE) == 1
    assert REPLAY_FOR not in dict(headers)
    assert headers[: len(ORIGINAL)] == ORIGINAL


EVENT = {"specversion": "1.0", "id": "t-1", "source": "/crm"}
STRUCTURED = ("content-type", b"application/cloudevents+json")
NAMED = [("ce_source", b"/crm"), ("ce_id", b"t-1")]


@pytest.mark.parametrize(
    ("given", "event", "added"),
    [
        pytest.param([STRUCTURED], EVENT, NAMED, id="its data is missing"),
        pytest.param([], EVENT | {"data": {}}, NAMED, id="without a content type"),
        pytest.param([], EVENT | {"text": "hi", "data": {}}, [], id="plain JSON"),
        pytest.param([STRUCTURED], EVENT | {"id": 7}, NAMED[:1], id="an id that is no string"),
        pytest.param([STRUCTURED], EVENT | {"source": ""}, NAMED[1:], id="an empty source"),
        pytest.param([STRUCTURED], EVENT | {"id": "x" * 1025}, NAMED[:1], id="an id that is too long"),
        pytest.param([STRUCTURED], [EVENT], [], id="no object"),
        pytest.param([STRUCTURED, ("CE_ID", b"other")], EVENT, NAMED[:1], id="a header of its own"),
        pytest.param([("ce_specversion", b"1.0")], EVENT | {"data": {}}, [], id="binary mode"),
    ],
)
def test_id_and_source_of_a_structured_event_are_added_and_taken_off_again(given, event, added) -> None:
    value = json.dumps(event).encode()
    headers = REASON.headers(given, value)
    assert headers[: len(given) + len(added)] == given + added
    assert REASON.headers(headers, value) == headers, "of a later letter of the same record"
    assert original_headers(headers, value) == given


def test_what_is_no_json_adds_nothing() -> None:
    for value in (b"", b"{", b'{"id": "\\ud83d", "source": "/crm", "specversion": "1.0", "data": 1}', None):
        assert REASON.headers([STRUCTURED], value)[1][0] == ERROR_CODE


def test_a_first_letter_needs_no_count_of_replays() -> None:
    headers = [(name, value) for name, value in REASON.headers([]) if name != REPLAYS]
    assert DeadLetterReason.from_headers(headers).replays == 0


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param([], f"header {ERROR_CODE} is missing", id="another record"),
        pytest.param(
            [*REASON.headers([]), (ORIGIN_OFFSET, b"x")], f"header {ORIGIN_OFFSET} is not a number", id="word"
        ),
        pytest.param([*REASON.headers([]), (REPLAYS, b"\xff")], f"header {REPLAYS} is not a number", id="bytes"),
    ],
)
def test_what_is_no_dead_letter_is_said_to_be_none(headers: list[tuple[str, bytes]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        DeadLetterReason.from_headers(headers)
