"""What others write stays text: markup in every field that a screen shows."""

import re

import pytest
from playwright.sync_api import expect

from sprat_contracts import (
    Declined,
    Egress,
    Envelope,
    IntentOutput,
    ModelAnnounced,
    ModelRef,
    Record,
    ReviewCell,
    Traceparent,
    encode,
)
from sprat_operations.api_keys import add_key
from support.page_door import Open, PageDoor, Stream
from support.page_reviews import alarm, draw

EVIL = "<script>window.hit=1</script><img src=x onerror='window.hit=1'>\"'><hx-partial hx-target='body'>x</hx-partial>"
"""It would run as a script, as an attribute, and as what htmx puts elsewhere."""
EVIL_TAG = "{{ 7 * 7 }}" + EVIL


@pytest.fixture(scope="module")
def text(door: PageDoor, stream: Stream):
    """Return a text of which everything is markup, and of whose tenant and source there is a key."""
    door.keys["evil"] = add_key(door.keys_file, EVIL_TAG[:64], "/%3Cscript%3E", ("send", "read-texts", "label"))
    evil = EVIL_TAG
    text = stream.text(evil, id=evil, source="/%3Cscript%3E", tenant=EVIL_TAG[:64])
    text.reference = {evil[:60]: evil}
    stream.publish_text(text)
    model, output = ModelRef(name=evil, version=evil, stage=evil), IntentOutput(label=evil)
    left = Egress(left=True, masked={evil: 1}, provider=evil, region=evil, call_id="call-1")
    declined = Declined(code=evil, detail=evil)
    fields = {"tenant": text.tenant, "output": output, "model": model, "egress": left, "reference": text.reference}
    stream.publish(
        [
            text.prediction(),
            text.request(),
            text.call("attempt", 30, tenant=text.tenant),
            text.answer(output=output, model=model, egress=left, sent=evil),
            text.result(reason=evil, status="degraded", declined=declined, **fields),
            text.letter(text.text(), code=evil, service=evil),
        ]
    )
    stream.publish([draw(text, cell=ReviewCell(tenant=EVIL_TAG[:64])), alarm(text, cell=ReviewCell(), detail=evil)])
    announced = ModelAnnounced(task="intent", version=evil, labels=(evil,), owns_from=1, card={"licence": evil})
    value, headers = encode(announced, Envelope("announced", "/intent", Traceparent.root("/intent", "announced")))
    stream.publish([Record(stream.topics.models, 0, 0, 0, b"intent/default", value, tuple(headers))])
    return text


@pytest.mark.parametrize(
    "screen", ["/", "/live", "/models", "/what-if", "/privacy", "/health", "/label", "/try", "text"]
)
def test_markup_stays_text_on(screen: str, opened: Open, text) -> None:
    page = opened("/live" if screen == "text" else screen, key="evil")
    if screen in {"/live", "text"}:
        link = page.get_by_role("link", name=re.compile("7 . 7"))
        expect(link).to_be_visible(timeout=10_000)
    if screen == "text":
        link.click()
        page.get_by_role("link", name="Show the text").click()
        expect(page.locator("pre").first).to_contain_text("<script>")
    if screen == "/label":
        for _ in range(50):  # until it is read from its topic
            if page.locator("pre.said").count():
                break
            page.wait_for_timeout(200)
            page.reload()
        expect(page.locator("pre.said")).to_contain_text("<script>")
    page.wait_for_timeout(1500)  # a live part of the screen has been replaced
    assert page.evaluate("window.hit") is None
    assert page.locator("script:not([src])").count() == 0
    assert page.locator("img, hx-partial").count() == 0
    assert "49" not in page.locator("h1").inner_text()


def test_markup_that_comes_while_the_page_is_open_stays_text(opened: Open, stream: Stream, text) -> None:
    page = opened("/live", key="evil")
    more = stream.text(EVIL, id=f"<b>new</b>{EVIL}", source=text.source, tenant=text.tenant)
    stream.publish([more.result(tenant=text.tenant, output=IntentOutput(label=EVIL))])
    expect(page.get_by_role("link", name=re.compile("^.b.new"))).to_be_visible(timeout=10_000)
    assert page.evaluate("window.hit") is None
    assert page.locator("script:not([src]), td img, td b").count() == 0
