"""The router on answers of several labels a text: kept, escalated, and concluded."""

from typing import Any

import pytest

from sprat_contracts import FrontierAnswered, LabelsOutput, Prediction, Result, TaskTable, Topics
from sprat_policy import KeepRule, Policy, TaskFile, TaskFiles, TenantGuard
from sprat_router import decisions
from sprat_router.alarms import StandingAlarms
from sprat_router.decisions import decide
from sprat_router.draws import Draws
from sprat_router.handler import RouterHandler
from support.router_records import (
    APPENDED_AT,
    MODEL,
    SIGNATURES,
    TOKENS,
    announced,
    question_hash,
    received,
    requests,
    reread,
    results,
    table,
    text,
)

LABELS = ("billing", "delivery")
BOTH = {
    "labels": [{"label": "billing", "probability": 0.9}, {"label": "delivery", "probability": 0.7}],
    "alternatives": [],
}
NONE: dict[str, Any] = {"labels": [], "alternatives": [{"label": "billing", "probability": 0.1}]}


def router(*, served: bool = True, **file: Any) -> RouterHandler:
    fields = {"kind": "multi_label", "labels": dict.fromkeys(LABELS, ""), "artefact": "m", "keep_at": 0.8} | file
    files = TaskFiles({"topics": TaskFile.model_validate(fields)})
    policy = Policy().with_added(files)
    topics = Topics(tasks=files.table)
    models = table(announced("topics", labels=LABELS, label_set="h1")) if served else table()
    draws = Draws(TOKENS, (), lambda task: 1.0)
    return RouterHandler(
        topics, policy, TenantGuard(policy, {}), models, question_hash, draws, StandingAlarms(SIGNATURES)
    )


def prediction(output: dict[str, Any] | None = None, confidence: float = 0.9) -> Prediction:
    fields = {
        "text_id": "t-1",
        "text_source": "/app",
        "task": "topics",
        "origin": {"partition": 3, "offset": 7, "appended_at": APPENDED_AT},
        "submitted": text(tasks={"topics": {}}).model_dump(mode="json"),
        "output": BOTH if output is None else output,
        "confidence": confidence,
        "model": MODEL,
    }
    return reread(Prediction, fields)  # type: ignore[no-any-return]


def result(handler: RouterHandler, message: Any) -> Result:
    (found,) = results(handler.receive(received(message)))
    return found


def test_a_sure_set_of_labels_is_kept() -> None:
    kept = result(router(), prediction())
    assert (kept.status, kept.route.reason, kept.confidence) == ("answered", "confident", 0.9)
    assert isinstance(kept.output, LabelsOutput)
    assert [each.label for each in kept.output.labels] == ["billing", "delivery"]


@pytest.mark.parametrize(
    ("artefact", "said"),
    [(None, decisions.NO_SMALL_MODEL), ("m", "no model for topics is announced: is its service running?")],
)
def test_a_task_without_a_model_by_its_file_is_not_said_to_lack_a_service(artefact: str | None, said: str) -> None:
    handler = router(served=False, artefact=artefact)
    (request,) = requests(handler.receive(received(text(tasks={"topics": {}}))))
    assert request.prediction.declined is not None
    assert (request.reasons, request.prediction.declined.code) == (("no_service",), "no_service")
    assert request.prediction.declined.detail.endswith(said)


def test_no_label_is_an_answer_unless_the_file_says_otherwise() -> None:
    assert result(router(), prediction(NONE)).route.reason == "out_of_scope"
    (request,) = requests(router(out_of_scope="escalate").receive(received(prediction(NONE))))
    assert request.reasons == ("out_of_scope",)


def test_an_unsure_set_is_escalated_with_the_labels_to_choose_from() -> None:
    (request,) = requests(router().receive(received(prediction(confidence=0.7))))
    assert (request.reasons, request.labels) == (("low_confidence",), LABELS)


@pytest.mark.parametrize(
    "output",
    [
        {"labels": [{"label": "billing", "probability": 0.9}, {"label": "weather", "probability": 0.9}]},
        {"labels": [], "alternatives": [{"label": "weather", "probability": 0.1}]},
    ],
    ids=["that applies", "beside them"],
)
def test_a_label_that_was_not_announced_is_escalated(output: dict[str, Any]) -> None:
    (request,) = requests(router().receive(received(prediction(output))))
    assert request.reasons == ("unknown_label",)


def test_the_output_of_another_task_is_no_answer() -> None:
    (request,) = requests(router().receive(received(prediction({"label": "billing"}))))
    assert request.reasons == ("declined",)


def answered(output: dict[str, Any] | None, **fields: Any) -> FrontierAnswered:
    (request,) = requests(router().receive(received(prediction(confidence=0.7))))
    return reread(FrontierAnswered, {"request": request.model_dump(mode="json"), "output": output} | fields)  # type: ignore[no-any-return]


def test_a_large_models_set_of_offered_labels_is_the_answer() -> None:
    end = result(router(), answered({"labels": [{"label": "delivery"}]}))
    assert (end.status, end.source, end.confidence) == ("answered", "frontier", None)
    assert [each.label for each in end.output.labels] == ["delivery"]  # type: ignore[union-attr]
    none = result(router(), answered({"labels": []}))
    assert (none.status, none.output.labels) == ("answered", ())  # type: ignore[union-attr]


def test_a_label_that_was_not_offered_leaves_the_small_answer() -> None:
    end = result(router(), answered({"labels": [{"label": "delivery"}, {"label": "weather"}]}))
    assert (end.status, end.source, end.declined.code) == ("degraded", "small", "invalid_answer")  # type: ignore[union-attr]


@pytest.mark.parametrize(("keep_at", "reason"), [(0.99, "confident"), (1.0, "low_confidence")])
def test_a_keep_at_of_one_keeps_nothing_not_even_what_is_wholly_sure(keep_at: float, reason: str) -> None:
    """The card of a model that is not good enough says 1, and a confidence may round to 1."""
    found = decide(prediction(confidence=1.0), LabelsOutput, KeepRule(keep_at=keep_at), None)
    assert (found.kept, found.reasons) == (reason == "confident", (reason,))


def test_an_installation_that_knows_the_task_reads_its_outputs_whole() -> None:
    tasks = TaskTable({"topics": LabelsOutput})
    assert tasks["topics"] is LabelsOutput
    assert prediction().output == reread(LabelsOutput, BOTH)
