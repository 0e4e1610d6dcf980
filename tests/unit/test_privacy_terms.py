"""The policy's section `perimeter`: its content, its errors, and the detector built from it."""

from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_policy import Policy, PrivacyPolicy, load_policy
from sprat_privacy.detectors.terms import Terms

WHOLE = r"""
perimeter:
  terms:
    - type: PROJECT
      words: [Projekt Adler, "§12-Akte", Müller & Söhne, 東京計画]
    - type: CLIENT
      words: [ACME, acme bank]
  patterns:
    - {type: CUSTOMER, pattern: 'K-[0-9]{6}'}
    - {type: CASE, pattern: '(?i)vorgang [a-z]{2}\d{4}'}
  validators_alone: [fi, el]
"""


@pytest.fixture
def policy(tmp_path: Path) -> PrivacyPolicy:
    path = tmp_path / "policy.yaml"
    path.write_text(WHOLE)
    return load_policy(path).perimeter


def found(policy: PrivacyPolicy, text: str) -> set[tuple[str, str]]:
    return {(text[each.start : each.end], each.type) for each in Terms.of(policy).find(text, "de")}


def test_without_the_section_there_are_no_terms() -> None:
    assert Policy().perimeter == PrivacyPolicy(terms=(), patterns=(), validators_alone=())
    assert Terms.of(Policy().perimeter).find("Projekt Adler", "de") == []


def test_the_section_is_read(policy: PrivacyPolicy) -> None:
    assert policy.validators_alone == ("fi", "el")
    assert [rule.type for rule in policy.terms] == ["PROJECT", "CLIENT"]
    assert policy.patterns[0].pattern == "K-[0-9]{6}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zu PROJEKT\n  adler, bitte", {("PROJEKT\n  adler", "PROJECT")}),
        ("die §12-akte!", {("§12-akte", "PROJECT")}),
        ("Mu\u0308ller & So\u0308hne", {("Mu\u0308ller & So\u0308hne", "PROJECT")}),
        ("Pro\u200bjekt Adler", {("Pro\u200bjekt Adler", "PROJECT")}),
        ("Ｐｒｏｊｅｋｔ　Ａｄｌｅｒ", {("Ｐｒｏｊｅｋｔ　Ａｄｌｅｒ", "PROJECT")}),
        ("新東京計画の件", {("東京計画", "PROJECT")}),
        ("Acme Bank", {("Acme", "CLIENT"), ("Acme Bank", "CLIENT")}),
        ("Acmeville, projektadler, Projekt Adlerhorst, Pro-jekt Adler, IACME", set()),
        ("K-123456 und xK-6543210", {("K-123456", "CUSTOMER"), ("K-654321", "CUSTOMER")}),
        ("K-１２３\u200b456", {("K-１２３\u200b456", "CUSTOMER")}),
        ("Vorgang AB1234", {("Vorgang AB1234", "CASE")}),
        ("", set()),
    ],
)
def test_terms_and_patterns_are_found(policy: PrivacyPolicy, text: str, expected: set[tuple[str, str]]) -> None:
    assert found(policy, text) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            "perimeter:\n  terms:\n    - {type: project, words: [x]}\n",
            ":3:14: perimeter.terms.0.type: 'project': not of the form expected",
            id="small letters",
        ),
        pytest.param(
            "perimeter:\n  terms:\n    - {type: A, words: [x, '--']}\n",
            ":3:28: perimeter.terms.0.words.1: '--': there is no letter or digit in it; remove it",
            id="no word",
        ),
        pytest.param(
            "perimeter:\n  patterns:\n    - {type: A, pattern: 'K-[0-9'}\n",
            ":3:26: perimeter.patterns.0.pattern: 'K-[0-9': missing ]: [0-9; expected: a regular expression",
            id="no pattern",
        ),
        pytest.param(
            r"perimeter: {patterns: [{type: A, pattern: '(?=a)b'}]}",
            ":1:43: perimeter.patterns.0.pattern: '(?=a)b': invalid perl operator: (?=",
            id="look-ahead",
        ),
        pytest.param(
            r"perimeter: {patterns: [{type: A, pattern: '(a)\1'}]}",
            ":1:43: perimeter.patterns.0.pattern",
            id="reference",
        ),
        pytest.param(
            "perimeter: {patterns: [{type: A, pattern: '(x{1,30}y){30}'}]}",
            ":1:43: perimeter.patterns.0.pattern: '(x{1,30}y){30}': its repetitions make it too large",
            id="too large",
        ),
        pytest.param(
            "perimeter: {patterns: [{type: A, pattern: 'x*'}]}",
            ":1:43: perimeter.patterns.0.pattern: 'x*': it matches nothing at all",
            id="matches nothing",
        ),
        pytest.param(
            "perimeter: {validators_alone: [FI]}",
            ":1:32: perimeter.validators_alone.0: 'FI': not of the form",
            id="language",
        ),
    ],
)
def test_an_error_names_the_position_and_what_to_do(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        load_policy(path)
    assert str(caught.value).removeprefix(str(path)).startswith(expected)


def test_a_bad_pattern_is_reported_in_the_error_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("perimeter: {patterns: [{type: A, pattern: '(a'}]}")
    with pytest.raises(UserError):
        load_policy(path)
    assert capfd.readouterr().err == ""
