"""What calls show to operators: their spans, seconds, tokens and cost; never a text."""

from time import perf_counter

from sprat.base.retry import FaultLog
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import Declined
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import PreparedRequest, Provider, ProviderAnswer
from sprat_frontier.provider import server_of
from sprat_frontier.settings import FrontierSettings

_CREDENTIAL = frozenset({"unauthorised", "no_such_model"})
"""Of a call that is refused whatever it asks. No breaker opens, which would log it."""


class ObservedProvider:
    """A `Provider` whose calls are traced and measured.

    Args:
        provider: it.
        settings: of its endpoint.
        tier: the tier that it is.

    Raises:
        UserError: the configured model has no price.
    """

    def __init__(self, provider: Provider, settings: FrontierSettings, tier: str) -> None:
        self.name = provider.name
        self.region = provider.region
        self.model = provider.model
        self._provider = provider
        self._tier = tier
        self._price = settings.price_of_model()
        self._server, self._port = server_of(settings.base_url)
        self._refusals = FaultLog("the provider refuses the calls")

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot be asked this; None if it can."""
        return self._provider.problem(question)

    def prepare(self, question: FrontierQuestion) -> PreparedRequest:
        """Write the request."""
        return self._provider.prepare(question)

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        """Make one call.

        Raises:
            ProviderError: there is no usable answer.
        """
        question = prepared.question
        call = {"provider": self.name, "request_model": self.model}
        with child_span(signals.CHAT, self.model, **call, server=self._server, server_port=self._port) as span:
            span.set(max_tokens=prepared.body.get("max_tokens"), temperature=prepared.body.get("temperature"))
            began_s = perf_counter()
            reply = await self._reply(prepared)
            seconds = perf_counter() - began_s
            span.set(**reply.shown)
            if isinstance(reply, ProviderError):
                span.fail(reply.code)
                signals.PROVIDER_SECONDS.record(seconds, **call, error=reply.code)
            else:
                span.set(response_model=reply.model)
                signals.MODEL_REPLACED.add(int(reply.model_replaced), **call)
                signals.PROVIDER_SECONDS.record(seconds, **call)
            if (usage := reply.usage) is not None:
                cost = self._price.cost_eur(usage)
                span.set(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cost=cost)
                for token_type, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                    signals.PROVIDER_TOKENS.record(tokens, **call, token_type=token_type)
                signals.USAGE_CAPPED.add(int(reply.usage_capped), **call)  # 0, too: alerts need a first value
                signals.COST_EUR.add(cost, task=question.task, tenant=question.tenant, tier=self._tier, **call)
        # Outside the span, which names an error that leaves it by its class.
        if isinstance(reply, ProviderError):
            if reply.code in _CREDENTIAL:
                self._refusals.add(str(reply))
            raise reply
        return reply

    async def _reply(self, prepared: PreparedRequest) -> ProviderAnswer | ProviderError:
        try:
            return await self._provider.ask(prepared)
        except ProviderError as error:
            return error
