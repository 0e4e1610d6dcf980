"""Checks of the settings that services would find in this shell. No secret is shown, only whether it is set."""

import difflib
import ipaddress
import os
import shlex
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from sprat.base.errors import UserError
from sprat.base.settings import ServiceSettings, VariableSettings, environment, section_prefix
from sprat.base.words import counted
from sprat_cli.chosen_policy import changed_since, chosen_policy, taken_inside, tasks_beside
from sprat_cli.doctor.check import Check, CheckStatus, broken, ok, unknown, warning
from sprat_contracts import TASKS
from sprat_contracts.signing import MIN_KEY_BYTES
from sprat_operations.local_run import SIMULATED, SIMULATOR_HOST, SIMULATOR_REGION, LocalRun
from sprat_operations.services import CLASSIFY
from sprat_policy import (
    INSIDE,
    Policy,
    TenantPolicy,
    is_relayed,
    load_policy,
    load_task_files,
    problem_of_url,
    variable_of,
)

_SHORTEST_SECRET = 16
_CONNECT_S = 2.0


class _ServiceVariables(VariableSettings):
    """The services' settings that doctor checks; the services validate them themselves."""

    secret: SecretStr = SecretStr("")
    frontier__base_url: str = ""
    frontier__model: str = ""
    frontier__region: str = ""
    frontier__provider: str = ""
    frontier__api_key: SecretStr = SecretStr("")


def find_policy(given: Path | None, run: LocalRun | None = None) -> tuple[Check, Policy | None]:
    """Read the policy file given, else that of this user's `sprat up`, else the one of `SPRAT_POLICY`.

    None if there is none or it is invalid.
    """
    if given is not None or run is None or not run.policy:
        return _policy(chosen_policy(given))
    path, named = Path(run.policy), chosen_policy(None)
    check, policy = _policy(path, Path(run.tasks) if run.tasks else None)
    finding = f"the policy of your `sprat up`: {check.finding}"
    if check.status is CheckStatus.ok and named is not None and named.resolve() != path.resolve():
        said = f"{finding}; SPRAT_POLICY names {named}, which is not used there"
        fix = f"start `sprat up` again to use {named}, or look at it with --policy {shlex.quote(str(named))}"
        return warning("policy", said, fix), policy
    if check.status is CheckStatus.ok and (changed := changed_since(run)):
        said = f"{finding}; {', '.join(map(str, changed))} changed after your `sprat up` read it"
        return warning("policy", said, "stop `sprat up` with Ctrl-C and start it again to use the change"), policy
    return replace(check, finding=finding), policy


def check_settings(finding: Check, policy: Policy | None, run: LocalRun | None = None) -> Iterator[Check]:
    """Check the secret and the frontier.

    Args:
        finding: what `find_policy` returned.
        policy: as well.
        run: the running `sprat up` that commands use; None if there is none.
    """
    settings = _ServiceVariables()
    kept = None if run is None else Path(run.folder) / "secret"
    yield _secret(settings.secret.get_secret_value(), kept if kept is not None and kept.is_file() else None)
    yield finding
    if policy is not None:
        yield from check_tenants(policy, environment())
    key = bool(settings.frontier__api_key.get_secret_value().strip())
    variables = FrontierVariables(
        settings.frontier__base_url,
        settings.frontier__model,
        settings.frontier__provider,
        settings.frontier__region,
        has_key=key,
    )
    if policy is None or not policy.tiers or any(tier.host is None for tier in policy.tiers):
        if run is not None and run.frontier == SIMULATED:
            yield _simulator(policy)
        elif run is not None and run.frontier and run.frontier != variables.base_url:
            yield ok("frontier", f"your `sprat up` asks {run.frontier}; its other settings are those of its shell")
        else:
            yield from check_frontier(variables, policy)
    if policy is not None:
        yield from check_tiers(policy, environment())
        yield from check_tiers_inside(policy)
    if policy is not None and not policy.regions:
        yield warning(
            "hosts",
            "the policy lists no hosts of regions: a provider is in the region that SPRAT_FRONTIER__REGION names",
            f"list them in the policy, as regions: {{{_DEFAULT_REGION}: [{DEFAULT_FRONTIER_HOST}]}}",
        )


def _secret(secret: str, kept: Path | None) -> Check:
    if len(secret) >= _SHORTEST_SECRET:
        return ok("secret", "SPRAT_SECRET is set")
    check, finding = (warning, f"shorter than {_SHORTEST_SECRET} characters") if secret else (unknown, "not set here")
    return check(
        "secret",
        f"SPRAT_SECRET is {finding}; `sprat up` makes one, services that you start yourself share one",
        f"export SPRAT_SECRET=$({'openssl rand -hex 32' if kept is None else f'cat {shlex.quote(str(kept))}'})",
    )


