"""The summary for the user is readable without colour."""

from io import StringIO

from rich.console import Console

from sprat_local.demo.report import RunFacts, make_report
from sprat_local.demo.summary import DemoSummary
from sprat_local.installation.options import Simulation
from support.demo_records import TOPICS, dead_letter_for, observe, published, published_broken, record, result

LEFT = {"left": True, "masked": {"PERSON": 2, "IBAN": 1}, "provider": "simulator", "region": "eu", "simulated": True}
RUN = RunFacts(4.2, {"topics": 1.1, "services": 3.0}, 60.0, {"sprat.router": 0}, timed_out=False)


def printed(*, lost: bool) -> str:
    texts = [published("s-1"), published("s-2", 1), published_broken()]
    endings = [
        record(TOPICS.results("intent"), result("s-1")),
        record(TOPICS.results("intent"), result("s-2", decision="escalated", cost_eur=0.001, egress=LEFT), "r-2"),
    ]
    observed = observe(*endings[: 1 if lost else 2], dead_letter_for(texts[2]))
    console = Console(file=StringIO(), width=110)
    DemoSummary(make_report(texts, observed, RUN), console, Simulation()).print()
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_summary_shows_the_promise_and_the_figures_in_plain_text() -> None:
    text = printed(lost=False)

    assert "2 Results, 0 lost, 0 duplicated; 1 dead letters; lag 0 in 1 groups" in text
    assert "first Result 4.2 s after the start of the command" in text
    assert "(simulated)" in text
    assert "50 % less" in text
    assert "What left the perimeter: 1 texts, 1 of them with masked items" in text
    assert "3 items masked: PERSON 2, IBAN 1" in text
    assert text.rstrip().endswith("The promise was kept.")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 110


def test_the_summary_names_what_was_lost() -> None:
    assert "s-2, intent: no Result ids instead of one" in printed(lost=True)
