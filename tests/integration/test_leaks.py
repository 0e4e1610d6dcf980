"""2,000 texts with planted secrets go through the frontier under `redact`: what stands in the provider's log?

The real tagger, the real validators, the real client, the simulator as provider. A value with a form that can be
checked must never leave, not even a good part of it. Names are found by a model, which misses some; each is listed.
"""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest

from sprat_contracts import FrontierAnswered, NerOutput, TranslationOutput
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.redaction import Redactor
from sprat_policy import Policy
from sprat_privacy.boundaries import is_seam
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER
from support import frontier_parts as parts
from support.secrets_generator import Planted, Secret, planted

TEXTS, SEED = 2000, 20_260
MOST_NAMES = 0.01
PART = 8
"""So many letters and digits in a row of a number or a key are a leak."""

pytestmark = pytest.mark.timeout(300)  # the texts take 25 s of one core, which others may want, too

asking: ContextVar[str] = ContextVar("asking")


class Recording(OpenAIProvider):
    """The real provider; says what left for which text."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.left: dict[str, list[str]] = {}

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        self.left.setdefault(asking.get(), []).append(said(json.dumps(prepared.body)))
        return await super().ask(prepared)


@dataclass
class Run:
    texts: list[Planted]
    answers: dict[str, FrontierAnswered]
    left: dict[str, list[str]]
    """By text, what was asked for it."""
    log: str
    """All that the simulator received."""
    kept: str
    """All that stands in the store, in the audit and in the process's log."""
    counts: dict[str, int] = field(default_factory=dict)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    texts, lines = list(planted(TEXTS, SEED)), Lines()
    logging.getLogger().addHandler(lines)
    try:
        with parts.simulator(MAX_KEPT=str(2 * TEXTS)) as simulated:
            yield asyncio.run(asked(texts, simulated, lines))
    finally:
        logging.getLogger().removeHandler(lines)


async def asked(texts: list[Planted], simulated: parts.SimulatorProcess, lines: Lines) -> Run:
    """Ask about every text, as the service does; a few at a time."""
    settings = parts.settings(base_url=simulated.base_url, model="large")
    provider = Recording(settings)
    redactor = Redactor.load(SHIPPED_TAGGER, parts.POLICY.perimeter)
    frontier = parts.Frontier(provider, settings, redactor=redactor)
    frontier.handler._policies = Policy.model_validate({"tenants": {"*": {"frontier": "redact", "regions": ["eu"]}}})
    slots = asyncio.Semaphore(16)
    answers: dict[str, FrontierAnswered] = {}

    async def ask(one: Planted) -> None:
        async with slots:
            asking.set(one.id)
            # A tenant of its own: texts that are equal once they are masked would share one answer, and one request.
            given = {"id": one.id, "language": one.language, "tenant": one.id, "frontier": "redact"}
            answers[one.id] = await frontier.answer(parts.request(one.text, one.task, **given))

    await asyncio.gather(*map(ask, texts))
    await provider.close()
    redactor.close()
    kept = [value.decode() for value in frontier.store.values.values()]
    kept += [record.model_dump_json() for record in frontier.audit.records]
    kept += [answer.model_dump_json(exclude={"request", "output"}) for answer in answers.values()]
    log = "\n".join(map(said, simulated.bodies))
    return Run(texts, answers, provider.left, log, "\n".join([*kept, *lines.lines]), dict(frontier.handler.counts))


def said(body: str) -> str:
    """Give the words of a request: every string in it, the text's own JSON opened."""
    request = json.loads(body)
    *instructions, question = [message["content"] for message in request["messages"]]
    rest = json.dumps([instructions, {**request, "messages": []}], ensure_ascii=False)
    return "\n".join([json.loads(question)["text"], json.loads(question)["language"], rest])


def stands(value: str, text: str) -> bool:
    """Does it stand there between word boundaries?"""
    ends = ((found.start(), found.end()) for found in re.finditer(re.escape(value), text))
    return any(is_seam(text, start) and is_seam(text, end) for start, end in ends)


def plain(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", text)


def leaked(secret: Secret, text: str) -> bool:
    """Has it, or a good part of it, left? Of a name, either half is enough; of an address, what stands before the @."""
    if secret.kind == "name":
        return any(stands(part, text) for part in secret.value.split())
    if secret.kind == "email":
        return stands(secret.value.partition("@")[0], text)
    value, there = plain(secret.value), plain(text)
    return any(value[at : at + PART] in there for at in range(max(1, len(value) - PART + 1)))


def leaks(run: Run, *, names: bool) -> list[str]:
    return [
        f"{one.id} ({one.language}, {one.task}): {secret.kind} {secret.value} in: {text.splitlines()[0]}"
        for one in run.texts
        for text in run.left.get(one.id, [])
        for secret in one.secrets
        if (secret.kind == "name") is names and leaked(secret, text)
    ]


def test_every_text_was_masked_and_answered(run: Run) -> None:
    assert {answer.declined for answer in run.answers.values()} == {None}
    assert run.counts == {"answered": TEXTS}
    assert all(answer.egress is not None and answer.egress.left for answer in run.answers.values())
    assert [len(run.left[one.id]) for one in run.texts] == [1] * TEXTS


def test_no_value_with_a_form_that_can_be_checked_leaves(run: Run) -> None:
    assert leaks(run, names=False) == []


def test_of_the_names_at_most_one_in_a_hundred_leaves_and_each_is_listed(run: Run) -> None:
    found = leaks(run, names=True)
    names = sum(secret.kind == "name" for one in run.texts for secret in one.secrets)
    sys.stdout.write("\n".join([f"{len(found)} of {names} names left", *found, ""]))
    assert len(found) <= MOST_NAMES * names, "\n".join(found)


def test_the_providers_log_and_what_is_kept_hold_no_such_value(run: Run) -> None:
    secrets = {secret.value for one in run.texts for secret in one.secrets if secret.kind != "name"}
    assert sum(value in run.log for value in secrets) == 0
    assert sum(value in run.kept for value in secrets) == 0
    missed = {line.split(": ")[1].removeprefix("name ").removesuffix(" in") for line in leaks(run, names=True)}
    names = {secret.value for one in run.texts for secret in one.secrets if secret.kind == "name"}
    assert {name for name in names if name in run.kept} <= missed


def test_answers_come_back_with_the_values_of_the_text_itself(run: Run) -> None:
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
