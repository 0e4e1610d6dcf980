"""Who else can write a file that decides what Sprat does. What another user may have written is not read.

Files of this user, of root, and of the owner of this program are read: the last could change the program itself. So is
whatever stands on a read-only mount, as in containers: nobody can write there, and whoever mounted it vouches for it.
"""

import grp
import os
import pwd
import stat
from pathlib import Path

from sprat.errors import UserError


def check_writers(path: Path, could: str = "send texts anywhere") -> None:
    """Check that nobody else may have written a file or folder that is there.

    Args:
        path: the file or folder, or a link to it.
        could: what somebody else could do by it.

    Raises:
        UserError: who may have written it, and what to do.
    """
    path = path.absolute()
    try:
        found = (path.stat(), path.lstat())
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return
    except OSError:
        return  # there is none, or what reads it says why it cannot
    trusted = {0, os.geteuid(), Path(__file__).stat().st_uid}
    if others := [each.st_uid for each in found if each.st_uid not in trusted]:
        raise UserError(
            f"{path} belongs to another user (uid {others[0]}), who could {could} by it: it is not read. Use one of "
            "your own, make it yours or root's (chown), or mount it read-only"
        )
    mode, gid = found[0].st_mode, found[0].st_gid
    by_all = bool(mode & stat.S_IWOTH)
    if by_all or (mode & stat.S_IWGRP and not _is_own_group(gid)):
        writers = "everybody on this machine" if by_all else f"the group {_group_name(gid)}"
        raise UserError(
            f"{writers} can write {path}, and so {could}: it is not read. Take that right away: chmod go-w {path}"
        )


def _is_own_group(gid: int) -> bool:
    """Return whether nobody else is in a group: it is root's, a container's, or this user's own.

    A group of a container that no file names (`fsGroup`) has the container's processes alone. Many systems make a group
    for each user, of the user's name and with no one else: there, files are writable for the group by default (umask
    0002), which lets nobody in.
    """
    if gid == 0:
        return True
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return gid in {os.getegid(), *os.getgroups()}
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    if (user.pw_gid, user.pw_name) != (gid, group.gr_name) or set(group.gr_mem) - {user.pw_name}:
        return False
    return all(other.pw_gid != gid or other.pw_uid == user.pw_uid for other in pwd.getpwall())


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
