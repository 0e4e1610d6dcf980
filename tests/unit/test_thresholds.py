"""The file `thresholds.json`: what is read, what is refused, and how a running service takes a changed one over."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sprat.base.errors import Retryable, UserError
from sprat.base.thresholds import THRESHOLDS, ThresholdsFile, find_thresholds, read_thresholds, write_thresholds
from sprat_contracts.thresholds import Thresholds, content_version
from support.measured import MODEL_VERSION, thresholds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / THRESHOLDS
    write_thresholds(path, thresholds())
    return path


def read(path: Path, **expected: str) -> Thresholds:
    return read_thresholds(path, model_version=MODEL_VERSION, **expected)


def change(path: Path, *, signed: bool = True, **changes: Any) -> None:
    content = {**json.loads(path.read_text("utf-8")), **changes}
    if signed:
        content["thresholds_version"] = content_version(content)
    path.write_text(json.dumps(content), "utf-8")


def test_what_is_written_is_read_back(file: Path) -> None:
    assert read(file) == thresholds()
    assert read(file, label_set="0" * 16) == thresholds()
    assert find_thresholds(file.parent, model_version=MODEL_VERSION) == thresholds()


def test_a_folder_without_the_file_has_no_thresholds(tmp_path: Path) -> None:
    assert find_thresholds(tmp_path, model_version=MODEL_VERSION) is None
    with pytest.raises(UserError, match=r"thresholds\.json: not found; measure the model: sprat evaluate"):
        read(tmp_path / THRESHOLDS)


CELL = thresholds().cells[0].model_dump(mode="json")
STEPS = [
    {"accuracy": accuracy, "threshold": threshold, "kept": 9, "right": 9}
    for accuracy, threshold in ((0.9, 0.8), (0.95, 0.7))
]
PERSONS = {"label": "PER", "rows": 9, "estimated": STEPS[:1]}
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another version": (lambda path: change(path, model_version="f" * 16), "measured with version f{16} of the model"),
    "torn": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not JSON, or only a part"),
    "nested too deeply": (lambda path: path.write_text("[" * 100_000), "not JSON, or only a part"),
    "no object": (lambda path: path.write_text("[]"), "holds no thresholds, but a list"),
    "an unknown format": (lambda path: change(path, format=7), "has the format 7, this release reads 1"),
    "a format in quotes": (lambda path: change(path, format="1"), "has the format '1', this release reads 1"),
    "a changed number": (lambda path: change(path, signed=False, recommended_goal=0.8), "it was changed after"),
    "steps that fall": (lambda path: change(path, cells=[{**CELL, "estimated": STEPS}]), "cells.0 .its steps do not a"),
    "one type twice": (lambda path: change(path, entities=[PERSONS, PERSONS]), "two cells of one kind"),
    "names whose steps fall": (
        lambda path: change(path, nothing_missed=[{"rows": 9, "estimated": STEPS}]),
        "nothing_missed.0 .its steps do not a",
    ),
    "one cell twice": (lambda path: change(path, cells=[CELL, CELL]), "two cells of one kind"),
    "a missing field": (lambda path: change(path, cells=None), "not thresholds, look at cells"),
    "no number": (lambda path: path.write_text(path.read_text().replace("0.97,", "NaN,", 1)), "not thresholds"),
    "writable by others": (lambda path: path.chmod(0o666), "decide which answers are kept: it is not read"),
    "too large": (lambda path: path.write_bytes(b" " * ((4 << 20) + 1)), "larger than 4 MiB"),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_a_file_that_cannot_be_relied_on_is_refused_in_one_line(file: Path, refused: str) -> None:
    damage, because = REFUSED[refused]
    damage(file)
    with pytest.raises(UserError, match=because) as error:
        read(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_thresholds_for_other_labels_are_refused(file: Path) -> None:
    with pytest.raises(UserError, match="measured with other labels"):
        read(file, label_set="1" * 16)


def test_content_that_has_another_version_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="their content is"):
        write_thresholds(tmp_path / THRESHOLDS, thresholds().model_copy(update={"recommended_goal": 0.8}))
    assert not any(tmp_path.iterdir())


def test_others_cannot_write_what_was_written(file: Path) -> None:
    former = os.umask(0)
    try:
        write_thresholds(file, thresholds(certified=0.7))
    finally:
        os.umask(former)
    assert file.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in file.parent.iterdir()] == [THRESHOLDS]


class Follower:
    """Follows a file, and remembers what was handed over."""

    def __init__(self, path: Path, default: Thresholds | None = None) -> None:
        self.file = ThresholdsFile(path, model_version=MODEL_VERSION, default=default)
        self.told: list[str] = []
        self.fails = 0

    async def on_change(self, current: Thresholds) -> None:
        if self.fails:
            self.fails -= 1
            raise Retryable("Kafka does not answer")
        self.told.append(current.thresholds_version)

    async def looks(self, *steps: Callable[[], object]) -> None:
        following = asyncio.create_task(self.file.follow(self.on_change, every_s=0.01))
        try:
            for step in steps:
                step()
                await asyncio.sleep(0.1)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def test_a_changed_file_is_taken_over_once(file: Path) -> None:
    follower, other = Follower(file), thresholds(certified=0.7)
    assert follower.file.current == thresholds()
    await follower.looks(lambda: None, lambda: write_thresholds(file, other))
    assert follower.told == [other.thresholds_version]
    assert follower.file.current == other


async def test_a_link_that_is_swapped_is_followed(tmp_path: Path) -> None:
    for name, content in (("one", thresholds()), ("two", thresholds(certified=0.7))):
        (tmp_path / name).mkdir()
        write_thresholds(tmp_path / name / THRESHOLDS, content)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / THRESHOLDS).symlink_to(Path("data") / THRESHOLDS)
    follower = Follower(tmp_path / THRESHOLDS)

    def swap() -> None:
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(tmp_path / "data")

    await follower.looks(swap)
    assert follower.file.current == thresholds(certified=0.7)


@pytest.mark.parametrize("refused", [*REFUSED, "gone"])
async def test_a_refused_file_leaves_the_old_one_and_is_logged_once(
    file: Path, refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(file)
    damage = file.unlink if refused == "gone" else lambda: REFUSED[refused][0](file)
    await follower.looks(damage, lambda: None)
    assert follower.file.current == thresholds()
    assert follower.told == []
    assert caplog.text.count(f"thresholds refused, version {thresholds().thresholds_version} stays") == 1


async def test_a_file_that_is_refused_again_after_a_change_is_logged_again(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await Follower(file).looks(lambda: file.write_text("{"), lambda: file.write_text("{{"))
    assert caplog.text.count("thresholds refused") == 2


async def test_a_file_that_comes_later_is_taken_over_and_its_absence_before_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    default = thresholds(certified=0.7)
    follower = Follower(tmp_path / THRESHOLDS, default)
    await follower.looks(lambda: None)
    assert (follower.file.current, caplog.text) == (default, "")
    await follower.looks(lambda: write_thresholds(tmp_path / THRESHOLDS, thresholds()))
    assert follower.told == [thresholds().thresholds_version]


async def test_what_could_not_be_announced_is_announced_at_a_later_look(file: Path) -> None:
    follower, other = Follower(file), thresholds(certified=0.7)
    follower.fails = 2
    await follower.looks(lambda: write_thresholds(file, other))
    assert follower.told == [other.thresholds_version]
    assert follower.fails == 0


async def test_a_file_that_is_refused_at_the_start_leaves_the_default_until_it_is_mended(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("{")
    follower = Follower(file, thresholds(certified=0.7))
    await follower.looks(lambda: None)
    assert follower.file.current == thresholds(certified=0.7)
    assert caplog.text.count("thresholds refused") == 1
    assert Follower(file).file.current is None
    await follower.looks(lambda: write_thresholds(file, thresholds()))
    assert follower.told == [thresholds().thresholds_version]
