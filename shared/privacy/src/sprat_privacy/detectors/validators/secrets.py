"""Secrets: API keys of well-known services, JSON Web Tokens, private keys, and credentials after a word for them.

Every quantifier in these patterns is bounded or possessive, so time is linear in the length of the text.
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Final

from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText

PRIVATE_KEY = "PRIVATE_KEY"
API_KEY = "API_KEY"
TOKEN = "TOKEN"  # noqa: S105 - the name of a type
SECRET = "SECRET"  # noqa: S105 - as above

# API keys

_W: Final = "[A-Za-z0-9_-]"
_A: Final = "[A-Za-z0-9]"
_H: Final = "[0-9a-f]"
_UUID: Final = f"{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}"

KEY_FORMATS: Final[dict[str, str]] = {
    # clouds
    "aws access key": r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|A3T[A-Z0-9])[A-Z0-9]{16}",
    "aws bedrock": r"ABSK[A-Za-z0-9+/]{60,300}+={0,2}",
    "aws mws": rf"amzn\.mws\.{_UUID}",
    "google api key": rf"AIza{_W}{{35}}",
    "google oauth secret": rf"GOCSPX-{_W}{{28}}",
    "google access token": r"ya29\.[A-Za-z0-9_.-]{20,2000}+",
    "google refresh token": rf"1//0{_W}{{30,200}}+",
    "azure client secret": r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
    "azure storage key": r"(?<=AccountKey=)[A-Za-z0-9+/]{40,88}+={0,2}",
    "azure shared access": r"(?<=SharedAccessKey=)[A-Za-z0-9+/]{40,88}+={0,2}",
    "azure openai": rf"{_A}{{52}}JQQJ9{_A}{{20,30}}",
    "digitalocean": rf"do[oprs]_v1_{_H}{{64}}",
    "alibaba": rf"LTAI{_A}{{12,24}}",
    "tencent": rf"AKID{_A}{{32}}",
    "yandex": rf"AQVN{_W}{{35,38}}",
    "fly": r"fo1_[A-Za-z0-9_-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{60,}+={0,3}",
    "heroku": rf"HRKU-(?:AA{_W}{{58}}|{_UUID})",
    "render": rf"rnd_{_A}{{28,40}}",
    "netlify": rf"nfp_{_A}{{36,40}}",
    "vercel": rf"vc[pakir]_{_A}{{24,60}}+",
    "cloudflare origin": r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",
    "databricks": rf"dapi{_H}{{32}}(?:-[0-9])?",
    # source code and packages
    "github": rf"gh[opusr]_{_A}{{36,255}}+",
    "github fine-grained": r"github_pat_[A-Za-z0-9_]{59,255}+",
    "gitlab": rf"gl(?:pat|dt|rt|rtr|ptt|ft|soat|cbt|agent|imt|oas|ffct|wt)-{_W}{{20,300}}+",
    "gitlab runner": rf"GR1348941{_W}{{20,50}}+",
    "bitbucket": rf"ATBB{_A}{{32}}",
    "atlassian": r"AT(?:AT|CT)T3x?[A-Za-z0-9_=-]{60,400}+",
    "npm": rf"npm_{_A}{{36}}",
    "pypi": rf"pypi-AgE{_W}{{50,1000}}+",
    "rubygems": rf"rubygems_{_H}{{48}}",
    "cargo": rf"cio{_A}{{32}}",
    "nuget": r"oy2[a-z0-9]{43}",
    "clojars": r"CLOJARS_[a-z0-9]{60}",
    "docker": rf"dckr_[po]at_{_W}{{27,60}}+",
    "sentry": rf"sntr(?:yu_{_H}{{64}}|ys_[A-Za-z0-9+/=_-]{{60,500}}+)",
    "postman": rf"PMAK-{_H}{{24}}-{_H}{{34}}",
    "pulumi": rf"pul-{_H}{{40}}",
    "terraform": rf"{_A}{{14}}\.atlasv1\.[A-Za-z0-9_=-]{{60,70}}",
    "vault": rf"hv[sbr]\.{_W}{{24,300}}+",
    "doppler": r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,60}+",
    "1password": rf"ops_eyJ{_W}{{100,2000}}+={{0,2}}",
    "age": r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    # language models
    "openai": rf"sk-(?:proj|svcacct|admin|None)-{_W}{{20,300}}+|sk-{_A}{{20}}T3BlbkFJ{_A}{{20}}",
    "anthropic": rf"sk-ant-[a-z]{{2,10}}[0-9]{{2}}-{_W}{{24,200}}+",
    "openrouter": rf"sk-or-v1-{_H}{{64}}",
    "langfuse": rf"[sp]k-lf-{_UUID}",
    "sk-": rf"sk-{_A}{{32,64}}+",
    "hugging face": rf"(?:hf|api_org)_{_A}{{34,40}}",
    "groq": rf"gsk_{_A}{{52}}",
    "xai": rf"xai-{_A}{{70,90}}",
    "perplexity": rf"pplx-{_A}{{40,60}}+",
    "replicate": rf"r8_{_A}{{37}}",
    "nvidia": rf"nvapi-{_W}{{60,80}}+",
    "together": rf"tgp_v1_{_W}{{40,60}}+",
    "fireworks": rf"fw_{_A}{{22,40}}",
    "langsmith": rf"lsv2_(?:pt|sk)_{_H}{{32}}_{_H}{{10}}",
    "pinecone": r"pcsk_[A-Za-z0-9_]{50,80}+",
    # payments
    "stripe": rf"(?:sk|rk|pk)_(?:live|test)_{_A}{{10,200}}+|whsec_[A-Za-z0-9+/]{{24,80}}+={{0,2}}",
    "square": rf"sq0(?:atp|csp|idp|idb)-{_W}{{22,43}}|EAAA{_W}{{60}}",
    "paypal": rf"access_token\$(?:production|sandbox)\$[0-9a-z]{{16}}\${_H}{{32}}",
    "plaid": rf"access-(?:sandbox|development|production)-{_UUID}",
    "shopify": rf"shp(?:at|ca|pa|ss)_{_H}{{32}}",
    "easypost": rf"EZ[AT]K{_A}{{54}}",
    "flutterwave": rf"FLW(?:SECK|PUBK)(?:_TEST)?-{_A}{{12,40}}(?:-X)?",
    # messaging
    "slack": r"xox[abeprs]-[A-Za-z0-9-]{10,250}+|xapp-[0-9]-[A-Za-z0-9-]{10,250}+",
    "slack, rotating": r"xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]{100,200}+",
    "twilio": rf"(?:SK|AC){_H}{{32}}",
    "sendgrid": rf"SG\.{_W}{{16,32}}\.{_W}{{16,64}}",
    "mailgun": rf"key-{_H}{{32}}|{_H}{{32}}-{_H}{{8}}-{_H}{{8}}",
    "mailchimp": rf"{_H}{{32}}-us[0-9]{{1,2}}",
    "brevo": rf"x(?:keysib|smtpsib)-{_H}{{64}}-{_A}{{16}}",
    "resend": rf"re_{_A}{{8}}_{_A}{{20,30}}",
    "telegram": rf"[0-9]{{8,10}}:AA{_W}{{33}}",
    "discord": rf"[MNO]{_W}{{23,27}}\.{_W}{{6}}\.{_W}{{27,45}}",
    "facebook": rf"EAA[A-Z]{_A}{{60,300}}+",
    # office
    "atlassian, notion, linear": rf"ntn_{_A}{{43,50}}|secret_{_A}{{43}}|lin_(?:api|oauth)_{_A}{{40,64}}",
    "airtable": rf"pat{_A}{{14}}\.{_H}{{64}}",
    "figma": rf"fig[dour]_{_W}{{40,60}}+",
    "hubspot": rf"pat-(?:na|eu|ap)[0-9]-{_UUID}",
    "typeform": rf"tfp_{_W}{{40,60}}+",
    "contentful": rf"CFPAT-{_W}{{43}}",
    "mapbox": r"[ps]k\.eyJ[A-Za-z0-9_-]{20,200}+\.[A-Za-z0-9_-]{20,60}+",
    # monitoring, databases
    "grafana": rf"glsa_{_A}{{32}}_{_H}{{8}}|glc_[A-Za-z0-9+/]{{32,400}}+={{0,2}}",
    "new relic": r"NRAK-[A-Z0-9]{27}|NRJS-[0-9a-f]{19}|NRII-[A-Za-z0-9_-]{32}",
    "dynatrace": r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "supabase": rf"sbp_{_H}{{40}}|sb_secret_{_W}{{22,60}}+",
    "planetscale": r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}+",
    "neon": rf"napi_{_A}{{60,70}}+",
    "prefect": rf"pn[ub]_{_A}{{36}}",
}
"""Service → form of its keys and tokens, by the prefixes that the service chose so that keys can be found.

