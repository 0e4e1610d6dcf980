"""The settings that services would find here. No secret is shown, only whether it is set."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from sprat.errors import UserError
from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_cli.doctor.frontier import Frontier, check_frontier
from sprat_policy import Policy, load_policy

_SHORTEST_SECRET = 16


class _Seen(BaseSettings):
    """What doctor wants to know of the services' settings; the services judge them themselves."""

    model_config = SettingsConfigDict(
        env_prefix="SPRAT_", env_nested_delimiter="__", env_file=".env", extra="ignore", hide_input_in_errors=True
    )

    secret: SecretStr = SecretStr("")
    policy: Path | None = None
    frontier__base_url: str = ""
    frontier__model: str = ""
    frontier__region: str = ""
    frontier__provider: str = ""
    frontier__api_key: SecretStr = SecretStr("")


def find_policy(given: Path | None) -> tuple[Check, Policy | None]:
    """Read the policy file given, else the one of `SPRAT_POLICY`; None where there is none to be read."""
    return _policy(_Seen().policy if given is None else given)


def check_settings(found: Check, policy: Policy | None) -> Iterator[Check]:
    """Look at secret, policy, as `find_policy` gives it, and frontier."""
    seen = _Seen()
    yield _secret(seen.secret.get_secret_value())
    yield found
    key = bool(seen.frontier__api_key.get_secret_value().strip())
    wanted = Frontier(
        seen.frontier__base_url, seen.frontier__model, seen.frontier__provider, seen.frontier__region, has_key=key
    )
    yield from check_frontier(wanted, policy)


def _secret(secret: str) -> Check:
    if len(secret) >= _SHORTEST_SECRET:
        return good("secret", "SPRAT_SECRET is set")
    found = f"shorter than {_SHORTEST_SECRET} characters" if secret else "not set"
    return warning(
        "secret",
        f"SPRAT_SECRET is {found}; `sprat up` makes one, services that you start yourself share one",
        "export SPRAT_SECRET=$(openssl rand -hex 32)",
    )


def _policy(path: Path | None) -> tuple[Check, Policy | None]:
    if path is None:
        return warning(
            "policy",
            "SPRAT_POLICY is not set; a router that you start yourself needs it",
            "export SPRAT_POLICY=FILE, or name it here with --policy FILE; example: compose/policy.yaml",
        ), None
    try:
        policy = load_policy(path)
    except UserError as error:
        said = str(error).replace("\n", "; ")
        return broken("policy", said, "mend the file; the router does not start with it"), None
    return good("policy", f"{path}: {len(policy.tenants)} tenants"), policy