def _policy(path: Path | None, tasks: Path | None = None) -> tuple[Check, Policy | None]:
    if path is None:
        return unknown(
            "policy",
            "SPRAT_POLICY is not set here; a router that you start yourself needs it",
            "export SPRAT_POLICY=FILE, or name it here with --policy FILE; example: compose/policy.yaml",
        ), None
    try:
        files = tasks_beside(path) if tasks is None else load_task_files(tasks)
        policy = load_policy(path, files.table).with_added(files)
    except UserError as error:
        said = str(error).replace("\n", "; ")
        return broken("policy", said, "fix it: router and frontier do not start with it"), None
    return ok("policy", f"{path}: {counted(len(policy.tenants), 'tenant')}"), policy


def check_tenants(policy: Policy, variables: Mapping[str, str]) -> Iterator[Check]:
    """Show which tenants have sources of their own and sign their texts; check that the keys are set."""
    for name, tenant in policy.tenants.items():
        if not (tenant.sources or tenant.signing_keys):
            continue
        finding = f"{_some([name])}: {_bound(tenant)}"
        missing = [each for each in tenant.key_variables if len(variables.get(each, "").encode()) < MIN_KEY_BYTES]
        if missing:
            yield unknown(
                "tenants",
                f"{finding}; in this shell: no key of {MIN_KEY_BYTES} bytes in {', '.join(missing)}",
                "router and frontier do not start without these variables; export them here, too, to check them",
            )
        elif not tenant.sources:
            yield warning(
                "tenants",
                f"{finding}; another tenant may use the same sources, and so the ids of its Results",
                f"name its sources: tenants.{name}.sources",
            )
        else:
            yield ok("tenants", finding)
    open_ = [name for name, tenant in policy.tenants.items() if not (tenant.sources or tenant.signing_keys)]
    if open_:
        yield ok("tenants", f"neither sources nor keys: {_some(open_)}; whoever may write texts may write theirs")


def _bound(tenant: TenantPolicy) -> str:
    sources = f"texts from {_listed(tenant.sources)} alone" if tenant.sources else "texts from any free source"
    keys = f", signed with {' or '.join(tenant.key_variables)}" if tenant.signing_keys else ", not signed"
    return f"{sources}{keys}"


_DEFAULT_REGION = "eu"
DEFAULT_FRONTIER_HOST = "api.mistral.ai"
"""Region and host of the default endpoint."""
_FEW = 3


@dataclass(frozen=True, slots=True)
class FrontierVariables:
    """The frontier's settings; empty if not set."""

    base_url: str
    model: str
    provider: str
    region: str
    has_key: bool

    @property
    def host(self) -> str:
        """Return the host that it would call."""
        return urlsplit(self.base_url).hostname or "the default endpoint"


def check_frontier(settings: FrontierVariables, policy: Policy | None) -> Iterator[Check]:
    """Check endpoint and key; then the region, which must be one that the policy allows."""
    if not settings.base_url and not settings.has_key:
        yield unknown(
            "frontier",
            "in this shell: no endpoint and no key; a frontier service started from here would decline hard cases (one "
            "that runs already, as under `sprat up`, has its own settings)",
            "for Mistral set SPRAT_FRONTIER__API_KEY; for another SPRAT_FRONTIER__BASE_URL, MODEL, PROVIDER, REGION",
        )
        return
    problem = problem_of_url(settings.base_url, "SPRAT_FRONTIER__API_KEY") if settings.base_url else None
    if problem is not None:
        yield broken("frontier", f"the URL {problem}", "correct SPRAT_FRONTIER__BASE_URL")
        return
    finding = (
        f"{settings.host}, {settings.model or 'the default model'}, key {'set' if settings.has_key else 'not set'}"
    )
    missing = [
        f"SPRAT_FRONTIER__{name.upper()}"
        for name in ("model", "provider", "region")
        if settings.base_url and not getattr(settings, name)
    ]
    if missing:
        yield broken("frontier", finding, f"set {', '.join(missing)}, too")
        return
    if policy is not None and settings.base_url and policy.is_inside(settings.host):
        yield _inside(settings, finding)
        return
    yield _endpoint(settings, finding)
    if policy is not None:
        yield _region(settings.region or _DEFAULT_REGION, policy)
        if policy.regions:
            yield _host(settings, policy)


