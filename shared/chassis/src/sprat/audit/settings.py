"""Settings of the audit: `SPRAT_AUDIT__KEY_FILE` and so on."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from sprat.audit.keys import HOW_TO_MAKE, SigningKey
from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings, Section


class AuditSettings(Section):
    """Which key signs the egress records, and where the checkpoints go."""

    key: Annotated[
        SecretStr | None, Field(description="Private key: PEM, or the base64 of DER in one line. Or give KEY_FILE.")
    ] = None
    key_file: Annotated[Path | None, Field(description="File with the private key in PEM.")] = None
    checkpoints: Annotated[Path | None, Field(description="Folder for checkpoints.")] = None
    kafka: Annotated[KafkaSettings | None, Field(description="Another Kafka, for checkpoints.")] = None
    checkpoint_every_s: Annotated[float, Field(ge=0.1, le=3600, description="Between two checkpoints.")] = 60.0

    @field_validator("key", "key_file", "checkpoints", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        """Read an empty variable as none: Compose cannot leave one out."""
        return None if isinstance(value, str) and not value.strip() else value

    def signing_key(self) -> SigningKey:
        """Return the private key.

        Raises:
            UserError: there is none, or it cannot be read: nothing leaves without an audit.
        """
        if self.key is not None:
            return SigningKey.read(self.key.get_secret_value().encode(), "SPRAT_AUDIT__KEY")
        if self.key_file is None:
            raise UserError(
                "SPRAT_AUDIT__KEY_FILE or SPRAT_AUDIT__KEY is not set: each record of what leaves is signed; "
                f"{HOW_TO_MAKE}, and give auditors what `openssl pkey -in audit-key.pem -pubout` writes"
            )
        try:
            text = self.key_file.read_bytes()
        except OSError as error:
            raise UserError(f"SPRAT_AUDIT__KEY_FILE: {self.key_file}: {error.strerror}; {HOW_TO_MAKE}") from None
        return SigningKey.read(text, f"SPRAT_AUDIT__KEY_FILE: {self.key_file}")
