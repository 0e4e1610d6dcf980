"""Where the policy denies the frontier to a tenant: what `sprat assess` says then."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sprat_policy import Policy

DEFAULT_TENANT: Final = "default"


def tenants_that_may(rules: Policy) -> str:
    """Return in words which of the tenants that the policy names may send something out."""
    may = [name for name in rules.named_tenants if rules.tenant(name).frontier != "deny"]
    if not may:
        return (
            "no tenant that it names may send anything; to try what would be, name a copy in which one may (--policy)"
        )
    return f"add --tenant {' or --tenant '.join(may)}, which may"


def denies_frontier(rules: Policy | None, task: str, tenant: str) -> bool:
    """Return whether no model but the small one may answer: nothing may leave, and no tier is inside the house."""
    if rules is None:
        return False
    inside = (
        tier.host is not None
        and rules.is_inside(tier.host)
        and (not tier.tasks or task in tier.tasks)
        and (not tier.tenants or tenant in tier.tenants)
        for tier in rules.tiers
    )
    return rules.tenant(tenant).frontier == "deny" and not any(inside)


def denial(policy: Path, rules: Policy, tenant: str, options: Sequence[str]) -> str:
    """Return how texts end, and which options have no effect then.

    Args:
        policy: the file.
        rules: what it says.
        tenant: to which it denies the frontier.
        options: what was given that says something of a frontier.
    """
    unnamed = " (that of texts without one; --tenant judges another)" if tenant == DEFAULT_TENANT else ""
    said = (
        f"{policy.name} denies the frontier to the tenant {tenant}{unnamed}: what is not kept ends as the small "
        "model's answer, marked as degraded, and is counted so here; --accuracy is the share right of those kept"
    )
    if not options:
        return said
    have = "has" if len(options) == 1 else "have"
    return f"{said}. {' and '.join(options)} {have} no effect: {tenants_that_may(rules)}"
