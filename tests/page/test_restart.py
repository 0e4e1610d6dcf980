"""The door is killed and started again under an open page: it says so, and goes on by itself."""

import signal

import pytest
from playwright.sync_api import expect

from support.page_door import Open, PageDoor, Stream


@pytest.mark.timeout(180)
def test_an_open_page_goes_on_after_the_door_has_restarted(opened: Open, door: PageDoor, stream: Stream) -> None:
    away = "ERR_|network error|Failed to fetch|htmx:"
    page, overview = opened("/live", expected=away), opened("/?span=hour", expected=away)
    door.stop(signal.SIGKILL)
    expect(page.get_by_text("The gateway does not answer")).to_be_visible(timeout=20_000)
    expect(overview.get_by_text("The gateway does not answer")).to_be_visible(timeout=20_000)
    meanwhile = stream.text()
    stream.publish([meanwhile.result(decision="kept", reason="confident")])
    door.start()
    expect(page.get_by_text("The gateway does not answer")).to_be_hidden(timeout=30_000)
    expect(overview.get_by_text("The gateway does not answer")).to_be_hidden(timeout=30_000)
    expect(page.get_by_role("link", name=meanwhile.id, exact=True)).to_be_visible(timeout=20_000)
    after = stream.text()
    stream.publish([after.result(decision="kept", reason="confident")])
    expect(page.get_by_role("link", name=after.id, exact=True)).to_be_visible(timeout=20_000)
