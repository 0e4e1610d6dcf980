"""How the services of an installation are started: module, `SPRAT_*` variables, port, log."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from sprat.audit.keys import AUDIT_FOLDER, CHECKPOINTS, load_or_create_key
from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings, RedisSettings, ServiceSettings, environment
from sprat_local.installation.gateway import gateway_variables
from sprat_local.installation.options import BROKERS, Options, without_password
from sprat_local.processes import private
from sprat_local.processes.ports import free_port
from sprat_local.processes.service_process import LaunchSpec
from sprat_operations.local_run import SIMULATED, SIMULATOR_HOST, SIMULATOR_REGION
from sprat_operations.services import DEFAULT_FRONTIER_HOST, FRONTIER, GATEWAY, SIMULATOR, ServiceSpec
from sprat_policy import problem_of_url

_SIMULATED_MODEL = "simulated-frontier"
_SIMULATED_PROVIDER = "simulator"
_AUDIT = "SPRAT_AUDIT__"
_OF_FRONTIER = "SPRAT_FRONTIER__"
SECRET_FILE = "secret"  # noqa: S105 - the name of a file
"""In the folder of an installation."""
# The defaults are a thread for every core in every process, which doubles the CPU used and gains nothing here.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def single_threaded() -> dict[str, str]:
    """Return this process's variables with all thread pools set to one thread: enough for a service without Kafka."""
    return dict(os.environ) | _ONE_THREAD


