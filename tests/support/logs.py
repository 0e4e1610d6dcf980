"""What tests that configure the process's logs share."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_logs() -> Iterator[None]:
    """Restore the logs as they were, of every logger: `configure_logs` is for a process of its own."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.getLogger().manager.loggerDict))]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate
