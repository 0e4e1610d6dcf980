"""Values that only services of this installation can read and write, wherever they are stored."""

import hashlib
import hmac
import os
import time
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

_VERSION: Final = b"\x01"
_NONCE, _EXPIRY = 12, 8
"""Bytes: of the nonce as NIST SP 800-38D, 8.2.2, has it, and of the milliseconds since the epoch."""


class NotSealed(ValueError):
    """A value that this installation did not write under this name."""


class Expired(NotSealed):
    """A value of this installation whose time is over."""


class Seal:
    """Encrypts and authenticates values with AES-256-GCM.

    Each name has a key of its own, derived from the secret by HMAC-SHA-256. A value belongs to its name and to its
    time: whoever moves it to another name, keeps it longer or changes it makes it invalid.

    Args:
        secret: of the installation.
        clock: returns seconds since the epoch.
    """

    def __init__(self, secret: SecretStr, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.get_secret_value().encode()
        self._clock = clock

    def seal(self, name: str, value: bytes, ttl_s: float) -> bytes:
        """Return the value as it may be stored under this name for so many seconds."""
        nonce = os.urandom(_NONCE)
        expiry = int((self._clock() + ttl_s) * 1000).to_bytes(_EXPIRY, "big")
        return _VERSION + nonce + self._cipher(name).encrypt(nonce, expiry + value, name.encode())

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """Return the value.

        Raises:
            NotSealed: it was not written under this name with this secret.
            Expired: its time is over.
        """
        version, nonce, encrypted = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        if version != _VERSION or len(nonce) != _NONCE:
            raise NotSealed("not a sealed value")
        try:
            opened = self._cipher(name).decrypt(nonce, encrypted, name.encode())
        except InvalidTag:
            raise NotSealed("changed, moved, or sealed with another secret") from None
        if int.from_bytes(opened[:_EXPIRY], "big") <= self._clock() * 1000:
            raise Expired("its time is over")
        return opened[_EXPIRY:]

    def _cipher(self, name: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, b"sealed value\0" + name.encode(), hashlib.sha256))
