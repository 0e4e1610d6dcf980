"""Checks of the gateway: who is let in, whether the policy lets it send their texts, and whether it answers."""

import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sprat.base.checks import Check, broken, ok, some_of, warning
from sprat.base.errors import UserError
from sprat.base.settings import environment
from sprat.base.words import counted
from sprat_operations.api_keys import FILE, ApiKey, read_keys
from sprat_operations.local_run import GATEWAY_PORT, LocalRun
from sprat_policy import DoorSigner, Policy

_SUBJECT = "gateway"
_ADD = "sprat keys add --tenant TENANT --source SOURCE"

_USUAL_PORT: Final = "8088"
_PATIENCE_S: Final = 3.0
_WITHOUT_KEY: Final = {401, 421}
"""What it answers whoever sends no key: unauthorised, or it is not asked by this name."""


def keys_file(run: LocalRun | None) -> Path | None:
    """Return the file of API keys of this user's `sprat up`, else that of the settings; None where none is known."""
    if run is not None:
        path = Path(run.folder) / FILE
        return path if path.is_file() else None  # it runs no gateway
    named = environment().get("SPRAT_GATEWAY__KEYS_FILE")
    return Path(named) if named else None


def address(run: LocalRun | None) -> str | None:
    """Return where the gateway of this user's `sprat up` serves, else that of the settings; None where it has none."""
    if run is not None:
        file = Path(run.folder) / GATEWAY_PORT
        return f"http://127.0.0.1:{file.read_text('ascii').strip()}" if file.is_file() else None
    said = environment()
    scheme = "https" if said.get("SPRAT_GATEWAY__TLS_CERT") else "http"
    return f"{scheme}://127.0.0.1:{said.get('SPRAT_GATEWAY__PORT') or _USUAL_PORT}"


def check_gateway(path: Path | None, policy: Policy | None, where: str | None = None) -> Iterator[Check]:
    """Check the file of API keys, and whether it answers there; nothing where this machine knows of no gateway."""
    if path is None:
        return
    if where is not None:
        yield _answers(where)
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


def _answers(where: str) -> Check:
    """Ask it something without a key."""
    at = urlsplit(where)
    host, port = at.hostname or "", at.port or 0
    if at.scheme == "https":
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE  # its name is another
        connection: HTTPConnection = HTTPSConnection(host, port, timeout=_PATIENCE_S, context=unchecked)
    else:
        connection = HTTPConnection(host, port, timeout=_PATIENCE_S)
    with closing(connection):
        try:
            connection.request("GET", "/v1/texts/doctor")
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            fix = "start it, or see its log: `sprat up` starts it unless --no-gateway is given"
            return warning(_SUBJECT, f"it does not answer at {where} ({type(error).__name__})", fix)
    if status not in _WITHOUT_KEY:
        fix = "stop the other program, or set SPRAT_GATEWAY__PORT"
        return warning(_SUBJECT, f"another program answers at {where} (status {status})", fix)
    return ok(_SUBJECT, f"it answers at {where}")
