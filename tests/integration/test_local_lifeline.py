"""Children die with their parent, however it dies, and only their parent hears a terminal's Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sprat_local.processes import lifeline
from sprat_local.processes.ports import is_free

SERVERS = """
import sys, time
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.redis import EmbeddedRedis
server, redis = EmbeddedKafka(), EmbeddedRedis()
server.start(); redis.start()
(kafka,) = server.nodes
print(kafka.pid, redis.pid, kafka.port, redis.port, kafka.folder, flush=True)
time.sleep(60)
"""
SLEEPERS = """
import sys, time
from sprat_local.processes import lifeline
children = [lifeline.spawn(["/bin/sleep", "60"]) for _ in range(2)]
print(*(child.pid for child in children), flush=True)
time.sleep(60)
"""


def run_parent(script: str, *arguments: str) -> tuple["subprocess.Popen[str]", list[str]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert parent.stdout is not None
    return parent, parent.stdout.readline().split()


def end(parent: "subprocess.Popen[str]", number: signal.Signals = signal.SIGKILL) -> None:
    parent.send_signal(number)
    parent.wait(10)
    assert parent.stdout is not None
    parent.stdout.close()


def lives(pid: int) -> bool:
    """Return whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def test_when_the_parent_is_killed_its_servers_are_dead_and_their_ports_free(kafka):
    parent, words = run_parent(SERVERS)
    pids, ports = [int(word) for word in words[:2]], [int(word) for word in words[2:4]]
    assert all(lives(pid) for pid in pids)
    end(parent)
    assert within(2, lambda: not any(lives(pid) for pid in pids))
    # A dead process that is not reaped yet counts as dead; the kernel may hold its sockets a moment longer.
    assert within(2, lambda: all(is_free(port) for port in ports))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_children_die_within_two_seconds_of_their_parents_death(number):
    parent, words = run_parent(SLEEPERS)
    pids = [int(word) for word in words]
    assert all(lives(pid) for pid in pids)
    end(parent, number)
    assert within(2, lambda: not any(lives(pid) for pid in pids))


def test_a_child_outlives_the_thread_that_started_it():
    children: list[lifeline.Child] = []

    def spawn() -> None:
        children.append(lifeline.spawn(["/bin/sleep", "60"]))

    thread = threading.Thread(target=spawn)
    thread.start()
    thread.join()
    time.sleep(0.2)  # it is not killed meanwhile
    (child,) = children
    assert child.poll() is None
    assert lifeline.stop(child, 5)


def test_an_interrupt_from_the_terminal_reaches_only_the_parent():
    parent, words = run_parent(SLEEPERS)
    pids = [int(word) for word in words]
    assert all(os.getpgid(pid) == pid for pid in pids)
    end(parent)


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace_time():
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    child = lifeline.spawn([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()  # it ignores SIGTERM now
    assert not lifeline.stop(child, 0.2)
    assert child.returncode == -signal.SIGKILL


def test_a_program_that_does_not_exist_ends_with_127():
    assert lifeline.spawn(["/nonexistent/program"]).wait(5) == 127


TRY_OUT = """
import sys
from pathlib import Path
from sprat_local.installation.rollout import probe_in_process
probe_in_process("intent", Path(sys.argv[1]))
"""


def test_the_try_out_of_a_model_dies_with_the_process_that_began_it(tmp_path: Path) -> None:
    """`sprat up` that was stopped while a new version was being tried left that process behind."""
    os.mkfifo(tmp_path / "card.json")  # whoever reads it waits
    children: list[psutil.Process] = []

    def is_tried() -> bool:
        children[:] = [
            each
            for each in psutil.Process(parent.pid).children()
            if "sprat_local.installation.rollout" in each.cmdline()
        ]
        return bool(children)

    with subprocess.Popen([sys.executable, "-c", TRY_OUT, str(tmp_path)]) as parent:
        assert within(20, is_tried)
        parent.kill()
    assert within(2, lambda: not lives(children[0].pid))
