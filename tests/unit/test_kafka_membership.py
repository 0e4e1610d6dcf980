"""The file in which a process writes down its membership of groups, for who reaps it."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from sprat.base.errors import Retryable
from sprat.base.settings import KafkaSettings
from sprat.kafka import membership
from sprat.kafka.membership import MembershipFile, drop_members, leave_groups, leave_groups_logged, take_members

NOBODY = KafkaSettings(bootstrap="127.0.0.1:1")


def test_it_holds_the_present_ids_and_is_gone_once_all_groups_are_left(tmp_path: Path) -> None:
    path = tmp_path / "members"
    file = MembershipFile(path)
    file.note("a", "1")
    file.note("b", "2")
    file.note("a", "3")
    assert json.loads(path.read_text()) == {"a": "3", "b": "2"}
    assert path.stat().st_mode & 0o777 == 0o600
    file.note("a", None)
    file.note("a", None)
    assert json.loads(path.read_text()) == {"b": "2"}
    file.note("b", None)
    assert [each.name for each in tmp_path.iterdir()] == ["members.lock"]


def test_a_process_finds_what_one_before_it_has_left_behind_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "members"
    MembershipFile(path).note("a", "1")
    file = MembershipFile(path)
    assert file.former == {"a": "1"}
    file.note("b", "2")
    del file
    assert take_members(path) == {"b": "2"}
    drop_members(path, {"a": "1"})
    assert path.exists(), "another process has written it since"
    drop_members(path, {"b": "2"})
    assert take_members(path) == {}


def test_nobody_leaves_for_a_process_that_lives_where_two_share_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "members"
    first = MembershipFile(path)
    first.note("a", "1")
    assert take_members(path) == {}
    second = MembershipFile(path)
    assert second.former == {}
    second.note("b", "2")
    assert caplog.messages == [f"{path} is another process's: give each process its own SPRAT_KAFKA__MEMBERSHIP_FILE"]
    drop_members(path, {"a": "1"})
    assert json.loads(path.read_text()) == {"a": "1"}


def test_who_reads_the_file_at_the_start_of_a_process_does_not_keep_it_from_writing(tmp_path: Path) -> None:
    path = tmp_path / "members"
    with membership._briefly_locked(path):
        file = MembershipFile(path)
    file.note("a", "1")
    assert json.loads(path.read_text()) == {"a": "1"}


async def test_the_file_stays_until_its_groups_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "members"
    MembershipFile(path).note("a", "1")
    await MembershipFile(path).leave_former(NOBODY)
    assert take_members(path) == {"a": "1"}
    await membership.leave_for_dead(NOBODY, path)
    assert take_members(path) == {"a": "1"}

    async def leave(kafka: KafkaSettings, members: Mapping[str, str]) -> None:
        assert members == {"a": "1"}

    monkeypatch.setattr(membership, "leave_groups", leave)
    await MembershipFile(path).leave_former(NOBODY)
    assert not path.exists()
    MembershipFile(path).note("a", "1")
    await membership.leave_for_dead(NOBODY, path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"a": 1}', b"\xff"])
def test_what_is_no_membership_is_removed_and_names_nobody(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "members"
    path.write_bytes(content)
    assert take_members(path) == {}
    assert not path.exists()


def test_a_service_goes_on_where_it_cannot_write_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "missing" / "members"
    MembershipFile(path).note("a", "1")
    assert caplog.messages == [f"{path} cannot be written: No such file or directory"]


async def test_a_kafka_that_does_not_answer_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Retryable, match=r"could not leave a, b for a process that was killed: KafkaConnectionError"):
        await leave_groups(NOBODY, {"a": "1", "b": "2"})
    caplog.clear()
    caplog.set_level(logging.INFO, "sprat")
    await leave_groups_logged(NOBODY, {})
    await leave_groups_logged(NOBODY, {"a": "1"})
    ours = [record for record in caplog.records if record.name == "sprat.kafka.membership"]
    assert [record.levelname for record in ours] == ["WARNING"]
