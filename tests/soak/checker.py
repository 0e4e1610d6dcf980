"""Judge a soak run by the contract alone: by its topics, and by what the driver and the provider have written down.

    python -m tests.soak.checker FOLDER --bootstrap HOST:PORT --prefix sprat --may-leave acme-bank,nordic-travel

Everything has to be settled: no group has lag, and nobody writes. The folder holds JSON lines:

* `acks.jsonl`, what the broker has acknowledged: {"id", "source", "tasks": […], "tenant", "partition", "offset",
  "kind"}. The kind is `text`, `committed` or `aborted` (of a transaction), or `broken`: one that is to become a dead
  letter. `tasks` are those that are to end in Results. The offset is null where the broker did not say it.
* `provider.jsonl`, a line for each request that the provider received: {"texts": [SHA-256 of each string in it],
  "bytes": of its body}. `contract.hashes_of` gives the hashes.
* `samples.jsonl`: {"at": epoch seconds, "process", "pid", "rss": bytes, "fds"} and {"at", "disk": bytes}.
* `metrics/*.prom`, what `/metrics` of each service said at the end. This is no JSON.

A file that is missing is named in the report as not checked. Findings name ids and places, never a text. Pairs with
several Results are counted as repeats: delivery is at least once, and all have the same id.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tests.soak import contract, counters
from tests.soak.checks import CHECKS
from tests.soak.evidence import SoakEvidence
from tests.soak.slopes import growth
from tests.soak.topic_records import TopicReader

__all__ = ["SoakReport", "check", "hashes_of"]

hashes_of = contract.hashes_of
EXAMPLES: Final = 5
_FIGURES: Final = {
    "acknowledged": "SELECT count(*) FROM acks WHERE kind <> 'aborted'",
    "texts": "SELECT count(*) FROM texts WHERE committed",
    "aborted": "SELECT count(*) FROM texts WHERE NOT committed",
    "unacknowledged": """SELECT count(*) FROM texts t WHERE committed
        AND NOT EXISTS (SELECT 1 FROM acks a WHERE a.place = t.place)""",
    "pairs": "SELECT count(DISTINCT pair) FROM pairs",
    "results": "SELECT count(*) FROM written WHERE stage = 'result'",
    "repeats": "SELECT count(*) - count(DISTINCT pair) FROM written WHERE stage = 'result'",
    "degraded": "SELECT count(*) FROM written WHERE stage = 'result' AND status = 'degraded'",
    "unanswered": "SELECT count(*) FROM written WHERE stage = 'result' AND status = 'unanswered'",
    "broken": "SELECT count(*) FROM acks WHERE kind = 'broken'",
    "letters": "SELECT count(*) FROM letters",
    "letter_repeats": "SELECT count(*) - count(DISTINCT topic || origin || service) FROM letters",
    "may_not_leave": "SELECT count(*) FROM texts WHERE NOT may_leave AND committed AND text IS NOT NULL",
    "told_apart": """SELECT count(*) FROM texts t WHERE NOT may_leave AND committed AND text IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM texts o WHERE o.text = t.text AND o.may_leave)""",
    "egress_records": "SELECT count(*) FROM egress",
    "attempts": "SELECT count(*) FROM egress WHERE phase = 'attempt'",
    "provider_requests": "SELECT count(*) FROM requests",
}


@dataclass
class SoakReport:
    """What a check has found."""

    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is wrong → how often, and the first examples."""
    figures: dict[str, int | float] = field(default_factory=dict)
    slopes: list[dict[str, Any]] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. What could not be checked is in `not_checked`."""
        return not self.findings

    def add(self, kind: str, found: Iterable[str]) -> None:
        """Add what is wrong, if anything is."""
        rest = iter(found)
        if examples := list(islice(rest, EXAMPLES)):
            self.findings[kind] = {"count": len(examples) + sum(1 for _ in rest), "examples": examples}

    def as_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps({"ok": self.ok, **asdict(self)}, ensure_ascii=False, indent=1)


def check(
    folder: Path,
    *,
    bootstrap: str,
    prefix: str,
    may_leave: Collection[str],
    quiet: bool = False,
    audit_verify: Sequence[str] | None = None,
    clock_went_back: bool = False,
) -> SoakReport:
    """Return what is wrong with a run.

    Args:
        folder: the run's files; the tables are written beside them, into `evidence.sqlite`.
        bootstrap: Kafka.
        prefix: of the topics.
        may_leave: tenants of which the policy lets anything leave, at any time of the run.
        quiet: nothing was killed, stopped or cut, so counters have to be equal to the topics.
        audit_verify: the command `sprat audit verify --json …`, as a second opinion; its exit code has to be 0.
        clock_went_back: that of the frontier did, so that records may be signed long before they were written.

    Raises:
        TimeoutError: a partition cannot be read to its end.
    """
    began = time.monotonic()
    everything = TopicReader(bootstrap, committed=False)
    evidence = SoakEvidence(folder / "evidence.sqlite", everything.topics(), prefix, may_leave)
    report = SoakReport()
    try:
        records = _read(evidence, everything, bootstrap, report)
        read_s = time.monotonic() - began
        judge(evidence, folder, records, report, quiet=quiet)
        report.figures |= {"read_s": round(read_s, 1), "seconds": round(time.monotonic() - began, 1)}
    finally:
        evidence.close()
    if audit_verify is None:
        report.not_checked.append("sprat audit verify")
    else:
        second_opinion(audit_verify, report, clock_went_back=clock_went_back)
    return report


def _read(evidence: SoakEvidence, everything: TopicReader, bootstrap: str, report: SoakReport) -> Counter[str]:
    """Read all topics into the evidence and return how many records each holds."""
    records: Counter[str] = Counter()
    for record in everything.read([evidence.texts]):
        evidence.take_text(record)
    committed = TopicReader(bootstrap, committed=True)
    for record in committed.read([evidence.texts]):
        evidence.take_committed(record)
    held_back = [
        f"{topic} {partition}: read to {end}"
        for (topic, partition), end in committed.ends.items()
        if end < everything.ends[topic, partition]
    ]
    report.add("open transaction", held_back)
    for record in committed.read(evidence.written_topics):
        records[record.topic] += 1
        evidence.take_written(record)
    gone = {**everything.removed, **committed.removed}
    report.add("records removed before they were read", [f"{t} {p}: before {low}" for (t, p), low in gone.items()])
    return records


def judge(evidence: SoakEvidence, folder: Path, records: Counter[str], report: SoakReport, *, quiet: bool) -> None:
    """Add to the report what the topics, already read, and the run's files say."""
    with (folder / "acks.jsonl").open(encoding="utf-8") as lines:
        evidence.take_acknowledgements(lines)
    if (folder / "provider.jsonl").exists():
        with (folder / "provider.jsonl").open(encoding="utf-8") as lines:
            evidence.take_provider(lines)
    else:
        report.not_checked.append("what reached the provider: no provider.jsonl")
    evidence.close_books()
    for (kind,) in list(evidence.query("SELECT DISTINCT kind FROM flaws")):
        report.add(
            kind, (str(place) for (place,) in evidence.query("SELECT place FROM flaws WHERE kind = :kind", kind=kind))
        )
    for kind, sql in CHECKS.items():
        report.add(kind, (str(row[0]) for row in evidence.query(sql)))
    report.figures |= {name: evidence.number(sql) for name, sql in _FIGURES.items()}
    if report.figures["may_not_leave"] and not report.figures["told_apart"]:
        report.not_checked.append("texts that may not leave: each is equal to one that may")
    _compare_counters(evidence, folder, records, report, quiet=quiet)
    _measure_growth(evidence, folder, report)


