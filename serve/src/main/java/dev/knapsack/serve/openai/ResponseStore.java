package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.serve.http.Refusal;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Responses that were asked to be kept, in memory, each for the key that asked. Their bytes are
 * leased from the budget, in the account {@code responses}; when there are too many, or the budget
 * has no room, the oldest are dropped. Safe for use by many threads.
 */
public final class ResponseStore implements AutoCloseable {
  /** Most bytes of all that are kept, where the server was not told otherwise. */
  public static final long USUAL_BYTES = 32 << 20;

  /** A response and the items that it answers, those of the responses before it included. */
  record Kept(JsonObject response, JsonArray input) {}

  private record Entry(String tenant, byte[] response, byte[] input) {
    long bytes() {
      return (long) response.length + input.length;
    }
  }

  private final Lease lease;
  private final long most;
  private final Map<String, Entry> entries = new LinkedHashMap<>(); // oldest first

  public ResponseStore(Budget budget, long most) {
    Account account = budget.account("responses");
    this.lease = account.reserve(0);
    this.most = most;
  }

  /** Keeps a response in place of what it was; one that alone is too long is dropped at once. */
  synchronized void keep(String tenant, JsonObject response, JsonArray input) {
    Entry entry = new Entry(tenant, bytes(response), bytes(input));
    String id = response.get("id").getAsString();
    drop(id);
    while (lease.bytes() + entry.bytes() > most || !lease.tryGrow(entry.bytes())) {
      if (entries.isEmpty()) {
        return;
      }
      drop(entries.keySet().iterator().next());
    }
    entries.put(id, entry);
  }

  private static byte[] bytes(JsonElement json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }

  private void drop(String id) {
    Entry entry = entries.remove(id);
    if (entry != null) {
      lease.shrink(entry.bytes());
    }
  }

  /**
   * The response of this number.
   *
   * @throws Refusal if there is none, or it is another key's
   */
  synchronized Kept find(String tenant, String id) {
    Entry entry = entries.get(id);
    if (entry == null || !entry.tenant.equals(tenant)) {
      throw Refusal.of(
          Refusal.Kind.NOT_FOUND,
          "response_not_found",
          "There is no response '%s' here: it was not stored, was deleted, or was dropped as the"
                  .formatted(id)
              + " oldest for want of memory. Send the whole conversation as 'input'.");
    }
    return new Kept(json(entry.response).getAsJsonObject(), json(entry.input).getAsJsonArray());
  }

  private static JsonElement json(byte[] bytes) {
    return JsonParser.parseString(new String(bytes, StandardCharsets.UTF_8));
  }

  /**
   * Forgets a response.
   *
   * @throws Refusal as {@link #find}
   */
  synchronized void remove(String tenant, String id) {
    find(tenant, id);
    drop(id);
  }

  @Override
  public synchronized void close() {
    entries.clear();
    lease.close();
  }
}
