"""The way out, as a frontier service started from here would find it: endpoint, key, region. No key is shown."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_policy import Policy

_DEFAULT_REGION = "eu"
"""Of the default endpoint."""
_FEW = 3


@dataclass(frozen=True, slots=True)
class Frontier:
    """Its settings; empty where they are not set."""

    base_url: str
    model: str
    provider: str
    region: str
    has_key: bool

    @property
    def host(self) -> str:
        """Give whom it would ask."""
        return urlsplit(self.base_url).hostname or "the default endpoint"


def check_frontier(seen: Frontier, policy: Policy | None) -> Iterator[Check]:
    """Look at endpoint and key; then at the region, which must be one that a policy allows."""
    if not seen.base_url and not seen.has_key:
        yield warning(
            "frontier",
            "in this shell: no endpoint and no key; a frontier service started from here would decline hard cases (one "
            "that runs already, as under `sprat up`, has its own settings)",
            "for Mistral set SPRAT_FRONTIER__API_KEY; for another SPRAT_FRONTIER__BASE_URL, MODEL, PROVIDER, REGION",
        )
        return
    found = f"{seen.host}, {seen.model or 'the default model'}, key {'set' if seen.has_key else 'not set'}"
    missing = [
        f"SPRAT_FRONTIER__{name.upper()}"
        for name in ("model", "provider", "region")
        if seen.base_url and not getattr(seen, name)
    ]
    if missing:
        yield broken("frontier", found, f"set {', '.join(missing)}, too")
        return
    yield _endpoint(seen, found)
    if policy is not None:
        yield _region(seen.region or _DEFAULT_REGION, policy)


def _endpoint(seen: Frontier, found: str) -> Check:
    if not seen.base_url or _is_inside(seen.host):
        return good("frontier", found)
    if urlsplit(seen.base_url).scheme != "https":
        return broken("frontier", f"{found}; what leaves is not encrypted", "https:// in SPRAT_FRONTIER__BASE_URL")
    if not seen.has_key:
        return warning("frontier", f"{found}: most providers refuse", "set SPRAT_FRONTIER__API_KEY")
    return good("frontier", found)


def _is_inside(host: str) -> bool:
    """Is it this machine or a private network, as far as its name tells?"""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".internal", ".local", ".localhost"))
    return address.is_private or address.is_loopback


def _region(region: str, policy: Policy) -> Check:
    """Say whose texts may go where this frontier stands."""
    willing = {name: tenant for name, tenant in policy.tenants.items() if tenant.frontier != "deny"}
    refusing = sorted(name for name, tenant in willing.items() if region not in tenant.regions)
    if willing and len(refusing) == len(willing):
        named = sorted({each for tenant in willing.values() for each in tenant.regions})
        return warning(
            "region",
            f"the frontier stands in {region}, where no tenant's texts may go: every hard case is declined",
            f"name it in the policy's regions ({', '.join(named)} are), or set SPRAT_FRONTIER__REGION to what it is",
        )
    if not willing:
        return good("region", f"{region}; no tenant lets a text leave")
    besides = f", not of {_some(refusing)}" if refusing else ""
    return good("region", f"{region}: texts of {_some(sorted(willing.keys() - set(refusing)))} may go there{besides}")


def _some(names: list[str]) -> str:
    shown = ["all others" if name == "*" else name for name in names[:_FEW]]
    return ", ".join(shown) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")
