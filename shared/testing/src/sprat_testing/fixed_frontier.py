"""The frontier service with a provider that answers from the test's file; masking, policy and audit are the real ones.

Imported when the other services are ready: the detectors of personal data take a second to load.
"""

from typing import Any

from sprat.audit.settings import AuditSettings
from sprat.base.channels import frontier_channels
from sprat.base.settings import ServiceSettings, environment, load_settings
from sprat.context import ServiceContext, Subscription
from sprat_contracts import Usage
from sprat_frontier.answers import InvalidAnswerError, parse
from sprat_frontier.climb import Climb
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_frontier.errors import ProviderError
from sprat_frontier.escalation import CaseReader
from sprat_frontier.handler import FrontierHandler
from sprat_frontier.paid_calls import PaidCalls
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer, SystemClock
from sprat_frontier.quota import SectionQuota
from sprat_frontier.redaction import Redactor
from sprat_frontier.settings import FrontierSettings, Price
from sprat_frontier.tiers import Tiers
from sprat_frontier.waiting_cases import WaitingCases
from sprat_policy import load_guarded_policy
from sprat_router.__main__ import RouterSettings
from sprat_testing.answers import NO_ANSWER, NO_ANSWER_DETAIL, AnswersFile

MODEL = "fixed-frontier"
_IN_FLIGHT = 64
_BYTES_PER_TOKEN = 4
_SETTINGS = FrontierSettings(
    base_url="http://127.0.0.1:1/v1",  # nobody calls it
    model=MODEL,
    provider="fixed",
    region="local",
    prices={MODEL: Price(input_eur=0.4, output_eur=2.0)},
    max_retries=0,
)


class _FixedSettings(ServiceSettings):
    """What the service of the fixed answers needs beside the router's settings."""

    audit: AuditSettings = AuditSettings()


class FixedProvider:
    """A `Provider` that answers what the test has given for the text as it leaves: masked where it is masked."""

    name, region, model = _SETTINGS.provider, _SETTINGS.region, _SETTINGS.model

    def __init__(self, answers: AnswersFile) -> None:
        self._answers = answers

    def problem(self, question: FrontierQuestion) -> None:
        """Return None: a test may answer everything."""

    def prepare(self, question: FrontierQuestion) -> PreparedRequest:
        """Write the request: the text alone."""
        body: dict[str, Any] = {"text": question.text}
        return PreparedRequest(question, body, len(question.text.encode()))

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        """Return the fixed answer.

        Raises:
            ProviderError: there is none, it declines, or the service does not accept it.
        """
        question = prepared.question
        fixed = self._answers.current().find(question.text, question.task, "frontier")
        if fixed is None:
            raise ProviderError(NO_ANSWER, NO_ANSWER_DETAIL)
        if fixed.declined is not None:
            raise ProviderError(fixed.declined, "the test declines")
        written = fixed.written()
        usage = Usage(
            input_tokens=prepared.bytes_out // _BYTES_PER_TOKEN + 1, output_tokens=len(written) // _BYTES_PER_TOKEN + 1
        )
        try:
            return ProviderAnswer(parse(question, written), MODEL, usage)
        except InvalidAnswerError as error:
            raise ProviderError("invalid_answer", str(error), usage=usage) from None


class NoStore:
    """An `AnswerStore` that keeps nothing: an answer that the test changes counts at once."""

    async def get(self, key: str) -> bytes | None:
        """Find nothing."""

    async def put(self, key: str, value: bytes) -> None:
        """Keep nothing."""


class FixedFrontier:
    """Builds the service.

    Args:
        answers: of the test.
        audit: the key of the egress records; None takes that of the environment.
    """

    def __init__(self, answers: AnswersFile, audit: AuditSettings | None = None) -> None:
        self._answers = answers
        self._audit = load_settings(_FixedSettings).audit if audit is None else audit

    async def build(self, context: ServiceContext, settings: RouterSettings) -> Subscription:
        """Build the handler with the real detectors of personal data."""
        policy, guard = load_guarded_policy(settings.policy, environment(), settings.task_files.table)
        redactor = Redactor.load(_SETTINGS.tagger, policy.perimeter, _SETTINGS.masking_threads)
        context.stack.callback(redactor.close)
        audit = await KafkaEgressAudit.open(
            context.publisher,
            context.topics,
            context.name,
            settings.kafka.give_up_s,
            self._audit,
            context.stack,
        )
        clock, waiting = SystemClock(), WaitingCases(_SETTINGS.max_waiting)
        quota = SectionQuota(policy, None, context.keyed_hash, clock)
        calls = PaidCalls(NoStore(), audit, quota, waiting, context.keyed_hash)
        cases = CaseReader(policy, clock, _SETTINGS.max_wait_s, settings.task_files, settings.default_language)
        tiers = Tiers.one(_SETTINGS, FixedProvider(self._answers))
        climb = Climb(tiers, cases, redactor, waiting, calls, context.keyed_hash)
        handler = FrontierHandler(context.topics, guard, climb)
        context.stack.push_async_callback(calls.drain, 0.0)
        loop = context.concurrent_loop(handler, _IN_FLIGHT)
        return Subscription(frontier_channels(context.topics), context.group, loop.handle, loop.release)
