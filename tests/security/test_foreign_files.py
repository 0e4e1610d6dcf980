"""What another user may have written is not read: `.env`, the policy, task files, artefacts. One guard for all.

What containers make of files is read: root's, those of a read-only mount whoever owns them, a container's own group's.
"""

import grp
import json
import os
import pwd
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sprat.base import file_guard
from sprat.base.errors import SpratError, UserError
from sprat.base.file_guard import check_writers
from sprat.base.settings import ServiceSettings, environment, load_settings
from sprat_cli.main import app
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact
from sprat_language_id.__main__ import SHIPPED
from sprat_local.installation.models import served_models
from sprat_local.installation.options import model_name
from sprat_operations.chosen_policy import chosen_policy
from sprat_operations.connection import load_command_settings
from sprat_policy import load_policy
from sprat_policy.task_files import load_task_files

ME, OTHER, DEPLOY = (os.geteuid() + more for more in (0, 12345, 12346))
GiveAway = Callable[[Path], None]


@pytest.fixture
def given_away(monkeypatch: pytest.MonkeyPatch) -> GiveAway:
    """Give a file or folder to another user; where this one may not, this process becomes another one."""

    def give(path: Path) -> None:
        if ME == 0:
            os.chown(path, OTHER, -1, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: OTHER)
            monkeypatch.setattr(file_guard, "__file__", "/")

    return give


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with a policy, a task and an artefact of this user."""
    (tmp_path / "policy.yaml").write_text("tenants:\n  acme:\n    frontier: deny\n")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mood.yaml").write_text("kind: text\ninstruction: Say how the writer feels.\n")
    shutil.copytree(SHIPPED, tmp_path / "model")
    return tmp_path


def read_all(folder: Path) -> None:
    load_policy(folder / "policy.yaml")
    load_task_files(folder / "tasks")
    load_artefact(folder / "model")


DECISIVE = ["policy.yaml", "tasks", "tasks/mood.yaml", "model", "model/card.json"]


def test_ones_own_files_are_read(files: Path) -> None:
    read_all(files)


@pytest.mark.parametrize("name", DECISIVE)
def test_a_file_of_another_user_is_not_read(files: Path, given_away: GiveAway, name: str) -> None:
    given_away(files / name)
    with pytest.raises(SpratError, match=r"belongs to another user \(uid \d+\).* it is not read. .* \(chown\)"):
        read_all(files)


@pytest.mark.parametrize("name", DECISIVE)
def test_a_file_that_everybody_can_write_is_not_read(files: Path, name: str) -> None:
    path = files / name
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(SpratError, match=f"everybody on this machine can write {path}, .* chmod go-w {path}"):
        read_all(files)


@pytest.mark.parametrize("name", ["policy.yaml", "model"])
def test_what_everybody_can_replace_is_not_read(files: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    files.chmod(0o777)
    with pytest.raises(UserError, match=f"another file in place of {files / name}, .* chmod o-w {files}$"):
        check_writers(files / name)
    (link := files / "tasks" / "linked").symlink_to(files / name)
    with pytest.raises(UserError, match=f"another file in place of {link}, .* chmod o-w {files}$"):
        check_writers(link)
    files.chmod(0o1777)  # as /tmp: only its owner replaces a file
    check_writers(files / name)
    files.chmod(0o777)
    monkeypatch.setattr(Path, "is_mount", lambda path: path == files)  # as the root of a volume (`emptyDir`)
    check_writers(files / name)


def test_every_file_of_an_artefact_counts(files: Path) -> None:
    (files / "model" / "head.npz").write_bytes(b"head")
    write_artefact(files / "model", json.loads((files / "model" / "card.json").read_text()))
    load_artefact(files / "model")
    (files / "model" / "head.npz").chmod(0o666)
    with pytest.raises(BrokenArtefact, match=r"can write .*/head\.npz, and so change every answer"):
        load_artefact(files / "model")


def test_what_sprat_has_written_is_read_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where users share their group (`users`) and leave it the right to write (umask 0002)."""
    monkeypatch.setattr(file_guard, "_is_own_group", lambda *_: False)
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o000)
    try:
        made = CliRunner().invoke(app, ["task", "init", "desk", "--labels", "refund,other"])
        shutil.copytree(SHIPPED, tmp_path / "model")
        for each in (tmp_path / "model", *(tmp_path / "model").iterdir()):
            each.chmod(0o775)
        write_artefact(tmp_path / "model", json.loads((SHIPPED / "card.json").read_text()))
    finally:
        os.umask(before)
    assert made.exit_code == 0, made.output
    assert list(load_task_files(tmp_path / "tasks")) == ["desk"]
    load_artefact(tmp_path / "model")


