"""The stores of gateways: which there are, and the deletion of what one on this machine holds of a person or a tenant.

A gateway that is told a Redis notes there that it has a store, so that `sprat erase` can name one that it cannot reach.
"""

import asyncio
import json
import shlex
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sprat.base import plugins
from sprat.base.channels import GATEWAY
from sprat.base.errors import UserError
from sprat.base.settings import RedisSettings
from sprat_operations import local_run
from sprat_operations.services import module_of
from sprat_operations.trace_records import Identity

NOTED_S: Final = 24 * 3600
"""How long a note stands."""
DATA: Final = "SPRAT_GATEWAY__DATA"
PROGRAM: Final = f"python -m {module_of(GATEWAY)}.erasure"
_ERASE: Final = ("erasure", "erase")
_NOTE: Final = ("audit_note", "note_verified")
_AGAIN_S: Final = 1800.0
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class GatewayStore:
    """Where a gateway has its store."""

    host: str
    folder: str

    @classmethod
    def here(cls, folder: Path) -> "GatewayStore":
        """Return the one in a folder of this machine."""
        return cls(socket.gethostname(), str(folder.absolute()))

    def note(self, prefix: str) -> tuple[str, str]:
        """Return the name and the value of its note in Redis."""
        return f"{notes(prefix)}{self.host}:{self.folder}", json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class ErasedStore:
    """What became of one store."""

    store: GatewayStore
    texts: int = 0
    """That were found, and deleted unless only counted."""
    problem: str | None = None
    """Why nothing was looked at; None if it was."""


def gateway_namespace(prefix: str) -> str:
    """Return how the names begin under which gateways keep Results in Redis; the uuid of the text follows."""
    return f"{prefix}:door:"


def leases_namespace(prefix: str) -> str:
    """Return how the names begin under which gateways note in Redis who has a text in hand; no text follows."""
    return f"{prefix}:label:"


def notes(prefix: str) -> str:
    """Return how the names begin under which gateways note their stores in Redis."""
    return f"{prefix}:gateway-store:"


async def keep_noted(redis: RedisSettings, prefix: str, folder: Path) -> None:
    """Note the store in a folder, until cancelled. While Redis is away, `sprat erase` is not complete either."""
    name, value = GatewayStore.here(folder).note(prefix)
    client = Redis.from_url(redis.url.get_secret_value(), socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    try:
        while True:
            with suppress(RedisError, OSError):
                await client.set(name, value, ex=NOTED_S)
            await asyncio.sleep(_AGAIN_S)
    finally:
        await client.aclose()


def read_note(value: bytes | str | None) -> GatewayStore | None:
    """Return the store of a note; None for what is no note."""
    try:
        fields: Any = json.loads(value or b"")
        host, folder = fields["host"], fields["folder"]
    except (ValueError, TypeError, KeyError):
        return None
    return GatewayStore(host, folder) if isinstance(host, str) and isinstance(folder, str) else None


def command(key: str | None, text_id: str | None, tenant: str | None) -> str:
    """Return what deletes there, where this process does not reach a store."""
    given = (("--key", key), ("--text-id", text_id), ("--tenant", tenant))
    return " ".join([PROGRAM, *(f"{name} {shlex.quote(value)}" for name, value in given if value is not None)])


def folders_here(bootstrap: str, variables: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where gateways of this machine may have their stores: as the variables say, and in a running `sprat up`.

    Args:
        bootstrap: the Kafka of the installation that runs.
        variables: of the environment.
    """
    run = local_run.find_by_kafka(bootstrap)
    named = [Path(variables[DATA])] if variables.get(DATA) else []
    return tuple(dict.fromkeys([*named, *([Path(run.folder) / local_run.GATEWAY_DATA] if run and run.folder else [])]))


def erase_stores(
    folders: Collection[Path],
    noted: Collection[GatewayStore],
    identities: Collection[Identity],
    *,
    key: str | None,
    text_id: str | None,
    tenant: str | None,
    dry_run: bool,
) -> Iterator[ErasedStore]:
    """Delete what the stores in folders of this machine hold, and name the others.

    Args:
        folders: of this machine, with or without a store.
        noted: the stores that gateways have noted.
        identities: source and id of the texts that were found in Kafka.
        key: that the upstream system gave the records.
        text_id: of the text.
        tenant: whose texts; without the others, all of it.
        dry_run: only count.
    """
    here = {GatewayStore.here(folder): folder for folder in folders}
    here |= {each: Path(each.folder) for each in noted if each.host == socket.gethostname()}
    for store, folder in here.items():
        try:
            # Another host may have the name of this one, as two containers do.
            texts = _function(*_ERASE)(
                folder, key=key, text_id=text_id, tenant=tenant, identities=identities, dry_run=dry_run
            )
        except UserError as error:
            yield ErasedStore(store, problem=str(error))
        else:
            if texts is not None:
                yield ErasedStore(store, texts)
            elif store in noted:
                yield ErasedStore(store, problem="not in this folder of this machine")
    yield from (ErasedStore(each, problem="on another machine") for each in noted if each not in here)


def note_verified(folders: Collection[Path], at_ms: int, findings: int) -> Iterator[str]:
    """Note in the stores of this machine when the audit was verified; yield why one could not be changed.

    Args:
        folders: of this machine, with or without a store.
        at_ms: when it was, epoch milliseconds.
        findings: how many there were.
    """
    for folder in folders:
        try:
            _function(*_NOTE)(folder, at_ms, findings)
        except UserError as error:
            yield str(error)


def _function(module: str, name: str) -> Callable[..., Any]:
    """Return a function of the gateway that changes its store.

    Raises:
        UserError: the gateway is not installed here.
    """
    found = plugins.find(plugins.SERVICES, GATEWAY)
    if found is None:
        raise UserError("the gateway is not installed here")
    function: Callable[..., Any] = getattr(import_module(f"{found.value}.{module}"), name)
    return function
