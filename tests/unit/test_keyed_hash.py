"""Keyed hashes: they depend on the secret, on each part, and on where one part ends."""

import hashlib
import hmac

from pydantic import SecretStr

from sprat.cache import KeyedHash

HASH = KeyedHash(SecretStr("a secret"))


def test_it_is_hmac_sha_256_of_the_parts_as_json() -> None:
    expected = hmac.new(b"a secret", '["answer","Tromsø"]'.encode(), hashlib.sha256).hexdigest()
    assert HASH("answer", "Tromsø") == expected


def test_who_does_not_hold_the_secret_cannot_make_it() -> None:
    others = {KeyedHash(SecretStr(secret))("answer", "text") for secret in ("another secret", "", "a secret ")}
    assert len(others) == 3
    assert HASH("answer", "text") not in others
    assert HASH("answer", "text") != hashlib.sha256(b'["answer","text"]').hexdigest()


def test_where_a_part_ends_makes_a_difference() -> None:
    assert len({HASH("ab", "c"), HASH("a", "bc"), HASH("abc"), HASH("abc", ""), HASH('ab","c'), HASH()}) == 6


def test_a_text_that_is_not_unicode_is_hashed_all_the_same() -> None:
    assert HASH("\ud800") != HASH("\ud801")
