import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.StringJoiner;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Join the Results of all tasks by text, read dead letters beside them, and store each effect once, also after a kill. */
public class ReadResults {
  static final String PREFIX = env("PREFIX", "sprat"), TENANT = env("TENANT", "acme-bank");
  static final String SOURCE = env("SOURCE", "/crm/mail"); // the `ce_source` of our texts
  static final List<String> TASKS = List.of("intent", "ner", "translation");
  static final String DEAD_LETTERS = PREFIX + ".dead-letters.v1";
  static final ObjectMapper JSON = new ObjectMapper();

  static void take(Store store, ConsumerRecord<byte[], byte[]> record) throws IOException {
    if (record.topic().equals(DEAD_LETTERS)) {
      if (!SOURCE.equals(header(record, "ce_source"))) return;
      var letter = JSON.createObjectNode();
      for (var name : List.of("origin_topic", "origin_partition", "origin_offset", "origin_timestamp", "service"))
        letter.put(name, header(record, "sprat_" + name));
      var id = new StringJoiner("/"); // a repeat has the same
      letter.forEach(value -> id.add(value.asText()));
      letter.put("error_code", header(record, "sprat_error_code"));
      letter.put("error_detail", header(record, "sprat_error_detail"));
      letter.put("ce_id", header(record, "ce_id")); // of the text; empty: none
      if (store.letters.containsKey(id.toString())) return;
      store.add(JSON.createObjectNode().put("id", id.toString()).set("dead_letter", letter));
      return;
    }
    // Rule 2: headers tell whose Result it is and whether it has an output. Rule 5: other types are skipped, and so is
    // whatever has no value; an unknown status, code, reason or field changes nothing.
    var tenant = header(record, "ce_tenant");
    if (!"dev.sprat.result.decided.v1".equals(header(record, "ce_type")) || record.value() == null) return;
    if (!TENANT.equals(tenant)) {
      // Its text says whether it may be of our source: most of the others need not be decoded.
      if (!new String(record.value(), UTF_8).contains(SOURCE)) return;
      var stray = JSON.readTree(record.value());
      if (!SOURCE.equals(stray.path("text_source").asText())) return;
      System.err.printf("stray: %s %s: tenant is %s, not %s: was `tenant` forgotten or misspelt?%n",
          stray.path("text_id").asText(), stray.path("task").asText(), stray.path("tenant").asText(), TENANT);
      warn(stray);
      return;
    }
    // Rule 1: the first Result with an output counts, and all Results of a text and a task have the same `ce_id`.
    var id = header(record, "ce_id");
    boolean hasOutput = !"unanswered".equals(header(record, "ce_status"));
    var earlier = store.answered.get(id);
    if (earlier != null && (earlier || !hasOutput)) return;
    var result = JSON.readTree(record.value());
    warn(result);
    var effect = JSON.createObjectNode().put("id", id).put("has_output", hasOutput);
    store.add(effect.set("result", result));
  }

  /** Say what of the text was not understood, such as a misspelt field. */
  static void warn(JsonNode result) {
    for (var each : result.path("warnings"))
      System.err.printf("warning: %s %s: %s: %s%n", result.path("text_id").asText(), result.path("task").asText(),
          each.path("code").asText(), each.path("detail").asText());
  }

  public static void main(String[] arguments) throws Exception {
    var store = new Store(env("STORE", "results.jsonl"));
    var settings = Map.<String, Object>of(
        "bootstrap.servers", env("BOOTSTRAP", "127.0.0.1:9092"),
        "group.id", env("GROUP", "crm-java"),
        "group.instance.id", "1", // of this process: after a restart it has its partitions again at once
        "auto.offset.reset", "earliest",
        "enable.auto.commit", false,
        "isolation.level", "read_committed"); // Java's default also reads what a transaction aborts
    var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    var main = Thread.currentThread();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> { // SIGTERM and Ctrl-C
      consumer.wakeup();
      try { main.join(); } catch (InterruptedException e) { main.interrupt(); }
    }));
    try (consumer) {
      consumer.subscribe(Stream.concat(
          TASKS.stream().map(task -> PREFIX + ".results." + task + ".v1"), Stream.of(DEAD_LETTERS)).toList());
      var untilIdle = Double.parseDouble(env("UNTIL_IDLE", "Infinity"));
      for (long last = System.nanoTime(); (System.nanoTime() - last) / 1e9 < untilIdle; ) {
        var records = consumer.poll(Duration.ofMillis(500));
        for (var record : records) take(store, record);
        if (records.isEmpty()) continue;
        last = System.nanoTime();
        store.file.getFD().sync();
        consumer.commitSync(); // only what is stored: a kill before it means repeats, not loss
      }
    } catch (WakeupException e) {
      // ended
    }
    store.texts.keySet().stream().map(store::joined).filter(Objects::nonNull)
        .sorted(Comparator.comparing((ObjectNode text) -> text.at("/place/0").asInt()) // rule 4
            .thenComparing(text -> text.at("/place/1").asLong()))
        .forEach(System.out::println);
    store.letters.values().forEach(each -> System.out.println(JSON.createObjectNode().set("dead_letter", each)));
    System.out.flush();
  }

  static List<String> key(JsonNode result) {
    return List.of(result.get("text_source").asText(), result.get("text_id").asText());
  }

  static String header(ConsumerRecord<?, ?> record, String name) {
    var header = record.headers().lastHeader(name);
    return header == null || header.value() == null ? "" : new String(header.value(), UTF_8);
  }

  static String env(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
