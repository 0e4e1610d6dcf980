"""Whether the services' counters say what stands on the topics."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.soak.evidence import SoakEvidence

_BY_TASK: Final = {
    "sprat_results_total": "SELECT task, count(*) FROM written WHERE stage = 'result' GROUP BY task",
    "sprat_predictions_total": "SELECT task, count(*) FROM written WHERE stage = 'prediction' GROUP BY task",
    "sprat_escalations_total": "SELECT task, count(*) FROM written WHERE stage = 'frontier-answer' GROUP BY task",
}
_LETTERS: Final = "sprat_dead_letters_total"
_SENT: Final = "messaging_client_sent_messages_total"
COUNTERS: Final = frozenset({*_BY_TASK, _LETTERS, _SENT})


def counted(metrics: Iterable[str]) -> Counter[tuple[str, str]]:
    """Return counter and task or topic → the sum over all processes, of what `/metrics` of each said last."""
    sums: Counter[tuple[str, str]] = Counter()
    for said in metrics:
        is_open = said.rstrip().endswith("# EOF")
        families = (openmetrics.text_string_to_metric_families if is_open else text_string_to_metric_families)(said)
        for sample in (sample for family in families for sample in family.samples):
            if sample.name in COUNTERS:
                labels = sample.labels
                which = labels.get("messaging_destination_name" if sample.name == _SENT else "sprat_task", "")
                sums[sample.name, which] += round(sample.value)
    return sums


def standing(evidence: SoakEvidence, records: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Return what the topics say of the same; `records` are the records of each topic."""
    found = {(name, task): 0 for name in _BY_TASK for task in evidence.tasks} | {
        (_LETTERS, ""): records.get(evidence.letters, 0)
    }
    for name, query in _BY_TASK.items():
        found |= {(name, str(task)): int(number) for task, number in evidence.query(query)}
    return found | {(_SENT, topic): records.get(topic, 0) for topic in evidence.written_topics}


def differences(
    said: Mapping[tuple[str, str], int], stand: Mapping[tuple[str, str], int], *, quiet: bool
) -> Iterator[str]:
    """Yield the counters that lie.

    A counter may be behind its topic where a process was killed or an acknowledgement was lost, never ahead: it counts
    what Kafka has acknowledged. Without faults both are equal.
    """
    for key, topic in sorted(stand.items()):
        counter = said.get(key, 0)
        if counter > topic or (quiet and counter != topic):
            yield f"{' '.join(key).strip()}: counted {counter}, on the topic {topic}"
