"""The user's own models beside the shipped ones: how they are named, and which processes serve them."""

import shutil
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_intent.__main__ import SHIPPED
from sprat_local.installation.environment import LaunchBuilder
from sprat_local.installation.models import SETTING, served_models
from sprat_local.installation.options import Options, choose_services, service_table
from sprat_ner.__main__ import SERVICE as NER
from sprat_operations.services import instance_name


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (SETTING, "SPRAT_INTENT__MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # no .env of anybody


def options(*named: str) -> Options:
    return Options(models=served_models(named))


def test_a_model_with_its_own_name_has_its_own_process_and_group(tmp_path: Path) -> None:
    chosen = options(f"intent/hr={SHIPPED}", f"intent/it={SHIPPED}")
    table = service_table(chosen)
    names = [spec.name for spec in table]
    assert names[names.index("intent") :][:3] == ["intent", "intent.hr", "intent.it"]
    on_request = {"language-id", "guardian", "gateway"}
    assert [spec.name for spec in choose_services(chosen)[0]] == [name for name in names if name not in on_request]
    models = {"intent": "default", "intent.hr": "hr", "intent.it": "it"}
    groups = {spec.group_name(models.get(spec.name)) for spec in table}
    assert {"intent.default", "intent.hr", "intent.it"} <= groups

    builder = LaunchBuilder(chosen, tmp_path)
    by_name = {spec.name: builder.build(spec, spec.name, {}) for spec in table}
    assert by_name["intent.hr"].environment["SPRAT_INTENT__MODEL"] == "hr"
    assert by_name["intent.hr"].environment["SPRAT_INTENT__ARTEFACT"] == str(SHIPPED)
    assert by_name["intent.hr"].environment["SPRAT_KAFKA__INSTANCE_ID"] == "intent.hr"
    assert by_name["intent.hr"].module == "sprat_intent"
    assert "SPRAT_INTENT__ARTEFACT" not in by_name["intent"].environment


def test_a_folder_is_named_without_dots_and_a_link_to_it_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    shutil.copytree(SHIPPED, tmp_path / "hr-2")
    (tmp_path / "current").symlink_to(tmp_path / "hr-2")
    for said, folder in {"shop/../hr-2": "hr-2", "current": "current"}.items():
        (model,) = options(f"intent/hr={said}").models
        assert model.folder == tmp_path / folder


@pytest.mark.parametrize("named", ["intent", "intent/default"])
def test_a_model_with_the_name_of_the_shipped_one_replaces_it(named: str, tmp_path: Path) -> None:
    chosen = options(f"{named}={SHIPPED}")
    (spec,) = [spec for spec in service_table(chosen) if spec.module == "sprat_intent"]
    assert spec.name == "intent"
    assert LaunchBuilder(chosen, tmp_path).build(spec, "intent", {}).environment["SPRAT_INTENT__ARTEFACT"] == str(
        SHIPPED
    )


def test_if_the_tasks_own_model_has_another_name_the_default_runs_beside_it(tmp_path: Path) -> None:
    chosen = Options(models=served_models([f"intent={SHIPPED}"]), environment={"SPRAT_INTENT__MODEL": "legal"})
    ours = [spec for spec in service_table(chosen) if spec.module == "sprat_intent"]
    assert [spec.name for spec in ours] == ["intent", "intent.default"]
    builder = LaunchBuilder(chosen, tmp_path)
    names = [builder.build(spec, spec.name, {}).environment["SPRAT_INTENT__MODEL"] for spec in ours]
    assert names == ["legal", "default"]


def test_the_setting_adds_models_and_the_command_line_overrides_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(SHIPPED, other)
    monkeypatch.setenv(SETTING, f'{{"intent/hr": "{SHIPPED}", "intent/it": "{SHIPPED}"}}')
    found = {str(model): model.folder for model in served_models([f"intent/hr={other}"])}
    assert found == {"intent/hr": other, "intent/it": SHIPPED}


def test_a_folder_is_relative_to_the_current_one(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "hr")
    (model,) = served_models(["intent/hr=hr"])
    assert (model.folder, len(model.version)) == (tmp_path / "hr", 16)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        pytest.param("intent/hr", "write TASK/NAME=DIR, for example intent/hr=./hr", id="no folder"),
        pytest.param("intents/hr=x", "no such task; .* one of intent, ner, translation", id="no task"),
        pytest.param("intent/h r=x", "texts cannot use this name", id="no name"),
        pytest.param("intent/a/b=x", "texts cannot use this name", id="two slashes"),
        pytest.param("intent/hr=nowhere", "card.json: not found", id="no artefact"),
        pytest.param(f"intent/hr={NER.shipped}", "a model for ner, not for intent", id="another task"),
    ],
)
def test_a_mistake_is_reported_with_what_to_do(named: str, message: str) -> None:
    with pytest.raises(UserError, match=f"--model .*{message}"):
        served_models([named])


def test_one_name_stands_for_one_model() -> None:
    with pytest.raises(UserError, match=r"--model intent/hr: named twice"):
        served_models([f"intent/hr={SHIPPED}", f"intent/hr={SHIPPED}"])


def test_the_command_line_wins_over_a_setting_that_cannot_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, '{"intent/hr": "nowhere"}')
    (model,) = served_models([f"intent/hr={SHIPPED}"])
    assert model.folder == SHIPPED


def test_one_name_stands_for_one_model_in_settings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, f'{{"intent": "{SHIPPED}", "intent/default": "{SHIPPED}"}}')
    with pytest.raises(UserError, match=r"SPRAT_MODELS intent/default: named twice"):
        served_models([])


def test_no_model_can_have_the_name_of_another_ones_second_process() -> None:
    table = service_table(options(f"intent/hr={SHIPPED}", f"intent/hr-2={SHIPPED}"))
    names = {spec.name for spec in table}
    assert not names & {instance_name(name, 2) for name in names}
    with pytest.raises(UserError, match="texts cannot use this name"):
        served_models([f"intent/{instance_name('hr', 2)}={SHIPPED}"])


@pytest.mark.parametrize("value", ["no json", "[]", '{"intent/hr": 1}'])
def test_the_error_names_an_invalid_setting(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, value)
    with pytest.raises(UserError, match=r"^SPRAT_MODELS: not a JSON object"):
        served_models([])
