"""Work on a thread that nobody has to wait for: signals interrupt the waiting, and the process can end without it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.1


class Background(Generic[T]):
    """A call on a daemon thread. Pools of threads are joined when the interpreter ends; this one is not."""

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self) -> T:
        """Wait for its end; give what it gave, raise what it raised."""
        while not self._done.wait(_POLL_S):  # in short steps, so that signal handlers of the main thread can run
            pass
        if self._error is not None:
            raise self._error
        return self._value

    def settle(self, timeout_s: float) -> bool:
        """Wait for its end, however it ends; tell whether it has ended."""
        return self._done.wait(timeout_s)

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            self._done.set()
