"""Draws and tokens: keyed, of the text's name alone, and each for one draw of one cell."""

import hashlib
import hmac
import json

import pytest
from pydantic import SecretStr

from contracts.generators.examples import examples
from contracts.generators.paths import TEST_VECTORS
from sprat.base.keys import Keys
from sprat.base.review_tokens import UNDETERMINED, ReviewTokens, cell_of, is_drawn
from sprat_contracts import ReviewAsked, ReviewCell, ReviewClosed

SECRET, NEXT = SecretStr("the secret of this installation"), SecretStr("the next secret of this installation")
TOKENS = ReviewTokens(Keys(SECRET))


def _asked(**changed: object) -> ReviewAsked:
    asked = next(each for each in examples().values() if isinstance(each, ReviewAsked)).model_copy(update=changed)
    of = asked.prediction
    return asked.model_copy(
        update={"token": TOKENS.token(of.text_source, of.text_id, of.task, asked.cell, asked.hash), **changed}
    )


def test_the_vectors_hold_what_their_description_says() -> None:
    reviews = json.loads(TEST_VECTORS.read_text())["reviews"]["drawn"]
    assert len({each["token"] for each in reviews}) == len(reviews) >= 8
    for each in reviews:
        made = ReviewTokens(Keys(SecretStr(each["secret"])))
        assert made.hash(each["source"], each["id"], each["task"]) == each["hash"]
        named = [each["source"], each["id"], each["task"]]
        hash_ = _hmac(each["secret"], "review draw", named)[:16]
        covered = [*named, each["tenant"] or "", each["language"] or "", hash_]
        assert (each["hash"], each["token"]) == (hash_, _hmac(each["secret"], "review token", covered))


def _hmac(secret: str, purpose: str, parts: list[str]) -> str:
    key = hmac.digest(secret.encode(), f"{purpose}\0".encode(), hashlib.sha256)
    return hmac.digest(key, json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode(), hashlib.sha256).hex()


def test_a_share_draws_as_much_of_all_texts_and_less_of_them_is_part_of_more() -> None:
    hashes = [TOKENS.hash("/crm", f"mail-{n}", "intent") for n in range(20_000)]
    drawn = {share: {each for each in hashes if is_drawn(each, share)} for share in (0.01, 0.1, 1.0)}
    assert drawn[0.01] < drawn[0.1] < drawn[1.0] == set(hashes)
    assert len(drawn[0.1]) == pytest.approx(2_000, abs=170)  # four standard deviations
    others = {TOKENS.hash("/crm", f"mail-{n}", "ner") for n in range(20_000)}
    assert not others & set(hashes)
    assert TOKENS.hash("/crm", "mail-1", "intent") != ReviewTokens(Keys(NEXT)).hash("/crm", "mail-1", "intent")


def test_the_borders_of_a_share_are_exact() -> None:
    assert is_drawn("7fffffffffffffff", 0.5)
    assert not is_drawn("8000000000000000", 0.5)
    assert is_drawn("ffffffffffffffff", 1.0)
    assert not is_drawn("0000000000000000", 0.0)


def test_a_token_is_of_one_draw_in_one_cell_and_outlives_a_rotation() -> None:
    asked = _asked()
    assert TOKENS.is_of(asked, asked.token)
    for other in (
        _asked(cell=ReviewCell(tenant="another", language=asked.cell.language)),
        _asked(hash="0000000000000000"),
        _asked(prediction=asked.prediction.model_copy(update={"text_id": "another"})),
    ):
        assert other.token != asked.token
        assert not TOKENS.is_of(asked, other.token)
    assert not any(TOKENS.is_of(asked, forged) for forged in (None, "", asked.hash, "ü" * 64, asked.token[:-1]))
    assert ReviewTokens(Keys(NEXT, SECRET)).is_of(asked, asked.token)
    assert not ReviewTokens(Keys(NEXT)).is_of(asked, asked.token)


def test_what_was_closed_keeps_its_token() -> None:
    closed = next(each for each in examples().values() if isinstance(each, ReviewClosed))
    token = TOKENS.token(closed.text_source, closed.text_id, closed.task, closed.cell, closed.hash)
    assert TOKENS.is_of(closed, token)
    assert not TOKENS.is_of(closed.model_copy(update={"task": "ner"}), token)


@pytest.mark.parametrize(
    ("named", "language"), [("de-AT", "de"), ("en_US", "en"), ("auto", UNDETERMINED), ("x-klingon", UNDETERMINED)]
)
def test_a_cell_has_the_language_of_the_text_without_region(named: str, language: str) -> None:
    prediction = _asked().prediction
    submitted = prediction.submitted.model_copy(update={"language": named})
    cell = cell_of(prediction.model_copy(update={"submitted": submitted, "language_detected": None}), "acme")
    assert cell == ReviewCell(tenant="acme", language=language)
