"""Values with a checkable form: valid ones are found, others are not."""

import pytest

from sprat_privacy.detectors.validators.suite import Validators


def found(text: str, type: str, language: str = "en") -> list[str]:
    """Return the detected values of a type, as they are in the text."""
    return [text[each.start : each.end] for each in Validators().find(text, language) if each.type == type]


def types_of_marked(text: str, language: str = "en") -> set[str]:
    """Return the types of detections that match the part between « and »; the marks are removed from the text."""
    start, end = text.index("«"), text.index("»") - 1
    plain = text.replace("«", "").replace("»", "")
    return {each.type for each in Validators().find(plain, language) if (each.start, each.end) == (start, end)}


FOUND: dict[str, list[str]] = {
    "EMAIL": [
        "write to «anna.schmidt+news@example.co.uk», please",
        "mailto:«o'brien@example.com»?subject=x",
        "<«a_b-c@sub.example.museum»>",
        "to=«john@example.com»&x=1",
        "«bounce-anna=example.org@lists.example.com» came back",
        "«root@localhost»",
        "«josé@münchen.de».",
        "«jose\u0301@example.de»",
        "«用户@例子.中国»",
        "«x@xn--mnchen-3ya.de»",
        '«"anna schmidt"@example.com» is quoted',
        "«anna@[192.168.10.4]»",
        "«an\u200bna@exam\u00adple.com»",
        "«ａｎｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ»",
    ],
    "URL": [
        "see «https://anna:geheim@git.example.com/repo.git».",
        "(«http://example.com/~anna»)",
        "«https://www.linkedin.com/in/anna-schmidt-123»",
        "«linkedin.com/in/anna-schmidt»!",
        "«https://github.com/anna»",
        "«https://example.com/users/4711/orders»",
        "«https://example.com/reset?token=abc», now",
        "«https://example.com/x?a=1&email=anna%40example.com»",
        "«https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX»",
        "«https://docs.example.com/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit»",
        "«https://shop.example.com/unsubscribe/anna»",
        "«postgres://app:s3cret@db.internal:5432/app»",
    ],
    "IP": [
        "from «106.31.73.20», port 80",
        "ip=«10.0.0.7»;",
        "«10.0.0.7»:8080",
        "at «6e40:4041:c617:e898:c11:40d2:c669:2eb4».",
        "[«2001:db8::1»]:443",
        "address:«2001:db8::1»",
        "«::ffff:192.0.2.7»",
        "«１０．０．０．７»",
    ],
    "MAC": [
        "card «00:1B:44:11:3A:B7».",
        "at «00-1b-44-11-3a-b7», port 3",
        "(«001b.4411.3ab7»)",
        "«10:20:30:40:50:60»",
        "MAC «10-20-30-40-50-60»",
        "bssid=«a4:83:e7:00:00:01»",
    ],
}
"""Type → texts in which the marked part is one."""


@pytest.mark.parametrize(("type", "text"), [(type, text) for type, texts in FOUND.items() for text in texts])
def test_a_value_is_found_with_its_ends(type: str, text: str) -> None:
    assert type in types_of_marked(text)


OTHERS: dict[str, list[str]] = {
    "EMAIL": [
        "meet @ home",
        "@anna",
        "anna@",
        "a @b.de",
        "5@10",
        "npm install pkg@1.2",
        "anna@intranet",
        "@@..@@",
        "x@-a.de",
    ],
    "URL": [
        "http://www.example.com/",
        "https://example.com/products/blue-chairs",
        "example.com/faq",
        "a://",
        "http:// x",
        "1/2",
        "and/or",
    ],
    "IP": [
        "127.0.0.1",
        "0.0.0.0",
        "::1",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "v1.2.3.4a",
        "12:30:45",
        "std::cab",
        "a::b::c",
        "1:2:3:4:5:6:7:8:9",
    ],
    "MAC": [
        "00:00:00:00:00:00",
        "ff-ff-ff-ff-ff-ff",
        "03-11-19-24-36-42",
        "00:1B:44:11:3A",
        "00:1B:44:11:3A:B7:C8",
        "00:1B-44:11-3A:B7",
        "2001:db8:0:1:2:3:4:5",
        "1234.5678.9012.3456",
        "12:30:45",
    ],
    "IBAN": [
        "DE88370400440532013000",
        "XX89370400440532013000",
        "DE8937040044053201300",
        "ADE88370400440532013000",
        "DE893704004405320130001",
        "DE89 3704",
    ],
    "CARD": ["4111111111111112", "9999999999999995", "411111111111", "a4111111111111111", "41111111111111111111"],
    "PHONE": [
        "on 2024-01-15",
        "am 15.01.2024",
        "order 12345678",
        "costs 1 234 567 €",
        "USD 5417141388",
        "in 1989-1999",
        "10 000",
        "a0301234567b",
    ],
}
"""Type → texts in which nothing is one."""


