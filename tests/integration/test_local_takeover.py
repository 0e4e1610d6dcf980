"""A served folder that changes: what is taken over, what is not, and what a person is told."""

import json
import shutil
from pathlib import Path

import pytest

from sprat.errors import UserError
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_intent.__main__ import SHIPPED
from sprat_local.models import takeover
from sprat_local.models.served import served_models
from sprat_local.models.takeover import Takeover
from sprat_local.notices import Notice
from sprat_local.options import Options
from sprat_local.plan import table_of


class Installed:
    """Stands for an installation that runs: what is restarted, and whether that works."""

    def __init__(self, folder: Path) -> None:
        self.specs = table_of(Options(models=served_models([f"intent/hr={folder}"])))
        self.restarted: list[str] = []
        self.fails = False

    def rolling_restart(self, name: str) -> None:
        self.restarted.append(name)
        if self.fails:
            raise UserError("intent.hr does not start")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(takeover, "_AGAIN_S", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hr"
    shutil.copytree(SHIPPED, folder)
    return folder


@pytest.fixture
def installed(folder: Path) -> Installed:
    return Installed(folder)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def watching(installed: Installed, told: list[str]) -> Takeover:
    def tell(event: Notice) -> None:
        told.append(f"{event.level}: {event.text}")

    watching = Takeover(installed, tell)
    watching.look()
    return watching


def write(folder: Path, **changes: object) -> str:
    card = load_artefact(folder).card.model_dump(mode="json")
    return write_artefact(folder, card | changes).version


def test_nothing_new_is_left_alone(watching: Takeover, installed: Installed, told: list[str], folder: Path) -> None:
    watching.look()
    (folder / "card.json").touch()
    watching.look()
    assert (installed.restarted, told) == ([], [])


def test_a_new_version_takes_over_once(watching: Takeover, installed: Installed, told: list[str], folder: Path) -> None:
    before = load_artefact(folder).card.version
    version = write(folder, limits=["the second"])
    watching.look()
    watching.look()
    assert installed.restarted == ["intent.hr"]
    assert told == [f"info: takes over version {version}, was {before}", f"info: version {version} serves"]


def test_a_version_for_other_code_changes_nothing_though_its_files_are_whole(
    watching: Takeover, installed: Installed, told: list[str], folder: Path
) -> None:
    before = load_artefact(folder).card.version
    write(folder, reader="sprat-intent-linear/9")
    watching.look()
    watching.look()
    assert installed.restarted == []
    (line,) = told
    assert line.startswith(f"warning: its folder has changed and cannot be served; {before} goes on: ")
    assert "made for sprat-intent-linear/9" in line


def test_a_folder_that_was_gone_is_told_when_it_is_back(
    watching: Takeover, installed: Installed, told: list[str], folder: Path
) -> None:
    away = folder.with_name("away")
    folder.rename(away)
    watching.look()
    away.rename(folder)
    watching.look()
    assert installed.restarted == []
    assert [line.partition(";")[0] for line in told] == [
        "warning: its folder has changed and cannot be served",
        f"info: its folder can be served again: version {load_artefact(folder).card.version}",
    ]


def test_a_version_that_did_not_come_up_is_tried_again(
    watching: Takeover, installed: Installed, told: list[str], folder: Path
) -> None:
    version = write(folder, limits=["the second"])
    installed.fails = True
    watching.look()
    installed.fails = False
    watching.look()
    watching.look()
    assert installed.restarted == ["intent.hr", "intent.hr"]
    assert told[1].startswith(f"error: version {version} does not come up, again in 0 s: ")
    assert told[2:] == [f"info: takes over version {version}, was none", f"info: version {version} serves"]


def test_a_folder_that_stays_broken_is_read_once(
    watching: Takeover, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "card.json").write_text(json.dumps({}))
    watching.look()
    monkeypatch.setattr(takeover, "version_in", lambda *_: pytest.fail("read again"))
    watching.look()
