"""The supervisor with real processes: starts, restarts, tells why, gives up, stops."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sprat_local.errors import StartError
from sprat_local.events import Event
from sprat_local.processes.service_process import Launch, ServiceProcess, State
from sprat_local.processes.supervisor import Supervisor

READY = "/healthz"


class Watched:
    """A supervisor and what it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[Event] = []
        self.supervisor = Supervisor(self.told.append)

    def start(self, module: str = "sprat_simulator", *, restart: bool = True, **env: str) -> ServiceProcess:
        variables = {**os.environ, **env}
        launch = Launch(
            "simulator", module, variables, "SPRAT_SIMULATOR_PORT", None, READY, self.folder / "simulator.log"
        )
        process = ServiceProcess(launch, self.told.append, restart=restart)
        self.supervisor.start(process)
        return process


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.supervisor.stop_services(list(watched.supervisor.services), 2)
    watched.supervisor.end()


def until(reached: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_process_is_restarted_and_the_reason_is_told(watched: Watched) -> None:
    process = watched.start()
    watched.supervisor.wait_ready([process], 20)
    first = process.pid
    process.kill()
    until(lambda: process.restarts == 1 and process.state is State.READY)

    assert process.pid not in {None, first}
    assert process.last_end == "killed by SIGKILL"
    assert [event.level for event in watched.told] == ["error", "info"]
    assert watched.told[0].text.startswith("died: killed by SIGKILL; restart 1 in ")


def test_wrong_settings_are_not_tried_again_and_its_own_words_are_handed_on(watched: Watched) -> None:
    process = watched.start(SPRAT_SIMULATOR_WRONG_RATE="7")

    with pytest.raises(StartError, match=r"(?s)simulator does not start: exit code 2.*WRONG_RATE"):
        watched.supervisor.wait_ready([process], 20)
    assert process.restarts == 0


def test_what_keeps_dying_before_it_is_ready_fails_the_start(watched: Watched) -> None:
    process = watched.start("sprat_contracts.ids_that_do_not_exist")

    with pytest.raises(StartError, match=r"(?s)exit code 1.*No module named"):
        watched.supervisor.wait_ready([process], 20)


def test_without_restarts_it_stays_down(watched: Watched) -> None:
    process = watched.start(restart=False)
    watched.supervisor.wait_ready([process], 20)
    process.kill()
    until(lambda: process.state is State.STOPPED)

    assert process.pid is None
    assert process.restarts == 0


def test_one_that_does_not_answer_any_more_is_shown_so(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sprat_local.processes.service_process._PROBE_EVERY_S", 0.1)
    process = watched.start()
    watched.supervisor.wait_ready([process], 20)
    assert process.pid is not None
    paused = psutil.Process(process.pid)
    paused.suspend()
    until(lambda: process.state is State.SILENT)
    paused.resume()
    until(lambda: process.state is State.READY)


def test_one_that_ignores_the_request_to_stop_is_killed(watched: Watched) -> None:
    process = watched.start()
    watched.supervisor.wait_ready([process], 20)
    assert process.pid is not None
    psutil.Process(process.pid).suspend()
    watched.supervisor.stop_services(["simulator"], 0.3)

    assert process.pid is None
    assert watched.told[-1].text == "did not stop within 0.3 s: killed"
    assert not watched.supervisor.services
