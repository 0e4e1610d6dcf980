"""A retry until a deadline: what it logs, and how it ends."""

import logging

import pytest

from sprat.base import retry
from sprat.base.errors import Fatal, Retryable
from sprat.base.retry import OnceAMinute, retry_until

QUICK = 0.01


def failing(*reasons: str):
    """Return a step that fails with each reason in turn, then succeeds."""
    left = list(reasons)

    async def step() -> str:
        if left:
            raise Retryable(left.pop(0))
        return "done"

    return step


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    backoff = retry.Backoff
    monkeypatch.setattr(retry, "Backoff", lambda: backoff(QUICK, QUICK))
    caplog.set_level(logging.WARNING, "sprat.base.retry")
    return lambda: [record.getMessage() for record in caplog.records]


async def test_a_reason_is_logged_once_and_a_new_one_at_once(messages) -> None:
    assert await retry_until(failing(*["absent"] * 5, "loading"), Retryable, 10, "Kafka") == "done"
    first, second = messages()
    assert first.startswith("Kafka: absent; retrying for ")
    assert second.startswith("Kafka: loading; retrying for ")


async def test_a_reason_that_lasts_is_logged_again(messages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "REPORT_EVERY_S", 0)
    await retry_until(failing("absent", "absent", "absent"), Retryable, 10)
    assert len(messages()) == 3


async def test_at_the_deadline_it_ends_with_the_last_reason(messages) -> None:
    with pytest.raises(Fatal, match="no success for 0 s; last failure: absent"):
        await retry_until(failing("absent"), Retryable, 0)
    assert messages() == []


def test_a_line_is_due_at_once_and_then_once_a_minute():
    now = [0.0]
    line = OnceAMinute(lambda: now[0])
    assert [line.due() for now[0] in (0.0, 0.1, 59.9, 60.0, 119.9, 500.0)] == [True, False, False, True, False, True]