Documented checksums (GitHub, npm: a CRC-32 in six base-62 digits) are not verified: a key with a mistyped character is
still a secret. Sources: the services' documentation, and the facts in the rules of gitleaks and GitHub secret scanning.
"""

_KEY_CHARACTERS = re.compile(r"[A-Za-z0-9_+/=.:$~-]{16,}+")
"""No key is shorter than this, so ordinary words cost one comparison."""
_KEY = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(KEY_FORMATS.values()) + r")(?![A-Za-z0-9])")


def find_api_keys(source: PreparedText) -> Iterator[Hit]:
    """Find every API key between separators."""
    for run in _KEY_CHARACTERS.finditer(source.text):
        for key in _KEY.finditer(source.text, run.start(), run.end()):
            yield Hit(key.start(), key.end(), API_KEY)


# JSON Web Tokens

_WEB_TOKEN = re.compile(r"(?<![A-Za-z0-9_.-])(e[wy][A-Za-z0-9_-]{8,}+)(?:\.[A-Za-z0-9_-]*+){1,4}+")
_LONGEST_TOKEN_HEADER = 4096


def find_web_tokens(source: PreparedText) -> Iterator[Hit]:
    """Find every JSON Web Token (RFC 7519), signed, encrypted, unsigned or cut off.

    Its header must decode to a JSON object with `alg`.
    """
    for token in _WEB_TOKEN.finditer(source.text):
        if _is_token_header(token[1]):
            yield Hit(token.start(), token.start() + len(token.group().rstrip(".")), TOKEN)


def _is_token_header(part: str) -> bool:
    if len(part) > _LONGEST_TOKEN_HEADER:
        return False
    try:
        header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


# Private keys

_PEM_BEGIN = re.compile(r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_PEM_END = re.compile(r"-{4,5} ?END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_PUTTY = re.compile(r"PuTTY-User-Key-File-[0-9]: ")
_PUTTY_END = re.compile(r"Private-MAC: [0-9a-f]{40,64}")
_KEY_BODY = re.compile(
    r"(?:(?:\\n|\\r|[\s>|*-])*+(?:[A-Za-z0-9+/=]{16,}+|[A-Z][A-Za-z-]{2,20}: [^\n]*+|=[A-Za-z0-9+/]{4}))*+"
    r"(?:(?:\\n|\r?\n)[A-Za-z0-9+/]{1,15}={0,2}(?![A-Za-z]))?"
)
"""What follows the beginning of a key without an end: headers and lines of base 64."""


def find_private_keys(source: PreparedText) -> Iterator[Hit]:
    """Find every private key in armour (PEM of RFC 7468, OpenSSH, PGP, PuTTY), also one that is cut off."""
    text = source.text
    if "PRIVATE KEY" not in text and "PuTTY" not in text:
        return
    for begin, end in ((_PEM_BEGIN, _PEM_END), (_PUTTY, _PUTTY_END)):
        last = 0
        ends = [match.end() for match in end.finditer(text)]
        while (key := begin.search(text, last)) is not None:
            while ends and ends[0] < key.end():
                ends.pop(0)
            last = _private_key_end(text, key.end(), ends[0] if ends else None, begin)
            yield Hit(key.start(), last, PRIVATE_KEY)


def _private_key_end(text: str, start: int, end: int | None, begin: re.Pattern[str]) -> int:
    """Return where a key ends: at its end mark, unless another key begins before that; else after its base 64."""
    next_key = begin.search(text, start, end) if end is not None else None
    if end is not None and next_key is None:
        return end
    body = _KEY_BODY.match(text, start)
    return body.end() if body is not None else start


# Credentials: `Authorization: Bearer …`, `password=…`, `API_KEY: …`

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


def find_credentials(source: PreparedText) -> Iterator[Hit]:
    """Find the value after a word for a credential, unless it is an ordinary word."""
    text = source.text
    for pattern in (_BEARER, _BASIC):
        for match in pattern.finditer(text):
            value = match[1]
            if any(map(str.isdigit, value)) or len(value) >= 32:
                yield Hit(match.start(1), match.end(1), TOKEN)
    for match in _ASSIGNED.finditer(text):
        value = match[1].rstrip(".):]}")
        if (
            len(value) >= 6
            and _WORD.match(value) is None
            and not value.startswith(("[", "http://", "https://", "{", "<"))
        ):
            yield Hit(match.start(1), match.start(1) + len(value), SECRET)
