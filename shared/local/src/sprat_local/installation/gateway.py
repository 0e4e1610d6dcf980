"""The gateway of a local installation: its variables, and the API key that is made for the user."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat_local.installation.options import Options
from sprat_operations import api_keys
from sprat_operations.local_run import GATEWAY_DATA
from sprat_policy import load_policy, variable_of

USUAL_PORT: Final = 8088
"""Where programs and browsers look for it, if it is free."""
SOURCE: Final = "/sprat-up"
"""Of the texts that are sent with the user's key."""
TENANT: Final = "default"
"""Of these texts, unless the policy names others alone."""

_ROLES: Final = ("send", "read-texts", "label")
_KNOWN: Final = tuple(
    f"SPRAT_{name}"
    for name in (
        "DEFAULT_LANGUAGE",
        "DRAIN_S",
        "GATEWAY__",
        "HEALTH_",
        "KAFKA__",
        "LOG_",
        "POLICY",
        "REDIS__",
        "TASKS",
        "TELEMETRY__",
        "TRACE_URL",
    )
)
"""How the variables of Sprat begin that it may have."""


def keys_file(folder: Path) -> Path:
    """Return the file of API keys in the folder of an installation."""
    return folder / api_keys.FILE


def gateway_variables(shared: Mapping[str, str], options: Options, folder: Path, port: int) -> dict[str, str]:
    """Return the variables of the gateway: neither the secret nor a key of a provider or a tenant is among them.

    What the user has set for it stays, its port and its files apart.
    """
    foreign = _signing_keys(options)
    variables = {
        name: value
        for name, value in shared.items()
        if name not in foreign and (not name.startswith("SPRAT_") or name.startswith(_KNOWN))
    }
    return {"SPRAT_GATEWAY__PAGE": "on", **variables} | {
        "SPRAT_GATEWAY__PORT": str(port),
        "SPRAT_GATEWAY__KEYS_FILE": str(keys_file(folder).absolute()),
        "SPRAT_GATEWAY__DATA": str((folder / GATEWAY_DATA).absolute()),
    }


def new_key(options: Options, folder: Path) -> tuple[str, api_keys.ApiKey]:
    """Return a key for the user, and its entry; the one of the last run in this folder stays valid, older ones do not.

    Raises:
        UserError: the file of keys is not valid, or cannot be written.
    """
    path, tenant = keys_file(folder), tenant_of(options)
    mine = [each for each in api_keys.read_keys(path) if (each.tenant, each.source) == (tenant, SOURCE)]
    for each in sorted(mine, key=lambda one: one.created)[: len(mine) + 1 - api_keys.MAX_VALID]:
        api_keys.revoke_key(path, each.id)
    return api_keys.add_key(path, tenant, SOURCE, _ROLES)


def tenant_of(options: Options) -> str:
    """Return the tenant of the user's texts: one that the policy knows, where it knows any."""
    with suppress(UserError):  # the services that read it say so
        policy = load_policy(options.policy, options.task_files.table)
        if policy.section(TENANT) is None and policy.named_tenants:
            return policy.named_tenants[0]
    return TENANT


def _signing_keys(options: Options) -> frozenset[str]:
    """Return the variables with the keys of tenants; those with which the gateway signs for them are no such keys."""
    with suppress(UserError):
        tenants = load_policy(options.policy, options.task_files.table).tenants
        return frozenset(variable_of(key) for each in tenants.values() for key in each.signing_keys)
    return frozenset()
