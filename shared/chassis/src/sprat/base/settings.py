"""Settings of a service, from `SPRAT_*` variables (`SPRAT_KAFKA__BOOTSTRAP`) or `.env`. Built once, in `__main__`."""

import os
import re
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers
from sprat.base.keys import Keys
from sprat_contracts import BUILT_IN, TaskTable
from sprat_contracts.language_codes import wrong_code
from sprat_contracts.languages import DEFAULT_LANGUAGE, FALLBACK_LANGUAGE, is_auto
from sprat_contracts.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Topics

S = TypeVar("S", bound=BaseSettings)


_FILE = ".env"


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Section):
    """How to reach Kafka, and how long to wait for it."""

    bootstrap: Annotated[str, Field(description="host:port, several separated by commas.")] = "127.0.0.1:9092"
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = DEFAULT_PREFIX
    partitions: Annotated[int, Field(ge=1, le=1024, description="Of texts, predictions and results.")] = (
        DEFAULT_PARTITIONS
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    instance_id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,200}$",
            description="Static membership: a restarted process of this name takes its partitions over at once. Unique "
            "for each process, as a StatefulSet's pod name is. Stopping it leaves its partitions waiting for it.",
        ),
    ] = None
    session_timeout_ms: Annotated[
        int, Field(ge=1_000, le=300_000, description="How long a killed process keeps its partitions from the others.")
    ] = 10_000
    membership_file: Annotated[
        Path | None,
        Field(
            description="Set by the parent of a service: where the service writes down its membership, so that the "
            "parent can leave the group for it once it was killed."
        ),
    ] = None
    max_records: Annotated[int, Field(ge=1, le=1000, description="Records of one batch.")] = 64
    hold_s: Annotated[
        float,
        Field(gt=0, le=60, description="How long a batch waits for its acknowledgements before it is sought back."),
    ] = 10.0
    give_up_s: Annotated[
        float, Field(gt=0, le=3600, description="How long nothing may get through before the service exits.")
    ] = 300.0

    _tasks: TaskTable = PrivateAttr(BUILT_IN)

    @property
    def topics(self) -> Topics:
        """The names of the topics."""
        return Topics(self.prefix, self.partitions, self._tasks)

    def with_tasks(self, tasks: TaskTable) -> Self:
        """Return these settings for an installation with these tasks, which stand in files and not in variables."""
        copy = self.model_copy()
        copy._tasks = tasks  # noqa: SLF001 - its own
        return copy

    def client(self) -> dict[str, Any]:
        """Return the arguments of every aiokafka client of this installation.

        Raises:
            UserError: a certificate file cannot be read.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            if self.sasl_username is None or self.sasl_password is None:
                raise UserError("SASL needs SPRAT_KAFKA__SASL_USERNAME and SPRAT_KAFKA__SASL_PASSWORD")
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        if self.security_protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        return arguments

    def _ssl_context(self) -> ssl.SSLContext:
        files = {"SSL_CAFILE": self.ssl_cafile, "SSL_CERTFILE": self.ssl_certfile, "SSL_KEYFILE": self.ssl_keyfile}
        for name, path in files.items():
            if path is not None and not path.is_file():
                raise UserError(f"SPRAT_KAFKA__{name}: there is no file {path}")
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
        except OSError as error:
            raise UserError(f"SPRAT_KAFKA__SSL_CAFILE: it must hold certificates in PEM: {error}") from None
        if self.ssl_certfile is None:
            return context
        try:
            # Without a password, OpenSSL would ask for that of an encrypted key on the terminal, and wait for ever.
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password="")
        except OSError as error:
            names = "SPRAT_KAFKA__SSL_CERTFILE, SPRAT_KAFKA__SSL_KEYFILE"
            raise UserError(f"{names}: a certificate and its key, both in PEM, not encrypted: {error}") from None
        return context


class RedisSettings(Section):
    """The cache. A slow or unreachable Redis is a counted miss, never an error."""

    url: Annotated[SecretStr, Field(description="redis://… or rediss://…; it may hold a password.")] = SecretStr(
        "redis://127.0.0.1:6379/0"
    )
    timeout_s: Annotated[float, Field(gt=0, le=5)] = 0.05
    ttl_s: Annotated[int, Field(ge=1, le=2_592_000, description="How long an answer is kept.")] = 86_400

    @field_validator("url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        if urlsplit(url.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("not a redis://, rediss:// or unix:// URL")
        return url


class TelemetrySettings(Section):
    """What OpenTelemetry's own `OTEL_*` variables do not set."""

    tenants: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            description="Tenants of the policy that metrics tell apart, or the first ones where it names none; "
            "all others are `other`.",
        ),
    ] = 50


