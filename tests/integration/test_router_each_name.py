"""A running router keeps answers by their names: what it writes of each, beside specialists that give no levels."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from conftest import Kafka
from sprat.kafka.publisher import OutRecord
from sprat_contracts import (
    Envelope,
    FrontierRequested,
    NerOutput,
    Result,
    ReviewAsked,
    Topics,
    Traceparent,
    decode,
    encode,
)
from sprat_contracts.ids import PREDICTION, derive
from sprat_router.__main__ import RouterSettings, build
from sprat_testing.service import running
from support.router_records import prediction, text, worth
from support.stream import SECRET, SIGNATURES, made_topics, producing, read_until, settings_for

POLICY = """
tasks: {ner: {goal: 0.95, unit: entity, review: {share: 1, per_day: 1000000}}}
tenants: {}
"""
NAMES: dict[str, Any] = {
    "entities": [
        {"start": 0, "end": 4, "text": "Anna", "label": "PER", "probability": 0.99, "level": 0.97},
        {"start": 5, "end": 9, "text": "Acme", "label": "ORG", "probability": 0.7, "level": 0.85},
        {"start": 10, "end": 14, "text": "Bonn", "label": "LOC", "probability": 0.6},
    ]
}
WITHOUT_LEVELS = {"entities": [{key: each[key] for key in each if key != "level"} for each in NAMES["entities"]]}
ANSWERS: dict[str, dict[str, Any]] = {
    "by its names": {"output": NAMES, "nothing_missed": worth(0.96)},
    "may miss one": {"output": NAMES, "nothing_missed": worth(0.9)},
    "as a whole": {"output": NAMES, "nothing_missed": worth(0.96), "accuracy": worth(0.95)},
    "an older specialist": {"output": WITHOUT_LEVELS},
    "an older specialist, sure": {"output": WITHOUT_LEVELS, "accuracy": worth(0.97)},
    "no name": {"output": {"entities": []}, "nothing_missed": worth(0.99)},
}


def record(topics: Topics, id: str, fields: dict[str, Any]) -> OutRecord:
    submitted = text(text="Anna Acme Bonn", tasks={"ner": {}}, language="en")
    made = prediction("ner", submitted=submitted, **{"accuracy": worth(0.8)} | fields)
    made = made.model_copy(update={"text_id": id})
    name = str(derive(PREDICTION, made.text_source, id, "ner"))
    value, headers = encode(made, Envelope(name, "/ner", Traceparent.root(made.text_source, id)))
    return SIGNATURES.sign(OutRecord(topics.predictions("ner"), id.encode(), value, headers))


async def test_each_answer_is_kept_by_its_names_as_a_whole_or_not_at_all(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    common = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(common)
    (tmp_path / "policy.yaml").write_text(POLICY)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    settings = RouterSettings(policy=tmp_path / "policy.yaml", secret=SECRET, _env_file=None, **own)
    async with running("router", settings, partial(build, policy_check_grace_s=0)):
        async with producing(kafka.bootstrap) as producer:
            for id, fields in ANSWERS.items():
                sent = record(topics, id, fields)
                await producer.send_and_wait(sent.topic, sent.value, sent.key, headers=sent.headers)
        kept = [decode(each, Result).message for each in await read_until(kafka.bootstrap, [topics.results("ner")], 3)]
        reviews = await read_until(kafka.bootstrap, [topics.reviews], 3)
        asked = await read_until(kafka.bootstrap, [topics.frontier_requests], 3)
    routes = {each.text_id: (each.route.reason, each.route.level) for each in kept}
    assert routes == {
        "by its names": ("each_name", 0.96),
        "as a whole": ("confident", 0.95),
        "an older specialist, sure": ("confident", 0.97),
    }
    marks = {each.text_id: _marks(each.output) for each in kept}
    assert marks.pop("by its names") == [(0.97, False), (0.85, True), (None, True)]
    assert {uncertain for each in marks.values() for _, uncertain in each} == {False}
    reasons = {
        each.prediction.text_id: each.reasons for each in (decode(one, FrontierRequested).message for one in asked)
    }
    assert reasons == {
        "may miss one": ("may_miss",),
        "an older specialist": ("no_level", "low_confidence"),
        "no name": ("low_confidence",),
    }
    judged = {each.prediction.text_id: each.judged for each in (decode(one, ReviewAsked).message for one in reviews)}
    assert judged == {"by its names": "names", "as a whole": "text", "an older specialist, sure": "text"}
    assert all(SIGNATURES.accepts(each) for each in reviews)
    by_names = next(json.loads(each.value) for each in reviews if json.loads(each.value)["judged"] == "names")
    assert [each["uncertain"] for each in by_names["prediction"]["output"]["entities"]] == [False, True, True]


def _marks(output: object) -> list[tuple[float | None, bool]]:
    assert isinstance(output, NerOutput)
    return [(each.level, each.uncertain) for each in output.entities]
