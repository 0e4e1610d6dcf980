"""Signatures of texts: an HMAC by which the services know that a text is its tenant's.

The signature is `v1=` and the lower-case hex of HMAC-SHA-256. What it authenticates are 150 bytes: the 22 bytes
`sprat text signature 1` in ASCII, and four SHA-256 digests of 32 bytes each: of the tenant, of `ce_source` and of
`ce_id` in UTF-8, and of the bytes of the record's value. Each part has a fixed length, so no two texts have
the same bytes, and whoever knows the digest of a value can verify without the value. `test_vectors.json` beside the
schemas holds examples.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sprat_contracts.base import Part

SIGNATURE_HEADER: Final = "sprat_text_signature"
"""The header of a signed text."""

MIN_KEY_BYTES: Final = 32

_CONTEXT: Final = b"sprat text signature 1"
_FORM: Final = r"^[!-~]{1,256}$"
"""Of any signature: a later version may have another than this one."""


class TextSignature(Part):
    """A text's signature as its sender gave it, with the digest of the value that it is for."""

    signature: Annotated[str, Field(pattern=_FORM, description="Header `sprat_text_signature` of the text.")]
    value_sha256: Annotated[
        str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the bytes of the text's record, in hex.")
    ]

    def is_by(self, keys: Iterable[bytes], tenant: str, source: str, id: str) -> bool:
        """Return whether one of the keys made this signature for this text; takes the same time for each wrong one."""
        signed, given = _signed(tenant, source, id, bytes.fromhex(self.value_sha256)), self.signature.encode()
        return any(hmac.compare_digest(given, _signature(key, signed)) for key in keys)


def sign(key: bytes, tenant: str, source: str, id: str, value: bytes) -> bytes:
    """Return the header `sprat_text_signature` of a text.

    Args:
        key: the tenant's key, at least 32 bytes: the bytes of the variable that the policy names.
        tenant: as in the text; `default` where it has none.
        source: header `ce_source`.
        id: header `ce_id`.
        value: the value of the record, as it is sent.

    Raises:
        ValueError: the key is too short.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; a signature needs at least {MIN_KEY_BYTES}")
    return _signature(key, _signed(tenant, source, id, hashlib.sha256(value).digest()))


def signature_of(header: str | None, value: bytes | None) -> TextSignature | None:
    """Return what a record says about its signature; None where it has none, or what cannot be one."""
    if header is None or value is None or re.fullmatch(_FORM, header) is None:
        return None
    return TextSignature(signature=header, value_sha256=hashlib.sha256(value).hexdigest())


def _signed(tenant: str, source: str, id: str, value_digest: bytes) -> bytes:
    """Return what a signature authenticates."""
    return _CONTEXT + b"".join(hashlib.sha256(each.encode()).digest() for each in (tenant, source, id)) + value_digest


def _signature(key: bytes, signed: bytes) -> bytes:
    return b"v1=" + hmac.digest(key, signed, "sha256").hex().encode()
