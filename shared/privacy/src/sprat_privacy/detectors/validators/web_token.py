"""JSON Web Tokens (RFC 7519), signed or encrypted: a header that decodes to a JSON object with `alg`."""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator

from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "TOKEN"

_TOKEN = re.compile(r"(?<![A-Za-z0-9_.-])(e[wy][A-Za-z0-9_-]{8,}+)(?:\.[A-Za-z0-9_-]*+){1,4}+")
_MAX_HEADER = 4096


def find(reading: Reading) -> Iterator[Hit]:
    """Give every token with a header that is one; also an unsigned or cut-off one."""
    for token in _TOKEN.finditer(reading.text):
        if _is_header(token[1]):
            yield Hit(token.start(), token.start() + len(token.group().rstrip(".")), TYPE)


def _is_header(part: str) -> bool:
    if len(part) > _MAX_HEADER:
        return False
    try:
        header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header
