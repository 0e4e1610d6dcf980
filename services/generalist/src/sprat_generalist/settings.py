"""Settings of the generalist service: `SPRAT_GENERALIST__ARTEFACT` and so on. It needs no Kafka and no Redis."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import Section, VariableSettings


class GeneralistSection(Section):
    """The settings `SPRAT_GENERALIST__…`."""

    artefact: Annotated[Path, Field(description="Folder of the model, as `sprat models add` writes it.")]
    model: Annotated[str, Field(min_length=1, max_length=256, description="Its name, where responses name it.")] = (
        DEFAULT_MODEL
    )
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="0: any free one, it is logged.")] = 8090
    api_key: Annotated[SecretStr | None, Field(description="If set, requests without it get 401.")] = None
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model, one question at a time.")] = 1
    max_waiting: Annotated[
        int, Field(ge=1, le=1000, description="Requests that wait or are answered; beyond, they get 429.")
    ] = 16
    max_prompt_tokens: Annotated[
        int, Field(ge=64, le=32_768, description="Of a question; a longer one gets 400, and goes to the next tier.")
    ] = 4_096
    max_output_tokens: Annotated[int, Field(ge=1, le=32_768, description="Of an answer in words.")] = 1_024
    memory_mb: Annotated[
        int, Field(ge=16, le=1_048_576, description="For the labels scored at once, beside the weights.")
    ] = 512

    @field_validator("api_key", mode="before")
    @classmethod
    def _not_given(cls, value: object) -> object:
        """Read an empty variable, as Compose passes one on that is not set, as none."""
        return None if value == "" else value


class GeneralistSettings(VariableSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(frozen=True)

    generalist: GeneralistSection
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
