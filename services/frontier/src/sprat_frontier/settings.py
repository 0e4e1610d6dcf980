"""Settings of the frontier service: `SPRAT_FRONTIER__BASE_URL` and so on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from sprat.base.errors import UserError
from sprat.base.settings import Section
from sprat_contracts import Usage
from sprat_policy import problem_of_url
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER

MISTRAL_URL = "https://api.mistral.ai/v1"
_OF_AN_ENDPOINT = ("model", "provider", "region")
"""What another endpoint than the default one needs."""


Euros = Annotated[float, Field(ge=0, le=10_000)]


class Price(Section):
    """What a model costs, in euros per million tokens."""

    input_eur: Euros
    output_eur: Euros

    def cost_eur(self, usage: Usage | None) -> float:
        """Return what the tokens cost, in euros; 0 where none were counted."""
        if usage is None:
            return 0.0
        return (usage.input_tokens * self.input_eur + usage.output_tokens * self.output_eur) / 1_000_000


class BreakerSettings(Section):
    """When to stop calling an unavailable provider, and when to try it again."""

    failures: Annotated[int, Field(ge=1, le=1000, description="Failures in a row that open the breaker.")] = 5
    cooldown_s: Annotated[float, Field(gt=0, le=3600, description="First pause; doubled by each failed probe.")] = 5.0
    max_cooldown_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    max_retry_after_s: Annotated[
        float, Field(gt=0, le=3600, description="Longest pause that a Retry-After makes; then one call probes.")
    ] = 60.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_cooldown_s < self.cooldown_s:
            raise ValueError("max_cooldown_s is below cooldown_s")
        return self


class FrontierSettings(Section):
    """Which model to call, where it runs, what it costs, and how long to wait for it.

    `provider` and `region` decide whether a text may leave at all. They have defaults for the default endpoint only:
    another `base_url` needs both.
    """

    base_url: Annotated[str, Field(description="Of any OpenAI-compatible API, with its version path.")] = MISTRAL_URL
    model: Annotated[str, Field(min_length=1, max_length=256)] = "mistral-medium-latest"
    api_key: Annotated[SecretStr | None, Field(description="May be left out where the server wants none.")] = None
    provider: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="As in gen_ai.provider.name.")
    ] = "mistral_ai"
    region: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="As the policies name it.")] = "eu"
    prices: Annotated[
        Mapping[str, Price],
        Field(
            description='By model, as the contract says: {"mistral-medium-latest": {"input_eur": …, "output_eur": …}}.'
        ),
    ] = {}
    timeout_s: Annotated[float, Field(gt=0, le=600, description="For one call, from first to last byte.")] = 30.0
    max_retries: Annotated[int, Field(ge=0, le=10, description="Further tries of a call that failed.")] = 3
    retry_base_s: Annotated[float, Field(gt=0, le=60, description="First pause, doubled each time, with jitter.")] = 0.5
    retry_cap_s: Annotated[float, Field(gt=0, le=600, description="Longest pause, but for a Retry-After.")] = 8.0
    concurrency: Annotated[int, Field(ge=1, le=1000, description="Calls in flight.")] = 16
    max_waiting: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            description="Cases of 2,000 characters that wait for masking or a call; beyond, the tenant with the most "
            "is declined.",
        ),
    ] = 1_000
    masking_threads: Annotated[int, Field(ge=1, le=64, description="Texts masked at once, each on one core.")] = 2
    temperature: Annotated[float | None, Field(ge=0, le=2, description="null: not sent; some models refuse it.")] = 0.0
    max_output_tokens: Annotated[int, Field(ge=64, le=131_072)] = 16_384
    max_wait_s: Annotated[
        float, Field(gt=0, le=250, description="Longest time that a case waits, whatever its deadline.")
    ] = 120.0
    answer_ttl_s: Annotated[int, Field(ge=1, le=2_592_000, description="How long an answer is kept.")] = 86_400
    tagger: Annotated[Path, Field(description="Folder of the model that finds names, for `redact`.")] = SHIPPED_TAGGER
    breaker: BreakerSettings = BreakerSettings()

    @field_validator("base_url")
    @classmethod
    def _is_http_url(cls, url: str) -> str:
        if problem := problem_of_url(url, "SPRAT_FRONTIER__API_KEY"):
            raise ValueError(f"the URL {problem}")
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        """Refuse here what an HTTP library would refuse later, in an error that contains the key."""
        if key is None or not key.get_secret_value().strip():
            return None
        value = key.get_secret_value().strip()
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ValueError("holds characters that do not fit a header")
        return SecretStr(value)

    @model_validator(mode="after")
    def _names_provider_and_region(self) -> Self:
        if self.base_url != MISTRAL_URL and not self.model_fields_set.issuperset(_OF_AN_ENDPOINT):
            raise ValueError(self.problem())
        return self

    def problem(self) -> str | None:
        """Return what is missing to call this endpoint, all of it, by the names of the variables; None: nothing."""
        is_default = self.base_url == MISTRAL_URL
        missing = [] if is_default else [name for name in _OF_AN_ENDPOINT if name not in self.model_fields_set]
        if self.model not in self.prices or "model" in missing:
            missing.append("prices")
        if is_default and self.api_key is None:
            missing.append("api_key")
        if not missing:
            return None
        variables = ", ".join(f"SPRAT_FRONTIER__{name.upper()}" for name in missing)
        model = "MODEL" if "model" in missing else self.model
        example = f'{{"{model}": {{"input_eur": 0.4, "output_eur": 2.0}}}}'
        hint = f"; prices are in euros per million tokens, as {example}, 0 for a model of your own"
        return f"to ask {self.base_url}, set {variables}" + (hint if "prices" in missing else "")

    @property
    def host(self) -> str:
        """Host name of the server, as the policy pins it and the egress records name it."""
        return urlsplit(self.base_url).hostname or ""

    def price_of_model(self) -> Price:
        """Return the price of the configured model.

        A model without a price is an error at the start: a default would make every budget and every sum wrong without
        notice, and list prices change. A self-hosted model costs 0, and its price says so.

        Raises:
            UserError: there is no price for it.
        """
        price = self.prices.get(self.model)
        if price is None:
            example = f'{{"{self.model}": {{"input_eur": 0.4, "output_eur": 2.0}}}}'
            raise UserError(
                f"SPRAT_FRONTIER__PRICES has no price for {self.model}: set it in euros per million tokens, as in "
                f"{example} (0 for a model of your own)"
            )
        return price
