"""Texts with planted secrets go through the frontier under `redact`: which of them reach the provider?

The tagger, the validators and the client are the real ones, the provider is the simulator. A value with a checkable
form must never leave, not even a large part of it. Names are found by a model, which misses some; each is listed.
`make test` asks about the first 250 texts, `make test-long` about 2,000.
"""

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest

from sprat.telemetry.signals import METRICS
from sprat_contracts import FrontierAnswered, NerOutput, TranslationOutput
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.redaction import Redactor
from sprat_policy import Policy
from sprat_privacy.boundaries import is_seam
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER
from support import frontier_parts as parts
from support.metrics import Metrics
from support.secrets_generator import Planted, Secret, planted
from support.spans import Spans

TEXTS, SEED = int(os.environ.get("LEAK_TEXTS", "250")), 20_260
MOST_NAMES = 0.01
PART = 8
"""This many consecutive letters and digits of a number or a key are a leak."""

pytestmark = pytest.mark.timeout(300)  # 2,000 texts take 25 s of one core, which others may want, too

asking: ContextVar[str] = ContextVar("asking")


class RecordingProvider(OpenAIProvider):
    """The real provider; records what left for each text."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.left: dict[str, list[str]] = {}

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        self.left.setdefault(asking.get(), []).append(content_of(json.dumps(prepared.body)))
        return await super().ask(prepared)


@dataclass
class LeakRun:
    texts: list[Planted]
    answers: dict[str, FrontierAnswered]
    left: dict[str, list[str]]
    """Id of a text → what was sent for it."""
    log: str
    """All that the simulator received."""
    kept: str
    """All that is in the store, the audit, the process's log, its spans and the labels of its metrics."""
    outcomes: dict[str, list[str | None]]
    """Id of a text → how its calls ended, as the audit says."""
    answered: float | None
    """How many escalations the metric counts as answered."""


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@pytest.fixture(scope="module")
def run() -> Iterator[LeakRun]:
    texts, lines = list(planted(TEXTS, SEED)), Lines()
    logging.getLogger().addHandler(lines)
    try:
        with parts.simulator(MAX_KEPT=str(2 * TEXTS)) as simulated:
            yield asyncio.run(ask_all(texts, simulated, lines))
    finally:
        logging.getLogger().removeHandler(lines)


async def ask_all(texts: list[Planted], simulated: parts.SimulatorProcess, lines: Lines) -> LeakRun:
    """Ask about every text as the service does, a few at a time."""
    settings = parts.settings(base_url=simulated.base_url, model="large")
    provider = RecordingProvider(settings)
    redactor = Redactor.load(SHIPPED_TAGGER, parts.POLICY.perimeter)
    policies = Policy.model_validate({"tenants": {"*": {"frontier": "redact", "regions": ["eu"]}}})
    frontier = parts.FrontierHarness(provider, settings, redactor=redactor, policies=policies)
    slots = asyncio.Semaphore(16)
    metrics, spans = Metrics(), Spans()
    answers: dict[str, FrontierAnswered] = {}

    async def ask(one: Planted) -> None:
        async with slots:
            asking.set(one.id)
            # Each text has its own tenant: texts that are equal once masked would share one answer and one request.
            fields = {"id": one.id, "language": one.language, "tenant": one.id, "frontier": "redact"}
            with spans.record():
                answers[one.id] = await frontier.answer(parts.request(one.text, one.task, **fields))

    await asyncio.gather(*map(ask, texts))
    await provider.close()
    redactor.close()
    kept = [value.decode() for value in frontier.store.values.values()]
    kept += [record.model_dump_json() for record in frontier.audit.records]
    kept += [answer.model_dump_json(exclude={"request", "output"}) for answer in answers.values()]
    kept += [spans.words, *(str(metrics.series(metric.name)) for metric in METRICS)]
    log = "\n".join(map(content_of, simulated.bodies))
    answered = metrics.value("sprat.escalations", result="answered")
    outcomes: dict[str, list[str | None]] = {}
    for record in frontier.audit.records:
        if record.phase == "outcome":
            outcomes.setdefault(record.tenant, []).append(record.outcome)
    return LeakRun(texts, answers, provider.left, log, "\n".join([*kept, *lines.lines]), outcomes, answered)


