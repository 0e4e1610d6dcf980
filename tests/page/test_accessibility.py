"""axe-core finds nothing on any screen, light and dark; all fits from 360 px to 4k; the keyboard is enough."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.page_door import Open, PageDoor, Stream
from support.page_reviews import alarm, draw
from support.shipped_models import announcements

SCREENS = ("/", "/live", "/models", "/what-if", "/privacy", "/health", "/label", "/try", "text", "sign-in")


@pytest.fixture(scope="module")
def address(stream: Stream) -> str:
    """Return the id of a text that left, whose reference has long names; the shipped models are announced."""
    text = stream.text()
    text.reference = {"the_name_of_a_field_of_the_system_that_sent_this_text_is_long": "CRM-4711"}
    stream.publish_text(text)
    stream.publish([*text.whole(), *announcements(stream.topics)])
    stream.publish([draw(stream.text("drawn, and " * 20)), alarm(text)])
    dear = stream.text()
    stream.publish([dear.result(cost_eur=1_234.5678)])
    return text.id


def at(opened: Open, door: PageDoor, screen: str, id: str, **options: object):
    expected = "401" if screen == "sign-in" else None
    page = opened("/live" if screen in {"text", "sign-in"} else screen, expected=expected, **options)
    if screen == "text":
        page.get_by_role("link", name=id, exact=True).click(timeout=10_000)
        page.get_by_role("link", name="Show the text").click()
    if screen == "sign-in":
        page.context.clear_cookies()
        page.goto(f"{door.url}/")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_on(screen: str, scheme: str, opened: Open, door: PageDoor, address: str) -> None:
    page = at(opened, door, screen, address, color_scheme=scheme)
    found = Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()
    assert len(found.response["passes"]) > 10


@pytest.mark.parametrize("width", [360, 3840])
@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_sticks_out_of(screen: str, width: int, opened: Open, door: PageDoor, address: str) -> None:
    page = at(opened, door, screen, address, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("screen", ["/models", "text"])
def test_no_value_is_squeezed_on(screen: str, width: int, opened: Open, door: PageDoor, address: str) -> None:
    """With all unfolded: the scores of the shipped models have long names and long sentences."""
    page = at(opened, door, screen, address, viewport={"width": width, "height": 800})
    if screen == "/models":
        expect(page.get_by_role("region", name="ner default", exact=True)).to_be_visible()
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    if screen == "/models":
        expect(page.get_by_role("row", name=re.compile("^f1_uner_ewt"))).to_be_visible()
    narrow = page.evaluate(
        """[...document.querySelectorAll('.facts dd, td.text, .facts pre')]
            .filter(each => each.clientWidth < Math.min(0.4 * innerWidth, 160)).map(each => each.textContent)"""
    )
    assert narrow == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1024, 1280, 2560])
def test_a_figure_stands_on_one_line_in_its_frame(width: int, opened: Open, door: PageDoor, address: str) -> None:
    page = opened("/?span=hour", viewport={"width": width, "height": 800})
    expect(page.get_by_text("€1,234.57").first).to_be_visible(timeout=10_000)
    page.evaluate("for (const each of document.querySelectorAll('.figures dt + dd')) each.textContent = '€0.000342'")
    out = page.evaluate(
        """[...document.querySelectorAll('.figures dd')]
            .filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"""
    )
    assert out == []


NARROW = {"/": ("By task", ["Task", "Kept", "Unanswered"]), "/live": ("Results", ["Text", "Answer", "Decision"])}


@pytest.mark.parametrize("screen", NARROW)
def test_a_phone_shows_what_matters_first_and_says_that_there_is_more(
    screen: str, opened: Open, door: PageDoor, address: str
) -> None:
    page = at(opened, door, screen, address, viewport={"width": 360, "height": 800})
    name, wanted = NARROW[screen]
    frame = page.get_by_role("region", name=name)
    expect(frame.get_by_role("row")).not_to_have_count(1, timeout=10_000)
    right = frame.bounding_box()["x"] + frame.bounding_box()["width"]
    heads = frame.get_by_role("columnheader").all()
    seen = [head.inner_text() for head in heads if head.bounding_box()["x"] + head.bounding_box()["width"] <= right]
    assert seen[: len(wanted)] == wanted
    expect(page.get_by_text("scroll it sideways").first).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.get_by_text("scroll it sideways").first).to_be_hidden()


def test_the_keyboard_is_enough(opened: Open, address: str) -> None:
    page = opened()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    for key, heading in {
        "l": "Live",
        "m": "Models",
        "w": "What if",
        "p": "Privacy",
        "h": "Health",
        "r": "To label",
        "t": "Try it",
    }.items():
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type(address)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=address)).to_be_visible()
