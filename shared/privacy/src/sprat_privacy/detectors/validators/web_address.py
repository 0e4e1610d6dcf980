"""Web addresses that lead to a person or let somebody in; others are left as they are.

Personal are: credentials in the address; a path of a user, a profile or a share; a path on a network of people; a
long random segment (who has the address has what it shows); a query or fragment with a key, a session or a person.
"""

import re
from collections.abc import Iterator

from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "URL"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}+\Z")
_BARE = re.compile(r"(?<![\w@./-])(?:[A-Za-z0-9-]{1,63}+\.){1,6}+[A-Za-z]{2,24}+(?::[0-9]{1,5})?(?=[/?])")
_NO_URL = re.compile(r"[\s<>\"`{}|\\^\x00-\x1f]")
_CLOSING = {")": "(", "]": "[", "'": "'"}
_TRAILING = ".,;:!?'*_~…)]"

_PEOPLE_HOSTS = re.compile(
    r"(?:^|\.)(?:linkedin|facebook|fb|instagram|twitter|x|tiktok|threads|t|telegram|wa|whatsapp|github|gitlab|medium|"
    r"snapchat|vk|xing|reddit|youtube|pinterest|mastodon|bsky|paypal|venmo|calendly|flickr|soundcloud|twitch|"
    r"researchgate|orcid|keybase|discord|signal)\.(?:com|me|org|net|tv|app|social|de|io|link|gg|ru|site)$"
)
_PERSONAL_PATH = re.compile(
    r"/(?:~[^/]|@[^/]|(?:u|user|users|profile|profiles|member|members|people|person|home|account|accounts|customer|"
    r"customers|patient|patients|client|clients|employee|employees|share|shared|invite|reset|reset-password|verify|"
    r"unsubscribe|confirm|activate|token|webhooks?|services/T[A-Z0-9]+)[/=][^/?#])",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"/(?=[A-Za-z_-]{0,80}[0-9])(?=[0-9_-]{0,80}[A-Za-z])[A-Za-z0-9_-]{20,}")
_PERSONAL_QUERY = re.compile(
    r"[?&#;](?:[a-z0-9]{1,20}[_.-])?(?:access_?token|id_?token|token|api_?key|key|apikey|auth|authorization|code|secret|"
    r"password|passwd|pwd|pass|sig|signature|session(?:_?id)?|sid|jwt|otp|e-?mail|mail|phone|tel|mobile|user(?:_?name|_?id)?|"
    r"uid|login|name|first_?name|last_?name|customer(?:_?id)?|account|iban|ssn|dob|birth\w{0,5})=[^&#]",
    re.IGNORECASE,
)


def find(reading: Reading) -> Iterator[Hit]:
    """Give every personal address, with or without a scheme."""
    text = reading.text
    last = 0
    at = text.find("://")
    while at >= 0:
        scheme = _SCHEME.search(text, max(last, at - 16), at)
        end = _end(text, at + 3)
        if scheme is not None and end > at + 3 and _personal(text[at + 3 : end]):
            yield Hit(scheme.start(), end, TYPE)
        last = max(end, at + 3)
        at = text.find("://", last)
    for bare in _BARE.finditer(text):
        end = _end(text, bare.start())
        if _personal(text[bare.start() : end]):
            yield Hit(bare.start(), end, TYPE)


def _end(text: str, start: int) -> int:
    stop = _NO_URL.search(text, start)
    end = stop.start() if stop is not None else len(text)
    while end > start and text[end - 1] in _TRAILING:
        opening = _CLOSING.get(text[end - 1])
        if opening is not None and opening != "'" and opening in text[start:end]:
            break
        end -= 1
    return end


def _personal(address: str) -> bool:
    """Is an address, without its scheme, one of a person?"""
    authority = re.split(r"[/?#]", address, maxsplit=1)[0]
    user, has_user, host = authority.rpartition("@")
    rest = address[len(authority) :]
    if has_user and user:
        return True
    host = host.split(":")[0].lower().removeprefix("www.")
    if _PEOPLE_HOSTS.search(host) is not None and len(rest.strip("/")) > 0:
        return True
    path = re.split(r"[?#]", rest, maxsplit=1)[0]
    return (
        _PERSONAL_PATH.search(path) is not None
        or _RANDOM.search(path) is not None
        or _PERSONAL_QUERY.search(rest) is not None
        or "@" in rest
        or "%40" in rest
    )
