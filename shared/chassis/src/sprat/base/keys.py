"""Keys derived from the secret of an installation: one for each purpose, so that none can stand in for another.

A key is HMAC-SHA-256 of the secret over purpose and name. During a rotation two secrets are valid: everything is
written with the current one, and what was written with the other is still read.
"""

import hashlib
import hmac
import json

from pydantic import SecretStr

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: `json.dumps` makes an encoder for each call, in half of the time that a hash takes."""


class KeyedHash:
    """HMAC-SHA-256 over a sequence of strings. Without the key, a hash reveals nothing of the text.

    The strings are hashed as a JSON array, so that no two sequences have the same input.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, *parts: str) -> str:
        """Return 64 hexadecimal digits."""
        message = _json(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256).hex()


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

    @property
    def keyed_hash(self) -> KeyedHash:
        """The hash that names things. After a rotation, nothing is found under an earlier one."""
        return self.accepted_hashes[0]

    @property
    def accepted_hashes(self) -> tuple[KeyedHash, ...]:
        """The hashes to search with for what is there: the current one first."""
        return tuple(KeyedHash(key) for key in self.accepted("keyed hash"))


def _derive(secret: bytes, purpose: str, name: str) -> bytes:
    return hmac.digest(secret, f"{purpose}\0{name}".encode(), hashlib.sha256)
