"""What `sprat doctor` finds of the settings that a frontier service would have: its endpoint, and the policy's tiers.

The entry point of the group `sprat.settings_checks`. The service's own checks at the start decide what is broken.
"""

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from sprat.base.checks import Check, broken, ok, some_of, unknown, warning
from sprat.base.errors import UserError
from sprat.base.settings import VariableSettings, environment, load_settings
from sprat_frontier.settings import MISTRAL_URL, FrontierSettings
from sprat_frontier.tiers import check_tier, settings_of
from sprat_policy import ALL_OTHERS, INSIDE, Policy, TierPolicy, taken_inside

_CONNECT_S = 2.0
_NO_START = "correct it: the frontier service does not start with it"


class _Settings(VariableSettings):
    frontier: FrontierSettings = FrontierSettings()


def check_settings(policy: Policy | None, *, are_used: bool = True) -> Iterator[Check]:
    """Check the endpoint of the settings, and which tenants' texts may go there; then the policy's tiers.

    Args:
        policy: None: not known here.
        are_used: whether the frontier service has the settings of this shell.
    """
    try:
        settings = load_settings(_Settings).frontier
    except UserError as error:
        yield broken("frontier", str(error), _NO_START)
        return
    tiers = () if policy is None else policy.tiers
    if are_used and (not tiers or any(tier.base_url is None for tier in tiers)):
        yield from _check_frontier(settings, policy)
    if policy is None:
        return
    for tier in tiers:
        if tier.base_url is not None:
            yield _check_tier(tier, settings, policy)
    yield from _check_inside(tiers, policy)
    if not policy.regions:
        default = FrontierSettings()
        yield warning(
            "hosts",
            "the policy lists no hosts of regions: a provider is in the region that SPRAT_FRONTIER__REGION names",
            f"list them in the policy, as regions: {{{default.region}: [{default.host}]}}",
        )


def _check_frontier(settings: FrontierSettings, policy: Policy | None) -> Iterator[Check]:
    if settings.base_url == MISTRAL_URL and settings.api_key is None:
        yield unknown(
            "frontier",
            "in this shell: no endpoint and no key; a frontier service started from here would not start (one that "
            "runs already, as under `sprat up`, has its own settings)",
            "for Mistral set SPRAT_FRONTIER__API_KEY and PRICES; for another BASE_URL, MODEL, PROVIDER, REGION, too",
        )
        return
    yield _check_endpoint("frontier", "the settings", settings, policy)
    if policy is not None and not policy.is_inside(settings.host):
        yield _check_region(settings.region, policy)


def _check_tier(tier: TierPolicy, settings: FrontierSettings, policy: Policy) -> Check:
    try:
        endpoint = settings_of(tier, settings, environment())
    except UserError as error:
        return unknown("tier", str(error), "the frontier service does not start without it; export it here, too")
    return _check_endpoint("tier", tier.label, endpoint, policy, tier)


def _check_endpoint(
    subject: str, name: str, settings: FrontierSettings, policy: Policy | None, tier: TierPolicy | None = None
) -> Check:
    inside = policy is not None and policy.is_inside(settings.host)
    found = f"{name}: {settings.model} at {settings.host}, {'inside the house' if inside else f'in {settings.region}'}"
    try:
        check_tier(name, settings, policy or Policy.model_validate({}), tier)
    except UserError as error:
        return broken(subject, f"{found}; {error}", _NO_START)
    is_near = inside or _is_private(settings.host)
    if urlsplit(settings.base_url).scheme != "https" and not is_near:
        return broken(subject, f"{found}; what is sent is not encrypted", "an https:// address")
    if inside and settings.region != INSIDE:
        return warning(subject, f"{found}; its region is {settings.region}", taken_inside(settings.host))
    if settings.api_key is None and not is_near:
        return warning(subject, f"{found}; without a key most providers refuse", "set its key")
    keeps = "" if tier is None else f"; keeps {tier.keeps}"
    if tier is not None and tier.calibration:
        keeps += "; a goal and sprat tiers calibrate take its place"
    return ok(subject, found + keeps)


def _check_inside(tiers: tuple[TierPolicy, ...], policy: Policy) -> Iterator[Check]:
    """Check that something listens where the tiers inside the house are. No other address is tried."""
    for tier in tiers:
        if tier.base_url is None or tier.host is None or not policy.is_inside(tier.host):
            continue
        url = urlsplit(tier.base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            socket.create_connection((tier.host, port), _CONNECT_S).close()
        except OSError as error:
            yield warning(
                "tier",
                f"{tier.label}: {tier.host}:{port} cannot be reached from here: {error.strerror or 'no answer'}",
                "start its server, or correct its address in the policy; meanwhile texts go to the next tier",
            )


def _is_private(host: str) -> bool:
    """Return whether a host is this machine or in a private network, judging by its name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".internal", ".local", ".localhost"))
    return address.is_private or address.is_loopback


def _check_region(region: str, policy: Policy) -> Check:
    """Check which tenants' texts may be sent to the frontier's region."""
    willing = {name: tenant for name, tenant in policy.tenants.items() if tenant.frontier != "deny"}
    refusing = sorted(name for name, tenant in willing.items() if region not in tenant.regions)
    if willing and len(refusing) == len(willing):
        named = sorted({each for tenant in willing.values() for each in tenant.regions})
        return warning(
            "region",
            f"the frontier is in {region}, where no tenant's texts may go: every hard case is declined",
            f"name it in the policy's regions ({', '.join(named)} are), or set SPRAT_FRONTIER__REGION to what it is",
        )
    if not willing:
        return ok("region", f"{region}; no tenant allows its texts to be sent")
    besides = f", not of {_tenants(refusing)}" if refusing else ""
    return ok("region", f"{region}: texts of {_tenants(sorted(willing.keys() - set(refusing)))} may go there{besides}")


def _tenants(names: list[str]) -> str:
    return some_of(["all others" if name == ALL_OTHERS else name for name in names])
