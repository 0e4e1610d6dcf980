"""The tiers that a hard case climbs: each a provider with its own limits. Without tiers in the policy there is one."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self

from pydantic import ValidationError

from sprat.base.errors import UserError
from sprat.base.thresholds import ThresholdsFile
from sprat_contracts import Declined, Output, ReasonCode
from sprat_contracts.kept import least_kept
from sprat_contracts.thresholds import says, thousandths
from sprat_frontier.call_limiter import CallLimiter
from sprat_frontier.chat import ChatApi, LlamaCppApi
from sprat_frontier.decisions import DecisionsApi, SystemOneApi
from sprat_frontier.observed_provider import ObservedProvider
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import Provider
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.responses import Api
from sprat_frontier.settings import FrontierSettings, Price
from sprat_frontier.tier_thresholds import TierThresholds
from sprat_inference.card import label_set_hash
from sprat_policy import INSIDE, Evidence, Policy, TierPolicy, variable_of


@dataclass(frozen=True, slots=True, eq=False)
class Tier:
    """One of them."""

    name: str
    settings: FrontierSettings
    """Of its endpoint."""
    provider: ObservedProvider
    limiter: CallLimiter
    inside: bool = False
    """Whether its host is inside the house: what it gets has not left."""
    mask: bool = False
    """Whether it gets masked texts, also where the rules ask for none."""
    keep_at: float | None = None
    """The confidence below which its labels go to the next tier; None, and no goal: every valid answer is kept."""
    goal: float | None = None
    """The share right that is wanted of the labels kept."""
    evidence: Evidence = "estimated"
    """What must reach the goal."""
    api: str = ChatApi.name
    """How it is asked."""
    group: str | None = None
    """The tiers with the same one are one tier with several providers."""
    weight: int = 1
    """Which share of the questions goes to it first in its group."""
    share: float = 1.0
    """The share of the time left that it may take while another tier follows."""
    thresholds: Mapping[str, ThresholdsFile] = field(default_factory=dict)
    """By task, which probability reaches which level, for the goal."""

    @classmethod
    def of(cls, name: str, settings: FrontierSettings, provider: Provider, limiter: CallLimiter | None = None) -> Self:
        """Return the tier of an endpoint outside the house, that keeps every valid answer.

        Raises:
            UserError: its model has no price.
        """
        return cls(
            name,
            settings,
            ObservedProvider(provider, settings, name),
            limiter or CallLimiter(settings, breaker_name=name),
        )

    @property
    def price(self) -> Price:
        """What its model costs."""
        return self.settings.price_of_model()

    @property
    def endpoint(self) -> str:
        """What its answers depend on besides question, provider and model: a part of their key."""
        asked = self.settings.base_url if self.api == ChatApi.name else f"{self.settings.base_url} {self.api}"
        return f"{asked} with probabilities" if self.asks_probabilities else asked

    @property
    def asks_probabilities(self) -> bool:
        """Whether it keeps labels by their probabilities."""
        return self.keep_at is not None or self.goal is not None

    def rank(self, question: str) -> float:
        """Return its place for a question in its group, the lowest first: exponential, with the weight as the rate."""
        digest = hashlib.sha256(f"{question}\0{self.name}".encode()).digest()
        return -math.log((int.from_bytes(digest[:8], "big") + 1) / 2**64) / self.weight

    def masks(self, rule: str) -> bool:
        """Return whether a text under this rule is masked on the way to it. It can ask for that, never do without."""
        return self.mask or (not self.inside and rule != "allow")

    def level(self, question: FrontierQuestion, output: Output, confidence: float | None) -> float | None:
        """Return what an answer reaches by the evidence of the goal; None: no level, or not measured for its labels."""
        file = self.thresholds.get(question.task)
        measured = None if file is None else file.current
        if confidence is None or measured is None or measured.label_set != label_set_hash(question.labels):
            return None
        accuracy = measured.accuracy(confidence, question.language, says(output))
        return accuracy.certified if self.evidence == "certified" else accuracy.estimated

    def is_sure(self, confidence: float | None, level: float | None) -> bool:
        """Return whether its answer is kept.

        Args:
            confidence: the probability that its model states.
            level: what it reaches.
        """
        if self.goal is not None:
            return level is not None and thousandths(level) >= thousandths(self.goal)
        return self.keep_at is None or (confidence is not None and confidence >= least_kept(self.keep_at))

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it is not asked this; None if it could answer."""
        if self.asks_probabilities and not question.is_of_labels:
            detail = f"answers to {question.task} have no confidence, and the tier keeps none without"
            return Declined(code=ReasonCode.NO_CONFIDENCE, detail=detail)
        return self.provider.problem(question)


