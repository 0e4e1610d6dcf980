"""Personal web addresses, IP addresses and MAC addresses.

A web address is personal if it leads to a person or grants access: credentials in the address; the path of a user, a
profile or a share; a path on a social network; a long random segment (whoever has the address has what it shows); a
query or fragment with a key, a session or a person. Other web addresses are not masked. Nor are the IP addresses
(versions 4 and 6) that identify nobody: loopback and unspecified; nor such MAC addresses: all zeros, all ones.
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText, any_word

URL = "URL"
IP = "IP"
MAC = "MAC"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}+\Z")
_BARE = re.compile(r"(?<![\w@./-])(?:[A-Za-z0-9-]{1,63}+\.){1,6}+[A-Za-z]{2,24}+(?::[0-9]{1,5})?(?=[/?])")
_NO_URL = re.compile(r"[\s<>\"`{}|\\^\x00-\x1f]")
_CLOSING = {")": "(", "]": "[", "'": "'"}
_TRAILING = ".,;:!?'*_~…)]"

_SOCIAL_HOSTS = re.compile(
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


def find_web_addresses(source: PreparedText) -> Iterator[Hit]:
    """Find every personal web address, with or without a scheme."""
    text = source.text
    last = 0
    at = text.find("://")
    while at >= 0:
        scheme = _SCHEME.search(text, max(last, at - 16), at)
        end = _url_end(text, at + 3)
        if scheme is not None and end > at + 3 and _is_personal_url(text[at + 3 : end]):
            yield Hit(scheme.start(), end, URL)
        last = max(end, at + 3)
        at = text.find("://", last)
    for bare in _BARE.finditer(text):
        end = _url_end(text, bare.start())
        if _is_personal_url(text[bare.start() : end]):
            yield Hit(bare.start(), end, URL)


def _url_end(text: str, start: int) -> int:
    stop = _NO_URL.search(text, start)
    end = stop.start() if stop is not None else len(text)
    while end > start and text[end - 1] in _TRAILING:
        opening = _CLOSING.get(text[end - 1])
        if opening is not None and opening != "'" and opening in text[start:end]:
            break
        end -= 1
    return end


def _is_personal_url(address: str) -> bool:
    """Return whether an address, given without its scheme, is personal."""
    authority = re.split(r"[/?#]", address, maxsplit=1)[0]
    user, has_user, host = authority.rpartition("@")
    rest = address[len(authority) :]
    if has_user and user:
        return True
    host = host.split(":")[0].lower().removeprefix("www.")
    if _SOCIAL_HOSTS.search(host) is not None and len(rest.strip("/")) > 0:
        return True
    path = re.split(r"[?#]", rest, maxsplit=1)[0]
    return (
        _PERSONAL_PATH.search(path) is not None
        or _RANDOM.search(path) is not None
        or _PERSONAL_QUERY.search(rest) is not None
        or "@" in rest
        or "%40" in rest
    )


_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}+\.){3}[0-9]{1,3}+(?!\w|\.[0-9])")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,}+")
_LONGEST_IPV6 = 45
"""Length of `::ffff:255.255.255.255` in full, the longest notation."""


def find_ip_addresses(source: PreparedText) -> Iterator[Hit]:
    """Find every IP address but loopback and unspecified ones."""
    text = source.text
    for match in _IPV4.finditer(text):
        if _is_personal_ip(IPv4Address, match.group()):
            yield Hit(match.start(), match.end(), IP)
    if text.count(":") < 2:
        return
    for run in _IPV6.finditer(text):
        start, end = _trim_colons(run.group(), run.start())
        if end - start <= _LONGEST_IPV6 and text.count(":", start, end) >= 2 and _is_ipv6(text, start, end):
            yield Hit(start, end, IP)


def _trim_colons(run: str, start: int) -> tuple[int, int]:
    """Return the span without a colon before it, and without the colon and full stops after it."""
    if run.startswith(":") and not run.startswith("::"):
        run, start = run[1:], start + 1
    run = run.rstrip(".")
    if run.endswith(":") and not run.endswith("::"):
        run = run[:-1]
    return start, start + len(run)


def _is_ipv6(text: str, start: int, end: int) -> bool:
    before_free = start == 0 or not (text[start - 1].isalnum() and text[start] != ":") or text[start - 1] == ":"
    after_free = end == len(text) or not text[end].isalnum()
    address = text[start:end]
    has_digit = any(character.isdigit() for character in address)
    glued = address.startswith("::") and start > 0 and text[start - 1].isalnum()
    return before_free and after_free and has_digit and not glued and _is_personal_ip(IPv6Address, address)


def _is_personal_ip(version: type[IPv4Address] | type[IPv6Address], written: str) -> bool:
    try:
        # ipaddress refuses leading zeros, as some programs read them as octal; people write them nevertheless.
        address = version(
            re.sub(r"(?<![0-9A-Fa-f.])0+(?=[0-9])|(?<=\.)0+(?=[0-9])", "", written)
            if version is IPv4Address
            else written
        )
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


_MAC = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}(?P<by>[:-])(?:[0-9A-Fa-f]{2}(?P=by)){4}[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?!\w|[:.-]\w)"
)
_MAC_WORDS = any_word(
    "mac", "mac address*", "mac-adress*", "hardware address*", "ethernet", "wlan", "wifi", "wi-fi", "bssid"
)


def find_mac_addresses(source: PreparedText) -> Iterator[Hit]:
    """Find every MAC address (EUI-48), in pairs or, as Cisco writes it, in three groups.

    One of digits alone without colons could be any number: it needs a word for it near it.
    """
    text = source.text
    for match in _MAC.finditer(text):
        digits = re.sub(r"[^0-9A-Fa-f]", "", match.group())
        certain = match["by"] == ":" or not digits.isdigit() or source.near(match.start(), match.end(), _MAC_WORDS)
        if certain and digits.lower() not in {"0" * 12, "f" * 12}:
            yield Hit(match.start(), match.end(), MAC)
