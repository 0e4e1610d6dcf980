"""Child processes that die with their parent, however it dies: by an exception, by SIGKILL, by the end of its terminal.

On Linux each child asks for the parent-death signal before it becomes the wanted program. The kernel sends it when the
*thread* that started the child exits (prctl(2)), so all children are started by one thread that lives as long as the
process. Elsewhere a watcher process at the end of a pipe does it.
"""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Literal

Mechanism = Literal["parent-death signal", "watcher"]
MECHANISM: Mechanism = "parent-death signal" if sys.platform == "linux" else "watcher"
Child = subprocess.Popen[bytes]
Stream = int | IO[bytes]

_GUARD = Path(__file__).with_name("guard.py")
_WATCHER = Path(__file__).with_name("watcher.py")
_ISOLATED = (sys.executable, "-I", "-S")
_Job = tuple[Callable[[], Child], Future[Child]]


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
    mechanism: Mechanism = MECHANISM,
) -> Child:
    """Start a program that is killed (SIGKILL) when this process is gone. May be called from any thread.

    It gets its own process group, so that a terminal's Ctrl-C reaches only this process, and no standard input.
    The program is looked up on the PATH.

    Raises:
        OSError: the child cannot be made. Where the program itself cannot be run, the child exits with 127 (Linux).
    """

    def popen(command: Sequence[str]) -> Child:
        return subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, process_group=0
        )

    if mechanism == "watcher":
        child = popen(argv)
        _watch(child.pid)
        return child
    guarded = [*_ISOLATED, str(_GUARD), str(os.getpid()), *argv]
    return _on_lasting_thread(lambda: popen(guarded))


def stop(child: Child, grace_s: float) -> bool:
    """End a child: SIGTERM, and SIGKILL after `grace_s`. Tell whether the first was enough. Reaps it."""
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    return True


class _Threads:
    """What belongs to this process alone; a forked copy of it makes its own."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue[_Job] | None = None
        self.watcher: Child | None = None
        self.watched: list[int] = []


_state = _Threads()


def _mine() -> _Threads:
    global _state  # noqa: PLW0603  one a process, renewed after a fork
    if _state.owner != os.getpid():
        _state = _Threads()
    return _state


def _on_lasting_thread(start: Callable[[], Child]) -> Child:
    mine = _mine()
    with mine.lock:
        if mine.jobs is None:
            mine.jobs = queue.SimpleQueue()
            # A daemon: it must outlive every other thread, and the interpreter's own shutdown must not end it earlier.
            threading.Thread(target=_run_jobs, args=(mine.jobs,), name="sprat-lifeline", daemon=True).start()
    done: Future[Child] = Future()
    mine.jobs.put((start, done))
    return done.result()


def _run_jobs(jobs: "queue.SimpleQueue[_Job]") -> None:
    while True:
        start, done = jobs.get()
        try:
            done.set_result(start())
        except BaseException as error:  # noqa: BLE001  handed to the caller, who waits for it
            done.set_exception(error)


def _watch(pid: int) -> None:
    mine = _mine()
    with mine.lock:
        mine.watched.append(pid)
        news = [pid]
        if mine.watcher is not None and mine.watcher.poll() is not None:
            if mine.watcher.stdin is not None:
                mine.watcher.stdin.close()
            mine.watcher = None
        if mine.watcher is None:
            mine.watcher = subprocess.Popen(
                [*_ISOLATED, str(_WATCHER)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
            news = mine.watched  # a killed watcher's successor must know them all
        if mine.watcher.stdin is not None:
            mine.watcher.stdin.write(b"".join(b"%d\n" % each for each in news))
            mine.watcher.stdin.flush()
