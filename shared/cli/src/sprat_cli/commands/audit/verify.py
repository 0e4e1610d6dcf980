"""What `sprat audit verify` prints."""

from collections import defaultdict
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sprat_cli.terminal import faint, paint, printable, say, say_json
from sprat_operations.audit_findings import AuditFinding
from sprat_operations.audit_proof import AuditProof

_SHOWN = 20
"""Findings of one kind that are printed; `--json` has all."""


def say_proof_json(proof: AuditProof) -> None:
    """Print findings, writers and the sum, one object a line."""
    for finding in proof.findings:
        say_json({"type": "finding", **asdict(finding), "advice": finding.advice})
    for writer in proof.writers:
        say_json({"type": "writer", **asdict(writer)})
    say_json(
        {
            "type": "verified",
            "fine": not proof.findings,
            "findings": len(proof.findings),
            "foreign": sum(each.foreign for each in proof.findings),
            "unsigned_until_ms": proof.unsigned_until_ms,
            **_counts(proof),
        }
    )


def say_proof(proof: AuditProof, checkpoints: str, *, reconciled: bool) -> None:
    """Print what was checked, and what was found."""
    counts = _counts(proof)
    say(f"records of the audit: {counts['records']:,}, of which unsigned: {counts['unsigned']:,}{_until(proof)}")
    say(f"calls with attempt and outcome: {counts['calls']:,}")
    for many, text in (
        (counts["interrupted"], "calls during which a service died"),
        (counts["recent"], "calls too recent to judge"),
        (counts["expired"], "records that are older than what is checked"),
        (counts["repeated_writes"], "records that stand there again"),
    ):
        if many:
            say(f"{text}: {many:,}")
    say(f"checkpoints: {counts['checkpoints']:,} from {checkpoints}" if checkpoints else "checkpoints: not checked")
    if reconciled:
        say(f"answers and Results: {counts['answers']:,}, of which left: {counts['answers_that_left']:,}")
    else:
        say("answers and Results: not checked")
    for writer in proof.writers:
        ended = "stopped" if writer.closed else "running or killed"
        span = f", {_when(writer.first_ms)} to {_when(writer.last_ms)}" if writer.records else ""
        say(
            f"writer {printable(writer.writer)}: {writer.records:,} records{span}, key {printable(writer.key_id)}, "
            f"{ended}"
        )
    _say_findings(proof.findings)
    if not checkpoints:
        say(paint("without checkpoints (--checkpoints), a log whose end was removed looks whole", "yellow"))
    say(_sum(proof, checkpoints=bool(checkpoints)))


def exit_code(proof: AuditProof) -> int:
    """Return 0 without findings, 3 where all are of foreign records and a given key signed others, else 1."""
    if not proof.findings:
        return 0
    return 3 if all(each.foreign for each in proof.findings) and _any_signed(proof) else 1


def _any_signed(proof: AuditProof) -> bool:
    return any(writer.records for writer in proof.writers)


def _sum(proof: AuditProof, *, checkpoints: bool) -> str:
    found, foreign = len(proof.findings), sum(each.foreign for each in proof.findings)
    if not found:
        return paint("fine: nothing is missing or changed", "green")
    if found == foreign and not _any_signed(proof):
        return paint(f"findings: {found:,}; no given key signed any record: is --public-key the right one?", "red")
    if found == foreign:
        whole = "; nothing signed is missing or changed" if checkpoints else ""
        return paint(f"findings: {found:,}, all of foreign records, which no given key signed{whole}", "yellow")
    return paint(f"findings: {found:,}" + (f", of which of foreign records: {foreign:,}" if foreign else ""), "red")


def _say_findings(findings: list[AuditFinding]) -> None:
    by_kind: dict[tuple[str, bool], list[AuditFinding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.kind, finding.foreign].append(finding)
    for (kind, foreign), found in by_kind.items():
        say(f"{paint(kind, 'yellow' if foreign else 'red')} ({len(found):,}{foreign * ', foreign'}): {found[0].advice}")
        for finding in found[:_SHOWN]:
            at = "" if finding.at_ms is None else f"{_when(finding.at_ms)}  "
            say(f"  {at}{printable(finding.where)}  {faint(printable(finding.what))}")
        if len(found) > _SHOWN:
            say(f"  and {len(found) - _SHOWN:,} more (--json names all)")


def _counts(proof: AuditProof) -> dict[str, Any]:
    names = (
        "records", "unsigned", "calls", "interrupted", "recent", "expired", "repeated_writes", "unacknowledged_gaps",
        "checkpoints", "answers", "answers_that_left", "unreadable_answers",
    )  # fmt: skip
    return {name: proof.counts[name] for name in names}


def _until(proof: AuditProof) -> str:
    return "" if proof.unsigned_until_ms is None else f", the last one at {_when(proof.unsigned_until_ms)}"


def _when(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S%z")
