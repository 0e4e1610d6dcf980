"""A served folder that changes: which versions are rolled out, which are not, and what the user sees."""

import json
import shutil
from pathlib import Path

import pytest

from sprat.errors import UserError
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_intent.__main__ import SHIPPED
from sprat_local import rollout
from sprat_local.models import served_models
from sprat_local.notices import Notice
from sprat_local.options import POLICY, Options, service_table
from sprat_local.rollout import ModelRollout


class FakeInstallation:
    """A running installation: which services are restarted, and whether that works."""

    def __init__(self, folder: Path, policy: Path = POLICY) -> None:
        self.options = Options(models=served_models([f"intent/hr={folder}"]), policy=policy)
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


WAITS = "; the router has 0.72 until `sprat up` is stopped and started again"


@pytest.mark.parametrize(
    ("rules", "then", "said"),
    [
        (
            "{keep_at: 0.72}",
            None,
            "write 0.87 under {}: the card's keep_at is higher than 0.72, which is in force",
        ),
        (
            "{keep_at: 0.72}",
            "{keep_at: 0.72, models: {hr: {keep_at: 0.8}}}",
            (
                "write 0.87 under {}, unless `sprat assess` showed 0.80 for this version: the card's keep_at is higher "
                f"than 0.80, which is in force{WAITS}"
            ),
        ),
        (
            "{keep_at: 0.72}",
            "{models: {hr: {keep_at: 0.87}}}",
            f"0.87, the card's keep_at, is written under {{}}{WAITS}",
        ),
        (
            "{keep_at: 0.72, models: {hr: {keep_at: 0.94}}}",
            None,
            (
                "0.87 may be written under {}, unless `sprat assess` showed 0.94 for this version: the card's keep_at "
                "is lower than 0.94, which is in force, and not provisional, so it keeps more"
            ),
        ),
        ("{keep_at: 0.72, models: {hr: {keep_at: 0.87}}}", None, None),
    ],
)
def test_a_keep_at_that_holds_and_is_not_that_of_the_new_card_is_named(
    folder: Path, tmp_path: Path, rules: str, then: str | None, said: str | None
) -> None:
    notices: list[str] = []
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"tasks:\n  intent: {rules}\n")
    watcher = ModelRollout(FakeInstallation(folder, policy), lambda event: notices.append(event.text))
    watcher.check()
    policy.write_text(f"tasks:\n  intent: {then or rules}\n")  # the router has read the policy when it started
    version = write(folder, keep_at=0.87)
    watcher.check()
    more = [] if said is None else [f"keep_at: {said.format('tasks.intent.models.hr.keep_at')}"]
    assert notices[2:] == [f"version {version} is in use", *more]


def test_nothing_is_said_of_a_keep_at_that_assess_showed_for_the_new_version(folder: Path, tmp_path: Path) -> None:
    notices: list[str] = []
    policy = tmp_path / "policy.yaml"
    before = load_artefact(folder).card.version
    shown = "tasks:\n  intent:\n    models:\n      hr:\n"
    shown += "        keep_at: {0}  # sprat assess: {0} for version {1}, --accuracy 0.9\n"
    policy.write_text(shown.format(0.8, before))
    watcher = ModelRollout(FakeInstallation(folder, policy), lambda event: notices.append(event.text))
    watcher.check()
    version = write(folder, keep_at=0.87)
    watcher.check()
    said = f"keep_at: 0.80, which is in force, was found for version {before}, not for {version}: `sprat assess FILE "
    assert notices[-1].startswith(said), notices
    policy.write_text(shown.format(0.74, before))
    write(folder, keep_at=0.87, limits=["the third"])
    policy.write_text(shown.format(0.74, load_artefact(folder).card.version))
    watcher.check()
    shown_for = (
        "keep_at: 0.74, found by `sprat assess` for this version, is written under tasks.intent.models.hr.keep_at"
    )
    assert notices[-1] == f"{shown_for}; the router has 0.80 until `sprat up` is stopped and started again"


def test_a_provisional_keep_at_of_the_new_card_does_not_lower_what_is_in_force(folder: Path, tmp_path: Path) -> None:
    notices: list[str] = []
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks:\n  intent: {models: {hr: {keep_at: 0.94}}}\n")
    watcher = ModelRollout(FakeInstallation(folder, policy), lambda event: notices.append(event.text))
    watcher.check()
    write(folder, keep_at=0.87, keep_at_rule="the least hundredth; provisional: 20 kept texts show 88.1 %")
    watcher.check()
    leave = "leave 0.94, which is in force: the card's keep_at, 0.87, is lower and provisional; "
    assert notices[-1].startswith(f"keep_at: {leave}"), notices


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
