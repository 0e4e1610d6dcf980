"""The gateway of a local installation: its variables, and the API key that is made for the user."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat.base.settings import environment
from sprat_cli.commands.send.submission import SOURCE
from sprat_local.installation.options import Options
from sprat_local.processes.ports import HOST
from sprat_operations import api_keys
from sprat_operations.local_run import GATEWAY_DATA
from sprat_operations.page_login import make_login
from sprat_policy import load_policy, variable_of

USUAL_PORT: Final = 8088
"""Where programs and browsers look for it, if it is free."""
TENANT: Final = "default"
"""Of the texts that are sent with the user's key, unless the policy names others alone."""

_ROLES: Final = frozenset({"send", "read-texts", "label"})
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


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """Where the gateway serves, and the key that was made for the user of this installation."""

    port: int
    folder: Path
    """Of the installation."""
    key: str = field(repr=False)
    entry: api_keys.ApiKey
    """Of the key in the file of keys."""

    @property
    def address(self) -> str:
        """The address, without a path."""
        return f"http://{HOST}:{self.port}"

    def page(self) -> str | None:
        """Return an address that opens the page once, in one browser; None where the page is off.

        Raises:
            UserError: the token cannot be written.
        """
        if environment().get("SPRAT_GATEWAY__PAGE", "on") != "on":
            return None
        return f"{self.address}/page/sign-in?token={make_login(keys_file(self.folder), self.entry.id)}"


def named_port() -> int:
    """Return the port that `SPRAT_GATEWAY__PORT` names, also in `.env`; else the usual one."""
    named = environment().get("SPRAT_GATEWAY__PORT", "")
    return int(named) if named.isdecimal() and 0 < int(named) < 65_536 else USUAL_PORT


def keys_file(folder: Path) -> Path:
    """Return the file of API keys in the folder of an installation."""
    return folder / api_keys.FILE


def gateway_variables(shared: Mapping[str, str], options: Options, folder: Path, port: int) -> dict[str, str]:
    """Return the variables of the gateway: neither the secret nor a key of a provider or a tenant is among them.

    What the user has set for it stays, its files apart; of ports, one that is free.
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


def make_gateway(options: Options, folder: Path, port: int) -> LocalGateway:
    """Return the gateway of an installation that starts, with a new key.

    The key of the last run in this folder stays valid, those of earlier ones do not.

    Raises:
        UserError: the file of keys is not valid, or cannot be written.
    """
    path = keys_file(folder)
    tenant, source = options.key_of or (tenant_of(options), SOURCE)
    same = [each for each in api_keys.read_keys(path) if each.source == source]
    mine = sorted(
        (each for each in same if (each.tenant, each.roles) == (tenant, _ROLES)), key=lambda each: each.created
    )
    earlier = mine[: len(mine) + 1 - api_keys.MAX_VALID]
    for each in (*earlier, *(each for each in same if each.tenant != tenant)):  # a source is one tenant's
        api_keys.revoke_key(path, each.id)
    return LocalGateway(port, folder, *api_keys.add_key(path, tenant, source, sorted(_ROLES)))


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
