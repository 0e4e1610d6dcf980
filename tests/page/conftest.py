"""What the tests of the page share: a real browser, a door as a process, and records as the services write them."""

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Kafka
from sprat_contracts import Topics
from sprat_operations.topics import create_topics
from support.page_door import Open, PageDoor, Stream, serving

try:
    from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
except ImportError:  # collected by somebody who has not called `make test-page`
    collect_ignore_glob = ["test_*.py"]

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
"""The distribution's; playwright's own is not downloaded."""


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium, or name one by CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_topics(kafka: Kafka) -> Topics:
    topics = Topics(f"t{secrets.token_hex(5)}", 2)
    made = create_topics({"bootstrap_servers": kafka.bootstrap}, topics)
    with ThreadPoolExecutor(1) as pool:  # playwright's own loop runs in this thread
        pool.submit(asyncio.run, made).result()
    return topics


@pytest.fixture(scope="module")
def door(kafka: Kafka, page_topics: Topics, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageDoor]:
    yield from serving(PageDoor(kafka.bootstrap, page_topics, tmp_path_factory.mktemp("door")))


@pytest.fixture(scope="module")
def stream(kafka: Kafka, page_topics: Topics) -> Stream:
    return Stream(kafka.bootstrap, page_topics)


@pytest.fixture
def opened(browser: "Browser", door: PageDoor) -> Iterator[Open]:
    """Return what opens a page of the door with a session; what the browser complains of, but `expected`, fails."""
    contexts, complaints = [], []

    def open_page(path: str = "/", key: str = "reader", expected: str | None = None, **options: object) -> "Page":
        def note(said: "ConsoleMessage") -> None:
            line = f"{said.text} {said.location['url']}"
            if said.type in {"error", "warning"} and not (expected and re.search(expected, line)):
                complaints.append(line)

        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", note)
        page.on("dialog", lambda dialog: complaints.append(f"a dialog says {dialog.message}"))
        page.goto(door.login(key))
        page.wait_for_url(f"{door.url}/")
        page.goto(door.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
