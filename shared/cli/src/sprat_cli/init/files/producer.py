"""Publish a text to Sprat and wait for its Result. Needs confluent-kafka: pip install confluent-kafka."""

import json
import os
import sys
import uuid

from confluent_kafka import Consumer, Producer

BOOTSTRAP = os.environ.get("SPRAT_KAFKA__BOOTSTRAP", "127.0.0.1:9092")
PREFIX = os.environ.get("SPRAT_KAFKA__PREFIX", "sprat")
WAIT_S = 60

text = " ".join(sys.argv[1:]) or "please move 100 euros to my savings"
# An id and a source of one's own make a repeated send the same text, and find its Result. All else may be left out.
text_id, source = str(uuid.uuid4()), "/example"
headers = {
    "ce_specversion": "1.0",
    "ce_id": text_id,
    "ce_source": source,
    "ce_type": "dev.sprat.text.submitted.v1",
    "content-type": "application/json",
}
value = json.dumps({"text": text, "tasks": {"intent": {}}})

consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"example-{text_id}", "auto.offset.reset": "earliest"})
consumer.subscribe([f"{PREFIX}.results.intent.v1"])
producer = Producer({"bootstrap.servers": BOOTSTRAP})
producer.produce(f"{PREFIX}.texts.v1", value, headers=headers)
if producer.flush(10):
    sys.exit(f"Kafka at {BOOTSTRAP} does not answer")
try:
    while (record := consumer.poll(WAIT_S)) is not None:
        if record.error():
            sys.exit(str(record.error()))
        result = json.loads(record.value())
        if (result["text_source"], result["text_id"]) == (source, text_id):
            print(result["status"], json.dumps(result["output"], ensure_ascii=False))
            break
    else:
        sys.exit(f"no Result within {WAIT_S} s: do the services run?")
finally:
    consumer.close()
