"""Asks the tiers of a policy about many texts at once, outside any stream: for `sprat evaluate` and `sprat tiers`.

Each text takes the same path as in the service, `Climb.answer`: the policy's rules for the tenant, the
region, masking with the policy's own terms and patterns, and an egress record before and after each call where a
broker is given.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr, ValidationError

from sprat.audit.settings import AuditSettings
from sprat.base.errors import SpratError, UserError
from sprat.base.keys import Keys
from sprat.base.settings import KafkaSettings, VariableSettings, environment, load_settings
from sprat.kafka.publisher import Publisher
from sprat_contracts import (
    Declined,
    EgressRecord,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    LabelsOutput,
    Origin,
    Output,
    Prediction,
    ReasonCode,
    TextSubmitted,
    TierStep,
)
from sprat_frontier.climb import Climb
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_frontier.escalation import CaseReader
from sprat_frontier.paid_calls import PaidCalls
from sprat_frontier.protocols import EgressAudit, SystemClock
from sprat_frontier.quota import SectionQuota
from sprat_frontier.redaction import Redactor, check_task_files
from sprat_frontier.settings import BreakerSettings, FrontierSettings
from sprat_frontier.tier_thresholds import TierThresholds
from sprat_frontier.tiers import open_tiers
from sprat_frontier.waiting_cases import WaitingCases
from sprat_policy import Policy, TaskFiles, load_policy

_SOURCE: Final = "evaluate"
_GIVE_UP_S: Final = 30.0
_DRAIN_S: Final = 5.0
_PATIENT: Final = BreakerSettings(failures=1000)
"""A person waits: an unavailable server ends the run after some failures, so the breaker must not hide them."""
_MAX_FAILURES: Final = 20
"""In a row. The server is unavailable then, or refuses the key: more calls would only cost time."""

Answers = tuple[list[tuple[str, ...] | None], list[float], list[tuple[TierStep, ...]], int]
"""Of each text: the labels, the cost in euros, and what the tiers of the policy said, where they were asked.

Where a text has one label, there is one, or none; None: there is no usable answer. Last: how many a simulator received.
"""


@dataclass(frozen=True, slots=True)
class AskedTask:
    """What is asked of each text."""

    name: str
    """Of the task."""
    labels: tuple[str, ...]
    """To choose from."""
    files: TaskFiles = field(default_factory=TaskFiles)
    """The file of the task, which says what a large model is told; none for a task of this version."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to write the egress records, and the secret that their hashes are keyed with."""

    kafka: KafkaSettings
    secret: SecretStr


def ask_all(
    texts: Sequence[str],
    task: AskedTask,
    *,
    languages: Sequence[str],
    policy: Path,
    tenant: str,
    broker: Broker | None,
    progress: Callable[[int], None],
    tier: str | None = None,
) -> Answers:
    """Return the labels and the cost in euros of each text; None without a usable answer.

    Whatever leaves is masked, also where the policy lets the tenant's texts go whole.

    Args:
        texts: the texts to ask about.
        task: what is asked.
        languages: of the texts.
        policy: the policy file.
        tenant: whose rules of the policy hold.
        broker: where egress records are written; without one, there are none.
        progress: called with the number of finished texts.
        tier: the only one that is asked, for answers with their probabilities, all of which are kept; None: all.

    Raises:
        UserError: the settings, the policy or the task's file cannot be used, the policy lets nothing leave, or calls
            keep failing.
    """
    escalation = _BulkEscalation(texts, task, languages, tenant, progress)
    return asyncio.run(escalation.ask_all(_own_settings(), policy, broker, tier))


def model_of_settings() -> str:
    """Return the model of the service's settings, which a tier with the preset `frontier` is.

    Raises:
        UserError: a setting is wrong.
    """
    return _own_settings().model