def _compare_counters(
    evidence: SoakEvidence, folder: Path, records: Counter[str], report: SoakReport, *, quiet: bool
) -> None:
    said = [file.read_text(encoding="utf-8") for file in sorted((folder / "metrics").glob("*.prom"))]
    if not said:
        report.not_checked.append("counters: no metrics/*.prom")
        return
    stand = counters.standing(evidence, records)
    report.add(
        "counters that differ from their topics", counters.differences(counters.counted(said), stand, quiet=quiet)
    )


def _measure_growth(evidence: SoakEvidence, folder: Path, report: SoakReport) -> None:
    appended = [int(at) for (at,) in evidence.query("SELECT at_ms FROM texts ORDER BY at_ms")]
    slopes = growth(_lines(folder / "samples.jsonl"), appended)
    report.slopes = [asdict(slope) for slope in slopes]
    report.add("grows with the texts", [str(slope) for slope in slopes if slope.is_too_steep])
    if not any(slope.is_judged for slope in slopes):
        report.not_checked.append("growth of memory and file handles: too few texts or samples")


def second_opinion(command: Sequence[str], report: SoakReport, *, clock_went_back: bool = False) -> None:
    """Add what another checker says, if its exit code is not 0, but for records that are late by a clock."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if not ended.returncode:
        return
    said = (ended.stdout + ended.stderr).strip().splitlines()
    late = [line for line in said if line.startswith("{") and json.loads(line).get("kind") == "late"]
    found = [line for line in said if not line.startswith("{") or json.loads(line).get("type") == "finding"]
    if clock_went_back and late and late == found:
        report.figures["late_by_a_clock"] = len(late)
    else:
        report.add("sprat audit verify", [f"exit code {ended.returncode}", *said])


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)


def main() -> None:
    """Check a run and exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", default="sprat")
    parser.add_argument("--may-leave", default="", help="tenants, separated by commas")
    parser.add_argument("--quiet", action="store_true", help="there was no fault: counters have to be equal")
    given = parser.parse_args()
    may_leave = frozenset(filter(None, given.may_leave.split(",")))
    report = check(given.folder, bootstrap=given.bootstrap, prefix=given.prefix, may_leave=may_leave, quiet=given.quiet)
    sys.stdout.write(report.as_json() + "\n")
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
