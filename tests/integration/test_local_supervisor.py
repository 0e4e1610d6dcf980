"""The supervisor with real processes: starts, restarts, reports reasons, gives up, stops."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sprat_local.processes.notices import Notice, StartError
from sprat_local.processes.service_process import LaunchSpec, ProcessState, ServiceProcess
from sprat_local.processes.supervisor import Supervisor

READY = "/healthz"


class Supervised:
    """A supervisor and its notices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notices: list[Notice] = []
        self.supervisor = Supervisor(self.notices.append)

    def start(
        self, module: str = "sprat_simulator", *, restart: bool = True, probe_every_s: float = 5.0, **env: str
    ) -> ServiceProcess:
        variables = {**os.environ, **env}
        launch = LaunchSpec(
            "simulator", module, variables, "SPRAT_SIMULATOR_PORT", None, READY, self.folder / "simulator.log"
        )
        process = ServiceProcess(launch, self.notices.append, restart=restart, probe_every_s=probe_every_s)
        self.supervisor.start(process)
        return process


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    supervised = Supervised(tmp_path)
    yield supervised
    supervised.supervisor.stop_services(list(supervised.supervisor.services), 2)
    supervised.supervisor.shut_down()


def until(reached: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_starts_after_a_shutdown_is_supervised_again(supervised: Supervised) -> None:
    for _ in range(2):
        supervised.supervisor.wait_ready([supervised.start()], 20)
        supervised.supervisor.stop_services(["simulator"], 2)
        supervised.supervisor.shut_down()


def test_a_killed_process_is_restarted_and_the_reason_is_reported(supervised: Supervised) -> None:
    process = supervised.start()
    supervised.supervisor.wait_ready([process], 20)
    first = process.pid
    process.kill()
    until(lambda: process.restarts == 1 and process.state is ProcessState.READY)

    assert process.pid not in {None, first}
    assert process.last_exit == "killed by SIGKILL"
    assert [event.level for event in supervised.notices] == ["error", "info"]
    assert supervised.notices[0].text.startswith("died: killed by SIGKILL; restart 1 in ")


def test_wrong_settings_are_not_retried_and_the_services_message_is_passed_on(supervised: Supervised) -> None:
    process = supervised.start(SPRAT_SIMULATOR_WRONG_RATE="7")

    with pytest.raises(StartError, match=r"(?s)simulator does not start: exit code 2.*WRONG_RATE"):
        supervised.supervisor.wait_ready([process], 20)
    assert process.restarts == 0


def test_a_process_that_keeps_dying_before_it_is_ready_fails_the_start(supervised: Supervised) -> None:
    process = supervised.start("sprat_contracts.ids_that_do_not_exist")

    with pytest.raises(StartError, match=r"(?s)exit code 1.*No module named"):
        supervised.supervisor.wait_ready([process], 20)


def test_without_restarts_a_dead_process_stays_down(supervised: Supervised) -> None:
    process = supervised.start(restart=False)
    supervised.supervisor.wait_ready([process], 20)
    process.kill()
    until(lambda: process.state is ProcessState.STOPPED)

    assert process.pid is None
    assert process.restarts == 0


def test_a_process_that_stops_answering_is_shown_as_such(
    supervised: Supervised,
) -> None:
    process = supervised.start(probe_every_s=0.1)
    supervised.supervisor.wait_ready([process], 20)
    assert process.pid is not None
    paused = psutil.Process(process.pid)
    paused.suspend()
    until(lambda: process.state is ProcessState.SILENT)
    paused.resume()
    until(lambda: process.state is ProcessState.READY)


def test_a_process_that_ignores_sigterm_is_killed(supervised: Supervised) -> None:
    process = supervised.start()
    supervised.supervisor.wait_ready([process], 20)
    assert process.pid is not None
    assert not process.hangs(process.cpu_s(), 0.2), "it answers"
    psutil.Process(process.pid).suspend()
    assert process.hangs(process.cpu_s(), 0.2)
    supervised.supervisor.stop_services(["simulator"], 0.3)

    assert process.pid is None
    assert supervised.notices[-1].text == (
        "did not stop within 0.3 s: it neither answered nor worked, and was killed; nothing unfinished was committed"
    )
    assert not supervised.supervisor.services


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells here who waits for a core")
def test_one_that_gets_no_core_is_not_called_killed(supervised: Supervised, tmp_path: Path) -> None:
    """Beside a busy process on one core, it gets about a 300th of it, and answers nothing."""
    busy = (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\nprint('busy', flush=True)\nwhile True: pass\n"
    )
    (tmp_path / "starved.py").write_text(busy, "utf-8")
    process = supervised.start("starved", restart=False, PYTHONPATH=str(tmp_path))
    until(lambda: "busy" in process.log.read_text("utf-8"))
    pid, core = process.pid, min(os.sched_getaffinity(0))
    assert pid is not None
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for each in (pid, other.pid):
            os.sched_setaffinity(each, {core})
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        supervised.supervisor.stop_services(["simulator"], 1.0)
    finally:
        other.kill()
        other.wait()
    assert supervised.notices[-1].text == (
        "did not stop within 1 s: it was at work, and was ended; nothing unfinished was committed"
    )


def test_one_that_still_works_at_the_end_of_the_grace_is_not_called_killed(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = supervised.start()
    supervised.supervisor.wait_ready([process], 20)
    monkeypatch.setattr(process, "terminate", lambda: None)  # as one that drains: it answers, and does not end yet
    supervised.supervisor.stop_services(["simulator"], 0.3)

    assert process.pid is None
    assert supervised.notices[-1].text == (
        "did not stop within 0.3 s: it was at work, and was ended; nothing unfinished was committed"
    )


BUSY = """
import http.server, json, os, time
end = time.monotonic() + float(os.environ["WORK_S"])
while time.monotonic() < end:
    until = time.thread_time() + 0.005
    while time.thread_time() < until:
        pass
    time.sleep(0.02)
print(json.dumps({"level": "info", "message": os.environ.get("SAYS", "loading")}), flush=True)
end = time.monotonic() + float(os.environ["IDLE_S"])
while time.monotonic() < end:
    time.sleep(0.05)

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(os.environ["SPRAT_SIMULATOR_PORT"])), Ready).serve_forever()
"""


def busy(supervised: Supervised, tmp_path: Path, **env: str) -> ServiceProcess:
    (tmp_path / "busy_service.py").write_text(BUSY)
    return supervised.start("busy_service", PYTHONPATH=str(tmp_path), **env)


def test_what_is_at_work_when_its_time_is_over_is_given_more(supervised: Supervised, tmp_path: Path) -> None:
    process = busy(supervised, tmp_path, WORK_S="3.5", IDLE_S="0")
    supervised.supervisor.wait_ready([process], 1.5)
    (notice,) = supervised.notices
    assert (notice.service, notice.level) == ("simulator", "warning")
    assert notice.text.startswith("not ready after 2 s, but at work")
    assert notice.text.endswith("; waiting on")


def test_what_does_nothing_when_its_time_is_over_is_not_waited_for(supervised: Supervised, tmp_path: Path) -> None:
    process = busy(supervised, tmp_path, WORK_S="0", IDLE_S="60")
    with pytest.raises(StartError, match=r"(?s)simulator is not ready after [1234] s.* --start-timeout 300`\. Its log"):
        supervised.supervisor.wait_ready([process], 1)


@pytest.mark.long
def test_what_says_that_it_is_ready_is_given_more_time_and_not_accused(supervised: Supervised, tmp_path: Path) -> None:
    process = busy(supervised, tmp_path, WORK_S="0", IDLE_S="5", SAYS="ready")
    supervised.supervisor.wait_ready([process], 2)
    supervised.supervisor.stop_services(["simulator"], 2)
    process = busy(supervised, tmp_path, WORK_S="0", IDLE_S="60", SAYS="ready")
    with pytest.raises(StartError, match=r"simulator has started, but was not found ready after 1[01] s"):
        supervised.supervisor.wait_ready([process], 2)


def test_what_never_ends_its_work_is_not_waited_for_for_ever(supervised: Supervised, tmp_path: Path) -> None:
    process = busy(supervised, tmp_path, WORK_S="60", IDLE_S="0")
    with pytest.raises(StartError, match=r"simulator is not ready after [78] s"):
        supervised.supervisor.wait_ready([process], 1.5)
