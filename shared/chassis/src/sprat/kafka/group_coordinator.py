"""What every consumer of a process does in its group beyond aiokafka: `install_group_checks`.

It relies on private parts of aiokafka: `aiokafka.consumer.consumer.GroupCoordinator`, its `_send_req`,
`_group_instance_id` and `_session_timeout_ms`. aiokafka takes an error about a whole group for a group without
committed offsets, has no hook that reports a member id, and does not know the error of a static member whose name
another process has taken.
"""

import math
import time
from collections.abc import Callable
from typing import Any, ClassVar

from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import NoError, NotCoordinatorForGroupError, UnknownMemberIdError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest

NoteMember = Callable[[str, str | None], None]


def install_group_checks(note: NoteMember | None = None, name_taken: Callable[[str], None] = lambda _: None) -> None:
    """Let every consumer of this process ask for its committed offsets again where the answer is an error.

    A broker that has just become the group's coordinator and still loads its offsets answers with one error for the
    whole group and an empty list of offsets. aiokafka reads the list alone, takes the group for a new one, and would
    read everything from the earliest record.

    Args:
        note: called with a group and the id that this process has in it, or None once it has left. A static member is
            not noted: it does not leave.
        name_taken: called with the name of a static member when another process has joined under it.
    """
    CheckedGroupCoordinator.note = note
    CheckedGroupCoordinator.name_taken = name_taken
    consumer_module.GroupCoordinator = CheckedGroupCoordinator


class CheckedGroupCoordinator(GroupCoordinator):  # type: ignore[misc] # aiokafka has no types
    """Raises the error of an answer about committed offsets, which aiokafka tries again; reports what happens to it."""

    note: ClassVar[NoteMember | None] = None
    name_taken: ClassVar[Callable[[str], None]] = lambda _: None
    _known_at = -math.inf
    """When the latest request of a member was sent that the broker knew."""

    async def _send_req(self, request: Any) -> Any:
        sent_at = time.monotonic()
        answer = await super()._send_req(request)
        if isinstance(request, OffsetFetchRequest):
            error = for_code(getattr(answer, "error_code", NoError.errno))
            if error is NotCoordinatorForGroupError:
                self.coordinator_dead()
            if error is not NoError:
                raise error
        if self._group_instance_id is not None:
            self._check_name(request, answer, sent_at)
            return answer
        note = type(self).note
        if note is not None:
            # Also of the first answer, which only says with which id to join: the broker knows the member from then on.
            if isinstance(request, JoinGroupRequest) and answer.member_id:
                note(self.group_id, answer.member_id)
            elif isinstance(request, LeaveGroupRequest):
                note(self.group_id, None)
        return answer

    def _check_name(self, request: Any, answer: Any, sent_at: float) -> None:
        """Report that a broker does not know this member any more although its session cannot have ended.

        aiokafka would join again and take the name from the other process, which would do the same, for ever.
        """
        if isinstance(request, OffsetCommitRequest):
            errors = {error for _topic, partitions in answer.topics for _partition, error in partitions}
        elif isinstance(request, HeartbeatRequest | JoinGroupRequest):
            errors = {answer.error_code}
        else:
            return
        if errors == {NoError.errno}:
            self._known_at = sent_at
        elif (
            UnknownMemberIdError.errno in errors and time.monotonic() - self._known_at < self._session_timeout_ms / 1000
        ):
            type(self).name_taken(self._group_instance_id)
