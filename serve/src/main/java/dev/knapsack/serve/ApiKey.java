package dev.knapsack.serve;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;

/**
 * A key of the server, and what may be done with it.
 *
 * @param name who has it: answers, limits and logs are by name, never by the secret
 * @param digest the SHA-256 of the secret
 * @param requestsPerMinute 0 for any number
 * @param tokensPerMinute of prompts and answers together; 0 for any number
 * @param parallel answers at once; 0 for any number
 * @param priority of its requests where some wait; more is sooner
 * @param cache the part of each model's cache that its requests may hold at once
 */
public record ApiKey(
    String name,
    byte[] digest,
    int requestsPerMinute,
    int tokensPerMinute,
    int parallel,
    int priority,
    CacheShare cache) {
  /** Without limits. */
  public static ApiKey of(String name, String secret) {
    return new ApiKey(name, digest(secret), 0, 0, 0, 0, CacheShare.ALL);
  }

  /**
   * Reads a line: a name, the secret, and limits, as in {@code anna s3cret requests=60 tokens=20000
   * parallel=4 priority=1 cache=25%}.
   *
   * @throws IllegalArgumentException if it is none; the message does not repeat the secret
   */
  public static ApiKey parse(String line) {
    String[] words = line.strip().split("\\s+");
    if (words.length < 2) {
      throw new IllegalArgumentException(
          "A key is a name, a secret and limits, as in 'anna SECRET requests=60 tokens=20000"
              + " parallel=4 priority=1 cache=25%'; this line has one word.");
    }
    ApiKey key = of(words[0], words[1]);
    for (String limit : Arrays.asList(words).subList(2, words.length)) {
      key = key.limited(limit);
    }
    return key;
  }

  private ApiKey limited(String limit) {
    String[] parts = limit.split("=", 2);
    String value = parts[parts.length - 1];
    return switch (parts[0]) {
      case "requests" ->
          new ApiKey(name, digest, number(value), tokensPerMinute, parallel, priority, cache);
      case "tokens" ->
          new ApiKey(name, digest, requestsPerMinute, number(value), parallel, priority, cache);
      case "parallel" ->
          new ApiKey(
              name, digest, requestsPerMinute, tokensPerMinute, number(value), priority, cache);
      case "priority" ->
          new ApiKey(
              name, digest, requestsPerMinute, tokensPerMinute, parallel, number(value), cache);
      case "cache" ->
          new ApiKey(
              name, digest, requestsPerMinute, tokensPerMinute, parallel, priority, share(value));
      default -> throw unknown();
    };
  }

  private int number(String value) {
    try {
      int number = Integer.parseInt(value);
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException _) {
      // said below
    }
    throw unknown();
  }

  private CacheShare share(String value) {
    try {
      return CacheShare.parse(value);
    } catch (IllegalArgumentException _) {
      throw unknown();
    }
  }

  private IllegalArgumentException unknown() {
    return new IllegalArgumentException(
        "The key of '%s' has a limit that is none; there are requests=N, tokens=N (both a minute), parallel=N and priority=N, each 0 or more, and cache=SIZE or cache=N%%."
            .formatted(name));
  }

  /** Compares in a time that does not tell how much is right. */
  boolean is(byte[] digestOfSecret) {
    return MessageDigest.isEqual(digest, digestOfSecret);
  }

  static byte[] digest(String secret) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(secret.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Without the digest. */
  @Override
  public String toString() {
    return "key of " + name;
  }
}
