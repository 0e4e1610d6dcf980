"""`sprat models list` and `sprat models show`: the announced models, and a model's card."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import ValidationError

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments, close_in_time
from sprat_cli.commands.models.card import card_lines
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings
from sprat_cli.terminal import faint, printable, remark, say, say_json, table
from sprat_contracts import ModelAnnounced
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.goals import recommended, recommended_from
from sprat_operations.models import (
    WHY_IGNORED,
    RegisteredModels,
    ServingState,
    registered_models,
    serving,
    serving_advice,
)

LIST = """\b
Example:
  sprat models list --json | jq 'select(.serves == "nobody") | .model'

RECOMMENDED is the goal of a policy that names none, and from which confidence on it is reached; `sprat doctor --policy
FILE` says what your policy keeps. SERVES is `nobody` if a model is announced but its service does not run: texts that
ask for it wait. With SPRAT_SECRET, or of your `sprat up`, only what is signed with the secret is listed; the rest is
named.

\b
Exit codes:
  0  at least one is announced
  1  none is announced
  2  wrong usage, or Kafka cannot be reached"""

SHOW = """\b
Examples:
  sprat models show intent/default
  sprat models show ./hr

\b
A folder is an artefact, and its files are compared with its card. Anything else names a model that is announced.

\b
Exit codes:
  0  done
  1  the folder's files do not match its card
  2  wrong usage, or Kafka cannot be reached"""

_SHOWN = 5
_HEAD = ("MODEL", "VERSION", "LABELS", "LANGUAGES", "RECOMMENDED", "SERVES")


def list_models(*, as_json: Json = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """List the announced models, and whether each is served."""
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        registered, found = asyncio.run(_served(kafka))
    if as_json:
        for each, serves in found:
            state = {
                "recommended_goal": recommended(each),
                "keep_at": each.keep_at,
                "keep_at_by_language": each.keep_at_by_language,
                "serves": serves.value,
            }
            say_json({"type": "model", **each.model_dump(mode="json", exclude={"card"}), **state})
        for bad in registered.ignored:
            say_json({"type": "ignored", "key": bad.name, "why": bad.why, "counts": registered.counts(bad)})
    elif found:
        head, *rows = table([_HEAD, *(_row(*each) for each in found)])
        say(faint(head))
        for row in rows:
            say(printable(row))
        for each, serves in found:
            if serves is ServingState.nobody:
                remark(printable(f"no service runs for {each.task}/{each.model}: {serving_advice(each)}"))
    _remark_on(registered)
    if not found:
        remark("no model is announced: start a service, or run `sprat doctor` to find what is missing")
        raise typer.Exit(1)


def _remark_on(registered: RegisteredModels) -> None:
    """Print what is ignored, and whether that is known."""
    if not registered.verified:
        remark("not verified: SPRAT_SECRET is not set, so anybody who may write to the topic may have announced these")
    for each in registered.ignored[:_SHOWN]:
        remark(f"services ignore what is announced as {printable(each.name, 100)}: {WHY_IGNORED[each.why]}")
    if len(registered.ignored) > _SHOWN:
        remark(f"and {len(registered.ignored) - _SHOWN:,} more, which `sprat models clean` names")


def show(
    what: Annotated[str, argument("TASK/MODEL|DIR", "A model, or an artefact.")],
    *,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show the card of a model: what it is for, how good it is, what it is made of, what it cannot do."""
    folder = Path(what)
    if folder.is_dir():
        try:
            card = load_artefact(folder).card
        except BrokenArtefact as error:
            raise SpratError(str(error)) from None
        name = card.name
    else:
        kafka = kafka_settings(bootstrap, prefix)
        with explain_kafka_errors(kafka):
            card, name = _card_of(what, asyncio.run(registered_models(kafka)).announced)
    if as_json:
        say_json(card.model_dump(mode="json"))
        return
    for line in card_lines(card, name):
        say(line)


def _card_of(what: str, found: tuple[ModelAnnounced, ...]) -> tuple[Card, str]:
    by_name = {f"{each.task}/{each.model}": each for each in found}
    if what not in by_name:
        there = ", ".join(by_name) or "none"
        raise UserError(f"{what}: neither a folder nor a model that is announced; there are: {there}")
    try:
        return Card.model_validate(by_name[what].card), by_name[what].model
    except ValidationError:
        raise UserError(f"{what}: was announced without a card that this version reads") from None


async def _served(kafka: KafkaSettings) -> tuple[RegisteredModels, tuple[tuple[ModelAnnounced, ServingState], ...]]:
    """Return what is on the topic, and all models that are announced, each with its serving state."""
    registered = await registered_models(kafka)
    announced = registered.announced
    admin = AIOKafkaAdminClient(**client_arguments(kafka))
    try:
        await admin.start()
        return registered, tuple(zip(announced, await serving(admin, kafka.topics, announced), strict=True))
    finally:
        await close_in_time(admin.close)


def _row(each: ModelAnnounced, serves: ServingState) -> tuple[str, ...]:
    return (
        f"{each.task}/{each.model}",
        each.version,
        "-" if each.labels is None else str(len(each.labels)),
        ",".join(each.languages) + (f" → {','.join(each.targets)}" if each.targets else ""),
        recommended_from(each),
        serves.value,
    )
