"""The file in which a process writes down its membership of groups, for who reaps it."""

import json
import logging
from pathlib import Path

import pytest

from sprat.errors import Retryable
from sprat.kafka.membership import MembershipFile, leave_groups, leave_groups_logged, take_members
from sprat.settings import KafkaSettings

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
    assert [*tmp_path.iterdir()] == []


def test_a_process_finds_what_one_before_it_has_left_behind_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "members"
    MembershipFile(path).note("a", "1")
    file = MembershipFile(path)
    assert file.former == {"a": "1"}
    assert not path.exists()
    file.note("a", "2")
    assert take_members(path) == {"a": "2"}
    assert take_members(path) == {}, "another one leaves for it already"


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
