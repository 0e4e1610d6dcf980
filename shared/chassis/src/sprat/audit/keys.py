"""Ed25519 keys of the audit, and the signatures that they make."""

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sprat.base.errors import UserError

RECORD: Final = b"sprat egress record\0"
CHECKPOINT: Final = b"sprat audit checkpoint\0"
"""What is signed: a signature for one purpose is none for the other."""
AUDIT_FOLDER: Final = "audit"
"""In the folder of a local installation: holds its keys and its checkpoints, under the next two names."""
PUBLIC_KEY: Final = "public.pem"
CHECKPOINTS: Final = "checkpoints"
_PRIVATE_KEY: Final = "key.pem"
HOW_TO_MAKE: Final = "make one with `openssl genpkey -algorithm ed25519 -out audit-key.pem`"

_ALGORITHM: Final = b"ed25519"
_ID: Final = 16


class BadSignature(ValueError):
    """A signature that does not belong to the value, or is none."""

    def __init__(self, why: str, *, names_key: bool = False) -> None:
        super().__init__(why)
        self.names_key = names_key
        """Whether it has the id of a key that the auditor has."""


class UnknownKey(BadSignature):
    """A signature of a key that the auditor does not have."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"signed with the key {key_id}, which is none of the given ones")
        self.key_id = key_id


class SigningKey:
    """A private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = key_id(key.public_key())

    @classmethod
    def read(cls, text: bytes, name: str) -> Self:
        """Read a key in PEM, or the base64 of one in DER; `name` is the setting's, for the error.

        Raises:
            UserError: it is no Ed25519 key, or it is encrypted. The message holds nothing of it.
        """
        try:
            if b"-----BEGIN" in text:
                key = serialization.load_pem_private_key(text.replace(b"\\n", b"\n"), None)
            else:
                key = serialization.load_der_private_key(base64.b64decode(b"".join(text.split()), validate=True), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UserError(f"{name}: not an Ed25519 private key in PEM, without a password; {HOW_TO_MAKE}") from None
        return cls(key)

    @classmethod
    def generate(cls) -> Self:
        """Return a new key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def pem(self) -> bytes:
        """The private key in PEM, for a file that only its owner reads."""
        return self._private(serialization.Encoding.PEM)

    @property
    def der_base64(self) -> str:
        """The private key in one line, for a variable."""
        return base64.b64encode(self._private(serialization.Encoding.DER)).decode()

    def _private(self, encoding: serialization.Encoding) -> bytes:
        return self._key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def sign(self, purpose: bytes, value: bytes) -> bytes:
        """Return the signature as it stands in a header: algorithm, id of the key, base64."""
        return b" ".join((_ALGORITHM, self.id.encode(), base64.b64encode(self._key.sign(purpose + value))))


class PublicKeys:
    """The keys that an auditor has: of rotated ones, too."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Self:
        """Read one key in PEM from each file.

        Raises:
            UserError: a file cannot be read, or holds no Ed25519 public key.
        """
        return cls(_read_public_key(path) for path in paths)

    def check(self, purpose: bytes, value: bytes, signature: bytes) -> str:
        """Return the id of the key that signed the value.

        Raises:
            UnknownKey: a key that is not here says that it did.
            BadSignature: none did.
        """
        algorithm, _, rest = signature.partition(b" ")
        identity, _, encoded = rest.partition(b" ")
        name = identity.decode("ascii", "replace")
        key = self._keys.get(name)
        if algorithm != _ALGORITHM or not encoded:
            raise BadSignature("not a signature of this version", names_key=key is not None)
        if key is None:
            raise UnknownKey(name[:_ID])
        try:
            key.verify(base64.b64decode(encoded, validate=True), purpose + value)
        except (InvalidSignature, binascii.Error):
            raise BadSignature("the signature does not belong to this value", names_key=True) from None
        return name


def load_or_create_key(folder: Path) -> Path:
    """Return the file of the private key in a folder, made on the first run; beside it is the public one.

    Only its owner can read either.
    """
    path = folder / _PRIVATE_KEY
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        key = SigningKey.generate()
        # The private key last: where it is, the other one is, too.
        for name, content in ((PUBLIC_KEY, key.public_pem), (path.name, key.pem)):
            new = folder / f".{name}.{os.getpid()}"
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            new.replace(folder / name)
    return path


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the key: enough to tell keys apart."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:_ID]


def _read_public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise UserError(f"--public-key {path}: cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(
            f"--public-key {path}: not an Ed25519 public key in PEM; `openssl pkey -in audit-key.pem -pubout` writes it"
        )
    return key