class Tiers:
    """All of them, in order.

    Args:
        tiers: each with what the policy says of it; None for the only one, without tiers in the policy.
    """

    def __init__(self, tiers: Sequence[tuple[Tier, TierPolicy | None]]) -> None:
        self._tiers = tuple(tiers)

    @classmethod
    def one(cls, settings: FrontierSettings, provider: Provider, limiter: CallLimiter | None = None) -> Self:
        """Return the only tier, which is for all texts.

        Raises:
            UserError: its model has no price.
        """
        return cls([(Tier.of(settings.provider, settings, provider, limiter), None)])

    def of(self, section: str, task: str, question: str = "") -> tuple[Tier, ...]:
        """Return the tiers for the texts of a section of the policy, and a task, in the order for a question.

        Only the providers of a group change places, by their weights. The order for a question is always the same: who
        comes again after a crash, or with an equal text, finds what was paid for it.

        Args:
            section: name of the section of the policy.
            task: name of the task.
            question: a keyed hash of the question.
        """
        tiers = [tier for tier, policy in self._tiers if policy is None or policy.takes(section, task)]
        groups = groupby(tiers, key=lambda tier: tier.group or tier)
        return tuple(tier for _, group in groups for tier in sorted(group, key=lambda tier: tier.rank(question)))

    @property
    def are_reported(self) -> bool:
        """Whether answers tell what each tier said."""
        return any(policy is not None for _, policy in self._tiers)


def open_tiers(
    policy: Policy,
    settings: FrontierSettings,
    environment: Mapping[str, str],
    stack: AsyncExitStack,
    thresholds: TierThresholds | None = None,
) -> Tiers:
    """Return the tiers of the policy, else the only one of the settings; the stack closes their connections.

    Args:
        policy: of the installation.
        settings: of the service.
        environment: the variables with the keys of tiers.
        stack: closes what is opened.
        thresholds: those of tiers with a goal; None: none is read.

    Raises:
        UserError: a setting or a variable is missing, the policy lets nothing go to a host, or a model inside the house
            is one that its server sends elsewhere.
    """
    if not policy.tiers:
        return Tiers([(_open(settings.provider, settings, policy, None, stack), None)])
    return Tiers(
        [
            (_open(each.label, settings_of(each, settings, environment), policy, each, stack, thresholds), each)
            for each in policy.tiers
        ]
    )


def _open(
    name: str,
    settings: FrontierSettings,
    policy: Policy,
    tier: TierPolicy | None,
    stack: AsyncExitStack,
    thresholds: TierThresholds | None = None,
) -> Tier:
    check_tier(name, settings, policy)
    inside = policy.is_inside(settings.host)
    api = _api(None if tier is None else tier.known.api, settings, logprobs=tier is not None and tier.decides)
    provider = OpenAIProvider(settings, api, proxies=not inside)
    stack.push_async_callback(provider.close)
    return Tier(
        name,
        settings,
        ObservedProvider(provider, settings, name),
        CallLimiter(settings, breaker_name=name),
        inside=inside,
        mask=tier is not None and tier.mask,
        keep_at=None if tier is None else tier.keep_at,
        goal=None if tier is None else tier.goal,
        evidence="estimated" if tier is None else tier.evidence or "estimated",
        api=api.name,
        group=None if tier is None else tier.group,
        weight=1 if tier is None else tier.weight,
        share=1.0 if tier is None else tier.share,
        thresholds={}
        if tier is None or tier.goal is None or thresholds is None
        else thresholds.open(name, settings.model),
    )


def check_tier(name: str, settings: FrontierSettings, policy: Policy) -> None:
    """Check that the endpoint of a tier can be called, and that the policy lets texts go there.

    Raises:
        UserError: it cannot, or the policy does not.
    """
    if problem := settings.problem():
        raise UserError(f"settings: {problem}")
    if problem := policy.problem_of_server(settings.host, settings.region, settings.model):
        raise UserError(f"tier {name}: {problem}")


def _api(name: str | None, settings: FrontierSettings, *, logprobs: bool) -> Api:
    if name == DecisionsApi.name:
        return DecisionsApi()
    if name == SystemOneApi.name:
        return SystemOneApi()
    chat = LlamaCppApi if name == LlamaCppApi.name else ChatApi
    return chat(settings.temperature, settings.max_output_tokens, logprobs=logprobs)


def settings_of(tier: TierPolicy, settings: FrontierSettings, environment: Mapping[str, str]) -> FrontierSettings:
    """Return the settings of a tier's endpoint; what the policy does not say is as in the service's.

    Raises:
        UserError: the variable of its key is not set, or holds no key.
    """
    if tier.base_url is None or tier.model_name is None:
        return settings
    price = {"input_eur": 0.0, "output_eur": 0.0} if tier.price is None else tier.price.model_dump()
    given: dict[str, Any] = {name: getattr(settings, name) for name in FrontierSettings.model_fields} | {
        "base_url": tier.base_url,
        "model": tier.model_name,
        "api_key": None if tier.api_key is None else _key(variable_of(tier.api_key), tier, environment),
        "provider": tier.provider_name,
        "region": tier.region_name or INSIDE,
        "prices": {tier.model_name: price},
    }
    if tier.timeout_s is not None:
        given["timeout_s"] = tier.timeout_s
    if tier.concurrency is not None:
        given["concurrency"] = tier.concurrency
    try:
        return FrontierSettings.model_validate(given)
    except ValidationError as error:  # without a cause: its input has the key
        (problem, *_) = error.errors(include_input=False, include_context=False, include_url=False)
        raise UserError(f"the policy's tier {tier.label}: {problem['msg']}") from None


def _key(variable: str, tier: TierPolicy, environment: Mapping[str, str]) -> str:
    key = environment.get(variable, "").strip()
    if not key:
        raise UserError(f"the variable {variable} is not set; the policy names it as the key of the tier {tier.label}")
    return key
