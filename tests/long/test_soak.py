"""A short soak: `make soak` without arguments. Its faults are of the same plan as those of a long one."""

import json
from pathlib import Path

import pytest

from tests.soak.run import soak

SEED, TEXTS, MINUTES = 2, 3_000, 2.0


@pytest.mark.timeout(900)
def test_three_thousand_texts_and_some_faults_lose_double_and_leak_nothing(tmp_path: Path) -> None:
    report = soak(SEED, TEXTS, MINUTES, tmp_path, brokers=3, faulty=True)
    assert report.findings == {}
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert [fault["problem"] for fault in summary["faults"]] == [""] * len(summary["faults"])
    assert len(summary["faults"]) >= 3
    assert set(summary["acknowledged"]) == {"text", "broken", "committed", "aborted"}
    assert report.figures["provider_requests"] > 0
    assert report.figures["told_apart"] > 0, "a leaked text would be known"
    audit = {each for each in report.not_checked if "growth" not in each}
    assert audit == set(), "all else was checked"
