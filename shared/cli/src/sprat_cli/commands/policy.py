"""`sprat policy check`: whether a policy file is right, and what it says."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from sprat.base.errors import UserError
from sprat.base.settings import environment
from sprat_cli.app import group_help, make_app
from sprat_cli.options import Json
from sprat_cli.terminal import printable, remark, say, say_json, table
from sprat_contracts import BUILT_IN
from sprat_operations.chosen_policy import chosen_policy, tasks_beside
from sprat_operations.goals import rules_in_words
from sprat_operations.local_run import SIMULATOR_HOST, SIMULATOR_REGION
from sprat_policy import (
    ALL_OTHERS,
    INSIDE,
    Policy,
    TierPolicy,
    load_guarded_policy,
    load_policy,
    problem_of_url,
    taken_inside,
)

app = make_app(epilog=group_help("policy", "check policy.yaml"))
_CHECK = """\b
Examples:
  sprat policy check policy.yaml
  sprat policy check                           # the one of SPRAT_POLICY, also in .env
  sprat policy check policy.yaml --keys --json

\b
Exit codes:
  0  valid
  2  not valid: each line names file, line, field and what is wrong"""


@app.callback()
def _policy() -> None:
    """Check a policy file."""


@app.command(epilog=_CHECK)
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The policy file. [default: SPRAT_POLICY]", show_default=False)
    ] = None,
    *,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Also check the variables of signing keys, as the services' environment has them."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print what is wrong in a policy file, by line and field; or what it allows. Nothing else is asked or started.

    `sprat doctor --policy FILE` also compares it with a running installation.
    """
    file = chosen_policy(file)
    if file is None:
        raise UserError("there is no policy: name its FILE, or set SPRAT_POLICY, also in .env")
    try:
        files = tasks_beside(file)
        tasks = files.table
        policy = load_guarded_policy(file, environment(), tasks)[0] if keys else load_policy(file, tasks)
    except UserError as error:
        if not file.is_file():
            raise
        raise UserError(f"not valid:\n{error}") from None
    if as_json:
        say_json({"type": "policy", "file": str(file), "policy": policy.model_dump(mode="json")})
        return
    say(f"{file} is valid")
    variables = environment()
    for line in describe(policy.with_added(files), tasks, _host_of_settings(variables)):
        say(line)
    for line in (*_inside_by_host(policy, variables), *_calibrated(policy)):
        remark(line)


def describe(policy: Policy, tasks: Iterable[str] = BUILT_IN, host: str | None = None) -> Iterator[str]:
    """Return what a policy says, in words.

    Args:
        policy: what is described.
        tasks: those of the installation.
        host: of the frontier that this shell's settings name; None where they name none.
    """
    width = max(map(len, tasks))
    for task in tasks:
        rules = policy.task(task)
        who = "the frontier or tiers alone answer" if policy.tiers else "the frontier alone answers"
        yield f"  {task:{width}}  {'; '.join(rules_in_words(rules)) if rules.has_small_model else who}"
    named = sorted(policy.tenants)
    rows = [(f"  {printable(name)}", *_allowed(policy, name, host)) for name in named if name != ALL_OTHERS]
    rows.append(("  all others", *_allowed(policy, ALL_OTHERS, host)))
    yield "tenants"
    yield from table(rows)
    if policy.tiers:
        yield "tiers, in this order"
        yield from table([(f"  {tier.label}", *_tier(policy, tier, host)) for tier in policy.tiers])


def _calibrated(policy: Policy) -> Iterator[str]:
    """Return a notice for each tier whose calibration stands in the policy."""
    for tier in policy.tiers:
        if tier.calibration:
            yield f"tier {tier.label}: its calibration is still read; a goal and sprat tiers calibrate take its place"


def _inside_by_host(policy: Policy, variables: Mapping[str, str]) -> Iterator[str]:
    """Return a warning for each server that is inside the house by its host, and said to be elsewhere."""
    for tier in policy.tiers:
        if tier.host is not None and policy.is_inside(tier.host) and tier.is_elsewhere:
            yield f"warning: tier {tier.label}, region {tier.region_name}: {taken_inside(tier.host)}"
    asks_settings = not policy.tiers or any(tier.host is None for tier in policy.tiers)
    if asks_settings and not variables.get("SPRAT_FRONTIER__BASE_URL") and policy.is_inside(SIMULATOR_HOST):
        who = f"the simulator that `sprat up` starts, region {SIMULATOR_REGION}"
        yield f"warning: {who}: {taken_inside(SIMULATOR_HOST)}"
    host, region = _host_of_settings(variables), variables.get("SPRAT_FRONTIER__REGION", "")
    if host is not None and policy.is_inside(host) and region not in {"", INSIDE}:
        yield f"warning: the frontier (SPRAT_FRONTIER__BASE_URL), region {printable(region)}: {taken_inside(host)}"


def _host_of_settings(variables: Mapping[str, str]) -> str | None:
    """Return the host of the frontier that the settings of this shell name; None where they name none."""
    url = variables.get("SPRAT_FRONTIER__BASE_URL", "")
    return None if not url or problem_of_url(url, "") else urlsplit(url).hostname


def _tier(policy: Policy, tier: TierPolicy, host: str | None) -> tuple[str, str, str]:
    """Return where a tier is, what it keeps and whom it is for."""
    if tier.host is None:
        where = f"the model of the settings{', inside the house' if policy.is_inside(host or '') else ''}"
    else:
        place = "inside the house" if policy.is_inside(tier.host) else tier.region_name or ""
        where = f"{tier.model_name} at {tier.host}, {place}"
    whom = " of ".join(filter(None, [", ".join(tier.tasks), ", ".join(map(printable, tier.tenants))]))
    of_labels = "for tasks with labels" if tier.decides else "for all"
    everything = "for tasks of one label" if tier.is_of_one_label else of_labels
    return where, f"keeps {tier.keeps}", f"for {whom}" if whom else everything


def _allowed(policy: Policy, section: str, host: str | None) -> tuple[str, str]:
    tenant = policy.tenant(section)
    if tenant.frontier == "deny":
        its = [tier for tier in policy.tiers if not tier.tenants or section in tier.tenants]
        asked = [(tier.label, tier.host or host) for tier in its] if policy.tiers else [("the frontier", host)]
        inside = [label for label, its_host in asked if policy.is_inside(its_host or "")]
        said = f"; hard cases go to {', '.join(inside)}, inside the house" if inside else ""
        return "deny", f"nothing leaves{said}"
    what = "whole" if tenant.frontier == "allow" else "with personal data masked"
    return tenant.frontier, f"hard cases leave {what}, to {', '.join(tenant.regions)}"
