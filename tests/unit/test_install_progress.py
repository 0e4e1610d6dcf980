"""What `make setup` shows of an installation by pip."""

import subprocess
import sys
from pathlib import Path

import pytest

from requirements import install
from requirements.install import _BUILT, _FOUND, Progress

SCRIPT = Path(__file__).parents[2] / "requirements" / "install.py"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Collecting aiokafka==0.14.0 (from -r requirements/dev.lock (line 2))\n", "aiokafka"),
        ("Collecting redis\n", "redis"),
        ("Collecting uvicorn[standard]>=0.30 (from x)\n", "uvicorn"),
        ("  Downloading aiokafka-0.14.0.whl (1.2 MB)\n", None),
    ],
)
def test_each_package_is_counted_by_its_name(line: str, name: str | None) -> None:
    assert (found := _FOUND.match(line)) is None or found[1] == name
    assert (found is None) == (name is None)


def test_where_there_is_no_terminal_a_line_stands_for_many_packages(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(60)
    for count in range(1, 61):
        progress.step(count, "fetching one")
    progress.step(60, "installing collected packages")
    progress.end()
    assert capsys.readouterr().out.splitlines() == [
        "  25 of 60 packages: fetching one",
        "  50 of 60 packages: fetching one",
        "  60 of 60 packages: installing collected packages",
    ]


def test_while_pip_says_nothing_a_line_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(install.time, "monotonic", lambda: now[0])
    progress = Progress(60)
    progress.step(60, "installing collected packages")
    for seconds in range(1, 40):
        now[0] = 100.0 + seconds
        progress.wait(installed=seconds)
    assert capsys.readouterr().out.splitlines() == [
        "  60 of 60 packages: installing collected packages",
        "  60 of 60 packages: installing collected packages; 15 of 60 installed, 15 s",
        "  60 of 60 packages: installing collected packages; 30 of 60 installed, 30 s",
    ]


def test_a_pip_that_hangs_is_not_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(install, "SILENCE_S", 0.2)
    monkeypatch.setattr(install, "_LOOK_S", 0.05)
    real = subprocess.Popen
    slow = [sys.executable, "-S", "-c", "import time; time.sleep(1)"]
    monkeypatch.setattr(install.subprocess, "Popen", lambda _, **more: real(slow, **more))
    assert install.main([]) == 0
    assert "  waiting for pip, which reads what to install; 0 installed, " in capsys.readouterr().out


def test_a_failure_is_pips_and_shown_whole() -> None:
    command = [sys.executable, str(SCRIPT), "--no-index", "there-is-none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No matching distribution found for there-is-none" in done.stderr


def test_what_is_being_built_is_named_after_a_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(install.time, "monotonic", lambda: now[0])
    progress = Progress(0)
    for name in ("sprat-cli", "sprat-local"):
        built = _BUILT.match(f"  Building editable for {name} (pyproject.toml): started\n")
        assert built is not None
        progress.note(0, f"building {built[1]}")
    now[0] += 16
    progress.wait(installed=3)
    assert capsys.readouterr().out.splitlines() == ["  building sprat-local; 3 installed, 16 s"]
