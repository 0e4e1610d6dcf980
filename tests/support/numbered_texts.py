"""Texts that the small model of intents answers, told apart by a number, and their Results."""

from collections import Counter
from collections.abc import Iterable

from sprat_contracts import Result, Topics, decode, ids
from support.stream import read_all
from support.traffic import record, settled, submit

SOURCE = "/tests/numbered"
MODELS = ("intent.default",)


async def publish(bootstrap: str, topics: Topics, numbers: range) -> None:
    """Publish the texts with these numbers."""

    def event(index: int) -> tuple[bytes, list[tuple[str, bytes]]]:
        text = f"please move {numbers[index]} euros to my savings"
        return record(SOURCE, str(numbers[index]), {"text": text, "tasks": {"intent": {}}})

    await submit(bootstrap, topics, event, len(numbers), over_s=0)


async def results(bootstrap: str, topics: Topics) -> Counter[str]:
    """Return how often each Result stands on the topic, by its id."""
    records = await read_all(bootstrap, topics.results("intent"))
    return Counter(str(decode(each, Result).envelope.id) for each in records)


async def final_results(bootstrap: str, topics: Topics, models: Iterable[str] = MODELS) -> Counter[str]:
    """Return the same once no group has lag."""
    await settled(bootstrap, topics, models)
    return await results(bootstrap, topics)


def one_each(numbers: range) -> Counter[str]:
    """Return what `results` returns if each of these texts has one Result."""
    return Counter(str(ids.derive(ids.RESULT, SOURCE, str(number), "intent")) for number in numbers)
