"""Which installation a command talks to where neither an option nor a setting names its Kafka."""

import os
import pwd
from pathlib import Path

from sprat.base.errors import UserError
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun

USUAL_KAFKA = "127.0.0.1:9092"
"""The default of `SPRAT_KAFKA__BOOTSTRAP`."""
_NAME_IT = "name it with --bootstrap HOST:PORT or SPRAT_KAFKA__BOOTSTRAP"
_LISTENS = "0A"
"""The state of a listening socket in `/proc/net/tcp`."""
_SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def find_installation() -> tuple[LocalRun | None, str]:
    """Return this user's running `sprat up`, None where none runs, and what to tell the user about the choice.

    Nothing is told where it is at the usual address, or where no `sprat up` runs and the usual port is this user's.

    Raises:
        UserError: several run, none of them at the usual address; or none runs, and the usual port is another user's.
    """
    runs = local_run.for_commands()
    if not runs:
        return None, _usual_port_of(USUAL_KAFKA)
    usual = [run for run in runs if run.bootstrap == USUAL_KAFKA]
    if len(runs) == 1 and usual:
        return usual[0], ""
    if len(runs) == 1:
        return runs[0], f"using your `sprat up` at {runs[0].bootstrap}; for another Kafka, {_NAME_IT}"
    others = ", ".join(run.bootstrap for run in runs if run not in usual)
    if usual:
        return usual[0], f"using your `sprat up` at {USUAL_KAFKA}; for yours at {others}, {_NAME_IT}"
    raise UserError(f"several `sprat up` of yours run, at {others}: {_NAME_IT}")


def _usual_port_of(address: str) -> str:
    """Return what to tell the user about who has this port; empty where it is free or the user's own.

    Raises:
        UserError: it is another user's, who would read what a command sends.
    """
    owner = listener(int(address.rpartition(":")[2]))
    if owner in {None, os.geteuid()}:
        return ""
    if owner == 0:  # who could read everything here anyway; a container's port is root's, too
        return f"using Kafka at {address}, which runs as root: no `sprat up` of yours runs"
    raise UserError(
        f"no `sprat up` of yours runs, and port {address.rpartition(':')[2]} is {_name(owner)}'s, who would read what "
        f"you send: run `sprat up`; or, if this Kafka is meant, {_NAME_IT.replace('HOST:PORT', address)}"
    )


def listener(port: int) -> int | None:
    """Return the id of the user whose process listens on a port of this machine; None where none does or it is unknown.

    Other addresses than loopback count, too: a socket that listens on all of them has this port as well.
    """
    for table in _SOCKETS:
        try:
            rows = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, _, _, _, uid, *_ = row.split()
            if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                return int(uid)
    return None


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"user {uid}"