def content_of(body: str) -> str:
    """Return the content of a request: every string in it, with the JSON of the text parsed."""
    request = json.loads(body)
    *instructions, question = [message["content"] for message in request["messages"]]
    rest = json.dumps([instructions, {**request, "messages": []}], ensure_ascii=False)
    return "\n".join([json.loads(question)["text"], json.loads(question)["language"], rest])


def has_word(value: str, text: str) -> bool:
    """Return whether the value is in the text between word boundaries."""
    ends = ((found.start(), found.end()) for found in re.finditer(re.escape(value), text))
    return any(is_seam(text, start) and is_seam(text, end) for start, end in ends)


def plain(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", text)


def leaked(secret: Secret, text: str) -> bool:
    """Return whether the secret or a large part of it left: half of a name; of an e-mail address the local part."""
    if secret.kind == "name":
        return any(has_word(part, text) for part in secret.value.split())
    if secret.kind == "email":
        return has_word(secret.value.partition("@")[0], text)
    value, sent = plain(secret.value), plain(text)
    return any(value[at : at + PART] in sent for at in range(max(1, len(value) - PART + 1)))


def leaks(run: LeakRun, *, names: bool) -> list[str]:
    return [
        f"{one.id} ({one.language}, {one.task}): {secret.kind} {secret.value} in: {text.splitlines()[0]}"
        for one in run.texts
        for text in run.left.get(one.id, [])
        for secret in one.secrets
        if (secret.kind == "name") is names and leaked(secret, text)
    ]


def test_every_text_was_masked_and_answered(run: LeakRun) -> None:
    assert {answer.declined for answer in run.answers.values()} == {None}
    assert run.answered == TEXTS
    assert all(answer.egress is not None and answer.egress.left for answer in run.answers.values())
    for one in run.texts:
        *failed, last = run.outcomes[one.id]
        assert last == "answered"
        # A connection may break before the answer has come, as where the server gives up one that was idle.
        assert set(failed) <= {"unreachable", "timeout"}, one.id
        assert len(run.left[one.id]) == 1 + len(failed), "what left has its records"
        assert run.left[one.id][-1].startswith(f"{run.answers[one.id].sent}\n"), "the answer shows the text as it left"


def test_no_value_with_a_checkable_form_leaves(run: LeakRun) -> None:
    assert leaks(run, names=False) == []


def test_at_most_one_name_in_a_hundred_leaves_and_each_is_listed(run: LeakRun) -> None:
    found = leaks(run, names=True)
    names = sum(secret.kind == "name" for one in run.texts for secret in one.secrets)
    sys.stdout.write("\n".join([f"{len(found)} of {names} names left", *found, ""]))
    assert len(found) <= MOST_NAMES * names, "\n".join(found)


def test_log_store_audit_and_telemetry_hold_no_such_value(run: LeakRun) -> None:
    secrets = {secret.value for one in run.texts for secret in one.secrets if secret.kind != "name"}
    assert sum(value in run.log for value in secrets) == 0
    assert sum(value in run.kept for value in secrets) == 0
    missed = {line.split(": ")[1].removeprefix("name ").removesuffix(" in") for line in leaks(run, names=True)}
    names = {secret.value for one in run.texts for secret in one.secrets if secret.kind == "name"}
    assert {name for name in names if name in run.kept} <= missed


def test_answers_are_restored_with_the_values_of_the_text(run: LeakRun) -> None:
    seen = 0
    for one in run.texts:
        output = run.answers[one.id].output
        if isinstance(output, TranslationOutput):
            seen += 1
            assert output.text.removeprefix("[simulated] ") == one.text
        elif isinstance(output, NerOutput):
            seen += 1
            assert all(one.text[entity.start : entity.end] == entity.text for entity in output.entities)
            assert sum(run.answers[one.id].egress.masked.values()) == len(output.entities)  # type: ignore[union-attr]  # test_every_text_… looks
    assert seen > TEXTS / 2