def shared_variables(
    kafka: KafkaSettings, redis_url: str, secret: str, policy: Path, *, embedded: bool, tasks: Path | None = None
) -> dict[str, str]:
    """Return the variables of all services, based on this process's environment.

    The user's variables (TLS, SASL, telemetry, the provider's key) are passed on. An embedded broker has no TLS and no
    authentication, so for it the security protocol is reset.
    """
    # No other service needs what signs the audit.
    variables = {name: value for name, value in single_threaded().items() if not name.startswith(_AUDIT)}
    variables.pop("SPRAT_TASKS", None)
    if tasks is not None:
        variables["SPRAT_TASKS"] = str(tasks.absolute())
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
    """Return this process's settings for Kafka: the user's variables, overridden by these.

    Raises:
        UserError: a variable or option is wrong; the message names it.
    """
    plain = {"security_protocol": "PLAINTEXT"} if embedded else {}
    try:
        # Only services use the secret; here it only has to be set.
        settings = ServiceSettings(secret=SecretStr("not used by clients"), kafka=dict(overrides) | plain)
    except ValidationError as error:
        problems = "; ".join(
            f"{_setting_name(problem['loc'], overrides)}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise UserError(f"settings: {problems}") from None
    except SettingsError as error:  # a variable that should be JSON, or an unreadable .env file
        raise UserError(f"settings: {error}") from None
    return settings.kafka


def check_options(options: Options) -> None:
    """Check the options before anything starts.

    Raises:
        UserError: an option or variable is wrong, or the policy file is missing; the message names it.
    """
    if not options.policy.is_file():
        raise UserError(f"there is no policy file at {options.policy}: name another, by --policy or SPRAT_POLICY")
    if options.brokers not in BROKERS:
        raise UserError(f"--brokers: {options.brokers} is not {' or '.join(map(str, BROKERS))}")
    if options.brokers > 1 and options.bootstrap is not None:
        raise UserError("--brokers: an existing Kafka (--bootstrap) has its own")
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
    _check_frontier(options)


def _check_frontier(options: Options) -> None:
    """Check the URL of `--frontier`, and that the variables it needs are set: the service validates their values.

    Raises:
        UserError: the URL is wrong, or a variable is missing; the message names all that are.
    """
    if options.frontier == SIMULATED:
        return
    if problem := problem_of_url(options.frontier, f"{_OF_FRONTIER}API_KEY"):
        raise UserError(f"--frontier: the URL {problem}")
    is_default = urlsplit(options.frontier).hostname == DEFAULT_FRONTIER_HOST
    needed = ("API_KEY", "PRICES") if is_default else ("MODEL", "PROVIDER", "REGION", "PRICES")
    variables = {**environment(), **options.environment, **options.service_environment.get(FRONTIER, {})}
    missing = [f"{_OF_FRONTIER}{name}" for name in needed if not variables.get(f"{_OF_FRONTIER}{name}")]
    if missing:
        prices = f"{_OF_FRONTIER}PRICES" in missing
        example = '; prices are in euros per million tokens, as {"MODEL": {"input_eur": 0.4, "output_eur": 2.0}}'
        raise UserError(
            f"--frontier {without_password(options.frontier)}: set {', '.join(missing)}, too" + example * prices
        )


def _setting_name(location: tuple[int | str, ...], options: Mapping[str, Any]) -> str:
    """Return the name of a setting as the user wrote it: an option or a variable."""
    if len(location) == 2 and location[0] == "kafka" and location[1] in options:
        return f"--{location[1]}"
    return f"SPRAT_{'__'.join(str(part).upper() for part in location)}"


def load_or_create_secret(folder: Path) -> str:
    """Return the secret of an installation: `SPRAT_SECRET`, else the one in its folder, created on the first run.

    Only its owner can read the file. The secret must stay the same between runs: it is the key of keyed hashes.
    """
    if secret := os.environ.get("SPRAT_SECRET"):
        return secret
    return private.load_or_create_password(folder / SECRET_FILE)


def audit_variables(folder: Path) -> dict[str, str]:
    """Return the variables of the service that signs the audit: the user's, else with a key and checkpoints here."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(_AUDIT) and value}
    if not variables.keys() & {f"{_AUDIT}KEY", f"{_AUDIT}KEY_FILE"}:
        variables[f"{_AUDIT}KEY_FILE"] = str(load_or_create_key(folder / AUDIT_FOLDER).absolute())
    if not variables.keys() & {f"{_AUDIT}CHECKPOINTS", f"{_AUDIT}KAFKA__BOOTSTRAP"}:
        checkpoints = (folder / AUDIT_FOLDER / CHECKPOINTS).absolute()
        checkpoints.mkdir(mode=0o700, parents=True, exist_ok=True)
        variables[f"{_AUDIT}CHECKPOINTS"] = str(checkpoints)
    return variables


def members_file(logs: Path, process_name: str) -> Path:
    """Return where a service writes down its membership of groups, for who leaves them once it was killed."""
    return logs / f"{process_name}.members"


class LaunchBuilder:
    """Builds the launch specifications of an installation's services."""

    def __init__(self, options: Options, logs: Path) -> None:
        self._options = options
        self._logs = logs
        self._simulator_port = free_port()
        self.gateway_port = 0
        """Where the gateway serves, also after a restart."""
        self._shared = single_threaded()
        self._audit: dict[str, str] = {}

    def share(self, variables: Mapping[str, str], audit: Mapping[str, str]) -> None:
        """Set the variables of all services that are started from now on, and those of the one that asks a provider."""
        self._shared = dict(variables)
        self._audit = dict(audit)

    def build(self, spec: ServiceSpec, process_name: str, env: Mapping[str, str]) -> LaunchSpec:
        """Return how to start a service. Variables for one service override those for all."""
        special: dict[str, str] = {}
        if spec.needs_kafka:
            special["SPRAT_KAFKA__MEMBERSHIP_FILE"] = str(members_file(self._logs, process_name).absolute())
        # Static membership: after a restart the first instance gets its partitions back at once, instead of when the
        # session of the dead member expires. Other instances leave the group when they stop. On an existing Kafka
        # another installation may use the same names, and the two members would fence each other.
        static = self._options.static_members and self._options.bootstrap is None
        if static and process_name == spec.name:
            special["SPRAT_KAFKA__INSTANCE_ID"] = process_name
        if spec.name == SIMULATOR:
            special |= _simulator_environment(self._options)
        elif spec.name == FRONTIER:
            special |= _frontier_environment(self._options, self._simulator_port)
        if spec.name == FRONTIER or spec.name in self._options.modules:
            special |= self._audit
        own = self._options.service_environment.get(process_name, {})
        variables = {**self._shared, **special, **self._options.environment, **spec.environment, **own, **env}
        if spec.name == GATEWAY:
            variables = gateway_variables(variables, self._options, self._logs.parent, self.gateway_port)
        return LaunchSpec(
            name=process_name,
            module=self._options.modules.get(spec.name) or spec.module,
            environment=variables,
            port_variable=spec.port_variable,
            port=self._simulator_port if spec.name == SIMULATOR else None,  # the frontier service asks it there
            ready_path=spec.ready_path,
            log=self._logs / f"{process_name}.log",
        )


def _frontier_environment(options: Options, simulator_port: int) -> dict[str, str]:
    """Return the frontier service's variables.

    With a URL, the user sets the other variables.
    """
    if options.frontier != SIMULATED:
        return {"SPRAT_FRONTIER__BASE_URL": options.frontier}
    price = {"input_eur": options.simulation.input_eur, "output_eur": options.simulation.output_eur}
    return {
        "SPRAT_FRONTIER__BASE_URL": f"http://{SIMULATOR_HOST}:{simulator_port}/v1",
        "SPRAT_FRONTIER__MODEL": _SIMULATED_MODEL,
        "SPRAT_FRONTIER__PROVIDER": _SIMULATED_PROVIDER,
        "SPRAT_FRONTIER__REGION": SIMULATOR_REGION,
        "SPRAT_FRONTIER__PRICES": json.dumps({_SIMULATED_MODEL: price}),
        # The simulator must not receive the user's own key.
        "SPRAT_FRONTIER__API_KEY": "",
    }


def _simulator_environment(options: Options) -> dict[str, str]:
    """Return the simulator's variables."""
    simulation = options.simulation
    return {
        "SPRAT_SIMULATOR_SEED": str(simulation.seed),
        "SPRAT_SIMULATOR_LATENCY_MS": str(simulation.latency_ms),
        "SPRAT_SIMULATOR_JITTER_MS": str(simulation.jitter_ms),
        "SPRAT_SIMULATOR_WRONG_RATE": str(simulation.wrong_rate),
        "SPRAT_SIMULATOR_INVENT": str(simulation.invent),
        "SPRAT_SIMULATOR_INPUT_EUR": str(simulation.input_eur),
        "SPRAT_SIMULATOR_OUTPUT_EUR": str(simulation.output_eur),
        "SPRAT_SIMULATOR_GOLD": str(simulation.gold),
    }
