"""What the contract demands of a soak run, a query each: its rows are what is wrong."""

from typing import Final

_HERE: Final = "shown(t.place) || ' ' || t.source || ' ' || t.id"
_MUST_END: Final = "('text', 'committed', 'broken')"

CHECKS: Final[dict[str, str]] = {
    # The driver and Kafka: without these the rest judges nothing.
    "acknowledged, and not on the topic": f"""
        SELECT coalesce(shown(a.place), '?') || ' ' || coalesce(a.id, '') FROM acks a
        LEFT JOIN texts t ON t.place = a.place AND t.committed WHERE a.kind IN {_MUST_END} AND t.place IS NULL""",
    "acknowledged twice at one place": """
        SELECT shown(place) FROM acks WHERE place IS NOT NULL GROUP BY place HAVING count(*) > 1""",
    "another record than was acknowledged": f"""
        SELECT {_HERE} FROM acks a JOIN texts t ON t.place = a.place WHERE a.kind <> 'broken'
        AND (a.source, a.id, a.tasks, a.tenant) IS NOT (t.source, t.id, t.tasks, t.tenant)""",
    "aborted, and visible": f"""
        SELECT {_HERE} FROM acks a JOIN texts t ON t.place = a.place WHERE a.kind = 'aborted' AND t.committed""",
    # Each pair one Result.
    "pair without a Result": f"""
        SELECT {_HERE} FROM pairs p JOIN texts t ON t.place = p.text WHERE p.kind IN {_MUST_END}
        AND NOT EXISTS (SELECT 1 FROM written w WHERE w.stage = 'result' AND w.pair = p.pair)""",
    "text that nobody acknowledged, with neither all its Results nor a dead letter": f"""
        SELECT {_HERE} FROM texts t LEFT JOIN acks a ON a.place = t.place WHERE t.committed AND a.kind IS NULL
        AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.origin = t.place AND l.topic = :texts)
        AND (t.tasks = '' OR EXISTS (SELECT 1 FROM pairs p WHERE p.text = t.place
            AND NOT EXISTS (SELECT 1 FROM written w WHERE w.stage = 'result' AND w.pair = p.pair)))""",
    "Result of a pair that no text asks for": """
        SELECT w.record FROM written w JOIN texts t ON t.place = w.origin AND t.committed WHERE w.stage = 'result'
        AND NOT EXISTS (SELECT 1 FROM pairs p WHERE p.pair = w.pair AND p.text = w.origin)""",
    "record about another text than stands at its origin": """
        SELECT w.record FROM written w JOIN texts t ON t.place = w.origin
        WHERE NOT EXISTS (SELECT 1 FROM pairs p WHERE p.pair = w.pair AND p.text = w.origin)
        AND w.pair <> pair(t.source, t.id, w.task)""",
    "record about no text": """
        SELECT w.record FROM written w LEFT JOIN texts t ON t.place = w.origin WHERE t.place IS NULL""",
    "tenant of another text": """
        SELECT w.record FROM written w JOIN texts t ON t.place = w.origin WHERE w.tenant <> t.tenant""",
    "Result that names other tasks than its text": """
        SELECT w.record FROM written w JOIN texts t ON t.place = w.origin LEFT JOIN acks a ON a.place = t.place
        WHERE w.stage = 'result' AND w.requested <> coalesce(a.tasks, t.tasks)""",
    # Each broken record one letter, by its origin.
    "broken record without a dead letter": """
        SELECT shown(a.place) FROM acks a WHERE a.kind = 'broken'
        AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.origin = a.place AND l.topic = :texts)""",
    "several dead letters of one record": """
        SELECT shown(origin) FROM letters WHERE topic = :texts
        GROUP BY origin HAVING count(DISTINCT service || ' ' || code) > 1""",
    "dead letter of a valid text": """
        SELECT l.record || ' ' || l.code FROM letters l JOIN acks a ON a.place = l.origin
        WHERE l.topic = :texts AND a.kind IN ('text', 'committed')""",
    "dead letter of no record": """
        SELECT l.record FROM letters l LEFT JOIN texts t ON t.place = l.origin
        WHERE l.topic = :texts AND t.place IS NULL""",
    "dead letter of a service's own record": """
        SELECT record || ' ' || topic || ' ' || code FROM letters WHERE topic <> :texts""",
    "dead letter that is not the record as it was": """
        SELECT l.record FROM letters l JOIN texts t ON t.place = l.origin
        WHERE l.topic = :texts AND l.content IS NOT NULL AND l.content <> t.content""",
    # Nothing of an aborted transaction.
    "made of an aborted record": """
        SELECT w.record FROM written w JOIN texts t ON t.place = w.origin WHERE NOT t.committed
        UNION ALL SELECT l.record FROM letters l JOIN texts t ON t.place = l.origin
        WHERE l.topic = :texts AND NOT t.committed""",
    "aborted text at the provider": f"""
        SELECT {_HERE} FROM texts t WHERE NOT t.committed AND t.text IN (SELECT text FROM sent)
        AND NOT EXISTS (SELECT 1 FROM texts o WHERE o.text = t.text AND o.committed)""",
    # What may not leave.
    "text at the provider that may not leave": f"""
        SELECT {_HERE} FROM texts t WHERE NOT t.may_leave AND t.text IN (SELECT text FROM sent)
        AND NOT EXISTS (SELECT 1 FROM texts o WHERE o.text = t.text AND o.may_leave)""",
    "record that says that a text left which may not": """
        SELECT w.record FROM written w JOIN texts t ON t.place = w.origin WHERE w.has_left AND NOT t.may_leave""",
    "call for a tenant of which nothing may leave": """
        SELECT record FROM egress WHERE tenant NOT IN (SELECT tenant FROM texts WHERE may_leave)""",
    # The audit. An attempt that ended as `not_sent` allows no request; one whose end nobody saw allows one.
    "call without a record in the audit": """
        SELECT bytes || ' bytes: ' || count(*) || ' requests' FROM requests r GROUP BY bytes HAVING count(*) > (
            SELECT count(DISTINCT a.writer || a.sequence) FROM egress a WHERE a.phase = 'attempt' AND a.bytes = r.bytes
            AND NOT EXISTS (SELECT 1 FROM egress o WHERE o.call_id = a.call_id AND o.outcome = 'not_sent'))""",
    "egress record outside every chain": "SELECT record FROM egress WHERE writer IS NULL",
    "number of the audit with different records": """
        SELECT min(record) FROM egress WHERE writer IS NOT NULL
        GROUP BY writer, sequence HAVING count(DISTINCT digest) > 1""",
    "egress record that is missing, though a later one says that Kafka had acknowledged it": """
        SELECT writer || ': ' || (max(acknowledged) - count(DISTINCT CASE WHEN sequence <= top THEN sequence END))
        FROM (SELECT *, max(acknowledged) OVER (PARTITION BY writer) AS top FROM egress WHERE writer IS NOT NULL)
        GROUP BY writer HAVING max(acknowledged) > count(DISTINCT CASE WHEN sequence <= top THEN sequence END)""",
    "egress record that names another one before it": """
        SELECT e.record FROM egress e JOIN egress b ON b.writer = e.writer AND b.sequence = e.sequence - 1
        WHERE e.previous <> b.digest UNION ALL
        SELECT record FROM egress WHERE sequence = 1 AND previous <> ''""",
    "outcome of a call without its attempt": """
        SELECT o.record FROM egress o WHERE o.phase = 'outcome'
        AND NOT EXISTS (SELECT 1 FROM egress a WHERE a.call_id = o.call_id AND a.phase = 'attempt')""",
    "answer of a call that the audit does not know": """
        SELECT w.record FROM written w WHERE w.has_left AND w.call_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM egress a WHERE a.call_id = w.call_id AND a.phase = 'attempt')""",
}
