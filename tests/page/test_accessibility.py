"""axe-core finds nothing on any screen, light and dark; all fits from 360 px to 4k; the keyboard is enough."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.page_door import Open, PageDoor, Stream

SCREENS = ("/", "/live", "/models", "/privacy", "/health", "/try", "text", "sign-in")


@pytest.fixture(scope="module")
def address(stream: Stream) -> str:
    """Return the id of a text that left."""
    text = stream.text()
    stream.publish(text.whole())
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


def test_the_keyboard_is_enough(opened: Open, address: str) -> None:
    page = opened()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    for key, heading in {"l": "Live", "m": "Models", "p": "Privacy", "h": "Health", "t": "Try it"}.items():
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type(address)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=address)).to_be_visible()
