"""`sprat evaluate --from-reviews` on a real broker: signed ends of draws certify the model that was served."""

import json
import shutil
import time
from pathlib import Path

import pytest

from sprat.base.thresholds import THRESHOLDS, read_thresholds
from sprat.kafka.publisher import OutRecord
from sprat_contracts import (
    Envelope,
    ModelRef,
    Origin,
    Prediction,
    ReviewAsked,
    ReviewCell,
    ReviewClosed,
    Traceparent,
    encode,
)
from sprat_contracts.reviews import RIGHT, UNANSWERED
from sprat_contracts.texts import TextSubmitted
from sprat_inference.artefact import load_artefact
from support.cli_records import environment, sprat
from support.stream import FORGED, SIGNATURES, made_topics, producing, settings_for

SHIPPED = Path(__file__).resolve().parents[2] / "services/intent/src/sprat_intent/artefacts/en-fast"
DRAWS = 400


@pytest.fixture
def model(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "hr")
    (tmp_path / "hr" / THRESHOLDS).unlink(missing_ok=True)
    return tmp_path / "hr"


@pytest.fixture
def run(kafka, prefix, tmp_path):
    async def run(*arguments, **more):
        env = environment(kafka.bootstrap, prefix, **more)
        period = ("--period", "1h..0s", "--goal", "0.97")
        return await sprat("evaluate", "--from-reviews", "--model", "hr", *period, *arguments, env=env, cwd=tmp_path)

    return run


def end(version, number, verdict=RIGHT):
    return ReviewClosed(
        text_id=f"t-{number}",
        text_source="/crm",
        task="intent",
        cell=ReviewCell(tenant="default", language="en"),
        model=ModelRef(name="hr", version=version),
        says="some",
        confidence=0.8 + number / 10_000,
        hash="0" * 16,
        share=0.01,
        least_share=0.01,
        drawn_at=time.time_ns() // 1_000_000 - 60_000,
        verdict=verdict,
    )


async def send(kafka, topics, *messages, signatures=SIGNATURES):
    async with producing(kafka.bootstrap) as producer:
        for message in messages:
            topic = topics.reviews if isinstance(message, ReviewAsked) else topics.reviews_closed
            value, headers = encode(message, Envelope("x", "/test", Traceparent.root("/test", "x")))
            record = signatures.sign(OutRecord(topic, b"intent", value, headers))
            await producer.send(record.topic, record.value, record.key, headers=list(record.headers))


async def test_reviews_certify_and_each_look_that_is_written_is_an_attempt(kafka, prefix, model, run):
    topics = await made_topics(settings_for(kafka.bootstrap, prefix))
    version = load_artefact(model).card.version
    await send(kafka, topics, *(end(version, number) for number in range(DRAWS)))
    await send(kafka, topics, *(end(version, DRAWS + number) for number in range(DRAWS)), signatures=FORGED)

    code, _, err = await run(SPRAT_SECRET="")
    assert (code, "SPRAT_SECRET is not set" in err) == (2, True)
    code, out, _ = await run()
    assert (code, "nothing is certified without --write" in out) == (0, True)
    assert not (model / THRESHOLDS).exists()

    code, _, err = await run("--write")
    assert (code, "hr has no thresholds" in err) == (2, True), "a policy of estimated levels would keep nothing"
    asked = time.time_ns() // 1_000_000
    code, out, err = await run("--write", "--force", "--json")
    found = json.loads(out)
    assert (code, found["draws"], found["verdicts"], found["served"]) == (0, DRAWS, {"right": DRAWS}, 0.8), err
    assert found["certified"]["some"]["kept"] == DRAWS
    written = read_thresholds(model / THRESHOLDS, model_version=version)
    assert (written.certificate.drawn, written.certificate.attempt) == ("reviews", 1)
    assert (written.measurements[-1].by, written.cell(None, "some").estimated) == ("reviews", ())
    began = written.measurements[-1].drawn_since
    assert asked <= began + 3_600_000 <= written.measurements[-1].at_ms, "an hour before: the period says so"

    code, _, err = await run("--write")
    assert (code, "no review of version" in err) == (2, True), "what the earlier thresholds kept does not count"


async def test_a_draw_without_an_end_stops_it_and_no_answer_counts_as_wrong(kafka, prefix, model, run):
    topics = await made_topics(settings_for(kafka.bootstrap, prefix))
    version = load_artefact(model).card.version
    await send(
        kafka, topics, *(end(version, number, UNANSWERED if number % 10 == 0 else RIGHT) for number in range(DRAWS))
    )
    code, out, _ = await run("--write", "--force")
    first, counts, *rest = out.splitlines()
    assert code == 0
    assert f"version {version}: 97 % is not certified from reviews" in first
    assert counts == f"{DRAWS} draws: {DRAWS - 40} right, 0 wrong; and as wrong: 40 unanswered"
    assert any(line.startswith("nothing is certified: too many") for line in rest)
    assert read_thresholds(model / THRESHOLDS, model_version=version).measurements[-1].attempt == 1

    text = TextSubmitted.model_validate({"text": "one", "tasks": {"intent": {}}})
    prediction = Prediction(
        text_id="open",
        text_source="/crm",
        task="intent",
        origin=Origin(partition=0, offset=0, appended_at=1),
        submitted=text,
        output={"label": "transfer"},
        confidence=0.9,
        model=ModelRef(name="hr", version=version),
    )
    asked = ReviewAsked(
        prediction=prediction,
        cell=ReviewCell(tenant="default", language="en"),
        hash="0" * 16,
        share=0.01,
        least_share=0.01,
        token="0" * 64,
    )
    await send(kafka, topics, asked)
    code, _, err = await run("--write")
    assert (code, "1 draws of the period have no end yet" in err) == (2, True)
