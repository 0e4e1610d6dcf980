"""Which tenant a source belongs to, which texts are their tenant's, and what the policy file refuses."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_contracts import Prediction, TextSignature, sign
from sprat_contracts.signing import signature_of
from sprat_policy import TenantGuard, load_guarded_policy, load_policy
from sprat_policy.source_globs import matches, overlap
from support.router_records import prediction, text

OLD, NEW, OTHER = (letter * 32 for letter in "onx")
POLICY = """
tenants:
  acme: {frontier: allow, regions: [eu], sources: [/crm/*, /mail/acme], signing_keys: ['${OLD}', "${NEW}"]}
  bound: {sources: [/shop/*]}
  free: {frontier: allow, regions: [eu]}
  "*": {sources: [/others/*]}
"""
VALUE = b'{"text": "hi"}'

few = st.text(st.sampled_from("ab*"), max_size=6)


@pytest.fixture
def guard(write_policy: WritePolicy) -> TenantGuard:
    return load_guarded_policy(write_policy(POLICY), {"OLD": OLD, "NEW": NEW})[1]


def signed(key: str = NEW, tenant: str = "acme", source: str = "/crm/mail", id: str = "1") -> TextSignature | None:
    return signature_of(sign(key.encode(), tenant, source, id, VALUE).decode(), VALUE)


def refused(guard: TenantGuard, tenant: str, source: str, signature: TextSignature | None = None, **how: bool) -> str:
    refusal = guard.refusal(tenant, source, "1", signature, **how)
    return "" if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("glob", "source", "expected"),
    [
        ("/crm", "/crm", True),
        ("/crm", "/crm/", False),
        ("/crm", "/CRM", False),
        ("/crm/*", "/crm/", True),
        ("/crm/*", "/crm/mail/4", True),
        ("/crm/*", "/crm", False),
        ("/crm/*", "x/crm/mail", False),
        ("*/mail", "/a/b/mail", True),
        ("*/mail", "/a/b/mails", False),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*a", "aba", True),
        ("a*ab*ba", "aababa", True),
        ("a*ab*ba", "aaba", False),
        ("/crm/?", "/crm/x", False),
        ("/crm/[a-z]", "/crm/x", False),
        ("/crm/.", "/crm/x", False),
        ("/crm/*", "/crm/\n", True),
    ],
)
def test_a_star_stands_for_any_characters_and_all_others_for_themselves(
    glob: str, source: str, expected: object
) -> None:
    assert matches(glob, source) is expected


@given(few, st.text(st.sampled_from("ab"), max_size=8))
def test_a_glob_matches_as_the_regular_expression_does(glob: str, source: str) -> None:
    regular = ".*".join(map(re.escape, glob.split("*")))
    assert matches(glob, source) == bool(re.fullmatch(regular, source))


@given(few, few)
def test_two_globs_overlap_where_a_source_matches_both(one: str, other: str) -> None:
    assert overlap(one, other) == overlap(other, one)
    # The shortest source that both match has no character that neither names.
    longest = len((one + other).replace("*", ""))
    assert overlap(one, other) == any(matches(one, word) and matches(other, word) for word in _words(longest))


def _words(longest: int) -> list[str]:
    words = [""]
    for word in words:
        if len(word) < longest:
            words += [word + "a", word + "b"]
    return words


def test_many_stars_need_no_time() -> None:
    assert not matches("a*" * 120 + "b", "a" * 1024)
    assert overlap("a*" * 128, "*a" * 128)


@pytest.mark.parametrize(
    ("tenant", "source", "code"),
    [
        ("bound", "/shop/chat", ""),
        ("bound", "/else", "foreign_source"),
        ("bound", "/crm/mail", "foreign_source"),
        ("free", "/else", ""),
        ("free", "/crm/mail", "foreign_source"),
        ("free", "/mail/acme", "foreign_source"),
        ("free", "/shop/", "foreign_source"),
        ("free", "/others/1", "foreign_source"),
        ("nobody", "/others/1", ""),
        ("nobody", "/else", "foreign_source"),
        ("nobody", "/crm/mail", "foreign_source"),
        ("acme", "/else", "foreign_source"),
        ("acme", "/crm/mail", "bad_signature"),
    ],
)
def test_a_tenant_has_its_sources_and_no_others(guard: TenantGuard, tenant: str, source: str, code: str) -> None:
    assert refused(guard, tenant, source) == code


