"""The guardian: settings → policy → watch → run."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from sprat.base.channels import GUARDIAN, guardian_channels
from sprat.base.model import DEFAULT_MODEL
from sprat.base.review_tokens import ReviewTokens
from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat_contracts import ReviewAsked
from sprat_guardian.guardian import ROUND_S, DrawHandler, Guardian
from sprat_guardian.measure import count_ignored
from sprat_guardian.results import ResultsReader
from sprat_guardian.state import GuardianState
from sprat_guardian.watch import Watch
from sprat_guardian.writing import RecordWriter
from sprat_policy import Policy, TaskSettings, load_policy

DEFAULT_WAIT_S: Final = 3 * 86_400


class GuardianSettings(TaskSettings):
    """All settings of the service."""

    policy: Annotated[Path, Field(description="The policy file.")]


SETTINGS: Final = GuardianSettings


async def build(context: ServiceContext, settings: GuardianSettings, *, round_s: float = ROUND_S) -> Subscription:
    """Read the policy, and watch from the moment that the group gives this instance the draws."""
    given = load_policy(settings.policy, settings.task_files.table)
    tokens = ReviewTokens(settings.keys)
    wait_ms = wait_of(given.with_added(settings.task_files))
    writer = RecordWriter(context.topics, context.name, context.signatures)

    def make_watch() -> Watch:
        state = GuardianState(context.topics, context.signatures, wait_ms, tokens.is_of, count_ignored)
        results = ResultsReader(settings.kafka, context.signatures, state.warn)
        return Watch(settings.kafka, state, writer, context.publisher, results)

    context.name_tenants(given.named_tenants)
    channels = guardian_channels(context.topics)
    await context.wait_for_topics(*channels.follows)
    guardian = Guardian(context, make_watch, round_s)
    running = asyncio.create_task(guardian.run())

    async def stop() -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    context.stack.push_async_callback(stop)
    loop = context.batch_loop(DrawHandler())

    async def release() -> None:
        await guardian.release()
        await loop.release()

    return Subscription(channels, context.group, loop.handle, release)


def wait_of(policy: Policy) -> Callable[[ReviewAsked], int]:
    """Return how long a draw waits for its answer, in milliseconds."""

    def wait_ms(asked: ReviewAsked) -> int:
        prediction = asked.prediction
        options = prediction.submitted.tasks.options(prediction.task)
        model = DEFAULT_MODEL if options is None else options.model
        try:
            review = policy.task(prediction.task).rule(model, prediction.text_language).review
        except KeyError:  # its file was removed, or the router alone has it so far
            review = None
        return 1000 * (DEFAULT_WAIT_S if review is None else review.wait_s)

    return wait_ms


if __name__ == "__main__":
    raise SystemExit(run_service(GUARDIAN, version("sprat-guardian"), GuardianSettings, build))
