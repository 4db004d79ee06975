package dev.knapsack.text;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The ties between calls of tools and their results: identifiers, and names of the tools. Those
 * that a template asks for and a client did not send are made. The same conversation, and the same
 * with more after it, has the same ones.
 */
final class CallLinks {
  private static final int SHORT = 9;
  private static final String LETTERS =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

  /**
   * A call without a result.
   *
   * @param given the identifier that it came with
   * @param id the one that it has now; empty where they are left as they are
   * @param name of the tool
   */
  private record Open(@Nullable Object given, String id, @Nullable Object name) {}

  private final boolean identified;
  private final boolean shortened;
  private final boolean named;
  private final Map<String, String> ids = new HashMap<>();
  private final List<Open> open = new ArrayList<>();

  /**
   * @param identified whether every call and result has an identifier
   * @param shortened whether it must have nine letters and digits, as Mistral's templates demand
   * @param named whether every result has the name of its tool
   */
  CallLinks(boolean identified, boolean shortened, boolean named) {
    this.identified = identified;
    this.shortened = shortened;
    this.named = named;
  }

  /** Completes a call of this tool. */
  void call(Map<String, @Nullable Object> call, @Nullable Object name) {
    Object given = call.get("id");
    String id = "";
    if (identified) {
      id = id(given instanceof String some ? some : made());
      call.put("id", id);
    }
    open.add(new Open(given, id, name));
  }

  /** Completes a result; one without an identifier is that of the first call without a result. */
  void result(Map<String, @Nullable Object> result) {
    Object given = result.get(ToolCalls.RESULT_OF);
    Optional<Open> call =
        open.stream().filter(one -> given == null || given.equals(one.given)).findFirst();
    call.ifPresent(open::remove);
    if (identified) {
      result.put(
          ToolCalls.RESULT_OF,
          given instanceof String some ? id(some) : call.map(Open::id).orElseGet(() -> id(made())));
    }
    if (named && !(result.get("name") instanceof String)) {
      call.map(Open::name).ifPresent(name -> result.put("name", name));
    }
  }

  private String made() {
    return "call_" + ids.size();
  }

  private String id(String given) {
    String id = ids.get(given);
    if (id == null) {
      id = shortened ? shortened(given) : given;
      ids.put(given, id);
    }
    return id;
  }

  private String shortened(String given) {
    if (given.matches("[a-zA-Z0-9]{" + SHORT + "}")) {
      return given;
    }
    Set<String> taken = Set.copyOf(ids.values());
    for (long salt = 0; ; salt++) {
      long hash = salt;
      for (int i = 0; i < given.length(); i++) {
        hash = (hash ^ given.charAt(i)) * 0x100000001b3L;
      }
      hash ^= hash >>> 32; // low bits of the product know little of the high ones
      StringBuilder id = new StringBuilder();
      for (int i = 0; i < SHORT; i++) {
        id.append(LETTERS.charAt((int) Long.remainderUnsigned(hash, LETTERS.length())));
        hash = Long.divideUnsigned(hash, LETTERS.length());
      }
      if (!taken.contains(id.toString())) {
        return id.toString();
      }
    }
  }
}
