"""One-time tokens with which a browser opens the page: whoever starts the door makes one, the door takes it once.

A token is 32 random bytes. Beside the file of keys stands a file: its name holds the SHA-256 of the
token, its content the id of the key that the browser's session stands for. To redeem is to remove it, which only one
process can do.
"""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers

VALID_S: Final = 86_400.0
"""How long an unused token is valid."""

_PREFIX: Final = "page-login-"
_MAX_TOKEN: Final = 100


def make_login(keys_file: Path, key_id: str) -> str:
    """Return a new token for a key, which replaces those that were not used.

    Raises:
        UserError: it cannot be written.
    """
    token = secrets.token_urlsafe(32)
    try:
        for old in keys_file.parent.glob(f"{_PREFIX}*"):
            old.unlink(missing_ok=True)
        path = _path(keys_file, token)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(key_id)
    except OSError as error:
        raise UserError(f"{keys_file.parent}: no token for the page can be written: {error.strerror}") from None
    return token


def redeem_login(keys_file: Path, token: str) -> str | None:
    """Return the id of the key of a token, which is used up by that; None where it is not valid.

    Raises:
        UserError: somebody else may have written it.
    """
    if not 0 < len(token) <= _MAX_TOKEN:
        return None
    path = _path(keys_file, token)
    with suppress(OSError), path.open("rb") as file:
        check_writers(path, "let anybody in", opened=file.fileno())
        key_id = file.read(64).decode("ascii", "replace")
        age_s = time.time() - os.fstat(file.fileno()).st_mtime
        path.unlink()  # of two at the same time, one fails here
        return key_id if age_s <= VALID_S else None
    return None


def _path(keys_file: Path, token: str) -> Path:
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    return keys_file.with_name(f"{_PREFIX}{digest}")
