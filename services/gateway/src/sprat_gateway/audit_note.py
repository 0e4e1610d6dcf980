"""Notes in the store of a gateway when the audit was verified: for `sprat audit verify`; its page shows it."""

import sqlite3
from pathlib import Path

from sprat.base.errors import UserError
from sprat_gateway.page.notes import AUDIT, note
from sprat_gateway.page.schema import open_existing
from sprat_gateway.page.writing import StoreWriter


def note_verified(folder: Path, at_ms: int, findings: int) -> None:
    """Replace what is noted of the last verification; do nothing where the folder has no store.

    Args:
        folder: of the store; its gateway may run.
        at_ms: when it was, epoch milliseconds.
        findings: how many there were.

    Raises:
        UserError: the store cannot be changed.
    """
    try:
        with open_existing(folder) as connection:
            if connection is not None:
                note(StoreWriter(connection, whole=True), AUDIT, {"at_ms": at_ms, "findings": findings})
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{folder}: it cannot be changed ({type(error).__name__})") from None
