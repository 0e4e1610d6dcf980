"""Without script: all but live rows, keys and charts; a table stands in a chart's place."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support.page_door import PageDoor, Stream


@pytest.fixture
def page(browser: Browser, door: PageDoor) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(door.login())
    page.wait_for_url(f"{door.url}/")
    yield page
    context.close()


def test_charts_are_tables(page: Page) -> None:
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    table = page.get_by_role("table").filter(has_text="Texts and Results")
    expect(table).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(61)
    expect(page.locator("canvas")).to_have_count(0)


@pytest.mark.parametrize("screen", ["Live", "Models", "What if", "Privacy", "Health", "To label", "Try it"])
def test_every_screen_is_led_to_and_shows_itself(page: Page, screen: str) -> None:
    page.get_by_role("link", name=screen).first.click()
    expect(page.get_by_role("heading", level=1, name=screen)).to_be_visible()
    expect(page.locator("[data-script]:visible")).to_have_count(0)


def test_live_rows_come_by_a_link(page: Page, door: PageDoor, stream: Stream) -> None:
    page.goto(f"{door.url}/live")
    text = stream.text()
    stream.publish([text.result(decision="kept", reason="confident")])
    for _ in range(50):
        page.get_by_role("link", name="Newer").click()
        if page.get_by_role("link", name=text.id, exact=True).count():
            return
        page.wait_for_timeout(200)
    pytest.fail("the row never came")


def test_a_text_is_sent_and_its_path_shown(page: Page, door: PageDoor) -> None:
    page.goto(f"{door.url}/try")
    page.get_by_label("Text", exact=True).fill("where is my money")
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(re.compile("/texts/"))
    expect(page.get_by_role("list").filter(has_text=f"{door.topics.prefix}.texts.v1")).to_be_visible()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()
    page.get_by_role("link", name="Show the text").click()
    expect(page.get_by_text("where is my money")).to_be_visible()
