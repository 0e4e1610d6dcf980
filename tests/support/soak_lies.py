"""Faults planted into a soak run, each with what the checker has to say of it. They work on any run, real ones, too."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from support.soak_run import SoakRun
from tests.soak.contract import derived, hash_of, text_in
from tests.soak.topic_records import TopicRecord

Change = Callable[[SoakRun], None]
LIES: dict[str, tuple[str, Change]] = {}
"""What is done → what the checker has to find."""


def lie(finding: str) -> Callable[[Change], Change]:
    """Add a fault to the table."""

    def added(change: Change) -> Change:
        LIES[change.__name__] = finding, change
        return change

    return added


# Parts of a run.


def ack_of(run: SoakRun, *kinds: str, tenant: str | None = None) -> dict[str, Any]:
    """Return the first acknowledgement of a kind, of a text that asks for one task alone."""
    return next(
        ack for ack in run.acks if ack["kind"] in kinds and len(ack["tasks"]) < 2 and tenant in {None, ack["tenant"]}
    )


def results_of(run: SoakRun, ack: dict[str, Any]) -> list[TopicRecord]:
    return [record for record in run.of_topic("results.intent") if body(record)["text_id"] == ack["id"]]


def letter(run: SoakRun) -> TopicRecord:
    return run.of_topic("dead-letters")[0]


def answered(run: SoakRun, tenant: str | None = None) -> TopicRecord:
    """Return a Result of a small model."""
    return next(
        each
        for each in run.of_topic("results.intent")
        if body(each)["status"] == "answered" and not body(each)["egress"] and tenant in {None, body(each)["tenant"]}
    )


def body(record: TopicRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.value or b"")
    return found


def changed(record: TopicRecord, headers: dict[str, str] | None = None, **fields: object) -> TopicRecord:
    """Return a record with other fields and headers."""
    encoded = {**dict(record.headers), **{name: value.encode() for name, value in (headers or {}).items()}}
    value = json.dumps(body(record) | fields).encode() if fields else record.value
    return record._replace(value=value, headers=tuple(encoded.items()))


def replace(run: SoakRun, record: TopicRecord, new: TopicRecord) -> None:
    run.written[run.written.index(record)] = new


def about_other(run: SoakRun, stage: str, record: TopicRecord, ack: dict[str, Any], **fields: object) -> TopicRecord:
    """Return a record as it would be about the text of another acknowledgement."""
    id = str(UUID(bytes=derived(stage, ack["source"], ack["id"], "intent")))
    origin = body(record)["origin"] | {"partition": ack["partition"], "offset": ack["offset"]}
    return changed(record, {"ce_id": id}, text_id=ack["id"], text_source=ack["source"], origin=origin, **fields)


def text_of(run: SoakRun, tenant: str) -> dict[str, Any]:
    """Return a text of a tenant that no other text is like."""
    return next(text for each in run.committed if (text := text_in(each)[2]) and text.get("tenant") == tenant)


# Results.


@lie("pair without a Result")
def a_result_is_lost(run: SoakRun) -> None:
    lost = results_of(run, ack_of(run, "text"))
    run.written = [record for record in run.written if record not in lost]


@lie("pair without a Result")
def a_result_of_a_transaction_is_lost(run: SoakRun) -> None:
    lost = results_of(run, ack_of(run, "committed"))
    run.written = [record for record in run.written if record not in lost]


@lie("text that nobody acknowledged, with neither all its Results nor a dead letter")
def a_letter_of_a_prediction_stands_for_a_lost_text(run: SoakRun) -> None:
    a_result_is_lost_of_a_text_that_nobody_acknowledged(run)
    lost = next(each for each in run.texts if not any(ack["id"] == text_in(each)[1] for ack in run.acks))
    place = {"sprat_origin_partition": str(lost.partition), "sprat_origin_offset": str(lost.offset)}
    elsewhere = {"sprat_origin_topic": f"{run.prefix}.predictions.intent.v1"}
    run.written.append(changed(letter(run), place | elsewhere))


@lie("text that nobody acknowledged, with neither all its Results nor a dead letter")
def a_result_is_lost_of_a_text_that_nobody_acknowledged(run: SoakRun) -> None:
    ack = ack_of(run, "text")
    run.acks = [each for each in run.acks if each["id"] != ack["id"]]
    lost = results_of(run, ack)
    run.written = [record for record in run.written if record not in lost]


@lie("record with another id than its text and task have")
def a_repeat_has_another_id(run: SoakRun) -> None:
    run.written.append(changed(answered(run), {"ce_id": "6d7920e8-6915-54db-82c9-f7969c8b3cf9"}))


@lie("record about another text than stands at its origin")
def a_result_names_another_text(run: SoakRun) -> None:
    result = answered(run)
    other = str(UUID(bytes=derived("result", body(result)["text_source"], "nobody", "intent")))
    run.written.append(changed(result, {"ce_id": other}, text_id="nobody"))


@lie("record about no text")
def a_result_has_no_text(run: SoakRun) -> None:
    result = answered(run)
    run.written.append(changed(result, origin=body(result)["origin"] | {"offset": 10**9}))


@lie("Result of a pair that no text asks for")
def a_broken_record_has_a_result(run: SoakRun) -> None:
    run.written.append(about_other(run, "result", answered(run), ack_of(run, "broken")))


@lie("tenant of another text")
def a_result_has_another_tenant(run: SoakRun) -> None:
    result = answered(run)
    replace(run, result, changed(result, {"ce_tenant": "another"}, tenant="another"))


@lie("Result that names other tasks than its text")
def a_result_names_other_tasks(run: SoakRun) -> None:
    result = answered(run)
    replace(run, result, changed(result, requested=["intent", "translation"]))


@lie("Result whose status, output and reason contradict each other")
def an_answer_without_an_output(run: SoakRun) -> None:
    result = answered(run)
    replace(run, result, changed(result, output=None))


@lie("Result whose headers and value contradict each other")
def a_header_says_another_status(run: SoakRun) -> None:
    result = answered(run)
    replace(run, result, changed(result, {"ce_status": "degraded"}))


@lie("record on the topic of another task")
def a_result_stands_on_another_topic(run: SoakRun) -> None:
    other = next(name for name in sorted(run.topics) if ".results." in name and ".intent." not in name)
    run.written.append(answered(run)._replace(topic=other))


@lie("record that cannot be read")
def a_result_is_torn(run: SoakRun) -> None:
    result = answered(run)
    run.written.append(result._replace(value=(result.value or b"")[:-1]))


# Dead letters.


@lie("broken record without a dead letter")
def a_letter_is_lost(run: SoakRun) -> None:
    run.written.remove(letter(run))


@lie("several dead letters of one record")
def two_services_write_a_letter(run: SoakRun) -> None:
    run.written.append(changed(letter(run), {"sprat_service": "another"}))


@lie("dead letter of a valid text")
def a_valid_text_has_a_letter(run: SoakRun) -> None:
    ack = ack_of(run, "text")
    place = {"sprat_origin_partition": str(ack["partition"]), "sprat_origin_offset": str(ack["offset"])}
    run.written.append(changed(letter(run), place))


@lie("dead letter of no record")
def a_letter_of_nothing(run: SoakRun) -> None:
    run.written.append(changed(letter(run), {"sprat_origin_offset": "1000000000"}))


@lie("dead letter of a service's own record")
def a_letter_of_a_prediction(run: SoakRun) -> None:
    run.written.append(changed(letter(run), {"sprat_origin_topic": f"{run.prefix}.predictions.intent.v1"}))


@lie("dead letter that is not the record as it was")
def a_letter_holds_something_else(run: SoakRun) -> None:
    replace(run, letter(run), letter(run)._replace(value=b"{}"))


# Transactions.


@lie("made of an aborted record")
def an_aborted_text_has_a_result(run: SoakRun) -> None:
    run.written.append(about_other(run, "result", answered(run), ack_of(run, "aborted")))


@lie("made of an aborted record")
def an_aborted_text_has_a_prediction(run: SoakRun) -> None:
    (prediction, *_) = run.of_topic("predictions.intent")
    run.written.append(about_other(run, "prediction", prediction, ack_of(run, "aborted")))


@lie("made of an aborted record")
def an_aborted_text_has_a_letter(run: SoakRun) -> None:
    ack = ack_of(run, "aborted")
    place = {"sprat_origin_partition": str(ack["partition"]), "sprat_origin_offset": str(ack["offset"])}
    run.written.append(changed(letter(run), place))


@lie("aborted text at the provider")
def an_aborted_text_reaches_the_provider(run: SoakRun) -> None:
    text = next(text_in(each)[2] for each in run.texts if each not in run.committed)
    run.provider[0]["texts"].append(hash_of((text or {})["text"]).hex())


@lie("aborted, and visible")
def an_aborted_text_is_visible(run: SoakRun) -> None:
    run.committed.append(next(each for each in run.texts if each not in run.committed))


# Acknowledgements.


def text_behind(run: SoakRun, ack: dict[str, Any]) -> TopicRecord:
    return next(each for each in run.texts if (each.partition, each.offset) == (ack["partition"], ack["offset"]))


@lie("acknowledged, and not on the topic")
def a_text_is_lost(run: SoakRun) -> None:
    lost = text_behind(run, ack_of(run, "text"))
    run.texts.remove(lost)
    run.committed.remove(lost)


@lie("acknowledged, and not on the topic")
def a_committed_text_is_aborted(run: SoakRun) -> None:
    run.committed.remove(text_behind(run, ack_of(run, "committed")))


@lie("acknowledged, and not on the topic")
def a_text_is_lost_whose_offset_was_not_named(run: SoakRun) -> None:
    ack = ack_of(run, "text")
    lost = text_behind(run, ack)
    run.texts.remove(lost)
    run.committed.remove(lost)
    ack["offset"] = -1001  # librdkafka's word for it


@lie("another record than was acknowledged")
def another_record_stands_there(run: SoakRun) -> None:
    ack_of(run, "text")["id"] = "another"


@lie("acknowledged twice at one place")
def two_records_have_one_place(run: SoakRun) -> None:
    run.acks.append(ack_of(run, "text"))


# What may not leave, and the audit.


@lie("text at the provider that may not leave")
def a_text_of_deny_reaches_the_provider(run: SoakRun) -> None:
    run.provider[0]["texts"].append(hash_of(text_of(run, "soak-deny")["text"]).hex())


@lie("text at the provider that may not leave")
def a_text_that_says_deny_reaches_the_provider(run: SoakRun) -> None:
    sent = {each for line in run.provider for each in line["texts"]}
    said = [(each, (text_in(each)[2] or {}).get("text", 0)) for each in run.texts]
    times = Counter(text for _, text in said)
    there = next(each for each, text in said if times[text] == 1 and text and hash_of(text).hex() in sent)
    run.texts[run.texts.index(there)] = changed(there, frontier="never")


@lie("record that says that a text left which may not")
def an_answer_holds_what_was_sent_of_deny(run: SoakRun) -> None:
    answer = run.of_topic("frontier.answers")[0]
    other = about_other(
        run, "prediction", run.of_topic("predictions.intent")[0], ack_of(run, "text", tenant="soak-deny")
    )
    request = body(answer)["request"] | {"prediction": body(other)}
    replace(run, answer, changed(answer, request=request, egress=None, sent="what left"))


@lie("record that says that a text left which may not")
def a_result_of_deny_has_left(run: SoakRun) -> None:
    result = answered(run, "soak-deny")
    replace(
        run, result, changed(result, egress={"left": True, "call_id": body(run.of_topic("audit.egress")[0])["call_id"]})
    )


@lie("call for a tenant of which nothing may leave")
def the_audit_names_a_tenant_of_deny(run: SoakRun) -> None:
    last = run.of_topic("audit.egress")[-1]
    replace(run, last, changed(last, tenant="soak-deny"))


@lie("call without a record in the audit")
def a_call_is_not_in_the_audit(run: SoakRun) -> None:
    run.provider.append(run.provider[0])


@lie("call without a record in the audit")
def a_request_is_larger_than_its_record_says(run: SoakRun) -> None:
    run.provider[0]["bytes"] = 10**6


@lie("call without a record in the audit")
def a_call_that_was_not_sent_reached_the_provider(run: SoakRun) -> None:
    last = run.of_topic("audit.egress")[-1]
    replace(run, last, changed(last, outcome="not_sent"))


@lie("egress record that is missing, though a later one says that Kafka had acknowledged it")
def an_egress_record_is_removed(run: SoakRun) -> None:
    run.written.remove(first_attempt(run))


@lie("outcome of a call without its attempt")
def an_attempt_is_removed(run: SoakRun) -> None:
    run.written.remove(first_attempt(run))


@lie("answer of a call that the audit does not know")
def an_answer_is_of_another_call(run: SoakRun) -> None:
    answer = next(each for each in run.of_topic("frontier.answers") if (body(each)["egress"] or {}).get("left"))
    replace(run, answer, changed(answer, egress=body(answer)["egress"] | {"call_id": "another"}))


@lie("egress record that names another one before it")
def an_egress_record_is_changed(run: SoakRun) -> None:
    attempt = first_attempt(run)
    replace(run, attempt, changed(attempt, bytes_out=1))


@lie("number of the audit with different records")
def a_number_of_the_audit_is_used_twice(run: SoakRun) -> None:
    run.written.append(changed(first_attempt(run), bytes_out=1))


@lie("egress record outside every chain")
def an_egress_record_is_outside_the_chain(run: SoakRun) -> None:
    run.written.append(changed(first_attempt(run), chain=None))


def first_attempt(run: SoakRun) -> TopicRecord:
    return next(each for each in run.of_topic("audit.egress") if body(each)["chain"]["sequence"] == 1)


# Counters.


@lie("counters that differ from their topics")
def a_record_is_not_counted(run: SoakRun) -> None:
    run.written.append(answered(run))


@lie("counters that differ from their topics")
def a_counter_is_never_raised(run: SoakRun) -> None:
    run.metrics = [said.replace("sprat_predictions_total", "sprat_others_total") for said in run.metrics]


# What is allowed: the same fault in the eyes of a careless checker.


def a_result_is_repeated(run: SoakRun) -> str:
    run.written.append(answered(run))
    return "repeats"


def a_letter_is_repeated(run: SoakRun) -> str:
    run.written.append(letter(run))
    return "letter_repeats"


def an_acknowledgement_is_not_heard(run: SoakRun) -> str:
    run.acks.remove(ack_of(run, "text"))
    return "unacknowledged"


def a_broken_record_was_not_acknowledged(run: SoakRun) -> str:
    run.acks.remove(ack_of(run, "broken"))
    return "unacknowledged"


ALLOWED = (
    a_result_is_repeated,
    a_letter_is_repeated,
    an_acknowledgement_is_not_heard,
    a_broken_record_was_not_acknowledged,
)
"""Each gives the figure that it raises by one."""
