"""Keyed hashes: cache keys and the like say nothing of the text to who does not hold the secret."""

import hashlib
import hmac
import json

from pydantic import SecretStr


class KeyedHash:
    """HMAC-SHA-256 over a sequence of strings, unambiguous about where one ends and the next begins."""

    def __init__(self, secret: SecretStr) -> None:
        self._key = secret.get_secret_value().encode()

    def __call__(self, *parts: str) -> str:
        """Give 64 hexadecimal digits."""
        message = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256).hex()