def test_task_commands_refuse_the_folder_that_services_refuse(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    assert CliRunner().invoke(app, ["task", "check"]).exit_code == 0
    (files / "tasks").chmod(0o777)
    for command in (["check"], ["check", "mood"], ["init", "desk", "--labels", "refund,other"]):
        refused = CliRunner().invoke(app, ["task", *command])
        assert refused.exit_code == 2
        assert f"everybody on this machine can write {files / 'tasks'}" in " ".join(refused.output.split())
    assert not (files / "tasks" / "desk.yaml").exists()


def test_a_link_of_another_user_is_not_followed(files: Path, given_away: GiveAway) -> None:
    (files / "linked.yaml").symlink_to(files / "policy.yaml")
    load_policy(files / "linked.yaml")
    given_away(files / "linked.yaml")
    with pytest.raises(UserError, match=r"linked.yaml belongs to another user"):
        load_policy(files / "linked.yaml")


def test_a_read_only_mount_vouches_for_no_link_from_elsewhere(
    files: Path, given_away: GiveAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "linked.yaml").symlink_to(files / "tasks" / "mood.yaml")
    given_away(files / "linked.yaml")
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY * (path != files)))
    with pytest.raises(UserError, match=r"linked.yaml belongs to another user"):
        check_writers(files / "linked.yaml")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    check_writers(files / "linked.yaml")


def test_a_read_only_mount_vouches_for_no_env_file(
    tmp_path: Path, given_away: GiveAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has named it: a service only happens to start there, as on a stick of somebody else."""
    (tmp_path / ".env").write_text("SPRAT_KAFKA__BOOTSTRAP=theirs:9092\n")
    given_away(tmp_path / ".env")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(UserError, match=r"belongs to another user .* \(chown\)$"):
        environment()


def test_a_file_that_is_put_there_after_the_first_look_is_not_read(
    files: Path, given_away: GiveAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, policy = files / "theirs.yaml", files / "policy.yaml"
    theirs.write_text("tenants: {}\n")
    given_away(theirs)
    opened = Path.open
    if ME == 0:
        monkeypatch.setattr(Path, "open", lambda path, mode: opened(theirs if path == policy else path, mode))
    with pytest.raises(UserError, match="belongs to another user"):
        load_policy(policy)


def test_an_access_control_list_is_no_own_group(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file has one, the group's right to write is the most that any user of the list has."""
    policy = files / "policy.yaml"
    policy.chmod(0o664)
    monkeypatch.setattr(file_guard, "_is_own_group", lambda *_: True)
    check_writers(policy)
    rules = [(1, 6, -1), (2, 6, OTHER), (4, 4, -1), (16, 6, -1), (32, 4, -1)]  # its owner, a user, group, mask, others
    packed = b"".join(struct.pack("<HHi", *rule) for rule in rules)
    try:
        os.setxattr(policy, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    except OSError:
        pytest.skip("this file system has no access control lists")
    with pytest.raises(UserError, match=r"access control list names can write .* chmod go-w"):
        check_writers(policy)
    policy.chmod(policy.stat().st_mode & ~0o022)
    check_writers(policy)


def test_on_a_read_only_mount_all_is_read(files: Path, given_away: GiveAway, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a ConfigMap (its folder has the rights 0777), or as Compose mounts a file of the host's user."""
    (files / "tasks").chmod(0o777)
    given_away(files / "policy.yaml")
    given_away(files / "model" / "card.json")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    read_all(files)


@pytest.mark.parametrize(("held", "read"), [(True, True), (False, False)], ids=["its own", "not its own"])
def test_the_group_of_a_volume_may_write_it(
    files: Path, monkeypatch: pytest.MonkeyPatch, *, held: bool, read: bool
) -> None:
    """`fsGroup` gives the files of a volume to a group that the image does not name, with the right to write."""
    path = files / "policy.yaml"
    path.chmod(0o660)
    gid = 54321 if ME == 0 else path.stat().st_gid
    os.chown(path, -1, gid)
    monkeypatch.setattr(os, "getegid", lambda: 1)
    monkeypatch.setattr(os, "getgroups", lambda: [gid] if held else [])
    monkeypatch.setattr(grp, "getgrgid", lambda _: {}[0])
    with nullcontext() if read else pytest.raises(UserError, match=f"the group {gid} can write"):
        check_writers(path)


def test_files_of_the_programs_owner_are_read(
    files: Path, given_away: GiveAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an environment that one user installs and a service's user runs."""
    given_away(files / "policy.yaml")
    monkeypatch.setattr(file_guard, "__file__", str(files / "policy.yaml"))
    load_policy(files / "policy.yaml")


READERS = {
    "a service": lambda: load_settings(ServiceSettings),
    "a command": load_command_settings,
    "variables that the policy names": environment,
    "the policy": lambda: chosen_policy(None),
    "models": lambda: served_models([]),
    "the name of a model": lambda: model_name("intent", {}),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_variable_is_read_from_a_file_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_away: GiveAway, read: Callable[[], object]
) -> None:
    file = tmp_path / ".env"
    file.write_text("SPRAT_SECRET=of another user, sixteen\nSPRAT_POLICY=theirs.yaml\nSPRAT_MODELS={}\n")
    given_away(file)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"belongs to another user .* it is not read"):
        read()


@pytest.mark.parametrize("mode", [0o602, 0o666])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_variable_is_read_from_a_file_that_others_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], mode: int
) -> None:
    file = tmp_path / ".env"
    file.write_text("SPRAT_SECRET=of another user, sixteen\n")
    file.chmod(mode)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"chmod go-w {file}"):
        read()


