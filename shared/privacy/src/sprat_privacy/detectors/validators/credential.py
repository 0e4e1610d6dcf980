"""Credentials that are said to be some: `Authorization: Bearer …`, `password=…`, `API_KEY: …`."""

import re
from collections.abc import Iterator

from sprat_privacy.detectors.validators.reading import Hit, Reading

BEARER_TYPE = "TOKEN"
TYPE = "SECRET"

_BEARER = re.compile(r"\b(?:bearer|token)[ \t]{1,4}([A-Za-z0-9._~+/-]{16,}+=*+)", re.IGNORECASE)
_BASIC = re.compile(
    r"\bauthorization[\"']?[ \t]{0,4}:[ \t]{0,4}[\"']?(?:[A-Za-z]{3,16} )?([A-Za-z0-9._~+/:-]{8,}+=*+)", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,24}[_-]){0,4}+(?:api ?key|accesskey|secretkey|secret|authtoken|accesstoken|"
    r"token|key|password|passwd|passphrase|passwort|kennwort|"
    r"mot de passe|contraseña|wachtwoord|senha|hasło|heslo|lösenord|salasana|pwd)"
    r"[\"']?[ \t]{0,4}(?::=|=>|=|:| is | ist | lautet | est | es | è | is:)[ \t]{0,4}[\"'`]?"
    r"([^\s\"'`,;<>]{6,}+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+[.!?:]*\Z")


def find(reading: Reading) -> Iterator[Hit]:
    """Give what stands behind the words, where it is no ordinary word."""
    text = reading.text
    for pattern in (_BEARER, _BASIC):
        for match in pattern.finditer(text):
            value = match[1]
            if any(map(str.isdigit, value)) or len(value) >= 32:
                yield Hit(match.start(1), match.end(1), BEARER_TYPE)
    for match in _ASSIGNED.finditer(text):
        value = match[1].rstrip(".):]}")
        if (
            len(value) >= 6
            and _WORD.match(value) is None
            and not value.startswith(("[", "http://", "https://", "{", "<"))
        ):
            yield Hit(match.start(1), match.start(1) + len(value), TYPE)