@pytest.mark.parametrize(("type", "text"), [(type, text) for type, texts in OTHERS.items() for text in texts])
def test_other_texts_are_not_found(type: str, text: str) -> None:
    assert found(text, type) == []


IBANS = [
    "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "gb29 nwbk 6016 1331 9268 19",
    "FR14 2004 1010 0505 0001 3M02 606", "NL91ABNA0417164300", "ES91 2100 0418 4502 0005 1332",
    "IT60X0542811101000000123456", "PL61109010140000071219812874", "BE68 5390 0754 7034", "AT611904300234573201",
    "CH93 0076 2011 6238 5295 7", "MT84MALT011000012345MTLCAST001S", "NO9386011117947",
    "SE45 5000 0000 0583 9825 7466", "DE89-3704-0044-0532-0130-00",
    "DE89\u00a03704\u202f0044\u20090532\u00a00130\u00a000",
    "DE89\u200b3704\u200b0044\u200b0532\u200b0130\u200b00", "DE８９３７０４００４４０５３２０１３０００",
    "DE٨٩ 3704 0044 0532 0130 00",
]  # fmt: skip


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_is_found_in_any_notation(iban: str) -> None:
    assert "IBAN" in types_of_marked(f"pay «{iban}» by Monday 12")


def test_a_mistyped_iban_is_found_after_the_word() -> None:
    assert found("my IBAN: DE88 3704 0044 0532 0130 00, thanks", "IBAN") == ["DE88 3704 0044 0532 0130 00"]


CARDS = [
    "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "2223003122003222",
    "378282246310005", "3782 822463 10005", "30569309025904", "6011111111111117", "3530111333300000",
    "6304000000000000", "4222222222222", "4111\u00a01111\u202f1111\u20091111",
    "4111\u200b1111\u200b1111\u200b1111", "４１１１１１１１１１１１１１１１", "٤١١١١١١١١١١١١١١١",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "𝟒𝟏𝟏𝟏 1111 1111 1111", "4111 - 1111 - 1111 - 1111",
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_found_in_any_notation(card: str) -> None:
    assert "CARD" in types_of_marked(f"card «{card}», valid to 12/28")


def test_a_card_is_found_next_to_other_digits() -> None:
    assert "4111 1111 1111 1111" in found("4111 1111 1111 1111 123", "CARD")


def test_after_a_word_for_a_card_any_brand_is_found() -> None:
    assert found("points on credit card 060426070011", "CARD") == ["060426070011"]
    assert found("order 060426070011", "CARD") == []


@pytest.mark.parametrize(
    ("language", "phone"),
    [
        ("en", "+44 20 7946 0958"), ("en", "020 7946 0958"), ("en", "(541) 714-1388"), ("en", "541-714-1388"),
        ("de", "030 1234567"), ("de", "0170/1234567"), ("de", "+49 (0)30 1234567"), ("de", "0049 30 1234567"),
        ("de-AT", "01 234567890"), ("fr", "06 12 34 56 78"), ("es", "612 34 56 78"), ("it", "347 123 4567"),
        ("nl", "06-12345678"), ("pl", "512 345 678"), ("da", "20 12 34 56"), ("sv", "070-174 06 05"),
        ("fi", "040 1234567"), ("pt", "912 345 678"), ("cs", "601 123 456"), ("ja", "+48 512 345 678"),
        ("xx", "+1-984-182-0190"), ("de", "０３０ １２３４５６７"), ("de", "030\u00a0123\u200945\u202f67"),
        ("de", "+49\u200b170\u200b1234567"),
    ],
)  # fmt: skip
def test_a_phone_number_is_found(language: str, phone: str) -> None:
    assert "PHONE" in types_of_marked(f"«{phone}»!", language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Phone: «467 3395»"), ("en", "call me at «60-56-85-91»"), ("de", "Tel. «4711 08 15»"),
        ("el", "τηλ. «2310 55»"), ("en", "(37) «788-063» office"),
    ],
)  # fmt: skip
def test_after_a_word_for_a_phone_any_number_is_found(language: str, text: str) -> None:
    start = text.index("«")
    plain = text.replace("«", "").replace("»", "")
    assert any(one.start <= start and one.type == "PHONE" for one in Validators().find(plain, language))


@pytest.mark.parametrize("type", ["CARD", "IBAN", "PHONE", "GOVERNMENT_ID", "TAX_ID"])
def test_a_text_without_digits_has_no_numbers(type: str) -> None:
    assert found("Nothing at all to find here, dear Anna; call me.", type) == []


def test_offsets_are_those_of_the_original_text() -> None:
    text = "e\u0301👩‍💻 ﬁ: 4111\u200b1111 1111\u00a01111\ufe0f, ü"
    (one,) = [one for one in Validators().find(text, "en") if one.type == "CARD"]
    assert text[one.start : one.end].startswith("4111\u200b1111 1111\u00a01111")
    assert text[one.end :].lstrip("\ufe0f") == ", ü"
