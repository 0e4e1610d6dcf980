"""What a service's process gets to know: `SPRAT_*` variables, and threads pinned to one."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from sprat.errors import UserError
from sprat.settings import KafkaSettings, RedisSettings, ServiceSettings
from sprat_local.options import SIMULATED, Options
from sprat_local.processes.ports import HOST

# Their defaults take a thread for every core in every process, which doubles the CPU used and gains nothing here.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def threads() -> dict[str, str]:
    """Give this process's own variables with the thread pools pinned: all that a service without Kafka needs."""
    return dict(os.environ) | _ONE_THREAD


def common(kafka: KafkaSettings, redis_url: str, secret: str, policy: Path, *, embedded: bool) -> dict[str, str]:
    """Give the variables that all services share, on top of this process's own environment.

    What the person set (TLS, SASL, telemetry, the provider's key) goes through, but for an embedded broker, which
    speaks plainly.
    """
    variables = threads()
    if embedded:
        variables["SPRAT_KAFKA__SECURITY_PROTOCOL"] = "PLAINTEXT"
    return variables | {
        "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "SPRAT_KAFKA__PREFIX": kafka.prefix,
        "SPRAT_KAFKA__PARTITIONS": str(kafka.partitions),
        "SPRAT_REDIS__URL": redis_url,
        "SPRAT_SECRET": secret,
        "SPRAT_POLICY": str(policy),
        "SPRAT_HEALTH_HOST": "127.0.0.1",
        "SPRAT_LOG_FORMAT": "json",
    }


def kafka_settings(overrides: Mapping[str, Any], *, embedded: bool) -> KafkaSettings:
    """Give this process's own settings for Kafka: the person's variables, with these on top.

    Raises:
        UserError: naming the variable or option that is wrong.
    """
    plain = {"security_protocol": "PLAINTEXT"} if embedded else {}
    try:
        # The mandatory secret is the services' own affair; here it only has to be there.
        settings = ServiceSettings(secret=SecretStr("not used by clients"), kafka=dict(overrides) | plain)
    except ValidationError as error:
        problems = "; ".join(
            f"{_name(problem['loc'], overrides)}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise UserError(f"settings: {problems}") from None
    except SettingsError as error:  # a variable that should hold JSON, or an .env file that cannot be read
        raise UserError(f"settings: {error}") from None
    return settings.kafka


def check(options: Options) -> None:
    """Find out what is wrong before anything starts.

    Raises:
        UserError: naming the option or variable, or the policy file that is not there.
    """
    if not options.policy.is_file():
        raise UserError(f"there is no policy file at {options.policy}")
    overrides: dict[str, Any] = {"prefix": options.prefix, "partitions": options.partitions}
    if options.bootstrap is not None:
        overrides["bootstrap"] = options.bootstrap
    kafka_settings(overrides, embedded=options.bootstrap is None)
    try:
        if options.redis is not None:
            RedisSettings(url=SecretStr(options.redis))
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        raise UserError(f"--redis: {'; '.join(problem['msg'] for problem in problems)}") from None


def _name(steps: tuple[int | str, ...], options: Mapping[str, Any]) -> str:
    """Name a setting as the person gave it: as an option or as a variable."""
    if len(steps) == 2 and steps[0] == "kafka" and steps[1] in options:
        return f"--{steps[1]}"
    return f"SPRAT_{'__'.join(str(step).upper() for step in steps)}"


def kept_secret(folder: Path) -> str:
    """Give the secret of an installation, made on its first run and readable by its owner alone.

    The person's own `SPRAT_SECRET` wins. It must stay the same between runs: keyed hashes are made under it.
    """
    given = os.environ.get("SPRAT_SECRET")
    if given:
        return given
    path = folder / "secret"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii")
    secret = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret)
    return secret


# Where the frontier service finds its model: at the simulator, or at a person's URL.

_MODEL = "simulated-frontier"
REGION = "local"
PROVIDER = "simulator"


def frontier_environment(options: Options, simulator_port: int) -> dict[str, str]:
    """Give the frontier service's variables. With a URL, the person says the rest; the service says what is missing."""
    if options.frontier != SIMULATED:
        return {"SPRAT_FRONTIER__BASE_URL": options.frontier}
    price = {"input_eur": options.simulation.input_eur, "output_eur": options.simulation.output_eur}
    return {
        "SPRAT_FRONTIER__BASE_URL": f"http://{HOST}:{simulator_port}/v1",
        "SPRAT_FRONTIER__MODEL": _MODEL,
        "SPRAT_FRONTIER__PROVIDER": PROVIDER,
        "SPRAT_FRONTIER__REGION": REGION,
        "SPRAT_FRONTIER__PRICES": json.dumps({_MODEL: price}),
        # A key of the person's own has no business at the simulator.
        "SPRAT_FRONTIER__API_KEY": "",
    }


def simulator_environment(options: Options) -> dict[str, str]:
    """Give the simulator's variables."""
    simulation = options.simulation
    return {
        "SPRAT_SIMULATOR_SEED": str(simulation.seed),
        "SPRAT_SIMULATOR_LATENCY_MS": str(simulation.latency_ms),
        "SPRAT_SIMULATOR_JITTER_MS": str(simulation.jitter_ms),
        "SPRAT_SIMULATOR_WRONG_RATE": str(simulation.wrong_rate),
        "SPRAT_SIMULATOR_INPUT_EUR": str(simulation.input_eur),
        "SPRAT_SIMULATOR_OUTPUT_EUR": str(simulation.output_eur),
        "SPRAT_SIMULATOR_GOLD": str(simulation.gold),
    }
