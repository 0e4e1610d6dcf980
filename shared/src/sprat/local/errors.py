"""Errors of the local infrastructure.

* UserError
  + LocalError           something of this machine stands in the way; the message says what, where, and what to do
    - DownloadError     the broker's files cannot be fetched
    - StartError        a child process does not come up; the message ends with the last lines of its log
"""

from sprat.errors import UserError


class LocalError(UserError):
    """Something of this machine stands in the way of the local infrastructure."""


class DownloadError(LocalError):
    """The broker's files cannot be fetched."""


class StartError(LocalError):
    """A child process does not come up."""