def test_without_star_a_tenant_that_is_not_named_has_no_source_of_another(write_policy: WritePolicy) -> None:
    guard = load_guarded_policy(write_policy("tenants: {bound: {sources: [/shop/*]}}"), {})[1]
    assert (refused(guard, "nobody", "/else"), refused(guard, "nobody", "/shop/1")) == ("", "foreign_source")


def test_a_signature_is_right_with_either_key_and_for_its_own_text_alone(guard: TenantGuard) -> None:
    assert refused(guard, "acme", "/crm/mail", signed(OLD)) == refused(guard, "acme", "/crm/mail", signed(NEW)) == ""
    for wrong in (
        signed(OTHER),
        signed(tenant="free"),
        signed(source="/crm/mails"),
        signed(id="2"),
        TextSignature(signature="v1=", value_sha256="0" * 64),
    ):
        assert refused(guard, "acme", "/crm/mail", wrong) == "bad_signature"


def test_a_refusal_says_what_to_send_and_quotes_nothing(guard: TenantGuard) -> None:
    def detail(tenant: str, source: str, signature: TextSignature | None = None, **how: bool) -> str:
        refusal = guard.refusal(tenant, source, "1", signature, **how)
        assert refusal is not None
        assert not refusal.own_fault
        return refusal.detail

    cloudevent = "send ce_specversion, ce_id, ce_source and ce_type"
    assert detail("bound", "/else") == "header ce_source: not one of the sources that the policy gives to this tenant"
    assert detail("bound", "/sprat.texts.v1/3", plain=True) == (
        f"header ce_source: missing; {cloudevent}, with one of the sources that the policy gives to this tenant"
    )
    assert detail("free", "/crm/1") == "header ce_source: the policy gives this source to another tenant"
    header = "header sprat_text_signature: "
    assert detail("acme", "/crm/1") == f"{header}missing or malformed; the policy asks this tenant to sign its texts"
    assert detail("acme", "/crm/1", signed()) == (
        f"{header}not made by a key of this tenant for this tenant, source, id and value"
    )


def test_plain_json_of_a_tenant_that_signs_is_told_how_to_sign(write_policy: WritePolicy) -> None:
    guard = load_guarded_policy(write_policy("tenants: {acme: {signing_keys: ['${NEW}']}}"), {"NEW": NEW})[1]
    refusal = guard.refusal("acme", "/sprat.texts.v1/3", "7-1", None, plain=True)
    assert refusal is not None
    assert (refusal.code, refusal.detail) == (
        "bad_signature",
        (
            "header sprat_text_signature: plain JSON cannot be signed, for its id follows from its place; "
            "send ce_specversion, ce_id, ce_source and ce_type, and sign"
        ),
    )


def test_a_guard_without_the_keys_refuses(write_policy: WritePolicy) -> None:
    guard = TenantGuard(load_policy(write_policy(POLICY)), {})
    assert refused(guard, "acme", "/crm/mail", signed()) == "bad_signature"


def test_a_tenant_without_a_section_of_its_own_signs_with_a_key_of_all_others(write_policy: WritePolicy) -> None:
    policy = "tenants: {acme: {signing_keys: ['${OLD}']}, '*': {signing_keys: ['${NEW}']}}"
    guard = load_guarded_policy(write_policy(policy), {"OLD": OLD, "NEW": NEW})[1]
    assert refused(guard, "new", "/crm/mail", signed(NEW, "new")) == ""
    assert refused(guard, "new", "/crm/mail", signed(OLD, "new")) == "bad_signature"


