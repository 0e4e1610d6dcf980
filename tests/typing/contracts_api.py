"""The public types of `sprat_contracts`, as an upstream team sees them: mypy reads this file, nobody runs it."""

from typing import assert_type

from aiokafka import ConsumerRecord

from sprat_contracts import (
    DeadLetterReason,
    Envelope,
    Event,
    IntentOutput,
    KafkaRecord,
    LabelsOutput,
    MaskedOutput,
    NerOutput,
    Output,
    Record,
    Result,
    TaskOptions,
    Tasks,
    TextOutput,
    TextSubmitted,
    Topics,
    Traceparent,
    TranslationOptions,
    TranslationOutput,
    decode,
    encode,
)


def reads_the_record_of_a_client(record: ConsumerRecord) -> str | None:  # noqa: PLR0911 - one per form
    event = decode(record, Result)
    assert_type(event, Event[Result])
    assert_type(event.message, Result)
    assert_type(
        event.message.output,
        IntentOutput | NerOutput | TranslationOutput | TextOutput | LabelsOutput | MaskedOutput | None,
    )
    match event.message.output:
        case IntentOutput(label=label):
            return label
        case NerOutput(entities=entities):
            return ", ".join(entity.text for entity in entities)
        case TranslationOutput(text=text):
            return text
        case TextOutput(content=content):
            return content
        case LabelsOutput(labels=labels):
            return ", ".join(each.label for each in labels)
        case MaskedOutput(masked=masked):
            return masked
        case None:
            return None


def reads_a_plain_record(record: Record) -> KafkaRecord:
    assert_type(decode(record, TextSubmitted).message, TextSubmitted)
    return record


def writes_a_text() -> tuple[bytes, list[tuple[str, bytes]]]:
    text = TextSubmitted(
        text="hi",
        tasks=Tasks(intent=TaskOptions(), translation=TranslationOptions(target="de")),
        frontier="deny",
        reference={"order": "4711"},
    )
    written = encode(text, Envelope(id="1", source="/shop", traceparent=Traceparent.root("/shop", "1")))
    assert_type(written, tuple[bytes, list[tuple[str, bytes]]])
    return written


def reads_a_dead_letter(record: KafkaRecord) -> str:
    return DeadLetterReason.from_headers(record.headers).code


def an_output(output: Output) -> str:
    assert_type(Topics().results("intent"), str)
    return type(output).__name__


TextSubmitted(text="hi", tasks=Tasks(intent=TaskOptions()), frontier="maybe")  # type: ignore[arg-type] # not a rule
TextSubmitted(tasks=Tasks(intent=TaskOptions()))  # type: ignore[call-arg] # no text
Topics().texts = "other"  # type: ignore[misc] # frozen
