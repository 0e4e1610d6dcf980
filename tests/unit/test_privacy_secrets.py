"""Keys, tokens and other secrets: found by their prefixes, by their armour, by the words before them."""

import json
import random
import string
from base64 import urlsafe_b64encode

import pytest

from sprat_privacy.detectors.validators.suite import Validators

HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
UUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

# Service, prefix, alphabet and length of what follows, ending. The values are random: none of them is a real key.
FORMATS = [
    ("aws", "AKIA", UPPER, 16, ""), ("aws session", "ASIA", UPPER, 16, ""), ("google", "AIza", ALNUM, 35, ""),
    ("google oauth", "GOCSPX-", ALNUM, 28, ""), ("google access", "ya29.", ALNUM, 120, ""),
    ("azure client", "abc8Q~", ALNUM, 34, ""), ("digitalocean", "dop_v1_", HEX, 64, ""),
    ("databricks", "dapi", HEX, 32, ""), ("github", "ghp_", ALNUM, 36, ""), ("github app", "ghs_", ALNUM, 36, ""),
    ("github fine", "github_pat_", ALNUM, 82, ""), ("gitlab", "glpat-", ALNUM, 20, ""),
    ("npm", "npm_", ALNUM, 36, ""), ("pypi", "pypi-AgEIcHlwaS5vcmc", ALNUM, 120, ""),
    ("rubygems", "rubygems_", HEX, 48, ""), ("docker", "dckr_pat_", ALNUM, 27, ""),
    ("sentry", "sntrys_", ALNUM, 90, ""), ("vault", "hvs.", ALNUM, 90, ""),
    ("atlassian", "ATATT3xFfGF0", ALNUM, 180, ""), ("openai", "sk-proj-", ALNUM, 120, ""),
    ("openai old", "sk-", ALNUM, 48, ""), ("anthropic", "sk-ant-api03-", ALNUM, 93, "AA"),
    ("hugging face", "hf_", ALNUM, 34, ""), ("groq", "gsk_", ALNUM, 52, ""), ("replicate", "r8_", ALNUM, 37, ""),
    ("openrouter", "sk-or-v1-", HEX, 64, ""), ("stripe", "sk_live_", ALNUM, 24, ""),
    ("stripe restricted", "rk_test_", ALNUM, 99, ""), ("square", "sq0atp-", ALNUM, 22, ""),
    ("shopify", "shpat_", HEX, 32, ""), ("slack bot", "xoxb-123456789012-123456789012-", ALNUM, 24, ""),
    ("slack app", "xapp-1-A0123456789-", ALNUM, 64, ""), ("twilio", "SK", HEX, 32, ""),
    ("twilio account", "AC", HEX, 32, ""), ("sendgrid", "SG." + "a" * 22 + ".", ALNUM, 43, ""),
    ("mailgun", "key-", HEX, 32, ""), ("mailchimp", "", HEX, 32, "-us21"),
    ("brevo", "xkeysib-" + "a1" * 32 + "-", ALNUM, 16, ""), ("telegram", "1234567890:AA", ALNUM, 33, ""),
    ("airtable", "pat" + "a" * 14 + ".", HEX, 64, ""), ("figma", "figd_", ALNUM, 40, ""),
    ("linear", "lin_api_", ALNUM, 40, ""), ("grafana", "glsa_" + "a" * 32 + "_", HEX, 8, ""),
    ("new relic", "NRAK-", UPPER, 27, ""), ("supabase", "sbp_", HEX, 40, ""), ("hubspot", "pat-eu1-", UUID, 0, UUID),
    ("dynatrace", "dt0c01." + "A" * 24 + ".", UPPER, 64, ""),
    ("age", "AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, ""),
]  # fmt: skip


def found(text: str) -> dict[str, str]:
    """Return the detected values and their types."""
    return {text[each.start : each.end]: each.type for each in Validators().find(text, "en")}


def random_key(prefix: str, alphabet: str, length: int, ending: str) -> str:
    return prefix + "".join(random.Random(7).choices(alphabet, k=length)) + ending


@pytest.mark.parametrize(
    ("service", "prefix", "alphabet", "length", "ending"), FORMATS, ids=[row[0] for row in FORMATS]
)
def test_the_key_of_a_service_is_found_whole(
    service: str, prefix: str, alphabet: str, length: int, ending: str
) -> None:
    key = random_key(prefix, alphabet, length, ending)
    for around in ("use {} for it", "KEY={}", '{{"k": "{}"}}', "({}).", "<{}>", "https://x.example/?a={}&b=1"):
        text = around.format(key)
        assert any(key in value for value in found(text)), around
    assert found(f"use {key[:10]}\u200b{key[10:]} for it").get(f"{key[:10]}\u200b{key[10:]}") == "API_KEY"


@pytest.mark.parametrize(
    "text",
    ["AKIA1234", "ghp_short", "sk-learn and sk-image", "AKIAIOSFODNN7EXAMPLEXX", "hf_hub_download",
     "pk.eyJ", "SK0123", "glpat-", "xoxb-1", "skateboarding-is-a-wonderful-thing", "0123456789abcdef0123456789abcdef"],
)  # fmt: skip
def test_a_text_that_only_begins_like_a_key_is_not_found(text: str) -> None:
    assert "API_KEY" not in found(f"so {text} it is").values()


def token(header: object, *parts: str) -> str:
    first = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join((first, *parts))


@pytest.mark.parametrize(
    "jwt",
    [
        token({"alg": "HS256", "typ": "JWT"}, "eyJzdWIiOiIxIn0", "c2lnbmF0dXJl_-x"),
        token({"alg": "none"}, "eyJzdWIiOiIxIn0", ""),
        token({"typ": "JWE", "alg": "RSA-OAEP", "enc": "A256GCM"}, "a1", "b2", "c3", "d4"),
    ],
    ids=["signed", "unsigned", "encrypted"],
)
def test_a_web_token_is_found(jwt: str) -> None:
    assert found(f"Cookie: session={jwt}; x").get(jwt.rstrip(".")) == "TOKEN"


@pytest.mark.parametrize("text", ["eyJub3QiOiJvbmUifQ.x.y", "eyJhbGci", "eyJ!.x.y", "ewogd.x.y"])
def test_a_text_that_only_begins_like_a_web_token_is_not_found(text: str) -> None:
    assert "TOKEN" not in found(f"so {text} it is").values()


BODY = "\n".join("MIIEpAIBAAKCAQEA75x" + "Ab9+/" * 9 for _ in range(3))


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
def test_a_private_key_is_found_from_its_beginning_to_its_end(kind: str) -> None:
    key = f"-----BEGIN {kind}-----\n{BODY}\nabc=\n-----END {kind}-----"
    assert found(f"here:\n{key}\nthanks") == {key: "PRIVATE_KEY"}
    escaped = key.replace("\n", "\\n")
    assert found(f'"{escaped}"').get(escaped) == "PRIVATE_KEY"


def test_a_cut_off_private_key_is_found_to_its_end() -> None:
    key = f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{BODY}"
    assert found(f"{key}\n\nThat was all I have").get(key) == "PRIVATE_KEY"


def test_the_text_between_two_private_keys_is_not_found() -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----"
    text = f"{key}\nand then\n{key}"
    assert [text[one.start : one.end] for one in Validators().find(text, "en")] == [key, key]


def test_a_public_key_is_not_found() -> None:
    assert "PRIVATE_KEY" not in found(f"-----BEGIN PUBLIC KEY-----\n{BODY}\n-----END PUBLIC KEY-----").values()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.DEF-123_456~789/+==", "abc.DEF-123_456~789/+=="),
        ("curl -H 'authorization: Basic YW5uYTpnZWhlaW0='", "YW5uYTpnZWhlaW0="),
        ('MISTRAL_API_KEY="Zx81kLmN0pQrStUvWxYz1234567890ab"', "Zx81kLmN0pQrStUvWxYz1234567890ab"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("password: hunter2!", "hunter2!"),
        ("my password is S3cret12", "S3cret12"),
        ("Passwort: geheim-4711.", "geheim-4711"),
        ("client_secret=abc123def456", "abc123def456"),
        ("le mot de passe est Azerty12", "Azerty12"),
    ],
)
def test_a_value_after_a_word_for_a_secret_is_found(text: str, secret: str) -> None:
    assert any(secret in value for value in found(text))


@pytest.mark.parametrize(
    "text",
    ["I forgot my password. What now?", "the password is wrong", "Bearer of good news", "the key is under the mat",
     "token ring networks", "api key: see above", "the secret: patience"],
)  # fmt: skip
def test_sentences_about_secrets_are_not_found(text: str) -> None:
    assert found(text) == {}