def test_a_prediction_is_judged_by_the_signature_that_it_carries(guard: TenantGuard) -> None:
    def reason(signature: TextSignature | None) -> str | None:
        submitted = text(tenant="acme")
        fields = {"text_source": "/crm/mail", "text_id": "1", "submitted": submitted}
        made: Prediction = prediction(**fields).model_copy(update={"text_signature": signature})
        return guard.skip_reason(Prediction.model_validate_json(made.model_dump_json()))

    assert reason(signed()) is None
    assert reason(signed(OTHER)) == reason(None) == "bad_signature"


KEYS = "tenants:\n  acme:\n    signing_keys: ['${OLD}', '${NEW}']\n"


@pytest.mark.parametrize(
    ("content", "environment", "expected"),
    [
        (
            KEYS,
            {"OLD": OLD},
            ":3:30: tenants.acme.signing_keys.1: the variable NEW is not set; expected: a key of 32 b",
        ),
        (KEYS, {"OLD": OLD, "NEW": ""}, ":3:30: tenants.acme.signing_keys.1: the variable NEW is not set; expected: "),
        (KEYS, {"OLD": "short", "NEW": NEW}, ":3:20: tenants.acme.signing_keys.0: the variable OLD has 5 bytes; "),
        (KEYS, {"OLD": OLD, "NEW": f"{NEW}\n"}, ":3:30: tenants.acme.signing_keys.1: the variable NEW begins or ends "),
        (
            "tenants:\n  a: {sources: [/crm/*]}\n  b:\n    sources: [/b, /crm/mail]\n",
            {},
            ":4:19: tenants.b.sources.1: '/crm/mail': a source can match this and '/crm/*' of tenant a in line 2; exp",
        ),
        (
            "tenants: {a: {sources: ['*/x']}, b: {sources: [/crm/*]}}",
            {},
            ":1:48: tenants.b.sources.0: '/crm/*': a sour",
        ),
        ("tenants: {a: {sources: []}}", {}, ":1:24: tenants.a.sources: no entry; expected: a list of the sources that"),
        ("tenants: {a: {sources: /crm/*}}", {}, ":1:24: tenants.a.sources: '/crm/*': not a list; expected: a list of"),
        ("tenants: {a: {signing_keys: []}}", {}, ":1:29: tenants.a.signing_keys: no entry; expected: a list of one or"),
        (
            "tenants: {a: {signing_keys: ['${A}', '${B}', '${C}']}}",
            {},
            ":1:29: tenants.a.signing_keys: too many entries; expected: a list of one or two variables",
        ),
        (
            "tenants: {a: {signing_keys: [a-secret-in-the-file]}}",
            {},
            ":1:30: tenants.a.signing_keys.0: not of the form expected; expected: a list of one or two variables",
        ),
        (
            "tenants: {a: {signing_keys: a-secret-in-the-file}}",
            {},
            ":1:29: tenants.a.signing_keys: not a list; expected",
        ),
        (
            "tenants: {a: {signing_keys: ['${SPRAT_SECRET}']}}",
            {},
            ":1:30: tenants.a.signing_keys.0: this is the secret of the services, which no tenant may know; expected",
        ),
    ],
    ids=lambda each: each[:60] if isinstance(each, str) else "",
)
def test_a_mistake_names_the_place_and_no_key(
    write_policy: WritePolicy, content: str, environment: Mapping[str, str], expected: str
) -> None:
    path = write_policy(content)
    with pytest.raises(UserError) as caught:
        load_guarded_policy(path, environment)
    message = str(caught.value).replace(str(path), "")
    assert message.startswith(expected)
    assert not any(secret in message for secret in (OLD, NEW, "short", "a-secret"))


def test_all_missing_keys_are_named_at_once(write_policy: WritePolicy) -> None:
    with pytest.raises(UserError) as caught:
        load_guarded_policy(write_policy(KEYS), {})
    assert [line.rpartition("the variable ")[2].split()[0] for line in str(caught.value).splitlines()] == ["OLD", "NEW"]


def test_who_reads_the_file_for_something_else_needs_no_key(write_policy: WritePolicy) -> None:
    policy = load_policy(write_policy(POLICY))
    assert policy.tenant("acme").key_variables == ("OLD", "NEW")
    assert "OLD" not in repr(policy)
