"""What of a record leaves besides its text: two language tags, checked, its model's labels, and nothing else."""

import json

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from sprat.base.checks import CheckStatus
from sprat.processing.measure import count_sent
from sprat_contracts import FrontierRequested, LanguageDetected, ModelAnnounced
from sprat_frontier.prompts import question_of
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.redaction import Redactor
from sprat_langid.tags import registered
from sprat_operations.doctor.models import check_policy
from sprat_policy import PatternRule, Policy, PrivacyPolicy, TermRule
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
    assert (problem.code, problem.detail) == (
        "target",
        "the target is no known language; send a tag such as de or pt-BR",
    )


PLANTED = "Erika-Mustermann-4711"


def record(task: str) -> FrontierRequested:
    """Return a record with a planted value in every field but the text, its language and target, and the labels."""
    options = {"intent": {}, "ner": {}, "translation": {"target": "de"}}[task]
    made = parts.request(
        "Where is it?",
        task=task,
        tasks={task: {**options, "model": PLANTED, "later": PLANTED}, "mood": {"later": PLANTED}},
        id=PLANTED,
        key=PLANTED,
        tenant=PLANTED,
        reference={PLANTED: PLANTED},
        deadline_ms=4711,
        unknown={PLANTED: [PLANTED]},
    )
    rest: dict[str, object] = {
        "text_source": PLANTED,
        "output": {"label": PLANTED, "alternatives": []},
        "confidence": 0.4711,
        "model": {"name": PLANTED, "version": PLANTED},
        "declined": {"code": PLANTED, "detail": PLANTED},
        "timings_ms": {PLANTED: 4711},
        "later": PLANTED,
    }
    whole = made.model_dump(mode="json") | {"reasons": [PLANTED], "label_set": PLANTED, "later": PLANTED}
    whole["prediction"] |= rest
    return FrontierRequested.model_validate_json(json.dumps(whole))


@pytest.mark.parametrize(("detected", "leaves"), [("nl", "nl"), ("x-anna", "und"), (None, "und")])
def test_of_a_text_with_auto_the_detected_language_leaves_checked_and_never_auto(
    detected: str | None, leaves: str
) -> None:
    request = parts.request("Waar blijft mijn bestelling?", language="auto")
    found = None if detected is None else LanguageDetected(language=detected, confidence=0.9)
    prediction = request.prediction.model_copy(update={"language_detected": found})
    question = question_of(request.model_copy(update={"prediction": prediction}))
    body = OpenAIProvider(parts.settings()).prepare(question).body
    assert json.loads(body["messages"][1]["content"])["language"] == leaves
    assert "auto" not in json.dumps(body)


@pytest.mark.parametrize("task", ["intent", "ner", "translation"])
def test_nothing_of_a_record_leaves_but_text_checked_tags_and_labels(task: str) -> None:
    planted = record(task)
    assert planted.model_dump_json().count("4711") > 20
    body = json.dumps(OpenAIProvider(parts.settings()).prepare(question_of(planted)).body, ensure_ascii=False)
    assert "Where is it?" in body
    assert not [word for word in ("Erika", "Mustermann", "4711") if word.lower() in body.lower()]


LABELS = {
    "projekt_adler_frage": True,
    "ProjektAdlers": True,
    "kunde k-123456": True,
    "refund_anna@example.com": True,
    "refDE89370400440532013000": True,
    "anna&#64;example.com": True,
    "DE89&nbsp;3704&nbsp;0044&nbsp;0532&nbsp;0130&nbsp;00": True,
    "Projekt&nbsp;Adler": True,
    "K&#45;123456": True,
    "call 030 901820": True,
    "adler": False,
    "transfer": False,
}
RULES = PrivacyPolicy(
    terms=(TermRule(type="PROJECT", words=("Projekt Adler",)),),
    patterns=(PatternRule(type="CUSTOMER", pattern="K-[0-9]{6}", ignore_case=True),),
)


@pytest.mark.parametrize("task", ["intent", "ner"])
@pytest.mark.parametrize("label", LABELS)
async def test_under_redact_a_label_with_a_term_or_a_value_stays_and_its_case_is_declined(
    label: str, task: str
) -> None:
    frontier = parts.FrontierHarness(redactor=Redactor(parts.DETECTORS, RULES, "1"))
    request = parts.request(task=task, labels=("balance", label), tenant="masked", frontier="redact")
    answered = await frontier.answer(request)
    if LABELS[label]:
        assert answered.declined is not None
        assert answered.declined.code == "policy"
        assert answered.declined.detail == (
            f"label 2 of {task}/default holds a term of the policy or a personal value, and labels are not masked; "
            "give the model other labels"
        )
        assert (frontier.provider.questions, frontier.audit.records) == ([], [])
    else:
        assert len(frontier.provider.questions) == 1


async def test_under_allow_labels_leave_as_the_text_does() -> None:
    frontier = parts.FrontierHarness(redactor=Redactor(parts.DETECTORS, RULES, "1"))
    await frontier.answer(parts.request(labels=("projekt_adler", "balance")))
    assert frontier.provider.questions[0].labels == ("projekt_adler", "balance")


def test_doctor_warns_of_such_labels_with_the_name_of_the_model_and_quotes_none() -> None:
    announced = ModelAnnounced(
        task="intent", model="hr", version="1", owns_from=1, labels=("leave", "projekt_adler", "K-123456"), card={}
    )
    line, *others = check_policy(Policy(perimeter=RULES), [announced])
    assert line.status is CheckStatus.warning
    assert line.finding.startswith("intent/hr: labels 2 and 3 of 3 with a term of the policy or a personal value")
    assert not any(word in line.finding + line.fix for word in ("adler", "123456"))
    assert list(check_policy(Policy(), [announced])) == others


def test_of_a_language_metrics_have_the_first_part_alone(metrics: Metrics) -> None:
    request = parts.request("Where is it?", language="de-x-anna-schmidt")
    count_sent(request.prediction, None, INVALID_SPAN_CONTEXT)
    assert metrics.value("sprat.predictions", language="de") == 1
    assert "anna" not in str(metrics.series("sprat.predictions"))
