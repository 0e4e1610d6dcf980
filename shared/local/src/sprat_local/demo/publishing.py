"""What the demo publishes: the samples as an upstream system would, the broken records as they are."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from sprat_contracts.ids import plain_text_identity
from sprat_local.demo.samples import Broken, Sample, Samples

SOURCE = "/sprat/demo/samples"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish."""

    sample: Sample | Broken
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A record that the broker has acknowledged, and where it stands."""

    outgoing: Outgoing
    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    @property
    def identity(self) -> tuple[str, str]:
        """The text's source and id, as every service sees them."""
        headers = {name: value.decode("utf-8", "replace") for name, value in self.outgoing.headers}
        if "ce_id" in headers:
            return headers.get("ce_source", ""), headers["ce_id"]
        return plain_text_identity(self.topic, self.partition, self.offset, self.timestamp_ms)

    @property
    def accepted_tasks(self) -> tuple[str, ...]:
        """The tasks that must get a Result."""
        sample = self.outgoing.sample
        return tuple(sample.submitted["tasks"]) if isinstance(sample, Sample) else sample.accepted_tasks


def outgoing(samples: Samples) -> Iterator[Outgoing]:
    """Give every record in order, the broken ones spread among the others."""
    every = len(samples.texts) // max(1, len(samples.broken)) or 1
    broken = iter(samples.broken)
    for number, sample in enumerate(samples.texts, start=1):
        yield _of_sample(sample)
        if number % every == 0 and (one := next(broken, None)) is not None:
            yield Outgoing(one, None, one.value, one.headers)
    for one in broken:
        yield Outgoing(one, None, one.value, one.headers)


def _of_sample(sample: Sample) -> Outgoing:
    """Put CloudEvents headers and a trace of its own around a sample; the value stays as the file has it."""
    traceparent = Traceparent(secrets.token_hex(16), secrets.token_hex(8))
    envelope = Envelope(id=sample.id, source=SOURCE, traceparent=traceparent)
    _, headers = encode(TextSubmitted.model_validate(sample.submitted), envelope)
    return Outgoing(
        sample, sample.id.encode(), json.dumps(sample.submitted, ensure_ascii=False).encode(), tuple(headers)
    )