class VariableSettings(BaseSettings):
    """Settings from this process's variables, else from those in `.env` of the working folder.

    Raises:
        UserError: somebody else may have written `.env`.
    """

    model_config = SettingsConfigDict(
        env_prefix="SPRAT_", env_nested_delimiter="__", env_file=_FILE, extra="ignore", hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic-settings passes it by this name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of pydantic-settings, in its order."""
        if isinstance(dotenv_settings, DotEnvSettingsSource) and dotenv_settings.env_file is not None:
            _check_writers()
        return init_settings, env_settings, dotenv_settings, file_secret_settings


_MAX_TAG: Final = 35
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
"""As texts name a language, but without words such as `german`: no language has a code of so many letters."""


def _language(value: object) -> object:
    """Return a language tag with hyphens, as those of texts are read.

    Raises:
        ValueError: it is neither a tag nor `auto`, or begins with no code of a language.
    """
    if not isinstance(value, str):
        return value
    tag = value.replace("_", "-")
    if is_auto(tag):
        return tag
    if len(tag) > _MAX_TAG or _TAG.fullmatch(tag) is None:
        raise ValueError("no language tag, such as de or pt-BR; auto: it is detected")
    if (wrong := wrong_code(tag)) is not None:
        raise ValueError(wrong)
    return tag


class LanguageSettings(VariableSettings):
    """In which language a text is read that names none: the same in all services and commands."""

    model_config = SettingsConfigDict(frozen=True)

    default_language: Annotated[
        str,
        BeforeValidator(_language),
        Field(description="Of a text that names none, BCP 47; `auto`: it is detected. The same for all services."),
    ] = DEFAULT_LANGUAGE


class ProcessSettings(LanguageSettings):
    """The settings that every process of an installation has, also one that may not know the secret."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    health_host: Annotated[str, Field(description="Address of /livez and /readyz.")] = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535, description="0: any free one.")] = 8080
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    drain_s: Annotated[
        float, Field(gt=0, le=50, description="How long a stop or a rebalance may wait for work in hand.")
    ] = 20.0


class ServiceSettings(ProcessSettings):
    """The settings of every service that reads and writes Sprat's own records."""

    secret: Annotated[
        SecretStr,
        Field(min_length=16, description="All keys are derived from it; the same for all services."),
    ]
    previous_secret: Annotated[
        SecretStr | None,
        Field(min_length=16, description="Another valid secret during a rotation: for reading, never for writing."),
    ] = None
    unsigned_records: Annotated[
        Literal["refuse", "accept"],
        Field(description="What becomes of Sprat's own records without a signature: a version before wrote none."),
    ] = "refuse"

    @field_validator("previous_secret", mode="before")
    @classmethod
    def _not_given(cls, value: object) -> object:
        """Read an empty variable, as Compose passes one on that is not set, as none."""
        return None if value == "" else value

    @property
    def keys(self) -> Keys:
        """The keys derived from the secret."""
        return Keys(self.secret, self.previous_secret)


def default_language() -> str:
    """Return the language of texts that name none, by the variables of this process and `.env`.

    Raises:
        UserError: the setting is wrong.
    """
    return load_settings(LanguageSettings).default_language


def language_of_files() -> str:
    """Return the language of a file's texts where none is named: the default one, and `en` where that is `auto`.

    Raises:
        UserError: the setting is wrong.
    """
    language = default_language()
    return FALLBACK_LANGUAGE if is_auto(language) else language


def section_field(service: str) -> str:
    """Return the field of a service's settings that holds its own section: `language_id` for `language-id`."""
    return service.replace("-", "_")


def section_prefix(service: str) -> str:
    """Return how the variables of a service's own section begin: `SPRAT_INTENT__` for `intent`."""
    return f"SPRAT_{section_field(service).upper()}__"


def environment() -> Mapping[str, str]:
    """Return the variables that settings come from: those of `.env`, and before them those of the process.

    Raises:
        UserError: somebody else may have written `.env`.
    """
    _check_writers()
    file = {name: value for name, value in dotenv_values(_FILE).items() if value is not None}
    return file | os.environ


def _check_writers() -> None:
    """Raise UserError where somebody else may have written `.env`: they would choose where texts go."""
    if not Path(_FILE).is_dir():  # a virtual environment may have this name; no variable is read from it
        check_writers(Path(_FILE), is_named=False)


def asked_for_help(module: str) -> bool:
    """Return whether an argument of a service's program asks for help; print then where its settings are described."""
    asked = bool({"--help", "-h"} & set(sys.argv[1:]))
    if asked:
        said = "it has no options. Its settings are SPRAT_… variables, also in .env; docs/configuration.md"
        print(f"python -m {module}: {said} describes them.")  # noqa: T201 - for the user
    return asked


def load_settings(settings_type: type[S]) -> S:
    """Read the settings.

    Raises:
        UserError: naming each variable that is missing or wrong, and why.
    """
    try:
        return settings_type()
    except ValidationError as error:
        problems = "; ".join(
            f"SPRAT_{'__'.join(str(step).upper() for step in problem['loc'])}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise UserError(f"settings: {problems}") from None
    except SettingsError as error:  # a variable that should hold JSON, or an .env file that cannot be read
        raise UserError(f"settings: {error}") from None
