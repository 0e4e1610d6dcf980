"""The first process of a container, with small programs in place of services."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

INIT = Path(__file__).parents[2] / "compose" / "init.py"
READY = "print(flush=True)"


def start(program: str, tmp_path: Path, **more: str) -> subprocess.Popen[str]:
    """Start a program below it, with a module that prints its call in the place of the one that leaves groups."""
    module = tmp_path / "sprat" / "kafka" / "membership.py"
    module.parent.mkdir(parents=True, exist_ok=True)
    for package in module.parents[:2]:
        (package / "__init__.py").touch()
    module.write_text("import sys; print('left', *sys.argv[1:], flush=True)")
    environment = {"PYTHONPATH": str(tmp_path), "SPRAT_KAFKA__MEMBERSHIP_FILE": str(tmp_path / "members")} | more
    command = [sys.executable, "-I", "-S", str(INIT), "-S", "-c", program]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    """Return what it prints until its end."""
    return process.communicate(timeout=30)[0].strip()


@pytest.mark.parametrize("code", [0, 1, 2, 77])
def test_the_code_of_a_service_is_its_own(code: int, tmp_path: Path) -> None:
    process = start(f"raise SystemExit({code})", tmp_path)
    assert (output(process), process.returncode) == ("", code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_groups_are_left_for_a_service_that_a_signal_has_killed(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "members").touch()
    process = start(f"import os; os.kill(os.getpid(), {number})", tmp_path)
    assert (output(process), process.returncode) == (f"left {tmp_path}/members", 128 + number)


def test_groups_are_left_also_where_a_service_has_ended_without_leaving(tmp_path: Path) -> None:
    (tmp_path / "members").touch()
    process = start("raise SystemExit(1)", tmp_path)
    assert (output(process), process.returncode) == (f"left {tmp_path}/members", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_signals_are_passed_on_once_each(number: signal.Signals, tmp_path: Path) -> None:
    program = (
        "import os, signal, time\n"
        f"signal.signal({number}, lambda *_: (os.write(1, b'got it'), os._exit(3)))\n"
        f"{READY}; time.sleep(30)"
    )
    process = start(program, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert (output(process), process.returncode) == ("got it", 3)


def test_a_terminal_reaches_the_service_through_it_alone_and_no_signal_is_blocked(tmp_path: Path) -> None:
    program = "import os, signal as s; print(os.getpgid(0) == os.getpid(), len(s.pthread_sigmask(s.SIG_BLOCK, [])))"
    assert output(start(program, tmp_path)) == "True 0"


def test_it_ends_also_where_its_parent_ignores_the_end_of_children(tmp_path: Path) -> None:
    """The kernel keeps that over the start of a program, and then tells nobody that a child has ended."""
    ignored = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = start("raise SystemExit(7)", tmp_path)
    finally:
        signal.signal(signal.SIGCHLD, ignored)
    assert (output(process), process.returncode) == ("", 7)


def test_on_a_terminal_the_service_reads_from_it_and_gets_each_signal_once(tmp_path: Path) -> None:
    """As with `docker run -it`: a process of a group of its own is stopped when it reads."""
    program = (
        "import signal, time\n"
        "got = []\n"
        "signal.signal(signal.SIGINT, lambda *_: got.append(1))\n"
        "print('read', input(), flush=True)\n"
        "while not got: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "print(len(got))"
    )
    terminal, stdin = pty.openpty()
    module = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
    )
    inner = [sys.executable, "-I", "-S", str(INIT), "-S", "-c", program]
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", module, *inner],
        env={"SPRAT_KAFKA__MEMBERSHIP_FILE": str(tmp_path / "members")},
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(stdin)
    try:
        assert process.stdout is not None
        os.write(terminal, b"a line\n")
        assert select.select([process.stdout], [], [], 20)[0], "it is stopped"
        assert process.stdout.readline() == "read a line\n"
        os.write(terminal, b"\x03")
        assert (output(process), process.returncode) == ("1", 0)
    finally:
        process.kill()
        os.close(terminal)


def run_with_init(program: str) -> list[str]:
    """Run a program that has this module as `init`, with its signals blocked; return what it prints."""
    load = (
        f"import importlib.util as u, os, time; s = u.spec_from_file_location('init', {str(INIT)!r})\n"
        "init = u.module_from_spec(s); s.loader.exec_module(init)\n"
        "init.signal.pthread_sigmask(init.signal.SIG_BLOCK, init.WAITED_FOR)\n"
    )
    command = [sys.executable, "-S", "-c", load + program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split()


def test_what_others_leave_behind_is_reaped_and_does_not_end_it() -> None:
    """A second child stands for what the kernel gives to the first process of a container."""
    program = (
        "other = init.start(['-S', '-c', 'pass'])\n"
        "child = init.start(['-S', '-c', 'import time; time.sleep(0.5); raise SystemExit(5)'])\n"
        "print(init.wait(child), os.path.exists(f'/proc/{other}'))"
    )
    assert run_with_init(program) == ["5", "False"]


def test_leaving_does_not_hold_up_the_end_for_ever() -> None:
    began = time.monotonic()
    program = (
        "child = init.start(['-S', '-c', 'import time; time.sleep(60)'])\n"
        "print(init.wait(child, time.monotonic() + 0.3))"
    )
    assert run_with_init(program) == ["137"]
    assert time.monotonic() - began < 30


def test_it_imports_little(tmp_path: Path) -> None:
    """Where memory runs out, the kernel kills the largest process: never this one."""
    process = start(f"{READY}; import time; time.sleep(30)", tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    os.kill(process.pid, signal.SIGTERM)
    output(process)
    assert int(status["RssAnon"].split()[0]) < 12_288  # kB
