"""Time is linear in the length of a text: adversarial texts of 20,000 characters, the longest allowed."""

from time import process_time

import pytest

from sprat_policy import PatternRule, PrivacyPolicy, TermRule
from sprat_privacy import mask
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators
from sprat_privacy.readings import without_touching_signs

LENGTH = 20_000
MAX_S = 6.0
"""CPU seconds: about ten times those of the slowest; a quadratic step would take minutes."""

PIECES = [
    "1", "1 ", "11 ", "01 ", "4 ", "4111 ", "1.", "-1", "1()", "+1", "(1", "1x", "a1 ", "ü1 ", "１１１１ ",
    "1\u200b", "+49 170 1234567 ", "0170 1234567 ", "0170 1234567, ", "123456789012 ", "ssn 123456789 ",
    "passport 1 ", "passport ", "tel 123 ", "a@", "a.", "@", "http://", "http://a/?a=", "&a_", "1:", "x.yz/",
    "AA11 ", "DE89 ", "sk-", "eyJ.", "eyJhbGciOiJIUzI1NiJ9.", "key=", "bearer ", "-----BEGIN PRIVATE KEY-----",
    "\nAAAAAAAAAAAAAAAA", "-", "a-", "a_", "a", " ", "\n", "[", "[PERSON_", "[A_1]", "e\u0301", "\u200d",
    "%40", "%25", "a%40b.de ", "\\", "\\u0040", "👍", "1👍", "1 👍 ", "❹❶❶❶ ", "\U000e0031", "eins ", "oh eins, ",
    "ei\u200bns ", "(a)\u200b", "&shy;%40\u00ad",
    "plus double ", " at ", " at a", "a at b dot c ", "(at)", "字", "0123456789abcdef",
    "01234567890123456789012345678901-", "M", '"@', "[ ",
]  # fmt: skip


@pytest.mark.parametrize("length", [LENGTH // 4, pytest.param(LENGTH, marks=pytest.mark.long)])
@pytest.mark.parametrize("piece", PIECES)
def test_validators_and_masking_are_linear(piece: str, length: int) -> None:
    """A quarter of the length in a quarter of the time: a quadratic step is found there, too."""
    text = (piece * length)[:length]
    start_s = process_time()
    masked = mask(text, "de", [Validators()], validators_alone=["de"])
    assert process_time() - start_s < MAX_S * length / LENGTH
    assert masked.unmasked() == text


@pytest.mark.parametrize(
    "piece",
    ["aA", "ProjektAdler", "refDE89370400440532013000", "&#64;", "a&commat;b.de ", "tel+4930901820", "1234567abc"],
)
def test_many_hits_in_one_word_are_linear(piece: str) -> None:
    """Each was widened to the whole word, character by character: half a minute for one text."""
    rules = (TermRule(type="A", words=("aa", "Projekt Adler", "a a a")),)
    text = (piece * LENGTH)[:LENGTH]
    start_s = process_time()
    masked = mask(text, "de", [Validators(), Terms.of(PrivacyPolicy(terms=rules))], validators_alone=["de"])
    assert process_time() - start_s < MAX_S
    assert masked.unmasked() == text


@pytest.mark.parametrize("piece", ["👍", "👍\ufe0f", "a👍", "→ ", "🇩", "🇩🇪", "🇩🇪 "])
def test_what_the_tagger_reads_is_made_in_linear_time(piece: str) -> None:
    start_s = process_time()
    assert len(without_touching_signs((piece * LENGTH)[:LENGTH])) == LENGTH
    assert process_time() - start_s < 0.5


def test_many_terms_and_patterns_cost_little() -> None:
    policy = PrivacyPolicy(
        terms=(TermRule(type="A", words=tuple(f"word{number} x" for number in range(10_000))),),
        patterns=tuple(PatternRule(type="B", pattern=f"(?:(?:a|b|ab){{1,9}}c){{9}}{number}") for number in range(20)),
    )
    terms = Terms.of(policy)
    for text in ("ab" * (LENGTH // 2), "word1 " * 3000, "abc" * 6000):
        start_s = process_time()
        terms.find(text, "en")
        assert process_time() - start_s < MAX_S
