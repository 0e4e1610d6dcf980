"""Where a service finds the thresholds of its model, and which file goes before which."""

import shutil
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat.base.thresholds import THRESHOLDS, write_thresholds
from sprat_classify.__main__ import SERVICE, ClassifySettings
from sprat_encoder.zero_shot import ARTEFACT, default_thresholds
from sprat_inference.artefact import load_part
from sprat_inference.serving import find_thresholds_file
from support.measured import thresholds
from support.stream import card

BESIDE, NAMED = (thresholds(model_version=card().version, certified=share) for share in (0.8, 0.9))


def found(folder: Path, named: Path | None = None, default=None):
    return find_thresholds_file(card(), named, folder / THRESHOLDS, "intent", default).current


def test_the_file_beside_the_model_is_read_and_one_that_is_named_goes_before_it(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    assert found(tmp_path, default=NAMED) == NAMED
    write_thresholds(tmp_path / THRESHOLDS, BESIDE)
    write_thresholds(tmp_path / "named.json", NAMED)
    assert found(tmp_path, default=NAMED) == BESIDE
    assert found(tmp_path, tmp_path / "named.json") == NAMED


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    named = tmp_path / "named.json"
    with pytest.raises(UserError, match=r"^SPRAT_INTENT__THRESHOLDS: there is no file .*named\.json; name another"):
        found(tmp_path, named)


def test_a_file_of_another_version_is_as_none_so_that_a_new_model_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_thresholds(tmp_path / "named.json", thresholds())
    write_thresholds(tmp_path / THRESHOLDS, BESIDE)
    assert found(tmp_path, tmp_path / "named.json") is None
    assert "measured with version aaaaaaaaaaaaaaaa of the model" in caplog.text


def test_a_task_without_examples_has_the_thresholds_of_the_part_that_answers_it(tmp_path: Path) -> None:
    for file in ARTEFACT.iterdir():
        if file.name != THRESHOLDS:
            shutil.copy(file, tmp_path)
    assert default_thresholds(tmp_path) is None
    measured = thresholds(model_version=load_part(tmp_path).version, task="zero-shot")
    write_thresholds(tmp_path / THRESHOLDS, measured)
    assert default_thresholds(tmp_path) == measured


def test_what_holds_for_every_task_without_examples_certifies_nothing() -> None:
    shipped = default_thresholds()
    assert shipped is not None
    assert shipped.certificate is None
    assert not any(cell.certified for cell in shipped.cells)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    labels = "labels: {badge: a key card, laptop: a computer}"
    (tmp_path / "tasks" / "thresholds").mkdir(parents=True)
    (tmp_path / "tasks" / "desk.yaml").write_text(f"kind: classification\n{labels}\n")
    (tmp_path / "tasks" / "trained.yaml").write_text(f"kind: classification\n{labels}\nartefact: ../model\n")
    (tmp_path / "tasks" / "clean.yaml").write_text("kind: pii\n")
    return tmp_path / "tasks"


@pytest.mark.parametrize(
    ("task", "path"),
    [("desk", "thresholds/desk.json"), ("clean", "thresholds/clean.json"), ("trained", f"../model/{THRESHOLDS}")],
)
def test_the_thresholds_of_a_task_stand_in_its_models_folder_or_beside_its_file(
    tasks: Path, task: str, path: str
) -> None:
    settings = ClassifySettings(secret="s" * 32, tasks=tasks, classify={"task": task}, _env_file=None)
    file = SERVICE.thresholds_of(settings, card())
    assert file.path == tasks / path
    file.path.parent.mkdir(exist_ok=True)
    write_thresholds(file.path, BESIDE)
    assert SERVICE.thresholds_of(settings, card()).current == BESIDE
