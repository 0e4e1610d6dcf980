"""A signature covers what decides, in one way only; test_forged_records.py has it on a real broker."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.kafka.signatures import Signatures, _covered
from sprat_contracts import Record
from sprat_contracts.headers import _layout, layout_of
from support.metrics import Metrics
from support.wire_records import signed

OLD, NEW = SecretStr("the secret of this installation"), SecretStr("the next secret of this installation")
RECORD = Record(
    "sprat.predictions.intent.v1",
    0,
    0,
    0,
    b"k",
    b'{"a": 1}',
    (("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t"), ("sprat_owned_until", b"{}"), ("traceparent", b"00-1")),
)


def signatures(*secrets: SecretStr, **more: Any) -> Signatures:
    return Signatures(Keys(*secrets), **more)


def with_header(record: Record, name: str, value: bytes | None) -> Record:
    return replace(record, headers=tuple((n, value if n == name else v) for n, v in record.headers))


def test_what_it_signs_it_accepts() -> None:
    ours = signatures(OLD)
    for record in (RECORD, replace(RECORD, key=None), replace(RECORD, value=None), replace(RECORD, headers=())):
        assert ours.verdict(signed(record, ours)) == "current"


@pytest.mark.parametrize(
    "change",
    [
        lambda record: replace(record, topic="sprat.predictions.ner.v1"),
        lambda record: replace(record, key=b"l"),
        lambda record: replace(record, key=None),
        lambda record: replace(record, value=b'{"a": 2}'),
        lambda record: replace(record, value=None),
        lambda record: replace(record, value=b""),
        lambda record: with_header(record, "ce_id", b"2"),
        lambda record: with_header(record, "ce_source", b"/t"),
        lambda record: with_header(record, "ce_type", b"u"),
        lambda record: with_header(record, "ce_type", None),
        lambda record: with_header(record, "sprat_owned_until", b'{"0": 0}'),
        lambda record: replace(record, headers=record.headers[1:]),
        lambda record: replace(record, headers=(*record.headers, ("ce_id", b"2"))),
        lambda record: replace(record, headers=(*record.headers, ("ce_tenant", b"x"))),
        lambda record: replace(record, headers=(*record.headers, ("CE_Tenant", b"x"))),
        lambda record: with_header(record, "sprat_signature", b"v1=" + b"0" * 64),
        lambda record: with_header(record, "sprat_signature", b"v2=\xff"),
    ],
)
def test_what_was_changed_is_not_accepted(change: Any) -> None:
    assert signatures(OLD).verdict(change(signed(RECORD, signatures(OLD)))) == "invalid"


@pytest.mark.parametrize(
    ("headers", "kept"), [((("ce_a", b""),), 1), ((("ce_" + "a" * 1_024, b""),), 0), ((("", b""),) * 2_000, 0)]
)
def test_what_follows_from_few_short_names_of_headers_is_kept(headers: Any, kept: int) -> None:
    caches = _covered, _layout
    for each in caches:
        each.cache_clear()
    record = replace(RECORD, headers=headers)
    signatures(OLD).verdict(replace(record, headers=(*headers, ("sprat_signature", b"v1=0"))))
    layout_of(record.headers)
    assert [each.cache_info().currsize for each in caches] == [kept, kept], "senders write any names, and as many"


def test_bytes_that_move_from_one_part_to_the_next_make_another_record() -> None:
    ours = signatures(OLD)
    one = signed(replace(RECORD, key=b"ab", value=b"c", headers=()), ours)
    assert ours.verdict(replace(one, key=b"a", value=b"bc")) == "invalid"
    empty = signed(replace(RECORD, key=b"", headers=()), ours)
    assert ours.verdict(replace(empty, key=None)) == "invalid"
    named = signed(replace(RECORD, headers=(("ce_a", b"b"),)), ours)
    moved = (("ce_ab", b""), named.headers[-1])
    assert ours.verdict(replace(named, headers=moved)) == "invalid"


def test_of_two_headers_of_one_name_the_last_one_counts_so_their_order_is_signed() -> None:
    ours = signatures(OLD)
    twice = signed(replace(RECORD, headers=(("ce_id", b"1"), ("ce_id", b"2"))), ours)
    first, second, signature = twice.headers
    assert ours.verdict(replace(twice, headers=(second, first, signature))) == "invalid"
    between = replace(twice, headers=(first, ("x", b"y"), second, signature))
    assert ours.verdict(between) == "current"


def test_what_agents_and_a_replay_add_leaves_it_valid() -> None:
    ours = signatures(OLD)
    record = with_header(signed(RECORD, ours), "traceparent", b"00-2")
    added = (("baggage", b"x"), ("sprat_replays", b"1"), ("sprat_replay_for", b"intent"))
    assert ours.verdict(replace(record, headers=(*record.headers, *added))) == "current"
    assert ours.verdict(replace(record, headers=record.headers[::-1])) == "current", "their order does not matter"


def test_the_last_signature_counts() -> None:
    ours, other = signatures(OLD), signatures(NEW)
    twice = replace(RECORD, headers=(*signed(RECORD, other).headers, signed(RECORD, ours).headers[-1]))
    assert (ours.verdict(twice), other.verdict(twice)) == ("current", "invalid")


def test_during_a_rotation_both_secrets_are_accepted_and_told_apart() -> None:
    first, second = signatures(OLD, NEW), signatures(NEW, OLD)
    assert second.verdict(signed(RECORD, first)) == "previous"
    assert first.verdict(signed(RECORD, second)) == "previous"
    assert second.accepts(signed(RECORD, first))
    assert signatures(NEW).verdict(signed(RECORD, first)) == "invalid"


def test_a_record_and_a_replay_have_keys_of_their_own() -> None:
    ours = signatures(OLD)
    value = signed(RECORD, ours).headers[-1][1]
    assert not ours.accepts_replay(replace(RECORD, headers=(*RECORD.headers, ("sprat_replay_signature", value))))


def test_unsigned_records_pass_where_that_is_set_and_wrong_ones_never(metrics: Metrics) -> None:
    wrong = signed(RECORD, signatures(NEW))
    for record, strict, lenient in ((RECORD, False, True), (with_header(wrong, "sprat_signature", b""), False, True)):
        assert signatures(OLD).accepts(record) is strict
        assert signatures(OLD, accept_unsigned=True).accepts(record) is lenient
    assert not signatures(OLD, accept_unsigned=True).accepts(wrong)


def test_what_is_refused_is_counted_by_reason_and_logged_once_a_minute(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    ours = signatures(OLD)
    for record in (RECORD, RECORD, signed(RECORD, signatures(NEW))):
        ours.refused(record)
    ours.refused(replace(RECORD, topic="sprat.texts.v1"), "replay")
    counted = {"destination": RECORD.topic}
    assert metrics.value("sprat.records.refused", reason="unsigned", **counted) == 2
    assert metrics.value("sprat.records.refused", reason="invalid", **counted) == 1
    assert metrics.value("sprat.records.refused", reason="replay", destination="sprat.texts.v1") == 1
    assert len(caplog.messages) == 3
    assert "SPRAT_UNSIGNED_RECORDS=accept" in caplog.messages[0]
