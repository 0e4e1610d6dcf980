"""Values that only services of this installation can read and write, wherever they are stored."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sprat.base.keys import Keys

_PURPOSE: Final = "sealed value"
_VERSION: Final = b"\x01"
_NONCE, _EXPIRY = 12, 8
"""Bytes: of the nonce as NIST SP 800-38D, 8.2.2, has it, and of the milliseconds since the epoch."""


class NotSealed(ValueError):
    """A value that this installation did not write under this name."""


class Expired(NotSealed):
    """A value of this installation whose time is over."""


class Seal:
    """Encrypts and authenticates values with AES-256-GCM.

    Each name has a key of its own. A value belongs to its name and to its time: whoever moves it to another name, keeps
    it longer or changes it makes it invalid.

    Args:
        keys: of the installation. During a rotation of the secret, values sealed with the other one are still opened.
        clock: returns seconds since the epoch.
    """

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock

    def seal(self, name: str, value: bytes, ttl_s: float) -> bytes:
        """Return the value as it may be stored under this name for so many seconds."""
        nonce = os.urandom(_NONCE)
        expiry = int((self._clock() + ttl_s) * 1000).to_bytes(_EXPIRY, "big")
        cipher = AESGCM(self._keys.current(_PURPOSE, name))
        return _VERSION + nonce + cipher.encrypt(nonce, expiry + value, name.encode())

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """Return the value.

        Raises:
            NotSealed: it was not written under this name with a secret of this installation.
            Expired: its time is over.
        """
        version, nonce, encrypted = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        if version != _VERSION or len(nonce) != _NONCE:
            raise NotSealed("not a sealed value")
        opened = self._opened(name, nonce, encrypted)
        if int.from_bytes(opened[:_EXPIRY], "big") <= self._clock() * 1000:
            raise Expired("its time is over")
        return opened[_EXPIRY:]

    def _opened(self, name: str, nonce: bytes, encrypted: bytes) -> bytes:
        for key in self._keys.accepted(_PURPOSE, name):
            with suppress(InvalidTag):
                return AESGCM(key).decrypt(nonce, encrypted, name.encode())
        raise NotSealed("changed, moved, or sealed with another secret")
