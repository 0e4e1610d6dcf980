"""Keyed hashes: they depend on the secret, on each part, and on where one part ends."""

import hashlib
import hmac

from pydantic import SecretStr

from sprat.base.keys import KeyedHash, Keys
from sprat.processing.cache import cache_key, key_prefix

HASH = KeyedHash(b"a key")


def test_it_is_hmac_sha_256_of_the_parts_as_json() -> None:
    expected = hmac.new(b"a key", '["answer","Tromsø"]'.encode(), hashlib.sha256).hexdigest()
    assert HASH("answer", "Tromsø") == expected


def test_who_does_not_hold_the_key_cannot_make_it() -> None:
    others = {KeyedHash(key)("answer", "text") for key in (b"another key", b"", b"a key ")}
    assert len(others) == 3
    assert HASH("answer", "text") not in others
    assert HASH("answer", "text") != hashlib.sha256(b'["answer","text"]').hexdigest()


def test_its_key_is_derived_from_the_secret_and_during_a_rotation_there_is_one_of_each() -> None:
    old, new = SecretStr("the secret of this installation"), SecretStr("the next secret of this installation")
    now, before = (each("text") for each in Keys(new, old).accepted_hashes)
    assert (now, before) == (Keys(new).keyed_hash("text"), Keys(old).keyed_hash("text"))
    assert now not in {before, KeyedHash(new.get_secret_value().encode())("text")}


def test_where_a_part_ends_makes_a_difference() -> None:
    assert len({HASH("ab", "c"), HASH("a", "bc"), HASH("abc"), HASH("abc", ""), HASH('ab","c'), HASH()}) == 6


def test_a_text_that_is_not_unicode_is_hashed_all_the_same() -> None:
    assert HASH("\ud800") != HASH("\ud801")


def test_all_keys_of_a_tenant_and_of_a_text_begin_alike_and_no_others_do() -> None:
    key = cache_key(HASH, "acme", "a text", "answer", "intent")
    for prefix in (key_prefix(HASH, "acme"), key_prefix(HASH, "acme", "a text")):
        assert key.startswith(prefix)
        assert cache_key(HASH, "acme", "a text", "answer", "ner").startswith(prefix)
        assert not cache_key(HASH, "other", "a text", "answer", "intent").startswith(prefix)
    assert not cache_key(HASH, "acme", "another", "answer").startswith(key_prefix(HASH, "acme", "a text"))
    assert not any(key.startswith(key_prefix(KeyedHash(b"another"), "acme", text)) for text in (None, "a text"))


def test_that_two_tenants_have_one_text_does_not_show_in_the_keys() -> None:
    first, second = (cache_key(HASH, tenant, "a text", "answer").split(":") for tenant in ("acme", "other"))
    assert not {*first} & {*second}


def test_a_key_depends_on_every_part_and_shows_none() -> None:
    keys = {
        cache_key(HASH, *parts)
        for parts in (
            ("t", "x", "a"),
            ("t", "x", "b"),
            ("t", "y", "a"),
            ("u", "x", "a"),
            ("t", "x"),
            ("t", "x", "a", ""),
        )
    }
    assert len(keys) == 6
    assert all(set(key) <= set("0123456789abcdef:") for key in keys)
