"""`sprat watch` while Kafka is away."""

import asyncio

from sprat_cli.watch import command


class ResultStream:
    """Answers as it is told, then never again."""

    def __init__(self, answers: str) -> None:
        self._answers = [each == "y" for each in answers]
        self.done = asyncio.Event()

    async def answers(self, timeout_s: float) -> bool:
        if not self._answers:
            self.done.set()
            await asyncio.Event().wait()
        return self._answers.pop(0)


async def test_that_kafka_went_away_is_said_once_and_that_it_is_back(capsys):
    stream = ResultStream("ynnyy")
    minding = asyncio.create_task(command.report_outages(stream, "h:1", ask_every_s=0))
    await asyncio.wait_for(stream.done.wait(), 1)
    minding.cancel()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["Kafka at h:1 does not answer, waiting", "Kafka at h:1 answers again"]


def test_it_is_said_after_about_five_seconds():
    assert command._ASK_EVERY_S + command._ASK_S <= 5
