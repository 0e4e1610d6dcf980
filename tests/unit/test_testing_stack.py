"""`Sprat` where it cannot start: what it says, and that it leaves nothing."""

import tempfile
from functools import partial
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_contracts import TASKS, Record, Result, Route
from sprat_operations.services import ON_REQUEST, ServiceSpec
from sprat_testing import Sprat, Text, containers
from sprat_testing.containers import SERVICES, SpratStack, unavailable
from sprat_testing.embedded import Embedded
from sprat_testing.outcomes import Outcomes


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_fixed_answers_are_not_for_containers() -> None:
    with pytest.raises(UserError, match="models='shipped'"):
        Sprat(models="fixed", backend="containers")


def test_a_missing_policy_is_said_and_nothing_is_left(temporary: Path) -> None:
    with pytest.raises(UserError, match="no policy file at"), Sprat(policy=temporary / "policy.yaml"):
        pass
    assert list(temporary.iterdir()) == []


def test_without_a_docker_client_it_says_how_to_name_one(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER", str(temporary / "no-docker"))
    with pytest.raises(UserError, match="the variable DOCKER names the client"), Sprat(backend="containers"):
        pass
    assert list(temporary.iterdir()) == []


def client(folder: Path, script: str) -> str:
    """Write a program in place of the Docker client."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n", "utf-8")
    program.chmod(0o755)
    return str(program)


def test_the_reason_is_the_clients_own(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER", client(temporary, 'test "$1" != info || { echo no engine >&2; exit 1; }'))
    assert unavailable() == "docker info: no engine"


def test_an_image_of_another_that_is_missing_is_named(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """case "$*" in
      *config*) grep KAFKA_IMAGE "$3" | cut -d= -f2;;
      "image inspect"*) echo "no such image" >&2; exit 1;;
    esac"""
    monkeypatch.setenv("DOCKER", client(temporary, script))
    assert unavailable(variables={"KAFKA_IMAGE": "own/kafka:1"}) == "docker image inspect own/kafka:1: no such image"
    assert [each.name for each in temporary.iterdir()] == ["docker"]


def test_what_does_not_become_ready_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = temporary / "calls"
    script = f'echo "$@" >> {calls}; case "$*" in *" up "*) echo not healthy >&2; exit 1;; esac'
    monkeypatch.setenv("DOCKER", client(temporary, script))
    with pytest.raises(UserError, match=r"docker compose up .* ends with 1:\nnot healthy"):
        SpratStack(services=("router",)).start()
    assert "down --volumes" in calls.read_text("utf-8").splitlines()[-1]
    assert sorted(each.name for each in temporary.iterdir()) == ["calls", "docker"]


def test_variables_count_from_the_next_command_on(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER", client(temporary, 'cat "$3"'))
    stack = SpratStack(variables={"SPRAT_TAG": "1"})
    assert "SPRAT_TAG=1\n" in stack("ps")
    stack.variables["SPRAT_TAG"] = "2"
    assert "SPRAT_TAG=2\n" in stack("ps")
    stack.stop()
    assert [each.name for each in temporary.iterdir()] == ["docker"]


def test_the_compose_file_and_what_it_mounts_are_packaged() -> None:
    names = {"compose.yaml", "policy.yaml", "samples/texts.jsonl"}
    assert {name for name in names if (containers.FOLDER / name).stat().st_size} == names


def test_answers_are_for_fixed_models() -> None:
    with pytest.raises(UserError, match="answer for themselves"):
        Sprat(models="shipped").answer("a", intent="b")
    with pytest.raises(UserError, match="no frontier model is asked for the language"):
        Sprat(models="fixed").answer("hallo", language_id="de", frontier=True)
    with pytest.raises(UserError, match="an answer is missing"):
        Sprat().answer("a")


def test_a_level_is_one_that_a_goal_may_name() -> None:
    with pytest.raises(UserError, match=r"level=0\.973: no such level; the nearest: 0\.97 and 0\.975"):
        Sprat().answer(intent="pay", level=0.973)


@pytest.mark.parametrize(
    ("route", "level", "problem"),
    [
        (Route(decision="kept", reason="confident", level=0.97), 0.97, None),
        (Route(decision="kept", reason="confident"), None, None),
        (Route(decision="kept", reason="confident", level=0.95), 0.97, "intent: kept at the level 0.95, not 0.97"),
        (Route(decision="kept", reason="confident"), 0.8, "intent: kept at the level none, not 0.8"),
        (Route(decision="escalated", reason="declined"), None, "intent: not kept, declined$"),
        (
            Route(decision="escalated", reason="low_confidence", goal=0.97, level=0.9),
            None,
            "intent: not kept, low_confidence; the goal is 0.97, the level 0.9",
        ),
    ],
)
def test_what_was_not_kept_at_the_level_says_why(
    monkeypatch: pytest.MonkeyPatch, route: Route, level: float | None, problem: str | None
) -> None:
    result = Result.model_construct(task="intent", route=route)
    sprat = Sprat()
    monkeypatch.setattr(sprat, "result", lambda *_, **__: result)
    if problem is None:
        assert sprat.expect_kept("id", level=level) is result
        return
    with pytest.raises(AssertionError, match=problem):
        sprat.expect_kept("id", level=level)


def test_before_its_start_it_says_so() -> None:
    with pytest.raises(UserError, match="not running"):
        Sprat().publish(Text("hello"))


def test_what_is_no_result_is_left_out() -> None:
    outcomes = Outcomes()
    outcomes.add(Record("sprat.results.intent.v1", 0, 0, 0, None, b"no JSON"), is_letter=False)
    outcomes.add(Record("sprat.dead-letters.v1", 0, 0, 0, None, b"no letter"), is_letter=True)
    assert (outcomes.results(), outcomes.letters()) == ([], [])


def test_containers_and_the_shipped_models_need_no_service_that_is_started_on_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(TASKS) - set(SERVICES) == set(ON_REQUEST)
    monkeypatch.setattr(ServiceSpec, "is_installed", property(lambda spec: not spec.on_request))
    installation = partial(Embedded, answers=None, policy=None, environment={}, on_progress=lambda *_: None)
    installation(services=None)
    with pytest.raises(UserError, match="the shipped models are not installed"):
        installation(services=ON_REQUEST)
