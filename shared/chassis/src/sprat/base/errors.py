"""Errors of the chassis. Three of them decide what happens to a record.

* SpratError
  + Rejected         the record is bad: it becomes a dead letter, and the records after it are handled
  + Retryable        something outside is unavailable: wait, seek back, try again
  + Fatal            to go on would lose or corrupt data: exit; the backlog stays in Kafka
  + UserError        the user made a mistake: one line, exit code 2, no stack trace

Every other error is a defect: of the record that is handled by itself, or the service stops. A panic of a native
library is one, too, although its class is no Exception; see `ends_task`.
"""


class SpratError(Exception):
    """Base class of everything that Sprat raises on purpose."""


class Rejected(SpratError):
    """A record that cannot be handled.

    Args:
        code: for machines, see `sprat_contracts.ReasonCode`.
        detail: field and reason, for people; never the text.
        own_fault: the service failed (a model that fails on the text, a defect), not the input. Only these count
            towards the failure budget, above which the service stops.
    """

    def __init__(self, code: str, detail: str, *, own_fault: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.own_fault = own_fault


class Retryable(SpratError):
    """Something outside is unavailable for now. Nothing was committed; the same records are read again."""

    step = "handle"
    """What failed: `handle`, `publish` or `commit`."""


class Fatal(SpratError):
    """The process must stop. What was not committed is read again after the restart."""


class UserError(SpratError):
    """A mistake of the user. The message says what happened, where, and what to do."""


def ends_task(error: BaseException) -> bool:
    """Return whether an error ends the running task, and is no failure of what the task does.

    A CancelledError does where somebody has cancelled this task; libraries cancel futures of their own, too. FastStream
    ends its task without a word after an error that is no Exception, begins another one, and polls on: what was polled
    before would be lost.
    """
    import asyncio  # noqa: PLC0415 - commands import this module, and `sprat --help` must be quick

    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)
