"""The tiers that a hard case climbs: each a provider with its own limits. Without tiers in the policy there is one."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Self

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
from sprat_inference.platt import Platt
from sprat_policy import FRONTIER, INSIDE, Policy, TierPolicy, variable_of

log = logging.getLogger(__name__)

_PLAIN: Final = TierPolicy(preset=FRONTIER)


@dataclass(frozen=True, slots=True, eq=False)
class Tier:
    """One of them."""

    name: str
    settings: FrontierSettings
    """Of its endpoint."""
    provider: ObservedProvider
    limiter: CallLimiter
    rules: TierPolicy = _PLAIN
    """What the policy says of it."""
    inside: bool = False
    """Whether its host is inside the house: what it gets has not left."""
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
        api, url = self.rules.known.api, self.settings.base_url
        asked = url if api == ChatApi.name else f"{url} {api}"
        return f"{asked} with probabilities" if self.rules.decides else asked

    def rank(self, question: str) -> float:
        """Return its place for a question in its group, the lowest first: exponential, with the weight as the rate."""
        digest = hashlib.sha256(f"{question}\0{self.name}".encode()).digest()
        return -math.log((int.from_bytes(digest[:8], "big") + 1) / 2**64) / self.rules.weight

    def masks(self, rule: str) -> bool:
        """Return whether a text under this rule is masked on the way to it. It can ask for that, never do without."""
        return self.rules.mask or (not self.inside and rule != "allow")

    def chance(self, task: str, confidence: float | None) -> float | None:
        """Return the chance that a label is right of which it states a probability; None without a calibration."""
        fitted = self.rules.calibration.get(task)
        return None if fitted is None or confidence is None else Platt(fitted.bias, fitted.slope).chance(confidence)

    def level(self, question: FrontierQuestion, output: Output, confidence: float | None) -> float | None:
        """Return what an answer reaches by the evidence of the goal; None: no level, or not measured for its labels."""
        file = self.thresholds.get(question.task)
        measured = None if file is None else file.current
        if confidence is None or measured is None or measured.label_set != label_set_hash(question.labels):
            return None
        accuracy = measured.accuracy(confidence, question.language, says(output))
        return accuracy.certified if self.rules.evidence == "certified" else accuracy.estimated

    def is_sure(self, confidence: float | None, level: float | None) -> bool:
        """Return whether its answer is kept.

        Args:
            confidence: calibrated, where it can be.
            level: what it reaches.
        """
        goal, keep_at = self.rules.goal, self.rules.keep_at
        if goal is not None:
            return level is not None and thousandths(level) >= thousandths(goal)
        return keep_at is None or (confidence is not None and confidence >= least_kept(keep_at))

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it is not asked this; None if it could answer."""
        if self.rules.decides and not question.is_of_labels:
            detail = f"answers to {question.task} have no confidence, and the tier keeps none without"
            return Declined(code=ReasonCode.NO_CONFIDENCE, detail=detail)
        return self.provider.problem(question)


class Tiers:
    """All of them, in order.

    Args:
        tiers: of the policy, or the only one.
        are_reported: whether answers tell what each tier said.
    """

    def __init__(self, tiers: Sequence[Tier], *, are_reported: bool = True) -> None:
        self._tiers = tuple(tiers)
        self.are_reported = are_reported

    @classmethod
    def one(cls, settings: FrontierSettings, provider: Provider, limiter: CallLimiter | None = None) -> Self:
        """Return the only tier, which is for all texts.

        Raises:
            UserError: its model has no price.
        """
        return cls([Tier.of(settings.provider, settings, provider, limiter)], are_reported=False)

    def of(self, section: str, task: str, question: str = "") -> tuple[Tier, ...]:
        """Return the tiers for the texts of a section of the policy, and a task, in the order for a question.

        Only the providers of a group change places, by their weights. The order for a question is always the same: who
        comes again after a crash, or with an equal text, finds what was paid for it.

        Args:
            section: name of the section of the policy.
            task: name of the task.
            question: a keyed hash of the question.
        """
        tiers = [tier for tier in self._tiers if tier.rules.takes(section, task)]
        groups = groupby(tiers, key=lambda tier: tier.rules.group or tier)
        return tuple(tier for _, group in groups for tier in sorted(group, key=lambda tier: tier.rank(question)))

    def reviewer(self, name: str, section: str, task: str) -> Tier | None:
        """Return the tier that reviews answers; None where the policy has none of this name for section and task.

        Args:
            name: of the tier; `frontier` without tiers in the policy.
            section: name of the section of the policy.
            task: name of the task.
        """
        named = (each for each in self._tiers if each.name == name or (name == FRONTIER and not self.are_reported))
        return next((each for each in named if each.rules.takes(section, task)), None)


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
        return Tiers([_open(settings.provider, settings, policy, _PLAIN, stack, None)], are_reported=False)
    return Tiers(
        [
            _open(each.label, settings_of(each, settings, environment), policy, each, stack, thresholds)
            for each in policy.tiers
        ]
    )


def _open(
    name: str,
    settings: FrontierSettings,
    policy: Policy,
    rules: TierPolicy,
    stack: AsyncExitStack,
    thresholds: TierThresholds | None,
) -> Tier:
    check_tier(name, settings, policy, rules)
    if rules.calibration:
        log.warning("tier %s: its calibration is read; a goal and sprat tiers calibrate take its place", name)
    inside = policy.is_inside(settings.host)
    provider = OpenAIProvider(settings, _api(rules, settings), proxies=not inside)
    stack.push_async_callback(provider.close)
    opened = {} if rules.goal is None or thresholds is None else thresholds.open(name, settings.model)
    limiter = CallLimiter(settings, breaker_name=name)
    return Tier(name, settings, ObservedProvider(provider, settings, name), limiter, rules, inside, opened)


def check_tier(name: str, settings: FrontierSettings, policy: Policy, rules: TierPolicy | None) -> None:
    """Check that the endpoint of a tier can be called, and that the policy lets texts go there.

    Args:
        name: of the tier.
        settings: of its endpoint.
        policy: of the installation.
        rules: what the policy says of it; None for the only one, without tiers in the policy.

    Raises:
        UserError: it cannot, or the policy does not.
    """
    if problem := settings.problem():
        raise UserError(f"settings: {problem}")
    if problem := policy.problem_of_server(settings.host, settings.region, settings.model):
        raise UserError(f"tier {name}: {problem}")
    for problem in () if rules is None else rules.problems_of_calibration(settings.model):
        raise UserError(f"tier {name}: {problem}")


def _api(rules: TierPolicy, settings: FrontierSettings) -> Api:
    name = rules.known.api
    if name == DecisionsApi.name:
        return DecisionsApi()
    if name == SystemOneApi.name:
        return SystemOneApi()
    chat = LlamaCppApi if name == LlamaCppApi.name else ChatApi
    return chat(settings.temperature, settings.max_output_tokens, logprobs=rules.decides)


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
