"""What of a record leaves besides its text: two language tags, checked, and nothing else."""

import json

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from sprat.processing.measure import count_sent
from sprat_frontier.prompts import question_of, registered
from sprat_frontier.provider import OpenAIProvider
from support import frontier_parts as parts
from support.metrics import Metrics

SMUGGLED = [
    "de-x-anna-schmidt",
    "de-anna-schmid",
    "anna",
    "Ann-Erik",
    "en-a-erika-muster",
    "de-DE-1996-x-4711",
    "x-anna-schmidt",
    "X-4711",
    "x-erika-muster",
]


def sent(**fields: object) -> str:
    """Return all that the provider receives for a record."""
    body = OpenAIProvider(parts.settings()).prepare(question_of(parts.request("Where is it?", **fields))).body
    return json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("de", "de"),
        ("en-GB", "en-GB"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("DE-ch", "de-CH"),
        ("en-150", "en-150"),
        ("de-x-anna", "de"),
        ("sr-Latn-RS-x-anna", "sr-Latn-RS"),
        ("anna", None),
        ("en-Anna", None),
        ("a", None),
        ("xx", None),
        ("x-anna", None),
        ("X-4711", None),
        ("i-klingon", None),
    ],
)
def test_of_a_tag_only_registered_language_script_and_region_remain(tag: str, expected: str | None) -> None:
    assert registered(tag) == expected


@pytest.mark.parametrize("tag", SMUGGLED)
@pytest.mark.parametrize("task", ["intent", "ner"])
def test_nothing_leaves_in_the_language(task: str, tag: str) -> None:
    body = sent(task=task, language=tag).lower()
    assert not any(word in body for word in ("anna", "schmid", "erik", "muster", "4711"))
    assert json.loads(json.loads(body)["messages"][1]["content"])["language"] in {"de", "en", "de-de", "und"}


@pytest.mark.parametrize("tag", ["de-x-anna", "DE"])
def test_nothing_leaves_in_the_target(tag: str) -> None:
    body = sent(task="translation", tasks={"translation": {"target": tag}})
    assert "BCP 47 tag de." in body
    assert "anna" not in body


@pytest.mark.parametrize("tag", ["anna", "Ann-Erik", "de-anna-schmid", "x-anna-schmidt"])
def test_a_target_that_is_no_language_is_declined(tag: str) -> None:
    problem = question_of(
        parts.request("Where is it?", task="translation", tasks={"translation": {"target": tag}})
    ).problem()
    assert problem is not None
    assert (problem.code, problem.detail) == ("target", "the target is not language[-script][-region]")


def test_id_key_tenant_and_unknown_fields_do_not_leave() -> None:
    body = sent(task="intent", id="id-4711-planted", key="planted", tenant="tenant-planted", unknown="planted")
    assert "planted" not in body


def test_of_a_language_metrics_have_the_first_part_alone(metrics: Metrics) -> None:
    request = parts.request("Where is it?", language="de-x-anna-schmidt")
    count_sent(request.prediction, None, INVALID_SPAN_CONTEXT)
    assert metrics.value("sprat.predictions", language="de") == 1
    assert "anna" not in str(metrics.series("sprat.predictions"))
