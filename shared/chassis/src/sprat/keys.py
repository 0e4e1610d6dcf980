"""Keys derived from the secret of an installation: one for each purpose, so that none can stand in for another.

A key is HMAC-SHA-256 of the secret over purpose and name. During a rotation two secrets are valid: everything is
written with the current one, and what was written with the other is still read.
"""

import hashlib
import hmac

from pydantic import SecretStr


class Keys:
    """The keys of an installation.

    Args:
        secret: what is written is written with its keys.
        previous: the other secret that is valid during a rotation, for reading alone; None where there is none.
    """

    def __init__(self, secret: SecretStr, previous: SecretStr | None = None) -> None:
        secrets = (secret,) if previous is None else (secret, previous)
        self._secrets = tuple(each.get_secret_value().encode() for each in secrets)

    def current(self, purpose: str, name: str = "") -> bytes:
        """Return the key of 32 bytes to write with; a name tells apart keys of one purpose."""
        return _derive(self._secrets[0], purpose, name)

    def accepted(self, purpose: str, name: str = "") -> tuple[bytes, ...]:
        """Return the keys to read with: the current one first."""
        return tuple(_derive(secret, purpose, name) for secret in self._secrets)


def _derive(secret: bytes, purpose: str, name: str) -> bytes:
    return hmac.digest(secret, f"{purpose}\0{name}".encode(), hashlib.sha256)
