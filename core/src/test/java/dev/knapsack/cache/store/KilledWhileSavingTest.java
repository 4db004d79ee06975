package dev.knapsack.cache.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process that saves without end, and is killed at any moment. */
class KilledWhileSavingTest {
  private static final int ROUNDS = 6;
  private static final int TOKENS = 300;
  private static final KvLayout LAYOUT =
      new KvLayout(List.of(new LayerLayout.Heads(4, 64, 64, 0, 1)), Formats.F16, Formats.F16);

  @TempDir Path folder;

  @Test
  void thereIsAlwaysTheLastOneOrTheNext() throws Exception {
    SplittableRandom random = new SplittableRandom(7);
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    int reported = 0;
    for (int round = 0; round < ROUNDS; round++) {
      Process child = start(reported);
      try {
        int next = reported + 1 + random.nextInt(30);
        while (reported() < next) {
          assertThat(child.isAlive()).isTrue();
          Thread.onSpinWait();
        }
        // Anywhere in the next one.
        Path unfinished = folder.resolve("a.kv.tmp");
        long size = random.nextLong(-1, 40_000);
        while (bytes(unfinished) < size) {
          assertThat(child.isAlive()).isTrue();
          Thread.onSpinWait();
        }
      } finally {
        child.destroyForcibly().waitFor();
      }
      reported = reported();
      int restored = restore(store);
      assertThat(restored).isBetween(reported, reported + 1);
      reported = restored;
    }
  }

  /** The last number that was reported saved. */
  private int reported() throws IOException {
    String lines = Files.exists(report()) ? Files.readString(report()) : "";
    int end = lines.lastIndexOf('\n');
    return end < 0
        ? 0
        : Integer.parseInt(lines.substring(lines.lastIndexOf('\n', end - 1) + 1, end));
  }

  private Path report() {
    return folder.resolve("report");
  }

  private static long bytes(Path file) {
    try {
      return Files.size(file);
    } catch (IOException notThere) {
      return -1;
    }
  }

  private Process start(int from) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            Saving.class.getName(),
            folder.toString(),
            Integer.toString(from))
        .redirectOutput(ProcessBuilder.Redirect.appendTo(report().toFile()))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  /** What was saved: its number, which all of it must tell. */
  private static int restore(CacheStore store) {
    try (KvPool pool = new KvPool(LAYOUT, Budget.of("16MiB").account("kv"));
        SequenceState cache = pool.sequence();
        SequenceState expected = pool.sequence()) {
      int[] tokens =
          store.restore("a", cache, Caches.fingerprint(LAYOUT), TOKENS, Integer.MAX_VALUE);
      int number = tokens[0];
      assertThat(tokens).containsOnly(number);
      Caches.grow(expected, TOKENS, number);
      assertThat(Caches.held(cache)).isEqualTo(Caches.held(expected));
      return number;
    }
  }

  /** The process: saves one cache after the other under one name, and says so of each. */
  static final class Saving {
    private Saving() {}

    public static void main(String[] args) {
      CacheStore store = new CacheStore(Path.of(args[0]), CacheStore.USUAL_BYTES);
      int[] tokens = new int[TOKENS];
      for (int number = Integer.parseInt(args[1]) + 1; ; number++) {
        try (KvPool pool = new KvPool(LAYOUT, Budget.of("16MiB").account("kv"));
            SequenceState cache = pool.sequence()) {
          Caches.grow(cache, TOKENS, number);
          Arrays.fill(tokens, number);
          store.save(
              "a", cache, tokens, Caches.fingerprint(LAYOUT), CacheStore.Precision.AS_STORED);
          System.out.println(number);
        }
      }
    }
  }
}