class _BulkEscalation:
    """The questions and answers of one run."""

    def __init__(
        self,
        texts: Sequence[str],
        task: AskedTask,
        languages: Sequence[str],
        tenant: str,
        progress: Callable[[int], None],
    ) -> None:
        self._texts = texts
        self._task = task
        self._languages = languages
        self._tenant = tenant
        self._progress = progress
        self._answers: list[tuple[str, ...] | None] = [None] * len(texts)
        self._costs = [0.0] * len(texts)
        self._steps: list[tuple[TierStep, ...]] = [()] * len(texts)
        self._remaining = iter(range(len(texts)))
        self._finished = 0
        self._simulated = 0
        self._failures = 0

    async def ask_all(
        self, settings: FrontierSettings, policy_file: Path, broker: Broker | None, tier: str | None
    ) -> Answers:
        """Ask about all texts, several at a time."""
        policy = load_policy(policy_file)
        if not policy.tiers:
            raise UserError(f"{policy_file} has no `tiers` to ask; describe them there, as docs/tiers.md says")
        policy = policy if tier is None else _alone(policy, tier, policy_file)
        check_task_files(self._task.files, policy.perimeter)
        async with AsyncExitStack() as stack:
            redactor = Redactor.load(settings.tagger, policy.perimeter, settings.masking_threads)
            stack.callback(redactor.close)
            thresholds = TierThresholds(policy_file, [self._task.name])
            stack.push_async_callback(thresholds.stop)
            tiers = open_tiers(policy, settings, environment(), stack, thresholds)
            # Without a broker, hashes are only keys of this run's store.
            hash = Keys(SecretStr(_SOURCE) if broker is None else broker.secret).keyed_hash
            clock, waiting = SystemClock(), WaitingCases(settings.max_waiting)
            quota = SectionQuota(policy, None, hash, clock)
            calls = PaidCalls(_MemoryStore(), await _audit(broker, stack), quota, waiting, hash)
            cases = CaseReader(policy, clock, settings.max_wait_s, self._task.files)
            climb = Climb(tiers, cases, redactor, waiting, calls, hash)
            stack.push_async_callback(calls.drain, _DRAIN_S)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(settings.concurrency, len(self._texts))):
                        group.create_task(self._work(climb, settings))
            except* SpratError as errors:
                raise errors.exceptions[0] from errors.exceptions[0].__cause__
        return self._answers, self._costs, self._steps, self._simulated

    async def _work(self, climb: Climb, settings: FrontierSettings) -> None:
        for place in self._remaining:
            answered = await climb.answer(self._request(place, settings.max_wait_s))
            self._record(place, answered)
            self._finished += 1
            self._progress(self._finished)

    def _record(self, place: int, answered: FrontierAnswered) -> None:
        self._costs[place] = answered.cost_eur
        self._steps[place] = answered.without_sent().tiers  # of a whole data set, in memory
        self._simulated += any(
            each is not None and each.simulated for each in (answered.egress, *(step.egress for step in answered.tiers))
        )
        declined = answered.declined
        if declined is None:
            self._answers[place] = _labels_of(answered.output)
            self._failures = 0
        elif declined is not None and declined.code == ReasonCode.POLICY:
            raise UserError(f"the policy lets nothing leave for the tenant {self._tenant}: {declined.detail}")
        elif declined is not None and declined.code not in {ReasonCode.MASKING, ReasonCode.UNSURE}:
            self._failures += 1
            if self._failures >= _MAX_FAILURES:
                last = (
                    declined.detail if declined.code == ReasonCode.PROVIDER else f"{declined.code}: {declined.detail}"
                )
                raise UserError(f"{self._failures} calls in a row failed, the last with {last}")

    def _request(self, place: int, max_wait_s: float) -> FrontierRequested:
        """Return what the router would send for this text. The text asks for masking; a stricter policy holds."""
        fields = {
            "text": self._texts[place],
            "tasks": {self._task.name: {}},
            "language": self._languages[place],
            "tenant": self._tenant,
            "frontier": "redact",
            "deadline_ms": round(max_wait_s * 1000),
        }
        try:
            submitted = TextSubmitted.model_validate(fields)
        except ValidationError as error:
            (problem, *_) = error.errors(include_input=False, include_context=False, include_url=False)
            raise UserError(f"--{problem['loc'][0]}: {problem['msg']}") from None
        now_ms = time.time_ns() // 1_000_000
        prediction = Prediction(
            text_id=str(place),
            text_source=_SOURCE,
            task=self._task.name,
            origin=Origin(partition=0, offset=place, appended_at=now_ms, key=None),
            submitted=submitted,
            output=None,
            confidence=None,
            model=None,
            declined=Declined(code=_SOURCE, detail="asked by sprat evaluate"),
        )
        return FrontierRequested(prediction=prediction, reasons=(_SOURCE,), labels=self._task.labels)


def _alone(policy: Policy, tier: str, file: Path) -> Policy:
    """Return the policy with one tier alone, which states probabilities and keeps every answer.

    Raises:
        UserError: the policy has no such tier.
    """
    found = [each for each in policy.tiers if each.label == tier]
    if not found:
        raise UserError(f"{file} has no tier {tier}; it has: {', '.join(each.label for each in policy.tiers)}")
    alone = found[0].model_copy(update={"keep_at": 0.0, "goal": None, "calibration": {}})
    return policy.model_copy(update={"tiers": (alone,)})


def _labels_of(output: Output | None) -> tuple[str, ...]:
    if isinstance(output, LabelsOutput):
        return tuple(each.label for each in output.labels)
    return (output.label,) if isinstance(output, IntentOutput) and output.label is not None else ()


class _MemoryStore:
    """The answers of one run: texts that are equal once masked are paid for once, as in the service."""

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self._answers.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self._answers[key] = value


async def _audit(broker: Broker | None, stack: AsyncExitStack) -> EgressAudit:
    if broker is None:
        return _no_audit
    audit = load_settings(_AuditSettings).audit
    audit.signing_key()  # before anything is connected
    publisher = Publisher(broker.kafka, "sprat-evaluate")
    await publisher.start()
    stack.push_async_callback(publisher.stop)
    return await KafkaEgressAudit.open(publisher, broker.kafka.topics, _SOURCE, _GIVE_UP_S, audit, stack)


async def _no_audit(record: EgressRecord) -> None:
    """Write nothing: there is no broker."""


class _AuditSettings(VariableSettings):
    """The key that signs the egress records: one of this desk's own, or the frontier service's."""

    audit: AuditSettings = AuditSettings()


class _FrontierVariables(VariableSettings):
    """The service's settings, for a tier that is the model of the settings, and for what no tier says."""

    frontier: FrontierSettings = FrontierSettings()


def _own_settings() -> FrontierSettings:
    """Return the settings of the environment, as the service has them, for the tiers of the policy."""
    own = load_settings(_FrontierVariables).frontier
    return own.model_copy(update={"breaker": _PATIENT, "max_retries": 2, "retry_base_s": 1.0})
