"""The HTTP door signs for a tenant that signs, with a key of its own, which is valid for the door's sources alone."""

import pytest

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_contracts import TextSignature, sign
from sprat_contracts.signing import signature_of
from sprat_policy import DoorSigner, TenantGuard, load_door_policy, load_guarded_policy, load_policy

OWN, DOOR, NEXT = ("o" * 32, "d" * 32, "n" * 32)
POLICY = """
tenants:
  acme:
    sources: [/crm/*]
    signing_keys: ['${OWN}']
    door_sources: [/web/acme/*]
    door_keys: ['${DOOR}', '${NEXT}']
  only: {door_sources: [/web/only], door_keys: ['${DOOR}']}
  signs: {signing_keys: ['${OWN}']}
  free: {}
  "*": {door_sources: [/web/others/*], door_keys: ['${NEXT}']}
"""
KEYS = {"OWN": OWN, "DOOR": DOOR, "NEXT": NEXT}
VALUE = b'{"text": "hi"}'


@pytest.fixture
def guard(write_policy: WritePolicy) -> TenantGuard:
    return load_guarded_policy(write_policy(POLICY), KEYS)[1]


@pytest.fixture
def signer(write_policy: WritePolicy) -> DoorSigner:
    return load_door_policy(write_policy(POLICY), {"DOOR": DOOR, "NEXT": NEXT})[1]


def judged(guard: TenantGuard, tenant: str, source: str, key: str | None) -> str:
    """Return the code with which a text is refused, signed with a key or not; empty: it is not refused."""
    signature: TextSignature | None = None
    if key is not None:
        signature = signature_of(sign(key.encode(), tenant, source, "1", VALUE).decode(), VALUE)
    refusal = guard.refusal(tenant, source, "1", signature)
    return "" if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("tenant", "source", "key", "code"),
    [
        ("acme", "/web/acme/chat", DOOR, ""),
        ("acme", "/web/acme/chat", NEXT, ""),
        ("acme", "/web/acme/chat", OWN, ""),
        ("acme", "/web/acme/chat", None, "bad_signature"),
        ("acme", "/crm/mail", OWN, ""),
        ("acme", "/crm/mail", DOOR, "bad_signature"),
        ("acme", "/web/only", DOOR, "foreign_source"),
        ("only", "/web/only", DOOR, ""),
        ("only", "/web/only", NEXT, "bad_signature"),
        ("only", "/else", DOOR, "bad_signature"),
        ("signs", "/web/acme/chat", DOOR, "foreign_source"),
        ("signs", "/else", DOOR, "bad_signature"),
        ("free", "/web/acme/chat", None, "foreign_source"),
        ("free", "/else", None, ""),
        ("another", "/web/others/1", NEXT, ""),
        ("another", "/web/others/1", None, "bad_signature"),
        ("another", "/web/only", NEXT, "foreign_source"),
    ],
)
def test_the_key_of_the_door_is_valid_for_its_tenant_and_sources_alone(
    guard: TenantGuard, tenant: str, source: str, key: str | None, code: str
) -> None:
    assert judged(guard, tenant, source, key) == code


@pytest.mark.parametrize(
    ("tenant", "source"),
    [("acme", "/web/acme/chat"), ("only", "/web/only"), ("free", "/else"), ("another", "/web/others/1")],
)
def test_what_the_door_signs_is_right(guard: TenantGuard, signer: DoorSigner, tenant: str, source: str) -> None:
    assert signer.refusal(tenant, source) is None
    header = signer.sign(tenant, source, "1", VALUE)
    assert (header is None) is (tenant == "free")
    signature = None if header is None else signature_of(header.decode(), VALUE)
    assert guard.refusal(tenant, source, "1", signature) is None


@pytest.mark.parametrize(
    ("tenant", "source", "code", "detail"),
    [
        ("acme", "/else", "foreign_source", "not one of the sources that the policy gives to this tenant"),
        ("free", "/web/only", "foreign_source", "the policy gives this source to another tenant"),
        ("acme", "/crm/mail", "bad_signature", "the policy asks this tenant to sign its texts, and gives the door no"),
        ("signs", "/else", "bad_signature", "the policy asks this tenant to sign its texts, and gives the door no"),
    ],
)
def test_the_door_says_what_the_router_would_refuse(
    signer: DoorSigner, tenant: str, source: str, code: str, detail: str
) -> None:
    refusal = signer.refusal(tenant, source)
    assert refusal is not None
    assert (refusal.code, refusal.own_fault) == (code, False)
    assert refusal.detail.startswith(f"source of the API key: {detail}")


def test_whether_the_door_may_send_needs_no_key(write_policy: WritePolicy) -> None:
    signer = DoorSigner(load_policy(write_policy(POLICY)), {})
    assert signer.refusal("acme", "/web/acme/chat") is None
    assert signer.refusal("acme", "/crm/mail") is not None


def test_the_door_needs_its_own_keys_alone(write_policy: WritePolicy) -> None:
    with pytest.raises(UserError, match=r"tenants\.acme\.door_keys\.1: the variable NEXT is not set"):
        load_door_policy(write_policy(POLICY), {"DOOR": DOOR})
    with pytest.raises(UserError, match=r"tenants\.acme\.signing_keys\.0: the variable OWN is not set"):
        load_guarded_policy(write_policy(POLICY), {"DOOR": DOOR, "NEXT": NEXT})


@pytest.mark.parametrize(
    ("content", "environment", "expected"),
    [
        (
            "tenants: {a: {door_keys: ['${A}']}}",
            {},
            ":1:15: tenants.a.door_keys: valid for no source; add door_sources",
        ),
        (
            "tenants: {a: {door_sources: [/web]}}",
            {},
            ":1:15: tenants.a.door_sources: the door has no key for them; add door_keys",
        ),
        (
            "tenants: {a: {signing_keys: ['${A}'], door_sources: [/web], door_keys: ['${A}']}}",
            {"A": OWN},
            ":1:61: tenants.a.door_keys: A is one of signing_keys, too: the door could sign for every source; name",
        ),
        (
            "tenants: {a: {signing_keys: ['${A}'], door_sources: [/web], door_keys: ['${B}']}}",
            {"A": OWN, "B": OWN},
            ":1:73: tenants.a.door_keys.0: the variable B holds a key of signing_keys, with which the door could sign",
        ),
        (
            "tenants: {a: {door_sources: [/web], door_keys: ['${SPRAT_SECRET}']}}",
            {},
            ":1:49: tenants.a.door_keys.0: this is the secret of the services, which no tenant may know; expected",
        ),
        (
            "tenants:\n  a: {sources: [/web/*]}\n  b: {door_sources: [/x, /web/b], door_keys: ['${B}']}\n",
            {"B": DOOR},
            ":3:26: tenants.b.door_sources.1: '/web/b': a source can match this and '/web/*' of tenant a in line 2;",
        ),
    ],
    ids=["no source", "no key", "one variable", "one key", "secret", "another's source"],
)
def test_a_mistake_names_the_place_and_no_key(
    write_policy: WritePolicy, content: str, environment: dict[str, str], expected: str
) -> None:
    path = write_policy(content)
    with pytest.raises(UserError) as caught:
        load_guarded_policy(path, environment)
    message = str(caught.value).replace(str(path), "")
    assert message.startswith(expected)
    assert not any(key in message for key in (OWN, DOOR))
