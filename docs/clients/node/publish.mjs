// Publish a text: node publish.mjs ID TEXT. Published again with the same id, it is the same text.
import kafkajs from "kafkajs";

const [id, text] = process.argv.slice(2);
if (!text) {
  console.error("usage: node publish.mjs ID TEXT");
  process.exit(2);
}
const { BOOTSTRAP = "127.0.0.1:9092", PREFIX = "sprat", TENANT = "acme-bank", SOURCE = "/crm/mail" } = process.env;
const { KEY = id } = process.env; // a customer, a conversation: what has the same key keeps its order
const { Kafka, logLevel, Partitioners } = kafkajs;

const kafka = new Kafka({ brokers: BOOTSTRAP.split(","), clientId: "crm-node", logLevel: logLevel.ERROR });
// The default partitioner chooses partitions by keys as Java's clients do.
const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
const value = JSON.stringify({ text, tasks: { intent: {}, ner: {} }, tenant: TENANT });
const headers = {
  ce_specversion: "1.0",
  ce_id: id,
  ce_source: SOURCE,
  ce_type: "dev.sprat.text.submitted.v1",
};
const topic = `${PREFIX}.texts.v1`;
const [place] = await producer.send({ topic, messages: [{ key: KEY, value, headers }] });
// A dead letter, if any, names the same partition and offset.
console.log(`${topic} ${place.partition}@${place.baseOffset}`);
await producer.disconnect();
