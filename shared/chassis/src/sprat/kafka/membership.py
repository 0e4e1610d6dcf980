"""Give the partitions of a killed process back at once, instead of when its session ends.

A killed process cannot leave its group. So each process writes down under which ids it is a member. Its parent, which
reaps it, leaves the groups for it: `sprat up`, or in the images the first process, which then runs
`python -m sprat.kafka.membership FILE`. Where the parent was killed as well and the file is still there, the next
process does it before it joins. It takes the right that the dead process had: Read on the group.

A static member writes nothing down: its partitions wait until it is started again under its name.
"""

import asyncio
import fcntl
import json
import logging
import os
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from sprat.base.errors import Retryable, UserError
from sprat.base.settings import KafkaSettings, ServiceSettings, load_settings
from sprat.kafka.clients import NO_ANSWER
from sprat.kafka.cluster import Cluster
from sprat.telemetry.logs import configure_logs

log = logging.getLogger("sprat.kafka.membership")  # also where this module is the program

LEAVE_S: Final = 5.0
"""How long leaving may take: the process that is to replace the killed one waits for it in a container."""
_MODE: Final = 0o600
_SETTING: Final = "SPRAT_KAFKA__MEMBERSHIP_FILE"
_MEMBERS: Final = TypeAdapter(dict[str, str])


class MembershipFile:
    """The groups of this process, each with its member id, in a file that only its user reads.

    The process holds a lock beside the file until it ends, so that nobody leaves for it while it lives.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members: dict[str, str] = {}
        self._locked = False
        self.former: dict[str, str] = {}
        """Those of a process before this one, which has neither left its groups nor had it done for it."""
        with suppress(OSError):  # the first note tries again, and says so
            self._acquire()
            self.former = _read(path)

    def _acquire(self) -> None:
        if not self._locked:
            weakref.finalize(self, os.close, _lock(self._path))
            self._locked = True

    async def leave_former(self, kafka: KafkaSettings) -> None:
        """Leave the groups of the process before this one; call it before this process joins one.

        Where that fails, the file stays until the first own note replaces it.
        """
        if await leave_groups_logged(kafka, self.former):
            with suppress(OSError):
                self._path.unlink()

    def note(self, group: str, member: str | None) -> None:
        """Write down that this process is this member of a group; None: it has left.

        Where that fails, a log line says so: the partitions would then wait for the end of the session.
        """
        if self._members.get(group) == member:
            return
        if member is None:
            del self._members[group]
        else:
            self._members[group] = member
        try:
            self._acquire()
            self._write()
        except BlockingIOError:
            log.warning("%s is another process's: give each process its own %s", self._path, _SETTING)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)

    def _write(self) -> None:
        if not self._members:
            self._path.unlink(missing_ok=True)
            return
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as file:
            json.dump(self._members, file)
        new.replace(self._path)


def take_members(path: Path) -> dict[str, str]:
    """Return group → member id of a dead process; nothing where it had left, wrote none, or another one lives."""
    if not path.exists():
        return {}
    try:
        with _briefly_locked(path):
            return _read(path)
    except OSError:
        return {}


def drop_members(path: Path, members: Mapping[str, str]) -> None:
    """Remove the file of a dead process, whose groups are left, unless another one has taken it over."""
    with suppress(OSError), _briefly_locked(path):
        if _read(path) == members:
            path.unlink()


def _read(path: Path) -> dict[str, str]:
    """Return what a file says, whose lock is held; remove one that says nothing."""
    try:
        return _MEMBERS.validate_json(path.read_bytes())
    except ValidationError:
        path.unlink()
        return {}


def _lock(path: Path) -> int:
    """Return the descriptor of the lock beside a file, held until it is closed.

    The lock's own file stays: who removed it could not know whether another process had just opened it.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be made.
    """
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


@contextmanager
def _briefly_locked(path: Path) -> Iterator[None]:
    lock = _lock(path)
    try:
        yield
    finally:
        os.close(lock)


async def leave_groups(kafka: KafkaSettings, members: Mapping[str, str]) -> None:
    """Leave groups for a dead process, within `LEAVE_S`.

    Raises:
        Retryable: Kafka does not answer or refuses.
        UserError: a certificate or a SASL setting is missing.
    """
    try:
        async with asyncio.timeout(LEAVE_S), Cluster(kafka.client()) as cluster:
            for group, member in members.items():
                await cluster.settled(partial(cluster.leave, group, member))
    except NO_ANSWER as error:
        reason = f"{type(error).__name__}; its partitions wait until its session ends"
        raise Retryable(f"could not leave {', '.join(members)} for a process that was killed: {reason}") from None


async def leave_groups_logged(kafka: KafkaSettings, members: Mapping[str, str]) -> bool:
    """Leave groups for a dead process, if it was in any, and log what became of it; return whether it has left."""
    if not members:
        return False
    try:
        await leave_groups(kafka, members)
    except (Retryable, UserError) as error:
        log.warning("%s", error)
        return False
    log.info("left %s for a process that was killed", ", ".join(members))
    return True


async def leave_for_dead(kafka: KafkaSettings, path: Path) -> None:
    """Leave the groups that a dead process has written down in a file; the file stays where that fails."""
    members = take_members(path)
    if await leave_groups_logged(kafka, members):
        drop_members(path, members)


def main() -> int:
    """Leave the groups that a dead service has written down in the file that the argument names."""
    try:
        settings = load_settings(ServiceSettings)
    except UserError:
        return 2  # the service has said why, with the same settings
    configure_logs("membership", settings.log_level, settings.log_format)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one line says what matters
    asyncio.run(leave_for_dead(settings.kafka, Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
