"""Screen 4 in a real browser: the slider moves what a goal keeps; a form does the same without script."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support.page_door import Open, PageDoor, Stream
from support.page_reviews import decided

LEVELS = (0.99, 0.97, 0.95, 0.9, 0.8)


@pytest.fixture(scope="module")
def answered(stream: Stream) -> None:
    """Five answers, of which a goal of 0.95 keeps three."""
    for level in LEVELS:
        stream.publish(decided(stream.text(), level))


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=re.compile(f"^{name}"))


def until_read(page: Page) -> None:
    for _ in range(50):
        if page.get_by_text("of 5 predictions").count():
            return
        page.wait_for_timeout(200)
        page.reload()
    pytest.fail("the predictions never came")


def test_the_slider_moves_what_is_kept_beside_today(opened: Open, door: PageDoor, answered: None) -> None:
    page = opened("/what-if")
    until_read(page)
    expect(row(page, "Share kept").get_by_role("cell")).to_have_text(["60.0 %", "60.0 %"])
    slider = page.get_by_role("slider")
    for goal, kept in {"0.97": "40.0 %", "0.99": "20.0 %", "0.8": "100.0 %"}.items():
        slider.fill(goal)
        expect(row(page, "Share kept").get_by_role("cell")).to_have_text(["60.0 %", kept])
        expect(page.get_by_role("columnheader", name=f"At {goal}")).to_be_visible()
    expect(row(page, "At most")).to_contain_text("–")  # no review: no bound
    expect(page.get_by_text("nobody has reviewed those")).to_be_visible()
    slider.fill("0.97")
    page.get_by_role("button", name="Print the policy lines").click()
    lines = page.get_by_role("region", name="Policy lines")
    expect(lines.locator("pre")).to_have_text("tasks:\n  intent:\n    goal: 0.97\n    evidence: estimated")
    expect(row(page, "Share kept").get_by_role("cell")).to_have_text(["60.0 %", "40.0 %"])


def test_a_form_does_it_without_script(browser: Browser, door: PageDoor, answered: None) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(door.login())
    page.wait_for_url(f"{door.url}/")
    page.goto(f"{door.url}/what-if")
    until_read(page)
    page.get_by_role("slider").fill("0.97")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(row(page, "Share kept").get_by_role("cell")).to_have_text(["60.0 %", "40.0 %"])
    context.close()
