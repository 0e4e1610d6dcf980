"""`sprat acls print|check|apply`: the least rights on Kafka of every role, against the entries of the broker."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from aiokafka.errors import ClusterAuthorizationFailedError

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_cli.app import group_help, make_app
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.terminal import faint, paint, printable, say, say_json
from sprat_operations.acls import add_missing, read_entries, read_quotas, set_missing_quotas
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.rights import (
    ROLES,
    Finding,
    Principal,
    QuotaFinding,
    Right,
    acl_commands,
    compare,
    compare_quotas,
    parse_principals,
    quota_command,
    removal_command,
    roles,
)

_ROLES = "\n".join(f"  {name:12} {role.purpose}" for name, role in ROLES.items())
_ADMIN = "admin.properties holds the settings of a client that may alter the cluster, for Kafka's own tools."
_PRINT = f"""\b
Examples:
  sprat acls print --principal upstream=User:crm --principal consumer=User:crm
  sprat acls print --principal router=User:sprat-router --json | jq -r .operation

\b
Roles:
{_ROLES}

\b
{_ADMIN}
Quotas hold for each broker. docs/kafka-security.md says why they are as they are.

\b
Exit codes:
  0  printed
  2  wrong usage"""
_CHECK = """\b
Examples:
  sprat acls check --principal router=User:sprat-router --principal upstream=User:crm
  sprat acls check --principal auditor=User:audit --json | jq 'select(.type == "missing")'

\b
Name every user: what others may do to the topics and groups of this installation is reported as "unknown". An
entry that is wider than what the role needs is "excessive", one that denies what it needs is "denied". Super users need
no entry, and none limits them: look at super.users in server.properties. A quota that a role should have is "missing"
where there is none (another number is your choice), one of a service or an operator is "excessive". It needs the rights
to describe the cluster and its settings; without the latter it compares the entries alone, and says so.

\b
Exit codes:
  0  the entries are as they should be
  1  some are missing, or permit more, or deny what is needed; or the quotas cannot be read
  2  wrong usage, or Kafka cannot be reached, has no authorizer, or does not let you"""
_APPLY = """\b
Examples:
  sprat acls apply --principal router=User:sprat-router --dry-run
  sprat acls apply --principal router=User:sprat-router --principal upstream=User:crm

\b
It adds entries and quotas, and changes or removes none; running it again does no harm. It needs the rights to alter the
cluster and its settings.

\b
Exit codes:
  0  nothing is missing any more; with --dry-run: nothing is missing
  1  with --dry-run: some are missing; an entry denies what is needed, or the quotas cannot be read
  2  wrong usage, or Kafka cannot be reached, has no authorizer, or does not let you"""
_COLOURS = {"missing": "red", "denied": "red", "excessive": "yellow", "unknown": "yellow"}

app = make_app(
    no_args_is_help=True,
    help="Print the least rights on Kafka of every role, compare them with the broker's, add those that are missing.",
    epilog=group_help(
        "acls", "print --principal upstream=User:crm", "check --principal router=User:sprat-router --json"
    ),
)

Principals = Annotated[list[str], option("ROLE=User:NAME", "A user and its role; repeatable.", "--principal")]


@app.command("print", epilog=_PRINT, short_help="Print the rights as commands of Kafka.")
def print_(principal: Principals, *, as_json: Json = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Print the least rights of users by their roles, and their quotas, as commands of Kafka. It asks no broker."""
    kafka = kafka_settings(bootstrap, prefix)
    known = roles(kafka.topics.tasks)
    for each in parse_principals(principal, kafka.topics):
        if as_json:
            _say_rights(each, kafka)
            continue
        for role in each.roles:
            say(faint(f"# {role}, {printable(each.name)}: {known[role].purpose}"))
        for command in acl_commands(each, kafka.topics, kafka.bootstrap):
            say(printable(command))
        if (quota := quota_command(each, kafka.bootstrap)) is not None:
            say(printable(quota))


def _say_rights(principal: Principal, kafka: KafkaSettings) -> None:
    for right in principal.rights(kafka.topics):
        say_json({"type": "right", "principal": principal.name, "roles": principal.roles, **_as_json(right)})
    if (quota := principal.quota()) is not None:
        say_json({"type": "quota", "principal": principal.name, "roles": principal.roles, **quota.settings()})


