"""Why there is no answer to a case.

`NoAnswerError`, and below it

* `NotCalledError`: no call is made for it, or none ended in time.
    * `DeadlinePassedError`: its time is over.
        * `AnswerTooLateError`: a call was made or prepared.
    * `UnavailableError`: the provider is unavailable, and another one can be asked.
    * `OverloadError`: too many cases wait.
    * `QuotaReachedError`: its section's escalations of this minute are used up.
* `ProviderError`: a call gave none.
"""

from collections.abc import Mapping

from sprat_contracts import ReasonCode, Usage


class NoAnswerError(Exception):
    """A tier gives no answer to a case."""

    call_id: str | None = None
    """The last call that was made, in the audit; None: nothing left."""
    asked_by: str = ""
    """Id of the answer event that the call was made for: only this one reports the cost. Empty: none was made."""


class NotCalledError(NoAnswerError):
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


class QuotaReachedError(NotCalledError):
    """The section's escalations of this minute are used up."""

    code = ReasonCode.QUOTA


class ProviderError(NoAnswerError):
    """A call without a usable answer. Contains no part of the request or of the response.

    `code` is for machines: timeout, unreachable, rate_limited, server_error, http_<status>, garbled, too_large,
    refused, invalid_answer, no_gold. `retryable` says that the provider, not the question, is at fault. `usage` is what
    was billed. `sent` is False where no connection came about, so that nothing of the request can have left. `shown`
    holds attributes of the call's span.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
        usage_capped: bool = False,
        certificate: str | None = None,
        simulated: bool = False,
        sent: bool = True,
        shown: Mapping[str, str | tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.usage = usage
        self.usage_capped = usage_capped
        self.certificate = certificate
        self.simulated = simulated
        self.sent = sent
        self.shown = shown or {}
