"""Pictures of all screens, light and dark, with the demo's texts: `make pictures`.

All go into a folder, to be looked at; three of them into docs/images.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from page.conftest import CHROMIUM
from sprat_local.demo.samples import load_samples
from sprat_local.demo.session import DEMO_FOLDER
from support.up_process import UpProcess

ROOT = Path(__file__).parents[2]
SCREENS = {
    "overview": "/?span=hour",
    "live": "/live",
    "models": "/models",
    "what-if": "/what-if",
    "label": "/label",
    "privacy": "/privacy",
    "health": "/health",
    "try": "/try",
}
IN_DOCS = {"overview-light", "live-dark", "text-light"}
AT_ONCE = 4
"""Texts sent at once: so that what the pictures show of latency is that of a text, and not of a queue."""
SHOWN = re.compile("IBAN|@")
"""A text that leaves masked is the one whose path is shown."""


def main() -> None:
    """Start an installation, send the demo's texts, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / ".cache" / "pictures")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as data:
        up = UpProcess("--data", data)
        try:
            up.wait_ready(300)
            take(up.output, folder)
        finally:
            up.interrupt()
    sys.stderr.write(f"{folder}\n")
    for name in IN_DOCS:
        with Image.open(folder / f"{name}.png") as picture:  # in few colours: a quarter of its size
            small = picture.convert("RGB").quantize(96)
            small.save(ROOT / "docs" / "images" / f"page-{name.partition('-')[0]}.png", optimize=True)


def take(printed: str, folder: Path) -> None:
    """Send the texts to the door whose key and page a `sprat up` has printed, and take the pictures."""
    key, login = re.search(r"Bearer (\S+?)'", printed), re.search(r"http\S+/page/sign-in\S+", printed)
    assert key is not None, printed
    assert login is not None, printed
    folder.mkdir(parents=True, exist_ok=True)
    shown = send(login[0].partition("/page")[0], key[1])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cookies = signed_in(browser, login[0])
        for scheme in ("light", "dark"):
            for name, page in screens(browser, login[0], cookies, scheme, shown):
                page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=name not in {"live", "models"})
        browser.close()


def send(address: str, key: str) -> str:
    """Send the demo's texts, in the name of the key's tenant; return the uuid of one that left masked."""
    client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    bodies = [
        {name: value for name, value in sample.submitted.items() if name not in {"tenant", "frontier"}}
        for sample in load_samples(DEMO_FOLDER).texts
    ]
    uuids = []
    for begin in range(0, len(bodies), AT_ONCE):
        lines = "\n".join(map(json.dumps, bodies[begin : begin + AT_ONCE]))
        headers = {"Content-Type": "application/x-ndjson", "Prefer": "wait=5"}
        answer = client.post("/v1/texts", content=lines, headers=headers)
        uuids += [json.loads(line)["uuid"] for line in answer.text.splitlines()]
    until = time.monotonic() + 120
    left = ""
    for uuid, body in zip(uuids, bodies, strict=True):
        while not (found := client.get(f"/v1/texts/{uuid}").json())["complete"] and time.monotonic() < until:
            time.sleep(0.2)
        egress = [result["egress"] or {} for result in found["results"].values()]
        if not left and SHOWN.search(body["text"]) and any(each.get("left") and each["masked"] for each in egress):
            left = uuid
    return left or uuids[0]


def signed_in(browser: Browser, login: str) -> list:
    context = browser.new_context()
    page = context.new_page()
    page.goto(login)
    page.wait_for_url("**/page/")
    cookies = context.cookies()
    context.close()
    return cookies


def screens(browser: Browser, login: str, cookies: list, scheme: str, shown: str) -> Iterator[tuple[str, Page]]:
    """Give each screen once it has drawn itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 880}, color_scheme=scheme)
    context.add_cookies(cookies)
    page = context.new_page()
    for name, path in {**SCREENS, "text": f"/texts/{shown}?show=1"}.items():
        page.goto(login.partition("/sign-in")[0] + path)
        page.wait_for_timeout(1500)
        yield name, page
    context.close()


if __name__ == "__main__":
    main()
