"""The exit code of a service, and what its log says of the error that ends it."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import Any

from sprat.base.errors import SpratError

log = logging.getLogger(__name__)


def exit_code_of(running: Coroutine[Any, Any, int]) -> int:
    """Run a service to its end and return its exit code: 1 where something in it, as `sys.exit`, ends the event loop.

    Nothing is drained or committed then.
    """
    try:
        return asyncio.run(running)
    except (KeyboardInterrupt, SystemExit) as error:
        log.error("stopping: %s", describe(error))  # noqa: TRY400 - without its message
        return 1


def describe(error: BaseException) -> str:
    """Return an error's description without any text: Sprat's own by message, others by type and stack trace."""
    if isinstance(error, SpratError):
        return str(error)
    return f"{type(error).__name__} (a defect)\n{''.join(traceback.format_tb(error.__traceback__))}"
