"""Why no call is made for a case, or none ended in time."""

from sprat_contracts import ReasonCode


class NotCalledError(Exception):
    """No call is made for a case. The message says why, and holds nothing of the text."""

    code: ReasonCode


class DeadlinePassedError(NotCalledError):
    """No call could be made in time. The message names what it waited for."""

    code = ReasonCode.DEADLINE


class AnswerTooLateError(DeadlinePassedError):
    """A call was made or prepared, and has not ended by the deadline of who waits for it."""

    def __init__(self) -> None:
        super().__init__("the answer did not come in time")


class UnavailableError(NotCalledError):
    """The provider is unavailable, and another one can be asked."""

    code = ReasonCode.PROVIDER

    def __init__(self) -> None:
        super().__init__("the provider is unavailable")


class OverloadError(NotCalledError):
    """Too many cases wait, and no section of the policy has more of them than this tenant's."""

    code = ReasonCode.OVERLOAD

    def __init__(self) -> None:
        super().__init__("too many cases wait, and no section of the policy has more of them than this tenant's")
