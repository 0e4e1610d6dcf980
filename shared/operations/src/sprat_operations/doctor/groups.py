"""Checks of the consumer groups: members that are missing, stand still, or do not read what their service reads."""

import asyncio
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from aiokafka import TopicPartition

from sprat.base.channels import FRONTIER, GUARDIAN, ROUTER, STRICT_TEXTS
from sprat.base.checks import Check, broken, ok, some_of, warning
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import client_arguments
from sprat.kafka.cluster import GroupMember
from sprat.kafka.lag import REQUIRED_GROUPS, GroupLag, LagMeter, LagSnapshot, OwnTexts, limit_to_owned
from sprat_contracts import BUILT_IN
from sprat_operations.lag import as_metrics, count_own_texts, stalled_members
from sprat_operations.local_run import LocalRun
from sprat_operations.models import RegisteredModels, group_of
from sprat_operations.services import module_of

_OWN_GROUPS = frozenset({*REQUIRED_GROUPS, GUARDIAN})
"""Groups of Sprat's services that are named for no task."""
_LOOK_S = 2.0
_MOST_LOOKS = 5
"""After how many looks a member that has lag, and has committed nothing, counts as stalled."""


async def measure(kafka: KafkaSettings, withdrawn: OwnTexts) -> tuple[LagSnapshot, LagSnapshot]:
    """Measure; where members have lag, again until each of them has committed something, for 10 s at most."""
    async with LagMeter(client_arguments(kafka), kafka.topics) as meter:
        before = after = limit_to_owned(await meter.measure(), withdrawn)
        for _ in range(_MOST_LOOKS):
            if not any(stalled_members(before.groups.get(name, each), each) for name, each in after.groups.items()):
                break
            await asyncio.sleep(_LOOK_S)
            after = limit_to_owned(await meter.measure(), withdrawn)
    return before, await count_own_texts(client_arguments(kafka), kafka.topics, after, withdrawn)


def check_groups(
    measured: LagSnapshot,
    registered: RegisteredModels | None,
    before: LagSnapshot | None = None,
    run: LocalRun | None = None,
    tasks: Container[str] = BUILT_IN,
) -> Iterator[Check]:
    """Check every group that exists or is required.

    Args:
        measured: the lag, limited by :func:`limit_to_owned` for withdrawn models.
        registered: the models; None if they are not known.
        before: an earlier measurement, limited too; without it nothing is said of members that stand still.
        run: the installation, where `sprat up` has started it on this machine.
        tasks: those of the installation.
    """
    earlier = {} if before is None else before.groups
    span_s = 0.0 if before is None else measured.at_s - before.at_s
    for name in sorted(measured.groups.keys() | set(REQUIRED_GROUPS)):
        group = measured.groups.get(name)
        metrics = {} if group is None else as_metrics(group)
        if group is not None and (unread := group.unread):
            yield replace(_unread(name, group, unread, run, tasks), metrics=metrics)
            continue
        if group is not None and name in earlier and (stalled := stalled_members(earlier[name], group)):
            yield replace(_stalled(name, group, stalled, span_s, run, tasks), metrics=metrics)
            continue
        for check in _check_group(name, group, registered, tasks):
            yield replace(check, metrics=metrics)
    if (router := measured.groups.get(ROUTER)) is not None:
        yield from _check_strictness(router)


def _check_strictness(router: GroupLag) -> Iterator[Check]:
    """Warn where some routers are strict with texts, and some are not."""
    clients = [member.client for member in router.group.members]
    strict = sum(client.endswith(STRICT_TEXTS) for client in clients)
    if 0 < strict < len(clients):
        yield warning(
            "groups",
            f"{ROUTER}: {strict} of {len(clients)} members {'is' if strict == 1 else 'are'} strict with texts, so a "
            "text with an unknown field may get a dead letter and Results",
            "give all routers the same SPRAT_STRICT_TEXTS",
        )


def _check_group(
    name: str, group: GroupLag | None, registered: RegisteredModels | None, tasks: Container[str]
) -> Iterator[Check]:
    members, lag = (len(group.group.members), group.lag) if group is not None else (0, 0)
    finding = _counted(name, members, lag)
    if registered is not None and name.partition(".")[0] in tasks and name not in map(group_of, registered.announced):
        is_counted = group is not None and group.is_counted
        known = registered.withdrawn.get(name) is not None
        yield from _retired(name, members, lag, known=known, is_counted=is_counted)
    elif members:
        yield ok("groups", finding)
    elif name == GUARDIAN:
        yield ok("groups", f"{finding}: no guardian runs")  # whether one is needed, the policy says
    elif name in REQUIRED_GROUPS:
        yield broken("groups", finding, f"start it: `sprat up`, or python -m sprat_{name}; its records wait in Kafka")
    else:
        yield warning("groups", finding, "start it, or retire its model; until then its texts wait in Kafka")


