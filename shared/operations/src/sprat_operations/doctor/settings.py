"""Checks of the settings that services would find in this shell. No secret is shown, only whether it is set."""

import difflib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from sprat.base import plugins
from sprat.base.checks import Check, CheckStatus, broken, ok, some_of, unknown, warning
from sprat.base.errors import UserError
from sprat.base.settings import ServiceSettings, environment
from sprat.base.words import counted
from sprat_contracts.signing import MIN_KEY_BYTES
from sprat_operations.chosen_policy import changed_since, chosen_policy, tasks_beside
from sprat_operations.connection import load_command_settings
from sprat_operations.local_run import SIMULATED, SIMULATOR_HOST, SIMULATOR_REGION, LocalRun
from sprat_policy import Policy, TenantPolicy, load_policy, load_task_files, taken_inside, variable_of

_SHORTEST_SECRET = 16


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
    """Check the secret, the tenants' keys and the settings of the installed services.

    Args:
        finding: what `find_policy` returned.
        policy: as well.
        run: the running `sprat up` that commands use; None if there is none.
    """
    kept = None if run is None else Path(run.folder) / "secret"
    yield _secret(
        load_command_settings().secret.get_secret_value(), kept if kept is not None and kept.is_file() else None
    )
    yield finding
    if policy is not None:
        yield from check_tenants(policy, environment())
    if run is not None and run.frontier == SIMULATED:
        yield _simulator(policy)
    elif run is not None and run.frontier:
        yield ok("frontier", f"your `sprat up` asks {run.frontier}; its other settings are those of its shell")
    services = plugins.find_all(plugins.SETTINGS_CHECKS)
    for each in services:
        yield from each.load()(policy, are_used=run is None or not run.frontier)
    if not services:
        yield unknown("frontier", "its service is not installed here", "run sprat doctor where it is, to check it")


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
        if not tenant.is_bound:
            continue
        finding = f"{_some([name])}: {_bound(tenant)}"
        missing = [each for each in tenant.key_variables if len(variables.get(each, "").encode()) < MIN_KEY_BYTES]
        if missing:
            yield unknown(
                "tenants",
                f"{finding}; in this shell: no key of {MIN_KEY_BYTES} bytes in {', '.join(missing)}",
                "router and frontier do not start without these variables; export them here, too, to check them",
            )
        elif tenant.signing_keys and not tenant.sources:
            yield warning(
                "tenants",
                f"{finding}; another tenant may use the same sources, and so the ids of its Results",
                f"name its sources: tenants.{name}.sources",
            )
        else:
            yield ok("tenants", finding)
    open_ = [name for name, tenant in policy.tenants.items() if not tenant.is_bound]
    if open_:
        yield ok("tenants", f"neither sources nor keys: {_some(open_)}; whoever may write texts may write theirs")


def _bound(tenant: TenantPolicy) -> str:
    own = f"texts from {some_of(tenant.sources)} alone" if tenant.sources else "texts from any free source"
    told = [f"{own}, {_signed(tenant.signing_keys)}"] if tenant.signing_keys or not tenant.door_keys else []
    if tenant.door_keys:
        told.append(f"texts of the HTTP door from {some_of(tenant.door_sources)}, {_signed(tenant.door_keys)}")
    return "; ".join(told)


def _signed(keys: tuple[str, ...]) -> str:
    return f"signed with {' or '.join(map(variable_of, keys))}" if keys else "not signed"


def _simulator(policy: Policy | None) -> Check:
    """Check that the policy does not take the simulator of `sprat up` inside: no rehearsal shows then what leaves."""
    finding = "your `sprat up` asks its simulator"
    if policy is not None and policy.is_inside(SIMULATOR_HOST):
        said = f"{finding} at {SIMULATOR_HOST}, inside the house by the policy, and its region is {SIMULATOR_REGION}"
        return warning("frontier", said, taken_inside(SIMULATOR_HOST))
    return ok("frontier", finding)


def _some(names: list[str]) -> str:
    return some_of(["all others" if name == "*" else name for name in names])


_PREFIX = "SPRAT_"
_OTHERS = ("SPRAT_SIMULATOR_", "SPRAT_TEST_", "SPRAT_DATA", "SPRAT_MODELS", "SPRAT_HUB_HOSTS")
"""Variables of other programs: the simulator, the tests, the recipes, `sprat up`, `sprat models add`."""
_OF_COMMANDS = ("SPRAT_POLICY", "SPRAT_TASKS")
"""What commands read, too, where no service is installed."""
_LIKENESS = 0.85


def check_variables(variables: Mapping[str, str] = os.environ, policy: Policy | None = None) -> Iterator[Check]:
    """Warn about each variable that looks like a setting and is none, nor a key that the policy names."""
    keys = () if policy is None else (key.upper() for tenant in policy.tenants.values() for key in tenant.key_variables)
    known = [*_names(ServiceSettings, _PREFIX), *_OF_COMMANDS, *keys]
    ours = sorted(name for name in variables if name.upper().startswith(_PREFIX))  # settings are not case-sensitive
    unknown_names = [
        name for name in ours if not name.upper().startswith(_OTHERS) and not _is_read(name.upper(), known)
    ]
    if not unknown_names:  # importing the services takes seconds on a busy machine
        return
    for settings in filter(None, map(plugins.settings_type, plugins.find_all(plugins.SERVICES))):
        known += _names(settings, _PREFIX)
    for name in unknown_names:
        meant = _meant(name.upper(), known)
        # A third-party service has its own section.
        if _is_read(name.upper(), known) or (meant is None and "__" in name):
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
