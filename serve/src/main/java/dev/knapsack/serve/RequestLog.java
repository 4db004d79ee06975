package dev.knapsack.serve;

import com.google.gson.JsonObject;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Receipt;
import java.io.PrintStream;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;

/** One line for each request, without what was said and by whom beyond the name of the key. */
final class RequestLog {
  private final PrintStream stream;
  private final boolean json;

  RequestLog(PrintStream stream, boolean json) {
    this.stream = stream;
    this.json = json;
  }

  void add(Exchange exchange) {
    Receipt receipt = exchange.receipt();
    Usage usage = receipt.first().orElse(Usage.NONE);
    int tokens = receipt.usage().stream().mapToInt(Usage::tokens).sum();
    String time = Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
    if (json) {
      JsonObject line =
          Json.object(
              "time", time,
              "method", exchange.method(),
              "path", exchange.path(),
              "status", receipt.status(),
              "outcome", receipt.outcome(),
              "model", receipt.model(),
              "key", receipt.tenant(),
              "prompt_tokens", usage.promptTokens(),
              "cached_tokens", usage.cachedTokens(),
              "tokens", tokens,
              "first_token_seconds", usage.secondsToFirstToken(),
              "seconds", receipt.seconds());
      stream.println(line);
      return;
    }
    StringBuilder line = new StringBuilder(time);
    line.append(' ').append(exchange.method()).append(' ').append(exchange.path());
    line.append(' ').append(receipt.status());
    word(line, "", receipt.outcome());
    word(line, "model ", receipt.model());
    word(line, "key ", receipt.tenant());
    if (usage.promptTokens() > 0 && usage.steps() == 0) {
      line.append(", %d tokens read".formatted(usage.promptTokens()));
    } else if (usage.promptTokens() > 0) {
      line.append(
          ", %d prompt tokens (%d cached), %d written, first after %.3f s"
              .formatted(
                  usage.promptTokens(), usage.cachedTokens(), tokens, usage.secondsToFirstToken()));
    }
    line.append(String.format(Locale.ROOT, ", %.3f s", receipt.seconds()));
    stream.println(line);
  }

  /**
   * A problem that is the server's own: its kind and its place, as its words may quote a prompt.
   */
  void unexpected(Throwable problem) {
    StackTraceElement[] trace = problem.getStackTrace();
    stream.println(
        "%s unexpected %s%s"
            .formatted(
                Instant.now().truncatedTo(ChronoUnit.MILLIS),
                problem.getClass().getName(),
                trace.length == 0 ? "" : " at " + trace[0]));
  }

  private static void word(StringBuilder line, String before, String word) {
    if (!word.isEmpty()) {
      line.append(' ').append(before).append(word);
    }
  }
}
