"""A served folder that changes: which versions are rolled out, which are not, and what the user sees."""

import json
import shutil
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat.base.thresholds import THRESHOLDS, write_thresholds
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_intent.__main__ import SHIPPED
from sprat_local.installation import rollout
from sprat_local.installation.models import served_models
from sprat_local.installation.options import Options, service_table
from sprat_local.installation.rollout import ModelRollout
from sprat_local.processes.notices import Notice
from support import measured


class FakeInstallation:
    """A running installation: which services are restarted, and whether that works."""

    def __init__(self, folder: Path) -> None:
        self.options = Options(models=served_models([f"intent/hr={folder}"]))
        self.specs = service_table(self.options)
        self.restarted: list[str] = []
        self.fails = False

    def rolling_restart(self, name: str) -> None:
        self.restarted.append(name)
        if self.fails:
            raise UserError("intent.hr does not start")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hr"
    shutil.copytree(SHIPPED, folder)
    return folder


@pytest.fixture
def installed(folder: Path) -> FakeInstallation:
    return FakeInstallation(folder)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def watcher(installed: FakeInstallation, notices: list[str]) -> ModelRollout:
    def add(event: Notice) -> None:
        notices.append(f"{event.level}: {event.text}")

    watcher = ModelRollout(installed, add, report_after_s=0.0, retry_after_s=0.0)
    watcher.check()
    return watcher


@pytest.fixture
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each model answer: a real probe takes a process of two seconds, and other tests here have it."""
    monkeypatch.setattr(rollout, "probe_in_process", lambda *_: None)


def write(folder: Path, **changes: object) -> str:
    card = load_artefact(folder).card.model_dump(mode="json")
    return write_artefact(folder, card | changes).version


def test_without_a_new_version_nothing_happens(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    watcher.check()
    (folder / "card.json").touch()
    watcher.check()
    assert (installed.restarted, notices) == ([], [])


def test_a_new_version_is_rolled_out_once(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    before = load_artefact(folder).card.version
    version = write(folder, limits=["the second"])
    watcher.check()
    watcher.check()
    assert installed.restarted == ["intent.hr"]
    tried = (
        f"it is loaded and tried now, and {before} stays in use meanwhile; then it is rolled out, or a line says why"
    )
    assert notices == [
        f"info: {folder} holds another version, {version}: {tried} not",
        f"info: rolling out version {version}, was {before}",
        f"info: version {version} is in use",
    ]


def test_that_a_version_is_tried_is_said_before_it_is_tried_and_once(
    watcher: ModelRollout, notices: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said_before: list[int] = []

    def fail(task: str, folder: Path) -> None:
        said_before.append(len(notices))
        raise UserError("it does not answer its probe")

    monkeypatch.setattr(rollout, "probe_in_process", fail)
    write(folder, limits=["the second"])
    watcher.check()
    (folder / "card.json").touch()  # the same version is tried again
    watcher.check()
    assert said_before == [1, 2], "the second line says that it cannot be served"
    assert [line.partition(":")[0] for line in notices] == ["info", "warning"]


def test_of_changed_thresholds_the_user_is_told_and_no_service_is_started_again(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    found = measured.thresholds(model_version=load_artefact(folder).card.version)
    write_thresholds(folder / THRESHOLDS, found)
    watcher.check()
    watcher.check()
    (folder / THRESHOLDS).write_text("{}")
    watcher.check()
    assert installed.restarted == []
    told, refused = notices
    assert told == f"info: its service takes over the thresholds {found.thresholds_version}"
    assert refused.startswith(f"warning: its thresholds are refused, and those before stay in use: {folder}/")


@pytest.mark.usefixtures("no_probe")
def test_a_new_version_brings_its_thresholds_along(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    version = write(folder, limits=["the second"])
    write_thresholds(folder / THRESHOLDS, measured.thresholds(model_version=version))
    watcher.check()
    watcher.check()
    assert notices[-1] == f"info: version {version} is in use", "it reads its thresholds when it starts"


def test_a_version_for_other_code_is_not_rolled_out_though_its_files_are_complete(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    before = load_artefact(folder).card.version
    write(folder, reader="sprat-intent-linear/9")
    watcher.check()
    watcher.check()
    assert installed.restarted == []
    _, line = notices
    assert line.startswith(f"warning: its folder has changed and cannot be served; {before} stays in use: ")
    assert "made for sprat-intent-linear/9" in line


def test_a_folder_that_was_missing_is_reported_when_it_is_back(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    moved = folder.with_name("moved")
    folder.rename(moved)
    watcher.check()
    moved.rename(folder)
    watcher.check()
    assert installed.restarted == []
    assert [line.partition(";")[0] for line in notices] == [
        "warning: its folder has changed and cannot be served",
        f"info: its folder can be served again: version {load_artefact(folder).card.version}",
    ]


@pytest.mark.usefixtures("no_probe")
def test_a_version_that_did_not_start_is_tried_again(
    watcher: ModelRollout, installed: FakeInstallation, notices: list[str], folder: Path
) -> None:
    version = write(folder, limits=["the second"])
    installed.fails = True
    watcher.check()
    installed.fails = False
    watcher.check()
    watcher.check()
    assert installed.restarted == ["intent.hr", "intent.hr"]
    assert notices[2].startswith(f"error: version {version} does not start, next try in 0 s: ")
    assert notices[3:] == [f"info: rolling out version {version}, was none", f"info: version {version} is in use"]


def test_a_folder_that_stays_broken_is_read_once(
    watcher: ModelRollout, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "card.json").write_text(json.dumps({}))
    watcher.check()
    monkeypatch.setattr(rollout, "version_in", lambda *_: pytest.fail("read again"))
    watcher.check()
