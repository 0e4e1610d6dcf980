"""How commands reach Kafka: settings, and errors that say what to do."""

import logging
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from pydantic import SecretStr, ValidationError

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings, ServiceSettings, load_settings
from sprat.kafka.connection_errors import CapturedRefusals, capture_refusals
from sprat.kafka.signatures import Signatures
from sprat_operations import local_run
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.installation import find_installation
from sprat_operations.local_run import LocalRun
from sprat_operations.result_stream import MissingTopics

_ACLS = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)
_OS_ERRORS = (
    (re.compile(r"\[Errno 111\].*"), "nothing listens there"),
    (re.compile(r"\[Errno -[235]\].*"), "no such host"),
)
"""What aiokafka passes on of the operating system → plain words. -2, -3 and -5 come from `getaddrinfo`."""
_UNABLE = re.compile(r"^Unable connect to \S+: ")


class UnreachableError(UserError):
    """No broker answers, or none accepts the client; `reason` says why in a few words, `fix` what to do."""

    def __init__(self, message: str, reason: str, fix: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.fix = fix


class CommandSettings(ServiceSettings):
    """The settings of a command: those of a service, but the secret is optional: most commands only read."""

    secret: SecretStr = SecretStr("")


def load_command_settings(kafka: KafkaSettings | None = None) -> CommandSettings:
    """Read the settings. Where they name the Redis of this user's `sprat up`, its password is added.

    Args:
        kafka: what the command talks to. Where it is that of this user's `sprat up`, and no setting names a Redis, the
            Redis is that of the same `sprat up`.

    Raises:
        UserError: naming each variable that is wrong, and why.
    """
    settings = load_settings(CommandSettings)
    run = local_run.find(settings.redis.url.get_secret_value())
    if kafka is not None and "url" not in settings.redis.model_fields_set:
        run = local_run.find_by_kafka(kafka.bootstrap) or run
    if run is None or not run.redis_url:
        return settings
    redis = settings.redis.model_copy(update={"url": SecretStr(run.redis_url)})
    return settings.model_copy(update={"redis": redis})


def kafka_settings(
    bootstrap: str | None,
    prefix: str | None,
    partitions: int | None = None,
    remark: Callable[[str], None] = lambda _: None,
) -> KafkaSettings:
    """Return the settings from the environment, with what the options say instead.

    Where neither names a Kafka, it is that of this user's running `sprat up`.

    Args:
        bootstrap: the option; None: not given.
        prefix: the option.
        partitions: the option.
        remark: is told which `sprat up` is used, unless it is at the usual address.

    Raises:
        UserError: a setting or an option is wrong; or none names a Kafka, and which one is meant is not known.
    """
    given = {"bootstrap": bootstrap, "prefix": prefix, "partitions": partitions}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = load_command_settings().kafka
    if not (settings.model_fields_set | chosen.keys()) & {"bootstrap"}:
        run, words = find_installation()
        if words:
            remark(words)
        if run is not None:
            chosen.setdefault("bootstrap", run.bootstrap)
            if run.prefix and "prefix" not in settings.model_fields_set:
                chosen.setdefault("prefix", run.prefix)
    try:
        settings = KafkaSettings.model_validate(settings.model_dump() | chosen)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        raise UserError("; ".join(f"--{problem['loc'][0]}: {problem['msg']}" for problem in problems)) from None
    for address in settings.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise UserError(f"Kafka's address {address!r} is not HOST:PORT; example: --bootstrap 127.0.0.1:9092")
    return settings.with_tasks(chosen_tasks(local_run.find_by_kafka(settings.bootstrap)).table)


def reading_signatures(kafka: KafkaSettings | None = None) -> Signatures | None:
    """Return what verifies Sprat's own records; None where the secret is not known here.

    Args:
        kafka: where the records are. Where SPRAT_SECRET is not set, and it is that of this user's `sprat up`, the
            secret is that of the same `sprat up`.

    Raises:
        UserError: naming each variable that is wrong, and why.
    """
    settings = load_command_settings()
    if not settings.secret.get_secret_value() and kafka is not None:
        settings = settings.model_copy(update={"secret": _secret_of(local_run.find_by_kafka(kafka.bootstrap))})
    return Signatures.of(settings) if settings.secret.get_secret_value() else None


def _secret_of(run: LocalRun | None) -> SecretStr:
    """Return the secret of this user's `sprat up`; an empty one where it is not known."""
    try:
        return SecretStr(Path(run.secret_file).read_text("utf-8").strip() if run and run.secret_file else "")
    except OSError:
        return SecretStr("")


def writing_signatures(kafka: KafkaSettings | None = None) -> Signatures:
    """Return what signs Sprat's own records.

    Args:
        kafka: where they are written, as for `reading_signatures`; None: SPRAT_SECRET must be set.

    Raises:
        UserError: this shell does not know the secret, or a variable is wrong.
    """
    signatures = reading_signatures(kafka)
    if signatures is None:
        raise without_secret("services ignore what is not signed with it")
    return signatures


def without_secret(why: str) -> UserError:
    """Return the error of a command that needs the services' secret, and for what."""
    return UserError(f"SPRAT_SECRET is not set, and {why}: set it to that of the services. {_where_the_secret_is()}")


def _where_the_secret_is() -> str:
    run = local_run.find(load_command_settings().redis.url.get_secret_value())
    runs = [run] if run is not None else local_run.for_commands()
    if len(runs) == 1 and (file := Path(runs[0].folder) / "secret").is_file():
        return f"Your `sprat up` keeps it: export SPRAT_SECRET=$(cat {shlex.quote(str(file))})"
    return "`sprat up --data DIR` keeps it in DIR/secret, Docker Compose in compose/.env"


@contextmanager
def explain_kafka_errors(kafka: KafkaSettings) -> Iterator[None]:
    """Turn Kafka's errors inside the block into messages for the user; hide aiokafka's log lines.

    Raises:
        UnreachableError: no broker answers; the message says why and what to do.
        UserError: Kafka refuses.
    """
    log = logging.getLogger("aiokafka")
    propagate, log.propagate = log.propagate, False
    try:
        with capture_refusals(kafka) as captured:
            yield
    except MissingTopics as error:
        own = "" if local_run.for_commands() else ", and no `sprat up` of your own runs"
        raise UserError(f"{error}. That is Kafka at {kafka.bootstrap}{own}") from None
    except UserError as error:
        if isinstance(error.__cause__, KafkaConnectionError):
            raise _unreachable(kafka, captured) from None
        if isinstance(error.__cause__, _ACLS):
            raise _not_allowed(kafka, error.__cause__) from None
        raise
    except (KafkaConnectionError, ConnectionError, TimeoutError):
        raise _unreachable(kafka, captured) from None
    except _ACLS as error:
        raise _not_allowed(kafka, error) from None
    except KafkaError as error:
        raise UserError(f"Kafka at {kafka.bootstrap} refuses: {type(error).__name__}: {error}") from None
    finally:
        log.propagate = propagate


def _not_allowed(kafka: KafkaSettings, error: BaseException) -> UserError:
    about = "".join(f" ({each})" for each in error.args[:1])
    return UserError(f"Kafka at {kafka.bootstrap} does not let you: {type(error).__name__}{about}; check the ACLs")


def _unreachable(kafka: KafkaSettings, captured: CapturedRefusals) -> UnreachableError:
    refusal = captured.refusal
    if refusal is not None:
        message = f"Kafka at {kafka.bootstrap} does not let you in: {refusal.reason}"
        return UnreachableError(message, refusal.reason, "ask the operator of this Kafka for the right settings")
    reason = _UNABLE.sub("", captured.last_message)
    for pattern, words in _OS_ERRORS:
        reason = pattern.sub(words, reason)
    reason = reason or "no answer"
    if kafka.security_protocol != "PLAINTEXT":
        reason += f" (asked as {kafka.security_protocol}: see SPRAT_KAFKA__SECURITY_PROTOCOL, SASL_*, SSL_*)"
    return UnreachableError(
        f"Kafka at {kafka.bootstrap} cannot be reached: {reason}. Run `sprat up`, or name a broker with --bootstrap "
        "HOST:PORT or SPRAT_KAFKA__BOOTSTRAP; `sprat doctor` says more.",
        reason,
        "sprat up; or name a broker: --bootstrap HOST:PORT, SPRAT_KAFKA__BOOTSTRAP",
    )
