// Join the Results of all tasks by text, read dead letters beside them, and store each effect once, also after a kill.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import * as fzstd from "fzstd";
import kafkajs from "kafkajs";
import snappy from "kafkajs-snappy";
import lz4 from "lz4js";

const { BOOTSTRAP = "127.0.0.1:9092", PREFIX = "sprat", GROUP = "crm-node", STORE = "results.jsonl" } = process.env;
const { TENANT = "acme-bank", SOURCE = "/crm/mail", UNTIL_IDLE } = process.env; // SOURCE is the `ce_source` of our texts
const TASKS = ["intent", "ner", "translation"];
const DEAD_LETTERS = `${PREFIX}.dead-letters.v1`;

// kafkajs itself knows gzip alone; a batch in a codec that it does not know would end the consumer.
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
const reading = (decompress) => () => ({ decompress: async (bytes) => Buffer.from(decompress(bytes)) });
CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = reading((bytes) => lz4.decompress(bytes));
CompressionCodecs[CompressionTypes.ZSTD] = reading((bytes) => fzstd.decompress(bytes));

/** What the records caused: a file of one JSON line a record, so that a kill leaves all of it or nothing. */
class Store {
  answered = new Map(); // `ce_id` of a Result → whether it had an output
  texts = new Map(); // source and id, as JSON → task → Result
  letters = new Map();

  constructor(path) {
    const written = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    const whole = written.subarray(0, written.lastIndexOf("\n") + 1); // a kill may have cut the last line
    if (whole.length < written.length) truncateSync(path, whole.length);
    for (const line of whole.toString().split("\n").slice(0, -1)) this.remember(JSON.parse(line));
    this.file = openSync(path, "a");
  }

  remember({ id, dead_letter, has_output, result }) {
    if (dead_letter) return this.letters.set(id, dead_letter);
    this.answered.set(id, has_output);
    const key = keyOf(result);
    if (!this.texts.has(key)) this.texts.set(key, new Map());
    return this.texts.get(key).set(result.task, result);
  }

  add(effect) {
    this.remember(effect);
    // Your own effect, such as a ticket, belongs into the same line, or transaction.
    if (effect.result) effect.joined = this.joined(keyOf(effect.result));
    writeSync(this.file, JSON.stringify(effect) + "\n");
  }

  /**
   * Rule 3: return the text with its Results where each task that one of them names in `requested` has one. They differ
   * where the id was published again with other tasks. Tasks that we do not read do not count.
   */
  joined(key) {
    const results = this.texts.get(key);
    const requested = [...results.values()].flatMap((result) => result.requested);
    if (requested.some((task) => TASKS.includes(task) && !results.has(task))) return null;
    const [{ text_source, text_id }] = results.values();
    const [place] = [...results.values()].map(({ origin }) => [origin.partition, origin.offset]).sort(byPlace);
    const tasks = [...results].map(([task, { status, output }]) => [task, { status, output }]);
    return { text_source, text_id, place, tasks: Object.fromEntries(tasks) };
  }
}

const byPlace = (a, b) => a[0] - b[0] || a[1] - b[1];
const keyOf = ({ text_source, text_id }) => JSON.stringify([text_source, text_id]);

function take(store, topic, { headers, value }) {
  const header = (name) => [headers?.[name] ?? ""].flat().at(-1).toString();
  if (topic === DEAD_LETTERS) {
    if (header("ce_source") !== SOURCE) return;
    const place = ["origin_topic", "origin_partition", "origin_offset", "origin_timestamp"];
    const names = [...place, "service", "error_code", "error_detail"];
    const dead_letter = Object.fromEntries(names.map((name) => [name, header(`sprat_${name}`)]));
    const id = Object.values(dead_letter).slice(0, -2).join("/"); // a repeat has the same
    dead_letter.ce_id = header("ce_id"); // of the text; empty: none
    if (!store.letters.has(id)) store.add({ id, dead_letter });
    return;
  }
  // Rule 2: headers tell whose Result it is and whether it has an output. Rule 5: other types are skipped, and so is
  // whatever has no value; an unknown status, code, reason or field changes nothing.
  const tenant = header("ce_tenant");
  if (header("ce_type") !== "dev.sprat.result.decided.v1" || value === null) return;
  if (tenant !== TENANT) {
    // Its bytes say whether it may be of our source: most of the others need not be decoded.
    const stray = value.includes(SOURCE) ? JSON.parse(value) : {};
    if (stray.text_source !== SOURCE) return;
    const why = `tenant is ${stray.tenant}, not ${TENANT}: was \`tenant\` forgotten or misspelt?`;
    console.error(`stray: ${stray.text_id} ${stray.task}: ${why}`);
    warn(stray);
    return;
  }
  // Rule 1: the first Result with an output counts, and all Results of a text and a task have the same `ce_id`.
  const id = header("ce_id");
  const has_output = header("ce_status") !== "unanswered";
  const earlier = store.answered.get(id);
  if (earlier || (earlier === false && !has_output)) return;
  const result = JSON.parse(value);
  warn(result);
  store.add({ id, has_output, result });
}

/** Say what of the text was not understood, such as a misspelt field. */
function warn({ text_id, task, warnings }) {
  for (const { code, detail } of warnings ?? []) console.error(`warning: ${text_id} ${task}: ${code}: ${detail}`);
}

const store = new Store(STORE);
let last = Date.now();
process.exitCode = 1; // until it is ended: after an error that a retry does not help, kafkajs stops reading
const kafka = new Kafka({ brokers: BOOTSTRAP.split(","), clientId: GROUP, logLevel: logLevel.ERROR });
// kafkajs has no static members: after a kill the partitions are free once the session has timed out.
const consumer = kafka.consumer({ groupId: GROUP, sessionTimeout: 6_000, heartbeatInterval: 1_000, maxWaitTimeInMs: 500 });
await consumer.connect(); // it reads committed records alone, unless `readUncommitted` is set
const topics = [...TASKS.map((task) => `${PREFIX}.results.${task}.v1`), DEAD_LETTERS];
await consumer.subscribe({ topics, fromBeginning: true });
await consumer.run({
  // It commits a batch once this has returned, so only what is stored: a kill before it means repeats, not loss.
  eachBatch: async ({ batch }) => {
    last = Date.now();
    for (const message of batch.messages) take(store, batch.topic, message);
    fsyncSync(store.file);
  },
});

async function end() {
  await consumer.disconnect();
  closeSync(store.file);
  process.exitCode = 0;
  const texts = [...store.texts.keys()].map((key) => store.joined(key)).filter(Boolean);
  texts.sort((a, b) => byPlace(a.place, b.place)); // rule 4
  for (const text of texts) console.log(JSON.stringify(text));
  for (const dead_letter of store.letters.values()) console.log(JSON.stringify({ dead_letter }));
}
process.once("SIGTERM", end).once("SIGINT", end);
if (UNTIL_IDLE) {
  const looking = setInterval(() => {
    if (Date.now() - last < UNTIL_IDLE * 1_000) return;
    clearInterval(looking);
    end();
  }, 100);
}