def test_a_program_beside_such_a_file_ends_with_code_2_and_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SPRAT_SECRET=of another user, sixteen\n")
    file.chmod(0o602)
    for command in (["-m", "sprat_cli", "doctor"], ["-m", "sprat_router"]):
        ended = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert f"chmod go-w {file}" in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "members", "primary_of", "read"),
    [
        pytest.param("me", [], {ME}, True, id="one of one's own"),
        pytest.param("me", ["me"], {ME}, True, id="that names its user"),
        pytest.param("staff", [], {ME}, False, id="of another name"),
        pytest.param("me", ["other"], {ME}, False, id="with another member"),
        pytest.param("me", [], {ME, OTHER}, False, id="also another user's"),
        pytest.param("me", [], {OTHER}, False, id="of another user alone"),
        pytest.param("deploy", [], {DEPLOY}, True, id="that of the program's owner"),
        pytest.param("deploy", ["other"], {DEPLOY}, False, id="that of the program's owner, with a member"),
    ],
)
def test_a_group_may_write_it_only_if_it_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, members: list[str], primary_of: set[int], *, read: bool
) -> None:
    file = tmp_path / ".env"
    file.write_text("SPRAT_KAFKA__PREFIX=mine\n")
    if os.geteuid() == 0:
        os.chown(file, -1, 4242)  # root's own group may always write
    file.chmod(0o664)
    gid = file.stat().st_gid
    users = [
        SimpleNamespace(pw_name=user, pw_uid=uid, pw_gid=gid if uid in primary_of else gid + 1)
        for user, uid in (("me", ME), ("other", OTHER), ("deploy", DEPLOY))
    ]
    stat = Path.stat
    program = SimpleNamespace(st_uid=DEPLOY)
    monkeypatch.setattr(
        Path, "stat", lambda path, **how: program if str(path) == file_guard.__file__ else stat(path, **how)
    )
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {each.pw_uid: each for each in users}[uid])
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name=name, gr_mem=members))
    monkeypatch.chdir(tmp_path)
    if read:
        assert environment()["SPRAT_KAFKA__PREFIX"] == "mine"
        file.chmod(0o666)
        name = "everybody on this machine"
    with pytest.raises(UserError, match=f"{name} can write .* chmod go-w {file}"):
        environment()


def test_a_folder_of_that_name_holds_no_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").mkdir()
    (tmp_path / ".env").chmod(0o775)  # a virtual environment, as `umask 002` makes it
    monkeypatch.chdir(tmp_path)
    assert environment() == dict(os.environ)
    assert load_command_settings().kafka.bootstrap == ServiceSettings.model_fields["kafka"].default.bootstrap
