"""The settings that services would find here. No secret is shown, only whether it is set."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from sprat.cli.checks.check import Check, broken, good, warning
from sprat.errors import UserError

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


def check_settings() -> Iterator[Check]:
    """Look at secret, policy and frontier."""
    seen = _Seen()
    yield _secret(seen.secret.get_secret_value())
    yield _policy(seen.policy)
    yield _frontier(seen)


def _secret(secret: str) -> Check:
    if len(secret) >= _SHORTEST_SECRET:
        return good("secret", "SPRAT_SECRET is set")
    found = f"shorter than {_SHORTEST_SECRET} characters" if secret else "not set"
    return warning(
        "secret",
        f"SPRAT_SECRET is {found}; `sprat up` makes one, services that you start yourself share one",
        "export SPRAT_SECRET=$(openssl rand -hex 32)",
    )


def _policy(path: Path | None) -> Check:
    if path is None:
        return warning(
            "policy",
            "SPRAT_POLICY is not set; a router that you start yourself needs it",
            "example: compose/policy.yaml",
        )
    from sprat.policy import load_policy  # noqa: PLC0415 - it costs time, and only here

    try:
        policy = load_policy(path)
    except UserError as error:
        return broken("policy", str(error).replace("\n", "; "), "mend the file; the router does not start with it")
    return good("policy", f"{path}: {len(policy.tenants)} tenants")


def _frontier(seen: _Seen) -> Check:
    key = bool(seen.frontier__api_key.get_secret_value().strip())
    if not seen.frontier__base_url and not key:
        return warning(
            "frontier",
            "in this shell: no endpoint and no key; a frontier service started from here would decline hard cases (one "
            "that runs already, as under `sprat up`, has its own settings)",
            "for Mistral set SPRAT_FRONTIER__API_KEY; for another SPRAT_FRONTIER__BASE_URL, MODEL, PROVIDER, REGION",
        )
    host = urlsplit(seen.frontier__base_url).hostname or "the default endpoint"
    model = seen.frontier__model or "the default model"
    found = f"{host}, {model}, key {'set' if key else 'not set'}"
    missing = [
        f"SPRAT_FRONTIER__{name.upper()}"
        for name in ("model", "provider", "region")
        if seen.frontier__base_url and not getattr(seen, f"frontier__{name}")
    ]
    return broken("frontier", found, f"set {', '.join(missing)}, too") if missing else good("frontier", found)
