"""Child processes that die with their parent, however it dies: by an exception, by SIGKILL, when its terminal closes.

Each child asks Linux for the parent-death signal before it becomes the wanted program. The kernel sends it when the
*thread* that started the child exits (prctl(2)), so all children are started by one thread that lives as long as the
process. Written by hand: no library covers SIGKILL of the parent.
"""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from sprat_local.processes import private

Child = subprocess.Popen[bytes]
Stream = int | IO[bytes]

_GUARD = Path(__file__).with_name("guard.py")
_ISOLATED = (sys.executable, "-I", "-S")
_StartJob = tuple[Callable[[], Child], Future[Child]]


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
) -> Child:
    """Start a program that is killed (SIGKILL) when this process dies. May be called from any thread.

    Nobody else can read the files that it makes. It gets its own process group, so that a terminal's Ctrl-C reaches
    only this process, and no standard input. The program is looked up on the PATH.

    Raises:
        OSError: the child cannot be created. Where the program itself cannot be run, the child exits with 127.
    """
    command = [*_ISOLATED, str(_GUARD), str(os.getpid()), *argv]
    return _on_permanent_thread(
        lambda: subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
            umask=private.UMASK,
        )
    )


def stop(child: Child, grace_s: float) -> bool:
    """Stop and reap a child: SIGTERM, then SIGKILL after `grace_s`. Return whether SIGTERM was enough."""
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    return True


class _Spawner:
    """The state of this process; a forked copy creates its own."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue[_StartJob] | None = None


_state = _Spawner()


def _own_state() -> _Spawner:
    global _state  # noqa: PLW0603  one per process, replaced after a fork
    if _state.owner != os.getpid():
        _state = _Spawner()
    return _state


def _on_permanent_thread(start: Callable[[], Child]) -> Child:
    state = _own_state()
    with state.lock:
        if state.jobs is None:
            state.jobs = queue.SimpleQueue()
            # A daemon thread: it must outlive all others, and the shutdown of the interpreter must not end it earlier.
            threading.Thread(target=_run_jobs, args=(state.jobs,), name="sprat-lifeline", daemon=True).start()
    done: Future[Child] = Future()
    state.jobs.put((start, done))
    return done.result()


def _run_jobs(jobs: "queue.SimpleQueue[_StartJob]") -> None:
    while True:
        start, done = jobs.get()
        try:
            done.set_result(start())
        except BaseException as error:  # noqa: BLE001  raised again in the caller, which waits for it
            done.set_exception(error)
