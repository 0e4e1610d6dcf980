"""API keys of the HTTP door: a file with a digest of each, which the door reads and `sprat keys` changes.

A key is `sprat_`, its id, `_` and 32 random bytes in base64url. The file holds the SHA-256 of the whole key: whoever
reads the file cannot call the door. A plain digest is enough, since nobody can guess 32 random bytes.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers
from sprat.base.settings import VariableSettings
from sprat_contracts import TextSubmitted
from sprat_operations import local_run

Role = Literal["send", "read-texts", "label"]
"""`send`: submit texts and read their Results. `read-texts`: see texts on the page. `label`: answer reviews there."""
ROLES: Final[tuple[Role, ...]] = ("send", "read-texts", "label")
FILE: Final = "api-keys.json"
"""The file's name in the data folder of `sprat up`."""
MAX_VALID: Final = 2
"""Keys of one tenant and source with the same roles: the one in use and the one that replaces it."""
REREAD_S: Final = 2.0
"""How long the door uses what it has read before it looks at the file again; the guide says 5 s."""

_PREFIX: Final = "sprat_"
_BYTES: Final = 32
_ID: Final = r"^[0-9a-f]{12}$"
_MAX_KEY: Final = 200
_MAX_FILE: Final = 16 * 1024 * 1024
_SOURCE: Final = re.compile(r"[\x21-\x7e]{1,1024}")
_EXAMPLE: Final = "sprat keys add --tenant default --source /web"


def _check_source(source: str) -> str:
    if _SOURCE.fullmatch(source) is None:
        raise PydanticCustomError("source", "it must be a URI reference of 1 to 1,024 ASCII characters, such as /web")
    return source


class ApiKey(BaseModel):
    """A key as the file has it; the key itself is not in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=_ID)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    tenant: Annotated[str, *TextSubmitted.model_fields["tenant"].metadata]
    """Of every text sent with it."""
    source: Annotated[str, AfterValidator(_check_source)]
    """CloudEvents source of every text sent with it: a URI reference."""
    roles: Annotated[
        frozenset[Role],
        Field(min_length=1),
        BeforeValidator(lambda value: frozenset(value) if isinstance(value, list) else value),
        PlainSerializer(sorted),
    ]
    created: datetime


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[ApiKey, ...] = ()


class _GatewayVariables(BaseModel):
    keys_file: Path | None = None


class _KeysVariable(VariableSettings):
    """`SPRAT_GATEWAY__KEYS_FILE`, from the environment or the file `.env`."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    gateway: _GatewayVariables = _GatewayVariables()


