import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the records caused: a file of one JSON line a record, so that a kill leaves all of it or nothing. */
class Store {
  final Map<String, Boolean> answered = new HashMap<>(); // `ce_id` of a Result → whether it had an output
  final Map<List<String>, Map<String, JsonNode>> texts = new LinkedHashMap<>(); // source and id → task → Result
  final Map<String, JsonNode> letters = new LinkedHashMap<>();
  final RandomAccessFile file;

  Store(String path) throws IOException {
    file = new RandomAccessFile(path, "rw");
    var bytes = new byte[(int) file.length()];
    file.readFully(bytes);
    var written = new String(bytes, UTF_8);
    var whole = written.substring(0, written.lastIndexOf('\n') + 1); // a kill may have cut the last line
    for (var line : whole.lines().toList()) remember((ObjectNode) ReadResults.JSON.readTree(line));
    file.setLength(whole.getBytes(UTF_8).length);
    file.seek(file.length());
  }

  void remember(ObjectNode effect) {
    var id = effect.get("id").asText();
    if (effect.has("dead_letter")) {
      letters.put(id, effect.get("dead_letter"));
      return;
    }
    var result = effect.get("result");
    answered.put(id, effect.get("has_output").asBoolean());
    texts.computeIfAbsent(ReadResults.key(result), k -> new HashMap<>()).put(result.get("task").asText(), result);
  }

  void add(ObjectNode effect) throws IOException {
    remember(effect);
    if (effect.has("result")) // your own effect, such as a ticket, belongs into the same line, or transaction
      effect.set("joined", joined(ReadResults.key(effect.get("result"))));
    file.write((ReadResults.JSON.writeValueAsString(effect) + "\n").getBytes(UTF_8));
  }

  /**
   * Rule 3: return the text with its Results where each task that one of them names in `requested` has one. They differ
   * where the id was published again with other tasks. Tasks that we do not read do not count.
   */
  ObjectNode joined(List<String> key) {
    var results = texts.get(key);
    for (var each : results.values())
      for (var task : each.get("requested"))
        if (ReadResults.TASKS.contains(task.asText()) && !results.containsKey(task.asText())) return null;
    var origin = results.values().stream().map(each -> each.get("origin")).min(
        Comparator.comparing((JsonNode each) -> each.get("partition").asInt())
            .thenComparing(each -> each.get("offset").asLong())).get();
    var text = ReadResults.JSON.createObjectNode().put("text_source", key.get(0)).put("text_id", key.get(1));
    text.putArray("place").add(origin.get("partition")).add(origin.get("offset"));
    var tasks = text.putObject("tasks");
    results.forEach((task, each) ->
        tasks.putObject(task).<ObjectNode>set("status", each.get("status")).set("output", each.get("output")));
    return text;
  }
}
