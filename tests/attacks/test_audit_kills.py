"""No false alarm of the audit over many records: what `tests/security/test_audit_tampering.py` does with fewer."""

from support.audit_log import simulate_kills, verified


async def test_no_false_alarm_over_100000_records_with_kills_at_every_point():
    simulation = await simulate_kills(100_000)
    proof = verified(simulation.log, late_ms=simulation.late_ms)
    assert proof.findings == []
    assert proof.counts["records"] >= 100_000
    assert simulation.kills > 100
    assert proof.counts["interrupted"] > simulation.kills / 4
