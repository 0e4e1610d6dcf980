"""What the instance itself notes for the screens: how far it has read, and the groups of the services."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any, Final

from sprat_gateway.page.writing import StoreWriter

STATE: Final = "state"
GROUPS: Final = "groups"
AUDIT: Final = "audit"


@dataclass(frozen=True, slots=True)
class State:
    """How far the ingestion is."""

    waiting: int
    """Records that were appended and not read yet."""
    read_ms: int | None
    """When the newest record was appended that was read; None: none was."""
    one_in: int
    at_ms: int

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def note(writer: StoreWriter, name: str, value: Any) -> None:
    """Replace a note."""
    with writer.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", (name, json.dumps(value)))


def noted(connection: sqlite3.Connection, name: str) -> Any:
    """Return a note; None where there is none."""
    row = connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return None if row is None else json.loads(row[0])


def state_of(connection: sqlite3.Connection) -> State:
    """Return how far the ingestion is."""
    found = noted(connection, STATE)
    return State(0, None, 1, 0) if found is None else State(**found)
