"""What `sprat up` prints when everything runs."""

import pytest

from sprat_local.installation import Installation
from sprat_local.options import Options
from sprat_local.up.session import example, greeting, without_password

TRY = 'sprat send "please move 100 euros to my savings" --task '


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPRAT_INTENT__MODEL", raising=False)


def test_the_example_needs_no_options_on_the_usual_port() -> None:
    assert example(Installation(Options(bootstrap="127.0.0.1:9092"))) == f"{TRY}intent"


def test_the_example_has_the_options_that_differ_from_the_defaults() -> None:
    options = Options(bootstrap="h:1", prefix="other", environment={"SPRAT_INTENT__MODEL": "hr"})

    assert example(Installation(options)) == f"{TRY}intent@hr --bootstrap h:1 --prefix other"


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(bootstrap="h:1", redis="redis://:hunter2@host:6380/1", frontier="https://me:hunter2@models/v1")
    monkeypatch.setattr(Installation, "logs", "logs")
    text = "\n".join(greeting(Installation(options)))

    assert "  Redis     redis://host:6380/1\n  frontier  https://models/v1\n" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("url", ["redis://host/0?password=hunter2", "redis://[hunter2/0", "unix://hunter2@/socket"])
def test_passwords_in_unusual_places_are_not_shown_either(url: str) -> None:
    assert "hunter2" not in without_password(url)
