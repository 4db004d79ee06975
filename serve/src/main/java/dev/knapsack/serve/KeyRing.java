package dev.knapsack.serve;

import dev.knapsack.generation.Usage;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Refusal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;

/** Lets in whoever has a key, as often as the key may; everybody, where there are no keys. */
final class KeyRing {
  private static final String BEARER = "bearer ";
  private static final double MINUTE = 60;

  /** The rest that a key has: both fill up again within a minute. */
  private static final class Account {
    private double requests;
    private double tokens;
    private int running;
    private long at;

    Account(ApiKey key, long now) {
      requests = key.requestsPerMinute();
      tokens = key.tokensPerMinute();
      at = now;
    }

    void fill(ApiKey key, long now) {
      double minutes = (now - at) / 1e9 / MINUTE;
      at = now;
      requests = Math.min(key.requestsPerMinute(), requests + minutes * key.requestsPerMinute());
      tokens = Math.min(key.tokensPerMinute(), tokens + minutes * key.tokensPerMinute());
    }
  }

  private final List<ApiKey> keys;
  private final LongSupplier clock;
  private final Map<String, Account> accounts = new HashMap<>();

  /**
   * @param clock nanoseconds since some moment
   */
  KeyRing(List<ApiKey> keys, LongSupplier clock) {
    this.keys = List.copyOf(keys);
    this.clock = clock;
    keys.forEach(key -> accounts.put(key.name(), new Account(key, clock.getAsLong())));
    if (accounts.size() < keys.size()) {
      throw new IllegalArgumentException("Two keys have the same name; give each its own.");
    }
  }

  /**
   * Lets an exchange in.
   *
   * @return what is to be done when it has ended
   * @throws Refusal if it has no key, or one that has used up what it may
   */
  Runnable enter(Exchange exchange) {
    if (keys.isEmpty()) {
      return () -> {};
    }
    ApiKey key = key(exchange);
    exchange.receipt().tenant(key.name(), key.priority(), key.cache());
    take(key);
    return () -> giveBack(key, exchange.receipt().usage());
  }

  private ApiKey key(Exchange exchange) {
    Optional<String> secret =
        exchange
            .header("Authorization")
            .filter(h -> h.regionMatches(true, 0, BEARER, 0, BEARER.length()))
            .map(h -> h.substring(BEARER.length()).strip())
            .or(() -> exchange.header("x-api-key"));
    if (secret.isEmpty()) {
      throw Refusal.of(
          Refusal.Kind.UNAUTHORIZED,
          "missing_api_key",
          "This server wants a key: 'Authorization: Bearer KEY' or 'x-api-key: KEY'.");
    }
    byte[] digest = ApiKey.digest(secret.get());
    ApiKey found = null;
    for (ApiKey key : keys) { // all of them, whichever it is
      found = key.is(digest) ? key : found;
    }
    if (found == null) {
      throw Refusal.of(
          Refusal.Kind.UNAUTHORIZED, "invalid_api_key", "The key is none of this server's.");
    }
    return found;
  }

  private synchronized void take(ApiKey key) {
    Account account = accounts.get(key.name());
    if (account == null) {
      throw new IllegalStateException("no account of " + key);
    }
    account.fill(key, clock.getAsLong());
    if (key.requestsPerMinute() > 0 && account.requests < 1) {
      throw Refusal.rateLimit(
          (1 - account.requests) * MINUTE / key.requestsPerMinute(),
          "This key may make %,d requests a minute.".formatted(key.requestsPerMinute()));
    }
    if (key.tokensPerMinute() > 0 && account.tokens <= 0) {
      throw Refusal.rateLimit(
          (1 - account.tokens) * MINUTE / key.tokensPerMinute(),
          "This key may use %,d tokens a minute.".formatted(key.tokensPerMinute()));
    }
    if (key.parallel() > 0 && account.running >= key.parallel()) {
      throw Refusal.rateLimit(
          1, "This key may have %,d answers at once.".formatted(key.parallel()));
    }
    account.requests--;
    account.running++;
  }

  private synchronized void giveBack(ApiKey key, List<Usage> used) {
    Account account = accounts.get(key.name());
    if (account != null) {
      account.running--;
      // What was found in the cache costs nothing.
      account.tokens -=
          used.stream().mapToInt(u -> u.promptTokens() - u.cachedTokens() + u.tokens()).sum();
    }
  }
}
