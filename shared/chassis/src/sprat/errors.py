"""Errors of the chassis. Three leaves decide what happens to a record.

* SpratError
  + Rejected         the record is bad: one dead letter, its neighbours go on
  + Retryable        something outside is away: hold, back off, seek back, try again
  + Fatal            going on would lose or spoil data: exit, the backlog stays in Kafka
  + UserError        a person gave something wrong: one line, exit code 2, no stack trace
"""


class SpratError(Exception):
    """Anything that Sprat raises on purpose."""


class Rejected(SpratError):
    """A record that cannot be handled. `code` is for machines, `detail` names field and reason, never the text.

    `own_fault` tells a failure of the service (a model that breaks on the text) from bad input: only the former counts
    towards the limit above which the service stops.
    """

    def __init__(self, code: str, detail: str, *, own_fault: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.own_fault = own_fault


class Retryable(SpratError):
    """Something outside is away for now; nothing was committed, the same records come again."""


class Fatal(SpratError):
    """The process must stop; what was not committed comes again after the restart."""


class UserError(SpratError):
    """A person's mistake. The message says what happened, where, and what to do."""