def _counted(name: str, members: int, lag: int) -> str:
    return f"{name}: {counted(members, 'member')}, {counted(lag, 'record')} behind"


def _stalled(
    name: str,
    group: GroupLag,
    stalled: Sequence[GroupMember],
    span_s: float,
    run: LocalRun | None,
    tasks: Container[str],
) -> Check:
    """Report members that have lag and have committed nothing for `span_s` seconds."""
    members = len(group.group.members)
    which = some_of(sorted({f"{member.client}@{member.host}" for member in stalled}))
    some = "" if len(stalled) == members else f"{len(stalled)} of them "
    finding = f"{_counted(name, members, group.lag)}, and {some}committed nothing for {span_s:.0f} s: {which}"
    if name == FRONTIER:
        fix = (
            "it may be at work: hard cases wait for the provider or their deadline; where calls succeed, restart it; "
            "observability/runbooks/SpratProviderDown.md"
        )
        return warning("groups", finding, fix)
    service = name.partition(".")[0]
    if service not in tasks and service not in _OWN_GROUPS:
        return warning("groups", finding, "it is none of Sprat's services: look at whoever runs it")
    runbook = "observability/runbooks/SpratTextsWaitTooLong.md"
    if run is None:
        fix = f"read the end of its log on that machine, and restart the service {service}; {runbook}"
    else:
        log = Path(run.folder, "logs", service)
        fix = f"read the end of {log}*.log, and end its process: {_kill(service, run)} (`sprat up` starts it again); "
        fix += runbook
    return broken("groups", finding, fix)


def _unread(
    name: str, group: GroupLag, unread: Sequence[TopicPartition], run: LocalRun | None, tasks: Container[str]
) -> Check:
    """Report partitions that nobody reads, though all members have their assignment."""
    topics = list(dict.fromkeys(each.topic for each in unread))
    where = f"{counted(len(unread), 'partition')} of {some_of(topics)}"
    finding = f"{_counted(name, len(group.group.members), group.lag)}; no member reads {where}: what is there waits"
    service = name.partition(".")[0]
    if service not in tasks and name not in _OWN_GROUPS:
        return warning("groups", finding, "it is none of Sprat's services: look at whoever runs it")
    fix = "its members read the topics that they knew when they started, without those of a task that was added later: "
    if run is None:
        fix += f"restart every instance of {service}"
    else:
        fix += f"end `sprat up` and start it again, with the same options; this service alone: {_kill(service, run)}"
    return broken("groups", finding, fix)


def _kill(service: str, run: LocalRun) -> str:
    """Return the command that ends a service of this `sprat up` alone, and of no other on the machine."""
    return f"pkill -9 -P {run.pid} -f {module_of(service)}"


def _retired(name: str, members: int, lag: int, *, known: bool, is_counted: bool = False) -> Iterator[Check]:
    """Check the group of a withdrawn model, which gets no new texts.

    Args:
        name: of the group.
        members: how many it has.
        lag: how many texts it has not read.
        known: whether these are only texts from before the model was withdrawn.
        is_counted: whether all of them ask for the model.
    """
    texts = counted(lag, "text")
    if members:
        rest = f" once it has answered the {texts} that came before" if lag else ""
        yield ok("groups", f"{name} is retired, {counted(members, 'member')}: its service may stop{rest}")
    elif lag:
        model = name.replace(".", "/", 1)
        fix = (
            "start its service once more, as it was: it answers them first; then `sprat models retire "
            f"{model}` again, which says when it may stop"
        )
        if known:
            was, wait = ("was", "waits") if lag == 1 else ("were", "wait")
            at_most, wait = ("", wait) if is_counted else ("at most ", "may wait")
            finding = (
                f"{at_most}{texts} that {was} its own when it was retired {wait}, and no service runs: no Result "
                "without it"
            )
            yield broken("groups", f"{name} is retired, 0 members: {finding}", fix)
        else:
            finding = f"up to {texts} from before it was retired may wait, and no service runs"
            yield warning("groups", f"{name} is retired, 0 members: {finding}", fix)
