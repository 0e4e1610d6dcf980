"""The table of services says what the services say of themselves."""

from pathlib import Path

import pytest

from sprat.base.channels import service_channels
from sprat.kafka.lag import topics_read_by
from sprat_contracts import TASKS, Topics
from sprat_local.installation.options import Options, choose_services, model_name
from sprat_operations.services import SERVICES

TOPICS = Topics("other")


def test_each_group_reads_what_its_service_declares() -> None:
    declared = {channels.service: tuple(channels.reads) for channels in service_channels(TOPICS)}

    assert {spec.name: topics_read_by(spec.group_name("hr"), TOPICS) for spec in SERVICES if spec.group} == declared


def test_the_group_of_a_service_has_the_name_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPRAT_INTENT__MODEL", raising=False)
    assert model_name("intent", {}) == "default"
    assert model_name("intent", {"SPRAT_INTENT__MODEL": "legal", "SPRAT_NER__MODEL": "hr"}) == "legal"
    monkeypatch.setenv("SPRAT_INTENT__MODEL", "hr")
    models = {task: model_name(task, {}) for task in TASKS}
    assert [spec.group_name(models.get(spec.name)) for spec in SERVICES] == [
        None,
        "router",
        *(f"{task}.{'hr' if task == 'intent' else 'default'}" for task in TASKS),
        "frontier",
        "guardian",
        None,
    ]


def test_a_service_on_request_runs_only_where_it_is_named() -> None:
    def chosen(**options: tuple[str, ...]) -> set[str]:
        services, missing = choose_services(Options(**options))
        assert missing == ()
        return {spec.name for spec in services}

    assert chosen() == {spec.name for spec in SERVICES} - {"language-id", "guardian", "gateway"}
    assert chosen(on_request=("language-id", "guardian", "gateway")) == {spec.name for spec in SERVICES}
    assert chosen(services=("language-id",)) == {"language-id"}


def test_the_guardian_runs_where_the_policy_reviews_what_is_kept(tmp_path: Path) -> None:
    def chosen(policy: str, **options: tuple[str, ...]) -> set[str]:
        path = tmp_path / "policy.yaml"
        path.write_text(policy, encoding="utf-8")
        return {spec.name for spec in choose_services(Options(policy=path, **options))[0]}

    reviewed = "tasks: {intent: {review: {share: 0.01}}}"
    assert "guardian" in chosen(reviewed)
    assert "guardian" not in chosen("tasks: {intent: {review: {share: 0}}}")
    assert "guardian" not in chosen(reviewed, services=("router",)), "where others are named"
    assert "guardian" not in chosen("tasks: ["), "the router says what is wrong with it"
