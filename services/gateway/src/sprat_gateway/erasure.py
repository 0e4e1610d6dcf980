"""Deletes what the store of a gateway holds of a person or a tenant: for `sprat erase`, and by itself beside a gateway.

`python -m sprat_gateway.erasure --tenant acme-bank`, where the gateway runs and with its SPRAT_GATEWAY__DATA.
"""

import argparse
import sqlite3
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat.base.settings import environment
from sprat.base.words import counted
from sprat_contracts import AlarmRaised
from sprat_gateway.page.retention import overwrite
from sprat_gateway.page.schema import FILE, open_existing
from sprat_operations.gateway_stores import DATA

_SELECTED: Final = """(:tenant IS NULL OR tenant = :tenant) AND (
    ((:key IS NULL OR key = :key) AND (:text_id IS NULL OR text_id = :text_id))
    OR (source, text_id) IN (SELECT source, text_id FROM temp.named))"""
_FOUND: Final = f"INSERT INTO temp.erased SELECT id, tenant, trace FROM texts WHERE {_SELECTED}"  # noqa: S608 - of the conditions above
_NAMED: Final = (
    """INSERT OR IGNORE INTO temp.gone SELECT tenant, source, text_id FROM texts
    WHERE id IN (SELECT id FROM temp.erased)""",
    f"INSERT OR IGNORE INTO temp.gone SELECT tenant, source, text_id FROM draws WHERE {_SELECTED}",  # noqa: S608 - likewise
    # How a draw ended stands for longer than the text, without its key; of one that was not read, without its tenant.
    """INSERT OR IGNORE INTO temp.gone SELECT tenant, source, text_id FROM closed
    WHERE (:tenant IS NULL OR coalesce(tenant, :tenant) = :tenant)
    AND ((:key IS NULL AND (:text_id IS NULL OR text_id = :text_id))
    OR (source, text_id) IN (SELECT source, text_id FROM temp.named))""",
)
_REVIEWS: Final = (
    "DELETE FROM draws WHERE (tenant, source, text_id) IN (SELECT tenant, source, text_id FROM temp.gone)",
    """DELETE FROM closed WHERE (source, text_id) IN (SELECT source, text_id FROM temp.gone)
    AND (tenant IS NULL OR (tenant, source, text_id) IN (SELECT tenant, source, text_id FROM temp.gone))""",
    "DELETE FROM given WHERE (source, text_id) IN (SELECT source, text_id FROM temp.gone)",
)
_CALLS: Final = """DELETE FROM calls
WHERE (trace, tenant) IN (SELECT trace, tenant FROM temp.erased WHERE trace IS NOT NULL)"""
_OF_TENANT: Final = ("calls", "letters", "sums", "latencies", "denials", "alarms")


def erase(
    folder: Path,
    *,
    key: str | None,
    text_id: str | None,
    tenant: str | None,
    identities: Collection[tuple[str, str]] = (),
    dry_run: bool = False,
) -> int | None:
    """Delete texts with all their parts; return how many there were, None where the folder has no store.

    Args:
        folder: of the store; its gateway may run.
        key: that the upstream system gave the records.
        text_id: of the text. All that is given must hold.
        tenant: whose texts; alone, everything of the tenant.
        identities: source and id of further texts.
        dry_run: only count.

    Raises:
        UserError: the store cannot be changed, or is of another version.
    """
    try:
        with open_existing(folder) as connection:
            if connection is None:
                return None
            return _erase(connection, (key, text_id, tenant), identities, dry_run=dry_run)
    except (OSError, sqlite3.Error) as error:
        fix = f"stop its gateway and delete {folder / FILE}: a new one is read from the topics"
        raise UserError(f"its store cannot be changed ({type(error).__name__}: {error}); {fix}") from None


def _erase(
    connection: sqlite3.Connection,
    given: tuple[str | None, str | None, str | None],
    identities: Collection[tuple[str, str]],
    *,
    dry_run: bool,
) -> int:
    key, text_id, tenant = given
    connection.execute("CREATE TEMP TABLE named (source TEXT, text_id TEXT, PRIMARY KEY (source, text_id))")
    connection.execute("CREATE TEMP TABLE erased (id INTEGER PRIMARY KEY, tenant TEXT, trace TEXT)")
    unique = "UNIQUE (tenant, source, text_id)"
    connection.execute(f"CREATE TEMP TABLE gone (tenant TEXT, source TEXT, text_id TEXT, {unique})")
    connection.executemany("INSERT OR IGNORE INTO temp.named VALUES (?, ?)", list(identities))
    connection.execute("BEGIN IMMEDIATE")
    fields = {"key": None if key is None else key.encode(), "text_id": text_id, "tenant": tenant}
    connection.execute(_FOUND, fields)
    for statement in _NAMED:
        connection.execute(statement, fields)
    (texts,) = connection.execute("SELECT count(*) FROM temp.gone").fetchone()
    if dry_run:
        connection.execute("ROLLBACK")
        return int(texts)
    for statement in (_CALLS, *_REVIEWS):
        connection.execute(statement)
    _erase_in_alarms(connection)
    connection.execute("DELETE FROM texts WHERE id IN (SELECT id FROM temp.erased)")  # a trigger deletes its parts
    if key is None and text_id is None:
        for table in _OF_TENANT:
            connection.execute(f"DELETE FROM {table} WHERE tenant = ?", (tenant,))  # noqa: S608 - of the names above
    connection.execute("COMMIT")
    if not overwrite(connection):
        raise sqlite3.OperationalError("it is deleted, but stands in the log, which somebody reads: run this again")
    return int(texts)


def _erase_in_alarms(connection: sqlite3.Connection) -> None:
    """Take the names of erased texts out of alarms: an alarm is of many texts, and stays."""
    gone = {tuple(each) for each in connection.execute("SELECT source, text_id FROM temp.gone")}
    for key, value in connection.execute("SELECT key, value FROM alarms WHERE value IS NOT NULL").fetchall():
        alarm = AlarmRaised.model_validate_json(value)
        texts = tuple(each for each in alarm.texts if (each.text_source, each.text_id) not in gone)
        if texts != alarm.texts:
            left = alarm.model_copy(update={"texts": texts}).model_dump_json()
            connection.execute("UPDATE alarms SET value = ? WHERE key = ?", (left, key))


def main() -> int:
    """Delete as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser("python -m sprat_gateway.erasure", description=__doc__.partition("\n")[0])
    parser.add_argument("--key", help="the key that the upstream system gave the records")
    parser.add_argument("--text-id", help="the id of a text (ce_id)")
    parser.add_argument("--tenant", help="of this tenant; alone, all of it")
    parser.add_argument("--dry-run", action="store_true", help="delete nothing: count alone")
    given = parser.parse_args()
    folder = environment().get(DATA, "")
    if not folder or (given.key, given.text_id, given.tenant) == (None, None, None):
        parser.error(f"set {DATA} to the gateway's" if not folder else "name whose data: --key, --text-id or --tenant")
    try:
        texts = erase(Path(folder), key=given.key, text_id=given.text_id, tenant=given.tenant, dry_run=given.dry_run)
    except UserError as error:
        sys.stderr.write(f"{folder}: {error}\n")
        return 1
    found = f"{counted(texts or 0, 'text')} {'would be deleted' if given.dry_run else 'deleted'}"
    sys.stdout.write(f"{folder}: {'there is no store' if texts is None else found}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