def chosen_file(given: Path | None) -> Path:
    """Return the file given, else that of SPRAT_GATEWAY__KEYS_FILE, else that of this user's `sprat up`.

    Raises:
        UserError: none of them is there, or more than one `sprat up` runs.
    """
    chosen = given or _KeysVariable().gateway.keys_file
    if chosen is not None:
        return chosen
    runs = local_run.for_commands()
    if len(runs) == 1:
        return Path(runs[0].folder) / FILE
    found = "more than one `sprat up` runs" if runs else "no `sprat up` of yours runs"
    files = ", or ".join(f"--file {Path(each.folder) / FILE}" for each in runs) or "--file FILE"
    raise UserError(f"which file of keys? {found}: add {files}; or set SPRAT_GATEWAY__KEYS_FILE")


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file; none if there is no file.

    Raises:
        UserError: it is not valid, cannot be read, or somebody else may have written it.
    """
    try:
        with path.open("rb") as file:
            check_writers(path, "let anybody in", opened=file.fileno())
            content = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    try:
        keys = _File.model_validate_json(content).keys
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: not a file of API keys: {where}: {first['msg']}; `{_EXAMPLE}` writes one") from None
    if len({key.id for key in keys}) != len(keys):
        raise UserError(f"{path}: two keys have the same id: keep one of them")
    return keys


def check_source(path: Path, tenant: str, source: str) -> None:
    """Check that no key of another tenant has a source: ids of texts are derived from source and id, not from tenant.

    Raises:
        UserError: one has it, or the file is not valid.
    """
    if any(each.source == source and each.tenant != tenant for each in read_keys(path)):
        raise UserError(f"the source {source} is another tenant's in {path}: name one of this tenant's own")


def add_key(path: Path, tenant: str, source: str, roles: Sequence[str] = ("send",)) -> tuple[str, ApiKey]:
    """Add a new key to a file, which is created if it is missing; return the key, to be shown once, and its entry.

    Raises:
        UserError: the tenant, the source or a role is not valid; as many keys of these are valid as may be; the file
            cannot be changed.
    """
    id = secrets.token_hex(6)
    key = f"{_PREFIX}{id}_{secrets.token_urlsafe(_BYTES)}"
    created = datetime.now(UTC).replace(microsecond=0)
    try:
        entry = ApiKey.model_validate(
            {
                "id": id,
                "sha256": _digest(key),
                "tenant": tenant,
                "source": source,
                "roles": list(roles),
                "created": created,
            }
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise UserError(f"{first['loc'][0]}: {first['msg']}") from None
    with _changed(path) as keys:
        same = [each for each in keys if (each.tenant, each.source, each.roles) == (tenant, source, entry.roles)]
        if len(same) >= MAX_VALID:
            ids = " and ".join(each.id for each in same)
            raise UserError(
                f"{len(same)} keys of this tenant and source with these roles are valid ({ids}): revoke the one that "
                f"is no longer used, `sprat keys revoke {same[0].id}`"
            )
        keys.append(entry)
    return key, entry


def revoke_key(path: Path, id: str) -> ApiKey:
    """Remove a key from a file and return what it was; the door refuses it within 5 s.

    Raises:
        UserError: no key has this id, or the file cannot be changed.
    """
    with _changed(path) as keys:
        found = next((each for each in keys if each.id == id), None)
        if found is None:
            raise UserError(f"{path} has no key with the id {id[:40]!r}: `sprat keys list` shows them")
        keys.remove(found)
    return found


def match_key(keys: Sequence[ApiKey], presented: str) -> ApiKey | None:
    """Return the entry of a key that somebody presents; None where it is none of them.

    All are compared, each in constant time: how long it takes tells nothing about where a digest differs.
    """
    if len(presented) > _MAX_KEY:
        return None
    digest, found = _digest(presented), None
    for each in keys:
        if hmac.compare_digest(each.sha256, digest):
            found = each
    return found


class KeyRing:
    """The valid keys of a door: its file, read again when it has changed, and at most every `REREAD_S`.

    A file that is missing or cannot be used lets nobody in: a revoked key must not stay valid because of it.

    Args:
        path: the file; None: there is none.
        on_error: gets the error of a file that cannot be used, once for each state of it.
        clock: in seconds, monotonic.
    """

    def __init__(
        self, path: Path | None, on_error: Callable[[UserError], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = path
        self._on_error = on_error
        self._clock = clock
        self._keys: tuple[ApiKey, ...] = ()
        self._state: object = ()
        self._looked_at = -float("inf")

    def find(self, presented: str) -> ApiKey | None:
        """Return the entry of a key that somebody presents; None where it is not valid."""
        return match_key(self._current(), presented)

    def get(self, id: str) -> ApiKey | None:
        """Return the entry with an id; None where it is not valid any more."""
        return next((each for each in self._current() if each.id == id), None)

    def _current(self) -> tuple[ApiKey, ...]:
        if (now := self._clock()) - self._looked_at >= REREAD_S:
            self._looked_at = now
            if (state := self._stat()) != self._state:
                self._state = state
                self._read()
        return self._keys

    def _stat(self) -> object:
        if self.path is None:
            return ()
        try:
            found = self.path.stat()
        except OSError as error:
            return error.errno
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

    def _read(self) -> None:
        self._keys = ()
        try:
            self._keys = () if self.path is None else read_keys(self.path)
        except UserError as error:
            self._on_error(error)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _changed(path: Path) -> Iterator[list[ApiKey]]:
    """Yield the keys of a file, and write them at the end; meanwhile no other command changes them."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = list(read_keys(path))
            yield keys
            _write(path, keys)
        finally:
            os.close(lock)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _write(path: Path, keys: Sequence[ApiKey]) -> None:
    """Replace a file whole, so that the door never reads half of it."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(_File(keys=tuple(keys)).model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
