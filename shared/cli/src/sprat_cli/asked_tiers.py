"""How commands ask the tiers of a policy outside any stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import SecretStr

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat_cli.connection import explain_kafka_errors, kafka_settings, load_command_settings
from sprat_cli.terminal import remark

DEFAULT_TENANT: Final = "default"
"""The tenant of texts that name none."""
_MIN_SECRET: Final = 16


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
