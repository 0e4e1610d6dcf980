"""Which policy file a command reads: the one it is given, else that of the services' variable."""

from pathlib import Path
from typing import Final

from pydantic_settings import SettingsConfigDict

from sprat.settings import VariableSettings
from sprat_cli.terminal import remark

NO_POLICY: Final = "no policy (--policy FILE or SPRAT_POLICY): no terms or patterns of your own are masked"


class _PolicyVariable(VariableSettings):
    """`SPRAT_POLICY`, from the environment or the file `.env`."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    policy: Path | None = None


def chosen_policy(given: Path | None) -> Path | None:
    """Return the policy file given, else the one of `SPRAT_POLICY`; None if there is none."""
    return _PolicyVariable().policy if given is None else given


def policy_for_masking(given: Path | None) -> Path | None:
    """Return the same; where there is none, say on standard error what is not masked."""
    policy = chosen_policy(given)
    if policy is None:
        remark(NO_POLICY)
    return policy
