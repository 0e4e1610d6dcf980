"""10,000 Results at once: the browser stays free and its table small."""

import re
import statistics

import pytest
from playwright.sync_api import Page

from support.page_door import Open, Stream

RESULTS = 10_000
RUNS = 5
WATCH = """
window.tasks = [];
new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(entry => entry.duration)))
    .observe({type: "longtask", buffered: true});
"""


@pytest.mark.timeout(600)
def test_a_burst_leaves_few_rows_and_no_long_task(opened: Open, stream: Stream) -> None:
    longest, rows = [], []
    for run in range(RUNS):
        page = opened("/live")
        page.evaluate(WATCH)
        text = stream.text()
        results = []
        for number in range(RESULTS):
            text.id = f"burst-{run}-{number}"
            results.append(text.result(decision="kept", reason="confident"))
        stream.publish(results)
        wait_until_all_are_read(page, stream, run)
        longest.append(max(page.evaluate("window.tasks"), default=0.0))
        rows.append(page.locator("tbody tr").count())
        page.context.close()
    assert max(rows) <= 200
    assert statistics.median(longest) <= 200, longest


def wait_until_all_are_read(page: Page, stream: Stream, run: int) -> None:
    """Publish one Result a second until one is shown: while the burst is read, others push it out of the newest."""
    for number in range(60):
        last = stream.text(id=f"last-{run}-{number}")
        stream.publish([last.result(decision="kept", reason="confident")])
        page.wait_for_timeout(1000)
        if page.locator("tbody").get_by_role("link", name=re.compile(f"^last-{run}-")).count():
            return
    pytest.fail("the burst was never read to its end")
