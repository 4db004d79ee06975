package dev.knapsack.bench;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A program that says on its standard output, in one line of JSON, what it measured. */
final class JsonCommand {
  private static final long PATIENCE_MINUTES = 15;

  private JsonCommand() {}

  /**
   * Runs a program without standard input, to its end.
   *
   * @param errors where its standard error goes
   * @return the last line that is a JSON object; an empty object if there is none, if the program
   *     failed, or if it took longer than a quarter of an hour and was killed
   */
  static JsonObject run(List<String> command, ProcessBuilder.Redirect errors)
      throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectError(errors).start();
    process.getOutputStream().close();
    Thread killer = Thread.ofVirtual().start(() -> killWhenLate(process));
    try (InputStream out = process.getInputStream()) {
      String text = new String(out.readAllBytes(), StandardCharsets.UTF_8);
      String line =
          text.lines().filter(l -> l.startsWith("{")).reduce((_, last) -> last).orElse("{}");
      return process.waitFor() == 0
          ? JsonParser.parseString(line).getAsJsonObject()
          : new JsonObject();
    } finally {
      killer.interrupt();
    }
  }

  /** A figure of the result; not a number if it is not there. */
  static double number(JsonObject result, String key) {
    return result.has(key) ? result.get(key).getAsDouble() : Double.NaN;
  }

  private static void killWhenLate(Process process) {
    try {
      if (!process.waitFor(PATIENCE_MINUTES, TimeUnit.MINUTES)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // it has ended in time
    }
  }
}
