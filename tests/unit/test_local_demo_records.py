"""What the demo publishes: samples as an upstream system would, broken records byte for byte."""

import json

from sprat_contracts import TextSubmitted, decode
from sprat_local.demo.records import SOURCE, sample_records
from sprat_local.demo.samples import Sample, load_samples
from sprat_local.installation.options import DEMO_FOLDER, POLICY
from sprat_policy import load_policy
from support.demo_records import Record, published, published_broken

SAMPLES = load_samples(DEMO_FOLDER)


def test_samples_and_policy_are_found_in_the_package() -> None:
    assert (len(SAMPLES.texts), len(SAMPLES.broken)) == (364, 35)
    assert "acme-bank" in load_policy(POLICY).tenants


def test_every_record_is_published_once_and_broken_ones_are_spread_among_the_others() -> None:
    records = list(sample_records(SAMPLES))

    assert [r.sample.id for r in records if isinstance(r.sample, Sample)] == [sample.id for sample in SAMPLES.texts]
    assert [r.sample.id for r in records if not isinstance(r.sample, Sample)] == [b.id for b in SAMPLES.broken]
    assert isinstance(records[0].sample, Sample)
    assert any(not isinstance(record.sample, Sample) for record in records[:20])


def test_a_sample_is_a_valid_event_with_its_own_id_and_a_trace_of_its_own() -> None:
    first, second = list(sample_records(SAMPLES))[:2]
    event = decode(Record("sprat.texts.v1", first.value, list(first.headers)), TextSubmitted)

    assert (event.envelope.id, event.envelope.source) == ("s-001", SOURCE)
    assert event.message.text == SAMPLES.texts[0].submitted["text"]
    assert dict(first.headers)["traceparent"] != dict(second.headers)["traceparent"]


def test_a_text_says_its_language_because_an_installation_may_have_another_default() -> None:
    by_id = {record.sample.id: record for record in sample_records(SAMPLES)}
    for sample in SAMPLES.texts:
        submitted = json.loads(by_id[sample.id].value)
        assert submitted == {"language": "en", **sample.submitted}


def test_a_broken_record_keeps_its_bytes_and_headers_and_gets_no_others() -> None:
    by_id = {record.sample.id: record for record in sample_records(SAMPLES)}
    for broken in SAMPLES.broken:
        assert (by_id[broken.id].value, by_id[broken.id].headers) == (broken.value, broken.headers)
        assert by_id[broken.id].key is None


def test_a_record_without_headers_is_identified_by_its_position() -> None:
    assert published_broken(offset=7).identity == ("/sprat.texts.v1/0", "7-1700000000000")
    assert published("s-1").identity == ("/here", "s-1")
