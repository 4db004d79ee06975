package dev.knapsack.bench;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * Decode alone, and with one core busy with another process, in turns, so that both see the same
 * minutes: what is kept.
 *
 * <p>Usage: {@code bench/measure Load MODEL [ROUNDS [THREADS]]}. Prints a Markdown table of
 * medians. A core that is shared fairly leaves its thread half: two threads on two cores can then
 * keep three quarters of the arithmetic, and whatever waits for the slower one keeps less.
 */
public final class Load {
  private Load() {}

  public static void main(String[] args) throws Exception {
    String model = args[0];
    int rounds = args.length > 1 ? Integer.parseInt(args[1]) : 3;
    String threads =
        args.length > 2 ? args[2] : Integer.toString(Runtime.getRuntime().availableProcessors());
    double[] alone = new double[rounds];
    double[] loaded = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      alone[round] = decode(model, threads);
      Process other = busy();
      try {
        loaded[round] = decode(model, threads);
        if (!other.isAlive()) {
          throw new IllegalStateException("The other process ended, with " + other.exitValue());
        }
      } finally {
        other.destroyForcibly().waitFor();
      }
    }
    double a = Medians.of(alone);
    double b = Medians.of(loaded);
    System.out.println("| decode, tokens/s | alone | with one core busy | kept |");
    System.out.println("|---|---|---|---|");
    System.out.printf(
        Locale.ROOT, "| %s threads | %.2f | %.2f | %.0f %% |%n", threads, a, b, 100 * b / a);
  }

  private static double decode(String model, String threads)
      throws IOException, InterruptedException {
    JsonObject result =
        JsonCommand.run(
            List.of(
                "./knapsack",
                "bench",
                model,
                "--threads",
                threads,
                "--prompt",
                "1",
                "--decode",
                "64",
                "--depths",
                "0",
                "--rounds",
                "3",
                "--json"),
            ProcessBuilder.Redirect.INHERIT);
    return JsonCommand.number(result, "decode");
  }

  /** Another program, whose one thread never waits. */
  private static Process busy() throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xint",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            Busy.class.getName())
        .inheritIO()
        .start();
  }

  /** Keeps one core busy until it is killed. */
  static final class Busy {
    private Busy() {}

    public static void main(String[] args) {
      long parent = ProcessHandle.current().parent().map(ProcessHandle::pid).orElse(0L);
      for (long i = 0; i >= 0; i++) {
        // Whoever started this may have been killed.
        if ((i & 0xFFFFFF) == 0
            && ProcessHandle.current().parent().map(ProcessHandle::pid).orElse(0L) != parent) {
          return;
        }
      }
    }
  }
}