def check_tiers(policy: Policy, variables: Mapping[str, str]) -> Iterator[Check]:
    """Check the policy's tiers: what is sent to each is encrypted, and its key is there."""
    for tier in policy.tiers:
        if tier.host is None or tier.base_url is None:
            continue
        inside = policy.is_inside(tier.host)
        place = "inside the house" if inside else f"in {tier.region_name}"
        finding = f"{tier.label}: {tier.model_name} at {tier.host}, {place}"
        if urlsplit(tier.base_url).scheme != "https" and not (inside or _is_inside(tier.host)):
            yield broken("tier", f"{finding}; what is sent is not encrypted", "an https:// address in the policy")
        elif inside and tier.is_elsewhere:
            yield warning("tier", f"{finding}; its region is {tier.region_name}", taken_inside(tier.host))
        elif tier.api_key is not None and not variables.get(variable_of(tier.api_key), "").strip():
            missing = f"{finding}; {variable_of(tier.api_key)} is not set here"
            yield unknown("tier", missing, "the frontier service does not start without it; export it here, too")
        elif tier.calibration:
            yield ok("tier", f"{finding}; keeps {tier.keeps}; a goal and sprat tiers calibrate take its place")
        else:
            yield ok("tier", f"{finding}; keeps {tier.keeps}")


