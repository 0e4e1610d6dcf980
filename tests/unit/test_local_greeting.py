"""What `sprat up` says when everything runs."""

import pytest

from sprat_local.console.greeting import example, greeting, without_password
from sprat_local.installation import Installation
from sprat_local.options import Options

TRY = 'sprat send "please move 100 euros to my savings" --task '


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPRAT_INTENT__MODEL", raising=False)


def test_the_example_needs_no_options_on_the_usual_port() -> None:
    assert example(Installation(Options(bootstrap="127.0.0.1:9092"))) == f"{TRY}intent"


def test_the_example_says_what_is_not_as_usual() -> None:
    options = Options(bootstrap="h:1", prefix="other", environment={"SPRAT_INTENT__MODEL": "hr"})

    assert example(Installation(options)) == f"{TRY}intent@hr --bootstrap h:1 --prefix other"


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(bootstrap="h:1", redis="redis://:hunter2@host:6380/1", frontier="https://me:hunter2@models/v1")
    monkeypatch.setattr(Installation, "logs", "logs")
    said = "\n".join(greeting(Installation(options)))

    assert "  Redis     redis://host:6380/1\n  frontier  https://models/v1\n" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("url", ["redis://host/0?password=hunter2", "redis://[hunter2/0", "unix://hunter2@/socket"])
def test_nor_are_those_in_odd_places(url: str) -> None:
    assert "hunter2" not in without_password(url)
