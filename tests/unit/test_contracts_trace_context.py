import pytest

from sprat_contracts import Traceparent

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("header", [HEADER, HEADER.encode(), HEADER.replace("00-0a", "cc-0a")])
def test_a_valid_header_is_read_and_written_unchanged(header: str | bytes) -> None:
    traceparent = Traceparent.parse(header)
    assert traceparent is not None
    assert str(traceparent) == (header if isinstance(header, str) else header.decode())
    assert (traceparent.trace_id, traceparent.parent_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        b"\xff",
        "ff" + HEADER[2:],
        "00-" + "0" * 32 + HEADER[35:],
        HEADER[:36] + "0" * 16 + "-01",
        HEADER.upper(),
        HEADER + "-00",
        HEADER[:-1],
        "a-b-c-d",
    ],
)
def test_what_the_standard_does_not_allow_is_not_read(header: str | bytes | None) -> None:
    assert Traceparent.parse(header) is None


def test_every_text_without_a_trace_begins_one_of_its_own() -> None:
    first, again = Traceparent.root("/shop", "1"), Traceparent.root("/shop", "1")
    assert first == again == Traceparent.parse(str(first))
    assert first.trace_id != Traceparent.root("/shop", "2").trace_id
