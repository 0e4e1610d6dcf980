"""Who else can write a file that decides what Sprat does. What another user may have written is not read.

Files of this user, of root, and of the owner of this program are read: the last could change the program itself. So is
whatever stands on a read-only mount, as in containers: nobody can write there, and whoever mounted it vouches for it.
That does not hold for a file that is found in the working folder without being named (`.env`).
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from sprat.base.errors import UserError


def check_writers(
    path: Path, could: str = "send texts anywhere", *, opened: int | None = None, is_named: bool = True
) -> None:
    """Check that nobody else may have written a file or folder that is there.

    Args:
        path: the file or folder, or a link to it.
        could: what somebody else could do by it.
        opened: the descriptor by which it is read; what stands at the path may be another file by now.
        is_named: whether somebody chose it; else a read-only mount vouches for nothing.

    Raises:
        UserError: who may have written it, and what to do.
    """
    path = path.absolute()
    read = path if opened is None else opened
    try:
        found, link = os.stat(read), path.lstat()  # noqa: PTH116 - a descriptor, too
        is_safe, is_link_safe = (is_named and _is_read_only(each) for each in (read, path.parent))
        folders = [each for each in (path.parent, path.resolve().parent) if _is_open_to_all(each)]
    except OSError:
        if opened is not None:
            raise UserError(f"{path} was taken away while it was read: try again") from None
        return  # there is none, or what reads it says why it cannot
    trusted = {0, os.geteuid(), Path(__file__).stat().st_uid}
    unsafe = [each for each in (found, link) if not (is_link_safe if _is_link(each) else is_safe)]
    if others := [each.st_uid for each in unsafe if each.st_uid not in trusted]:
        mount = ", or mount it read-only" if is_named else ""
        raise UserError(
            f"{path} belongs to another user (uid {others[0]}), who could {could} by it: it is not read. Use one of "
            f"your own, or make it yours or root's (chown){mount}"
        )
    by_all, by_group = (bool(found.st_mode & right) for right in (stat.S_IWOTH, stat.S_IWGRP))
    if not is_safe and (by_all or (by_group and (_has_acl(read) or not _is_own_group(found.st_gid, trusted)))):
        writers = "everybody on this machine" if by_all else f"the group {_group_name(found.st_gid)}"
        if not by_all and _has_acl(read):
            writers = "whoever its access control list names"
        raise UserError(
            f"{writers} can write {path}, and so {could}: it is not read. Take that right away: chmod go-w {path}"
        )
    if folders:
        raise UserError(
            f"everybody on this machine can put another file in place of {path}, and so {could}: it is not read. Take "
            f"that right away: chmod o-w {folders[0]}"
        )


def _is_open_to_all(folder: Path) -> bool:
    """Return whether everybody can replace what others have put into a folder; in a sticky one (`/tmp`) nobody can.

    A volume of a pod or container may be writable for all (`emptyDir`): its own processes alone come to its root.
    """
    mode = folder.stat().st_mode
    is_open = bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
    return is_open and not folder.is_mount() and not _is_read_only(folder)


def _is_link(found: os.stat_result) -> bool:
    return stat.S_ISLNK(found.st_mode)


def _is_read_only(path: Path | int) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _has_acl(path: Path | int) -> bool:
    """Return whether an access control list names writers: the group's rights are then the most of all of theirs."""
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except (OSError, AttributeError):  # it has none; the file system or the operating system has none
        return False


def _is_own_group(gid: int, trusted: Iterable[int]) -> bool:
    """Return whether nobody else is in a group: it is root's, a container's, or the own one of a user who is trusted.

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
    for uid in trusted:
        try:
            user = pwd.getpwuid(uid)
        except KeyError:
            continue
        if (user.pw_gid, user.pw_name) == (gid, group.gr_name) and not set(group.gr_mem) - {user.pw_name}:
            return all(other.pw_gid != gid or other.pw_uid == uid for other in pwd.getpwall())
    return False


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
