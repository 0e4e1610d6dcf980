"""Programs of others that tests run. A test is skipped, and says how to get the program, where one is missing."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

HOW_TO_GET = {
    "alertmanager": "apt install prometheus-alertmanager",
    "amtool": "apt install prometheus-alertmanager",
    "bash": "apt install bash",
    "curl": "apt install curl",
    "git": "apt install git",
    "go": "https://go.dev/doc/install",
    "javac": "apt install default-jdk",
    "kcat": "apt install kcat",
    "node": "apt install nodejs",
    "npm": "apt install npm",
    "prometheus": "apt install prometheus",
    "promtool": "apt install prometheus",
}


def find(name: str, executables: Iterable[str] = ()) -> str:
    """Return the path of a program, under the first of its names that is on the PATH; skip the test without one."""
    for executable in executables or (name,):
        if path := shutil.which(executable):
            return path
    pytest.skip(_reason(name))


def needs(*names: str) -> pytest.MarkDecorator:
    """Return the mark of tests that need these programs."""
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=", ".join(map(_reason, missing)))


def _reason(name: str) -> str:
    return f"{name} is not installed: {HOW_TO_GET[name]}"


def skipped(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> Iterator[str]:
    """Yield one line for each reason why tests were skipped, with their count; the most frequent reason is first."""
    reasons = Counter(report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple))
    for reason, count in reasons.most_common():
        tests = "1 test" if count == 1 else f"{count} tests"
        yield f"{tests}: {reason.removeprefix('Skipped: ')}"