def check_tiers_inside(policy: Policy) -> Iterator[Check]:
    """Check that something listens where the tiers inside the house are. No other address is tried."""
    for tier in policy.tiers:
        if tier.base_url is None or tier.host is None or not policy.is_inside(tier.host):
            continue
        url = urlsplit(tier.base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            socket.create_connection((tier.host, port), _CONNECT_S).close()
        except OSError as error:
            reason = error.strerror or "no answer"
            yield warning(
                "tier",
                f"{tier.label}: {tier.host}:{port} cannot be reached from here: {reason}",
                "start its server, or correct its address in the policy; meanwhile texts go to the next tier",
            )


def _inside(settings: FrontierVariables, finding: str) -> Check:
    """Check a frontier that the policy lists under `inside`: no region and no list of hosts holds for it."""
    if is_relayed(settings.model):
        relayed = f"{finding}; ollama sends what {settings.model} gets to ollama.com, so it is not inside"
        return broken("frontier", relayed, "name a model that runs there, or take the host out of `inside`")
    if settings.region != INSIDE:
        said = f"{finding}, inside the house by the policy, and its region is {settings.region}"
        return warning("frontier", said, taken_inside(settings.host))
    return ok("frontier", f"{finding}, inside the house: nothing leaves to it")


def _simulator(policy: Policy | None) -> Check:
    """Check that the policy does not take the simulator of `sprat up` inside: no rehearsal shows then what leaves."""
    finding = "your `sprat up` asks its simulator"
    if policy is not None and policy.is_inside(SIMULATOR_HOST):
        said = f"{finding} at {SIMULATOR_HOST}, inside the house by the policy, and its region is {SIMULATOR_REGION}"
        return warning("frontier", said, taken_inside(SIMULATOR_HOST))
    return ok("frontier", finding)


def _endpoint(settings: FrontierVariables, finding: str) -> Check:
    if not settings.base_url or _is_inside(settings.host):
        return ok("frontier", finding)
    if urlsplit(settings.base_url).scheme != "https":
        return broken("frontier", f"{finding}; what is sent is not encrypted", "https:// in SPRAT_FRONTIER__BASE_URL")
    if not settings.has_key:
        return warning("frontier", f"{finding}: most providers refuse", "set SPRAT_FRONTIER__API_KEY")
    return ok("frontier", finding)


def _is_inside(host: str) -> bool:
    """Return whether it is this machine or in a private network, judging by its name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".internal", ".local", ".localhost"))
    return address.is_private or address.is_loopback


def _region(region: str, policy: Policy) -> Check:
    """Check which tenants' texts may be sent to the frontier's region."""
    willing = {name: tenant for name, tenant in policy.tenants.items() if tenant.frontier != "deny"}
    refusing = sorted(name for name, tenant in willing.items() if region not in tenant.regions)
    if willing and len(refusing) == len(willing):
        named = sorted({each for tenant in willing.values() for each in tenant.regions})
        return warning(
            "region",
            f"the frontier is in {region}, where no tenant's texts may go: every hard case is declined",
            f"name it in the policy's regions ({', '.join(named)} are), or set SPRAT_FRONTIER__REGION to what it is",
        )
    if not willing:
        return ok("region", f"{region}; no tenant allows its texts to be sent")
    besides = f", not of {_some(refusing)}" if refusing else ""
    return ok("region", f"{region}: texts of {_some(sorted(willing.keys() - set(refusing)))} may go there{besides}")


def _host(settings: FrontierVariables, policy: Policy) -> Check:
    """Check that the policy lists the frontier's host in its region."""
    region = settings.region or _DEFAULT_REGION
    host = settings.host if settings.base_url else DEFAULT_FRONTIER_HOST
    try:
        policy.check_host(region, host)
    except UserError as error:
        finding, _, fix = str(error).partition("; ")
        return broken("hosts", finding, fix)
    return ok("hosts", f"the policy lists {host} in {region}")


def _some(names: list[str]) -> str:
    return _listed(["all others" if name == "*" else name for name in names])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


SERVICES_OWN = (
    "SPRAT_POLICY",
    "SPRAT_TASKS",
    "SPRAT_CLASSIFY__TASK",
    "SPRAT_LAG_EVERY_S",
    "SPRAT_STRICT_TEXTS",
    *(
        f"{section_prefix(task)}{field}"
        for task in (*TASKS, CLASSIFY)
        for field in ("ARTEFACT", "MODEL", "THREADS", "THRESHOLDS")
    ),
    "SPRAT_FRONTIER__BASE_URL",
    "SPRAT_FRONTIER__MODEL",
    "SPRAT_FRONTIER__API_KEY",
    "SPRAT_FRONTIER__PROVIDER",
    "SPRAT_FRONTIER__REGION",
    "SPRAT_FRONTIER__PRICES",
    "SPRAT_FRONTIER__TAGGER",
    "SPRAT_FRONTIER__TIMEOUT_S",
    "SPRAT_FRONTIER__MAX_RETRIES",
    "SPRAT_FRONTIER__RETRY_BASE_S",
    "SPRAT_FRONTIER__RETRY_CAP_S",
    "SPRAT_FRONTIER__CONCURRENCY",
    "SPRAT_FRONTIER__MAX_WAITING",
    "SPRAT_FRONTIER__MASKING_THREADS",
    "SPRAT_FRONTIER__TEMPERATURE",
    "SPRAT_FRONTIER__MAX_OUTPUT_TOKENS",
    "SPRAT_FRONTIER__MAX_WAIT_S",
    "SPRAT_FRONTIER__ANSWER_TTL_S",
    "SPRAT_FRONTIER__BREAKER__FAILURES",
    "SPRAT_FRONTIER__BREAKER__COOLDOWN_S",
    "SPRAT_FRONTIER__BREAKER__MAX_COOLDOWN_S",
    "SPRAT_FRONTIER__BREAKER__MAX_RETRY_AFTER_S",
    "SPRAT_AUDIT__KEY",
    "SPRAT_AUDIT__KEY_FILE",
    "SPRAT_AUDIT__CHECKPOINTS",
    "SPRAT_AUDIT__KAFKA",
    "SPRAT_AUDIT__CHECKPOINT_EVERY_S",
)
"""What this repository's services read besides the common settings. Not imported: they may not be installed."""
_PREFIX = "SPRAT_"
_OTHERS = ("SPRAT_SIMULATOR_", "SPRAT_TEST_", "SPRAT_DATA", "SPRAT_MODELS", "SPRAT_HUB_HOSTS")
"""Variables of other programs: the simulator, the tests, the recipes, `sprat up`, `sprat models add`."""
_LIKENESS = 0.85


def check_variables(variables: Mapping[str, str] = os.environ, policy: Policy | None = None) -> Iterator[Check]:
    """Warn about each variable that looks like a setting and is none, nor a key that the policy names."""
    keys = () if policy is None else (key for tenant in policy.tenants.values() for key in tenant.key_variables)
    known = (*_names(ServiceSettings, _PREFIX), *SERVICES_OWN, *(key.upper() for key in keys))
    for name in sorted(variables):
        upper = name.upper()  # settings are not case-sensitive
        if not upper.startswith(_PREFIX) or upper.startswith(_OTHERS) or _is_read(upper, known):
            continue
        meant = _meant(upper, known)
        if meant is None and "__" in upper:  # a third-party service has its own section
            continue
        fix = f"did you mean {meant}?" if meant is not None else "unset it, or see the README for the names"
        yield warning("variables", f"{name} is not a setting: nothing reads it", fix)


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Return the variables of a model's fields."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, f"{variable}__")
        else:
            yield variable


def _is_read(name: str, known: Iterable[str]) -> bool:
    """Return whether it is a setting, a section as JSON (SPRAT_KAFKA) or an entry (SPRAT_FRONTIER__PRICES__X)."""
    return any(name == each or each.startswith(f"{name}__") or name.startswith(f"{each}__") for each in known)


def _meant(name: str, known: Iterable[str]) -> str | None:
    bare = {each.replace("_", ""): each for each in known}
    finding = difflib.get_close_matches(name.replace("_", ""), bare, 1, _LIKENESS)
    return bare[finding[0]] if finding else None
