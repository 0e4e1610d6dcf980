"""Join the Results of all tasks by text, read dead letters beside them, store each effect once, also after a kill."""

import json
import os
import signal
import sys
import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message

PREFIX = os.environ.get("PREFIX", "sprat")
TENANT = os.environ.get("TENANT", "acme-bank").encode()
SOURCE = os.environ.get("SOURCE", "/crm/mail").encode()  # the `ce_source` of our texts
TASKS = ("intent", "ner", "translation")
Json = dict[str, Any]
DEAD_LETTERS = f"{PREFIX}.dead-letters.v1"


class Store:
    """What the records caused: a file of one JSON line a record, so that a kill leaves all of it or nothing."""

    def __init__(self, path: str) -> None:
        self.answered: dict[str, bool] = {}  # `ce_id` of a Result → whether it had an output
        self.texts: dict[tuple[str, str], dict[str, Json]] = {}  # (text_source, text_id) → task → Result
        self.letters: dict[str, Json] = {}
        self.file = open(path, "a+b")
        self.file.seek(0)
        whole = 0
        for line in self.file:
            if line.endswith(b"\n"):  # a kill may have cut the last line; its record is delivered again
                self.remember(json.loads(line))
                whole += len(line)
        self.file.truncate(whole)

    def remember(self, effect: Json) -> None:
        if "dead_letter" in effect:
            self.letters[effect["id"]] = effect["dead_letter"]
            return
        result = effect["result"]
        self.answered[effect["id"]] = effect["has_output"]
        self.texts.setdefault((result["text_source"], result["text_id"]), {})[result["task"]] = result

    def add(self, effect: Json) -> None:
        self.remember(effect)
        if "result" in effect:  # your own effect, such as a ticket, belongs into the same line, or transaction
            effect["joined"] = self.joined(effect["result"]["text_source"], effect["result"]["text_id"])
        self.file.write(json.dumps(effect).encode() + b"\n")

    def joined(self, source: str, id: str) -> Json | None:
        """Rule 3: return the text with its Results where each task that one of them names in `requested` has one.

        They differ where the id was published again with other tasks. Tasks that we do not read do not count.
        """
        results = self.texts[source, id]
        if not {task for each in results.values() for task in each["requested"]} & {*TASKS} <= results.keys():
            return None
        place = min([each["origin"]["partition"], each["origin"]["offset"]] for each in results.values())
        tasks = {task: {"status": each["status"], "output": each["output"]} for task, each in results.items()}
        return {"text_source": source, "text_id": id, "place": place, "tasks": tasks}


def take(store: Store, record: Message) -> None:
    headers: dict[str, Any] = dict(record.headers() or [])
    if record.topic() == DEAD_LETTERS:
        if headers.get("ce_source") == SOURCE:
            place = ("origin_topic", "origin_partition", "origin_offset", "origin_timestamp")
            names = (*place, "service", "error_code", "error_detail")
            letter = {name: headers.get(f"sprat_{name}", b"").decode() for name in names}
            id = "/".join([letter[name] for name in names[:-2]])  # a repeat has the same
            letter["ce_id"] = headers.get("ce_id", b"").decode(
                "utf-8", "replace"
            )  # of the text; empty: no readable one
            if id not in store.letters:
                store.add({"id": id, "dead_letter": letter})
        return
    # Rule 2: headers tell whose Result it is and whether it has an output. Rule 5: other types are skipped, and so is
    # whatever has no value; an unknown status, code, reason or field changes nothing.
    value, tenant = record.value(), headers.get("ce_tenant")
    if headers.get("ce_type") != b"dev.sprat.result.decided.v1" or value is None:
        return
    if tenant != TENANT:
        # Its bytes say whether it may be of our source: most of the others need not be decoded.
        if SOURCE in value and (stray := json.loads(value))["text_source"].encode() == SOURCE:
            why = f"tenant is {stray['tenant']}, not {TENANT.decode()}: was `tenant` forgotten or misspelt?"
            print(f"stray: {stray['text_id']} {stray['task']}: {why}", file=sys.stderr)
            warn(stray)
        return
    # Rule 1: the first Result with an output counts, and all Results of a text and a task have the same `ce_id`.
    id, has_output = headers["ce_id"].decode(), headers.get("ce_status") != b"unanswered"
    earlier = store.answered.get(id)
    if earlier or (earlier is False and not has_output):
        return
    result = json.loads(value)
    warn(result)
    store.add({"id": id, "has_output": has_output, "result": result})


def warn(result: Json) -> None:
    """Say what of the text was not understood, such as a misspelt field."""
    for each in result.get("warnings") or ():
        print(f"warning: {result['text_id']} {result['task']}: {each['code']}: {each['detail']}", file=sys.stderr)


def main() -> None:
    store = Store(os.environ.get("STORE", "results.jsonl"))
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("BOOTSTRAP", "127.0.0.1:9092"),
            "group.id": os.environ.get("GROUP", "crm-python"),
            "group.instance.id": "1",  # of this process: after a restart it has its partitions again at once
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([*(f"{PREFIX}.results.{task}.v1" for task in TASKS), DEAD_LETTERS])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # raises KeyboardInterrupt, as Ctrl-C does
    until_idle_s, last = float(os.environ.get("UNTIL_IDLE", "inf")), time.monotonic()
    try:
        while time.monotonic() - last < until_idle_s:
            records = consumer.consume(500, timeout=0.5)
            for record in records:
                if record.error():
                    raise KafkaException(record.error())
                take(store, record)
            if records:
                last = time.monotonic()
                store.file.flush()
                os.fsync(store.file.fileno())
                consumer.commit(asynchronous=False)  # only what is stored: a kill before it means repeats, not loss
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
    texts = [text for key in store.texts if (text := store.joined(*key))]
    for line in sorted(texts, key=lambda text: text["place"]):  # rule 4
        print(json.dumps(line))
    for letter in store.letters.values():
        print(json.dumps({"dead_letter": letter}))


main()