@app.command(epilog=_CHECK, short_help="Compare the rights with the broker's entries.")
def check(principal: Principals, *, as_json: Json = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Compare the least rights of users with the entries of the broker."""
    kafka = kafka_settings(bootstrap, prefix)
    principals = parse_principals(principal, kafka.topics)
    with explain_kafka_errors(kafka):
        found, quotas = asyncio.run(_compared(kafka, principals))
    _finish(kafka, principals, found, quotas, as_json=as_json)


@app.command(epilog=_APPLY, short_help="Add the entries that are missing.")
def apply(
    principal: Principals,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is missing, and change nothing.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Add the entries that users lack for their roles; no entry is removed."""
    kafka = kafka_settings(bootstrap, prefix)
    principals = parse_principals(principal, kafka.topics)
    with explain_kafka_errors(kafka):
        found, quotas = asyncio.run(_compared(kafka, principals))
        missing = [each for each in found if each.kind == "missing"]
        lacking = [each for each in quotas or () if each.kind == "missing"]
        if not dry_run:
            asyncio.run(_add(kafka, missing, lacking))
            added: list[Finding | QuotaFinding] = [*missing, *lacking]
            for each in added:
                _say_added(each, as_json=as_json)
    left = [each for each in found if each.kind == "denied" or (dry_run and each.kind == "missing")]
    unread = quotas is None
    _finish(kafka, principals, left, None if unread else lacking if dry_run else [], as_json=as_json)


async def _compared(
    kafka: KafkaSettings, principals: Sequence[Principal]
) -> tuple[list[Finding], list[QuotaFinding] | None]:
    """Compare entries and quotas; None where this user may not read the quotas, which is a right of its own."""
    client = client_arguments(kafka)
    found = compare(principals, await read_entries(client), kafka.topics)
    try:
        quotas = await read_quotas(client)
    except ClusterAuthorizationFailedError:
        return found, None
    return found, compare_quotas(principals, quotas)


async def _add(kafka: KafkaSettings, missing: Sequence[Finding], quotas: Sequence[QuotaFinding]) -> None:
    client = client_arguments(kafka)
    if missing:
        await add_missing(client, missing)
    if quotas:
        await set_missing_quotas(client, quotas)


def _say_added(each: Finding | QuotaFinding, *, as_json: bool) -> None:
    if as_json:
        what = _as_json(each.right) if isinstance(each, Finding) else _quota(each)
        say_json({"type": "added", "principal": each.principal, **what})
    else:
        what_is = each.right if isinstance(each, Finding) else each
        say(f"{paint('added', 'green')}  {printable(each.principal)}: {printable(str(what_is))}")


def _say_quota(kafka: KafkaSettings, each: QuotaFinding, *, as_json: bool) -> None:
    if as_json:
        say_json({"type": each.kind, "principal": each.principal, **_quota(each)})
        return
    say(f"{paint(each.kind, _COLOURS[each.kind])}  {printable(each.principal)}: {printable(str(each))}")
    if each.kind == "excessive":
        say(f"  → {printable(each.removal_command(kafka.bootstrap))}")


def _quota(each: QuotaFinding) -> dict[str, Any]:
    return {"quota": each.setting, "expected": each.expected, "actual": each.actual}


def _finish(
    kafka: KafkaSettings,
    principals: Sequence[Principal],
    found: Sequence[Finding],
    quotas: Sequence[QuotaFinding] | None,
    *,
    as_json: bool,
) -> None:
    if quotas is None:
        _say_unread(as_json=as_json)
    for quota in quotas or ():
        _say_quota(kafka, quota, as_json=as_json)
    for each in found:
        if as_json:
            say_json(_finding(each))
            continue
        say(f"{paint(each.kind, _COLOURS[each.kind])}  {printable(each.principal)}: {printable(str(each.right))}")
        if each.entry is not None:
            say(f"  → {printable(removal_command(each.entry, kafka.bootstrap))}")
    kinds = {*(each.kind for each in found), *(each.kind for each in quotas or ())}
    if "missing" in kinds and not as_json:
        say("→ add what is missing: sprat acls apply, with the same --principal")
    if not (found or quotas) and not as_json:
        count = len(principals)
        besides = ", quotas not compared" if quotas is None else ""
        say(paint(f"{count} user{'s have' if count != 1 else ' has'} what their roles need{besides}", "green"))
    raise typer.Exit(1 if found or quotas or quotas is None else 0)


def _say_unread(*, as_json: bool) -> None:
    if as_json:
        say_json({"type": "unread", "what": "quotas", "needs": {"resource": "Cluster", "operation": "DescribeConfigs"}})
    else:
        unread = "this user may not read them, which needs DescribeConfigs on the cluster"
        say(f"{paint('unread', 'yellow')}  quotas: {unread}")


def _finding(each: Finding) -> dict[str, Any]:
    entry = None
    if each.entry is not None:
        entry = {"principal": each.entry.principal, "host": each.entry.host, "allows": each.entry.allows}
        entry |= _as_json(each.entry.right)
    return {"type": each.kind, "principal": each.principal, **_as_json(each.right), "entry": entry}


def _as_json(right: Right) -> dict[str, Any]:
    pattern = "prefixed" if right.prefixed else "literal"
    return {"resource": right.resource, "name": right.name, "pattern": pattern, "operation": right.operation}
