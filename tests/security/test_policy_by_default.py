"""Commands that mask use the services' policy unless they are given another, and say when there is none."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat_cli.asked_tiers import NO_POLICY
from sprat_cli.main import app

POLICY = "perimeter: {terms: [{type: PROJECT, words: [Blue Heron]}]}\n"
OTHER = "perimeter: {terms: [{type: OTHER, words: [Blue Heron]}]}\n"
MASK = ("mask", "about blue-heron", "--validators-alone")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "other.yaml").write_text(OTHER)
    return tmp_path


def run(*arguments: str, policy: str | None = None) -> tuple[str, str]:
    result = CliRunner().invoke(app, [*arguments], env={"SPRAT_POLICY": policy})
    return result.stdout, result.stderr


def test_mask_uses_the_policy_of_the_services() -> None:
    out, err = run(*MASK, policy="policy.yaml")
    assert out.startswith("about [PROJECT_1]")
    assert NO_POLICY not in err


def test_so_does_it_where_the_variable_stands_in_the_file_of_variables(folder: Path) -> None:
    (folder / ".env").write_text("SPRAT_POLICY=policy.yaml\n")
    assert run(*MASK)[0].startswith("about [PROJECT_1]")


def test_the_one_it_is_given_wins() -> None:
    assert run(*MASK, "--policy", "other.yaml", policy="policy.yaml")[0].startswith("about [OTHER_1]")


@pytest.mark.parametrize("policy", [None, ""])
def test_it_says_when_there_is_none(policy: str | None) -> None:
    out, err = run(*MASK, policy=policy)
    assert out.startswith("about blue-heron")
    assert NO_POLICY in err.splitlines()


def test_a_policy_that_is_not_there_is_an_error_and_not_none() -> None:
    out, err = run(*MASK, policy="gone.yaml")
    assert out == ""
    assert "gone.yaml: no such policy file" in err


@pytest.mark.parametrize(
    "command",
    [
        ("dlq", "show", "3:17", "--validators-alone", "--bootstrap", "127.0.0.1:1"),
        ("evaluate", "texts.csv", "--model", "intent/en-fast", "--frontier", "tiers"),
    ],
)
def test_dlq_show_and_evaluate_do_the_same(command: tuple[str, ...]) -> None:
    assert NO_POLICY in run(*command)[1].splitlines()
    assert NO_POLICY not in run(*command, policy="policy.yaml")[1]
    assert "gone.yaml: no such policy file" in run(*command, policy="gone.yaml")[1]


def test_evaluate_that_asks_nobody_says_nothing_of_masking() -> None:
    assert NO_POLICY not in run("evaluate", "texts.csv", "--model", "intent/en-fast")[1]


def test_dlq_show_without_masking_says_nothing_of_a_policy() -> None:
    assert NO_POLICY not in run("dlq", "show", "3:17", "--raw", "--bootstrap", "127.0.0.1:1")[1]
