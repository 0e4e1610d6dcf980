"""The services with a small model: each loads what its readers know, from its settings, and refuses anything else."""

import shutil
from pathlib import Path

import pytest

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat.base.settings import section_field, section_prefix
from sprat_contracts import OWN_TASKS
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact

of_each_task = pytest.mark.parametrize("task", OWN_TASKS)


@pytest.fixture
def other_revision(task: str, tmp_path: Path) -> Path:
    """Return the shipped model with a card for code of another revision; the files are those that are shipped."""
    shipped = plugins.load_specialist(task).shipped
    card = load_artefact(shipped).card
    for name in card.files:
        shutil.copyfile(shipped / name, tmp_path / name)
    write_artefact(tmp_path, card.model_dump(mode="json") | {"reader": "another/0"})
    return tmp_path


@of_each_task
def test_what_is_made_for_another_revision_is_refused_with_the_name_of_the_setting(
    task: str, other_revision: Path
) -> None:
    service = plugins.load_specialist(task)
    with pytest.raises(BrokenArtefact, match="made for another/0"):
        service.load(other_revision)
    settings = service.settings(secret="s" * 32, _env_file=None, **{section_field(task): {"artefact": other_revision}})
    with pytest.raises(UserError, match=f"^{section_prefix(task)}ARTEFACT: .*made for another/0"):
        service.model_of(settings)


@of_each_task
def test_the_settings_name_the_shipped_model_and_a_variable_another(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = plugins.load_specialist(task)
    settings = service.settings(secret="s" * 32, _env_file=None)
    assert service.section(settings).artefact == service.shipped
    assert load_artefact(service.shipped, reader=tuple(service.readers)).card.task == task
    monkeypatch.setenv(f"{section_prefix(task)}MODEL", "second")
    assert service.section(service.settings(secret="s" * 32, _env_file=None)).model == "second"
    assert service.process_name(settings) == task
