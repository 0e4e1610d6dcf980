"""The options by which dead letters are chosen, and their reading."""

from collections.abc import Sequence
from typing import Annotated

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.signatures import Signatures
from sprat_cli.options import option, time_before_now
from sprat_cli.progress import read_progress
from sprat_cli.terminal import remark
from sprat_operations.dead_letter_selection import DeadLetterFilter, SelectedDeadLetters, read

Reasons = Annotated[list[str] | None, option("CODE", "invalid_text, model_error, …; repeatable.", "--reason")]
Services = Annotated[
    list[str] | None, option("NAME", "The service that failed: router, intent, …; repeatable.", "--service")
]
Since = Annotated[str | None, option("SPAN", "Written in the last 10m, 2h, 7d. [default: all]")]
Until = Annotated[str | None, option("SPAN", "Written at least 10m, 2h, 7d ago.")]


def choice(
    reasons: Sequence[str] | None,
    services: Sequence[str] | None,
    since: str | None,
    until: str | None,
    names: Sequence[str] | None = None,
) -> DeadLetterFilter:
    """Read the options.

    Raises:
        UserError: a span is not valid, or `--until` is before `--since`.
    """
    since_ms = None if since is None else time_before_now(since, "--since")
    until_ms = None if until is None else time_before_now(until, "--until")
    if since_ms is not None and until_ms is not None and until_ms < since_ms:
        raise UserError(f"--until {until} ends before --since {since} begins: nothing is between")
    return DeadLetterFilter(
        frozenset(reasons or ()), frozenset(services or ()), since_ms, until_ms, frozenset(names or ())
    )


async def selected(
    kafka: KafkaSettings,
    wanted: DeadLetterFilter,
    signatures: Signatures | None = None,
    *,
    values: bool,
    all_of_them: bool = False,
) -> SelectedDeadLetters:
    """Read the dead letters as `read` does, with their progress; name records that are none on standard error."""
    found = await read(kafka, wanted, signatures, values=values, all_of_them=all_of_them, progress_of=read_progress)
    for line in found.unreadable:
        remark(line)
    return found
