"""`sprat models retire`: withdraw a model, wait for its service, and print when it may stop."""

import asyncio
from typing import Annotated

import typer

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import client_arguments
from sprat.kafka.lag import LagMeter
from sprat.kafka.signatures import Signatures
from sprat.registry.retirement import Ends
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings
from sprat_cli.terminal import confirmed, printable, remark, say, say_json
from sprat_operations.connection import explain_kafka_errors, writing_signatures
from sprat_operations.models import Backlog, registered_models, watch_backlog, withdraw

EPILOG = """\b
Examples:
  sprat models retire intent/hr
  sprat models retire intent/hr --yes --wait 600 --json

\b
From then on texts that ask for it are escalated, reason no_service. Those of an intent end `unanswered`, code
no_labels: no service announces its labels any more. Earlier texts are still its own: leave its service running until
this command says that it may stop, then stop it; it ignores later texts. A service that is started again announces its
model again, and first answers the texts it had left.

\b
SPRAT_SECRET must be that of the services: they ignore a withdrawal that is not signed with it.

\b
Exit codes:
  0  withdrawn, and its service may stop
  1  withdrawn, but its service has not answered all its texts; the message says how many
  2  wrong usage, or Kafka cannot be reached

\b
If it was interrupted, run it again: it continues."""

_LOOK_EVERY_S = 0.5


def retire(
    what: Annotated[str, argument("TASK/MODEL", "The model.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its service to finish.")] = 60.0,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Withdraw a model, and print when its service may stop."""
    kafka, signatures = kafka_settings(bootstrap, prefix), writing_signatures()
    task, _, model = what.partition("/")
    with explain_kafka_errors(kafka):
        known = asyncio.run(registered_models(kafka))
    group = f"{task}.{model}"
    there = [f"{each.task}/{each.model}" for each in known.announced]
    if what not in there and group not in known.withdrawn:
        raise UserError(f"{what}: no such model is announced; there are: {', '.join(there) or 'none'}")
    ends = known.withdrawn.get(group)
    if ends is None and not yes and not confirmed(f"Withdraw {what}?", f"withdraw {what}"):
        raise UserError("nothing was withdrawn; --yes does it without asking")
    with explain_kafka_errors(kafka):
        left = asyncio.run(_retire(kafka, task, model, ends, wait, signatures))
    if as_json:
        say_json({"type": "retired", "model": what, "texts_left": left.texts, "members": left.members})
    else:
        say(_withdrawn(what, task))
    if left.texts:
        raise SpratError(_unfinished(what, left))
    if not as_json:
        say("its service has answered all that was its own, and may stop")


def _withdrawn(what: str, task: str) -> str:
    ends = "; no service announces its labels any more, so they end unanswered, no_labels" if task == "intent" else ""
    return f"{printable(what)} is withdrawn: texts from now on that ask for it are escalated{ends}"


async def _retire(
    kafka: KafkaSettings, task: str, model: str, ends: Ends | None, wait_s: float, signatures: Signatures
) -> Backlog:
    """Withdraw it, unless `ends` is given because that is done, and wait for its service."""
    client = client_arguments(kafka)
    if ends is None:
        ends = await withdraw(client, kafka, task, model, signatures)
    left = Backlog(0, 0)
    async with LagMeter(client, kafka.topics) as meter:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        said = False
        async for left in watch_backlog(client, kafka.topics, meter, f"{task}.{model}", ends):
            if not left.texts or not left.members or loop.time() >= until:
                break
            if not said:
                remark(f"still its own: {_texts(left)}; waiting for its service")
                said = True
            await asyncio.sleep(_LOOK_EVERY_S)
    return left


def _unfinished(what: str, left: Backlog) -> str:
    one = left.texts == 1
    if not left.members:
        wait, them, they_get = ("waits", "it", "it gets") if one else ("wait", "them", "they get")
        return (
            f"{_texts(left)} of {what} {wait}, and no service reads {them}: {they_get} no Result until one is "
            "started once more. It then announces the model again: retire it again, and stop it when it may stop"
        )
    are = "is" if one else "are"
    return f"{_texts(left)} of {what} {are} not answered yet; let its service run, see `sprat lag`"


def _texts(left: Backlog) -> str:
    return f"{'' if left.is_counted else 'up to '}{counted(left.texts, 'text')}"
