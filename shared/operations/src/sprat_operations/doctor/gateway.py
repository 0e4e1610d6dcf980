"""Checks of the gateway: who is let in, and whether the policy lets it send their texts."""

from collections.abc import Iterator
from pathlib import Path

from sprat.base.checks import Check, broken, ok, some_of, warning
from sprat.base.errors import UserError
from sprat.base.settings import environment
from sprat.base.words import counted
from sprat_operations.api_keys import FILE, ApiKey, read_keys
from sprat_operations.local_run import LocalRun
from sprat_policy import DoorSigner, Policy

_SUBJECT = "gateway"
_ADD = "sprat keys add --tenant TENANT --source SOURCE"


def keys_file(run: LocalRun | None) -> Path | None:
    """Return the file of API keys of this user's `sprat up`, else that of the settings; None where none is known."""
    if run is not None:
        path = Path(run.folder) / FILE
        return path if path.is_file() else None  # it runs no gateway
    named = environment().get("SPRAT_GATEWAY__KEYS_FILE")
    return Path(named) if named else None


def check_gateway(path: Path | None, policy: Policy | None) -> Iterator[Check]:
    """Check the file of API keys; nothing where this machine knows of no gateway."""
    if path is None:
        return
    try:
        keys = read_keys(path)
    except UserError as error:
        yield broken(_SUBJECT, f"it lets nobody in: {error}", "correct the file, or remove it and make new keys")
        return
    if not keys:
        yield warning(_SUBJECT, f"it lets nobody in: {path} holds no API key", _ADD)
        return
    tenants = sorted({each.tenant for each in keys})
    yield ok(_SUBJECT, f"{counted(len(keys), 'API key')} in {path}, of {some_of(tenants)}")
    if policy is not None:
        yield from _refused(keys, policy)


def _refused(keys: tuple[ApiKey, ...], policy: Policy) -> Iterator[Check]:
    """Warn of keys whose texts the gateway refuses: their tenant is bound to other sources, or to a signature."""
    signer = DoorSigner(policy, {})
    for tenant, source in sorted({(each.tenant, each.source) for each in keys}):
        if (refusal := signer.refusal(tenant, source)) is not None:
            said = f"it refuses the texts of {tenant} from {source} (403): {refusal.detail}"
            yield warning(_SUBJECT, said, "change the policy, or revoke the key: sprat keys list")
