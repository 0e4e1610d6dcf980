"""Settings of the simulator: `SPRAT_SIMULATOR_*` at the start; `POST /control` changes the `Behaviour` later."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Rate = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000)]


class Behaviour(BaseModel):
    """How the simulated provider behaves. Shares are of the requests, from 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(description="Seed of everything random.")] = 0
    latency_ms: Milliseconds = 0.0
    jitter_ms: Annotated[Milliseconds, Field(description="Up to so much is added to the latency.")] = 0.0
    error_rate: Annotated[Rate, Field(description="Share answered with `error_status`.")] = 0.0
    error_status: Annotated[int, Field(ge=300, le=599)] = 500
    rate_limit_per_s: Annotated[
        float | None, Field(gt=0, le=100_000, description="Requests above it get 429 with Retry-After; null: none.")
    ] = None
    hang_rate: Annotated[Rate, Field(description="Share never answered.")] = 0.0
    garbled_rate: Annotated[Rate, Field(description="Share whose HTTP body is no JSON.")] = 0.0
    malformed_rate: Annotated[Rate, Field(description="Share whose answer is cut-off JSON.")] = 0.0
    off_schema_rate: Annotated[Rate, Field(description="Share whose answer is JSON of another schema.")] = 0.0
    wrong_rate: Annotated[
        Rate, Field(description="Share of the questions with a gold answer that get a wrong one, always the same ones.")
    ] = 0.0
    overcount_rate: Annotated[Rate, Field(description="Share whose tokens are counted a million times too high.")] = 0.0
    misname_rate: Annotated[Rate, Field(description="Share that names an address instead of the model.")] = 0.0
    confidence: Annotated[
        Rate, Field(description="The probability of its labels, where a request asks for probabilities.")
    ] = 1.0
    invent: Annotated[
        bool,
        Field(
            description="Answer texts without a gold answer, too, by the simplest value of the schema: for load tests."
        ),
    ] = False
    input_eur: Annotated[float, Field(ge=0, le=10_000, description="Price of a million input tokens.")] = 0.0
    output_eur: Annotated[float, Field(ge=0, le=10_000, description="Price of a million output tokens.")] = 0.0


class SimulatorSettings(Behaviour, BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="SPRAT_SIMULATOR_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="0: any free one, it is printed.")] = 8089
    api_key: Annotated[SecretStr | None, Field(description="If set, requests without it get 401.")] = None
    control_token: Annotated[
        SecretStr | None,
        Field(
            min_length=16, description="Asked for by `/control`, as `Authorization: Bearer …`; if not set, it is off."
        ),
    ] = None
    gold: Annotated[Path | None, Field(description='Lines of {"text", "tasks", "gold": {task: answer}}.')] = None
    keep_requests: Annotated[bool, Field(description="Keep what is received and show it at GET /requests.")] = False
    max_kept: Annotated[int, Field(ge=1, le=1_000_000, description="The oldest go first.")] = 10_000

    @property
    def behaviour(self) -> Behaviour:
        """The settings that can change at run time."""
        return Behaviour.model_validate(self.model_dump(include=set(Behaviour.model_fields)))
