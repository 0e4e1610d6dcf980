"""Calls on threads of their own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(call: Callable[[], T], name: str) -> Future[T]:
    """Call it on a daemon thread: the process can exit before its end. The threads of a pool would be joined then."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits for it cannot cancel it

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
