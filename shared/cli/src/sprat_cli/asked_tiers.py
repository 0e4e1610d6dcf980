"""How commands ask the tiers of a policy outside any stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat_cli.options import kafka_settings
from sprat_cli.terminal import remark
from sprat_operations.chosen_policy import chosen_policy
from sprat_operations.connection import explain_kafka_errors, load_command_settings
from sprat_operations.local_run import LocalRun

DEFAULT_TENANT: Final = "default"
"""The tenant of texts that name none."""
_MIN_SECRET: Final = 16
NO_POLICY: Final = "no policy (--policy FILE or SPRAT_POLICY): no terms or patterns of your own are masked"


def policy_for_masking(given: Path | None, run: LocalRun | None = None) -> Path | None:
    """Return the policy file given, else that of `run`, else the one of `SPRAT_POLICY`.

    It says on standard error which one is that of a `sprat up`; and what is not masked where there is none.

    Args:
        given: the file that the command is given.
        run: this user's `sprat up` that the command talks to; None: there is none.
    """
    if given is None and run is not None and run.policy:
        remark(f"masked by the policy of your `sprat up`, {run.policy}")
        return Path(run.policy)
    policy = chosen_policy(given)
    if policy is None:
        remark(NO_POLICY)
    return policy


@contextmanager
def egress_records() -> Iterator[tuple[KafkaSettings, SecretStr] | None]:
    """Yield where egress records are written, and the secret of their hashes; None where no broker is set.

    Raises:
        UserError: a broker is set, but the services' secret is not; or a setting is wrong, or Kafka refuses.
    """
    settings = load_command_settings()
    if "bootstrap" not in settings.kafka.model_fields_set:
        remark("no SPRAT_KAFKA__BOOTSTRAP and SPRAT_SECRET are set: what is sent has no egress records")
        yield None
        return
    if len(settings.secret.get_secret_value()) < _MIN_SECRET:
        raise UserError(
            "SPRAT_SECRET is missing or too short: egress records hold hashes keyed with the services' secret; set it, "
            "or unset SPRAT_KAFKA__BOOTSTRAP"
        )
    kafka = kafka_settings(None, None)
    with explain_kafka_errors(kafka):
        yield kafka, settings.secret
