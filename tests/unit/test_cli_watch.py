"""`sprat watch` while Kafka is unreachable."""

import asyncio

from typer.testing import CliRunner

from sprat_cli.commands import watch as command
from sprat_cli.main import app


class ResultStream:
    """Answers as scripted, then never again."""

    def __init__(self, answers: str) -> None:
        self._answers = [each == "y" for each in answers]
        self.done = asyncio.Event()

    async def answers(self, timeout_s: float) -> bool:
        if not self._answers:
            self.done.set()
            await asyncio.Event().wait()
        return self._answers.pop(0)


async def test_an_outage_is_reported_once_and_so_is_its_end(capsys):
    stream = ResultStream("ynnyy")
    probing = asyncio.create_task(command.report_outages(stream, "h:1", ask_every_s=0))
    await asyncio.wait_for(stream.done.wait(), 1)
    probing.cancel()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["Kafka at h:1 does not answer, waiting", "Kafka at h:1 answers again"]


def test_an_outage_is_reported_within_five_seconds():
    assert command._ASK_EVERY_S + command._ASK_S <= 5


def test_texts_are_for_results_alone():
    refused = CliRunner().invoke(app, ["watch", "--dead-letters", "--with-text"])
    assert refused.exit_code == 2
    assert "--with-text is for results; `sprat dlq show` shows the record of a dead letter" in refused.output
