package dev.knapsack.bench;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A process that saves a cache over and over is killed (SIGKILL) at a random moment; then the cache
 * is restored. Counts the caches that were torn, and those that were reported saved and are lost.
 *
 * <p>Usage: {@code bench/measure Sessions [ROUNDS]}, by default 100.
 */
public final class Sessions {
  private static final int TOKENS = 2048;
  private static final KvLayout LAYOUT =
      new KvLayout(List.of(new LayerLayout.Heads(8, 64, 64, 0, 1)), Formats.F16, Formats.F16);
  private static final Fingerprint FINGERPRINT =
      new Fingerprint(
          "0", "numbers", "0", Fingerprint.formats(LAYOUT), LAYOUT.policy().name(), "measured");

  private Sessions() {}

  public static void main(String[] args) throws Exception {
    int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 100;
    Path folder = Files.createTempDirectory("knapsack-sessions");
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    SplittableRandom random = new SplittableRandom(1);
    int last = 0;
    int unfinished = 0;
    int torn = 0;
    int lost = 0;
    for (int round = 0; round < rounds; round++) {
      Process child = start(folder, last);
      try {
        int next = last + 1 + random.nextInt(4);
        long size = random.nextLong(-1, TOKENS * 2048);
        Path file = folder.resolve("a.kv.tmp");
        while (reported(folder) < next || bytes(file) < size) {
          if (!child.isAlive()) {
            throw new IllegalStateException("The process ended, with " + child.exitValue());
          }
          Thread.onSpinWait();
        }
      } finally {
        child.destroyForcibly().waitFor();
      }
      if (bytes(folder.resolve("a.kv.tmp")) >= 0) {
        unfinished++;
      }
      int reported = reported(folder);
      try {
        last = restore(store);
        if (last < reported) {
          lost++;
        }
        if (last < 0) {
          torn++;
        }
      } catch (CacheFileException e) {
        lost++;
        System.err.println(e.getMessage());
      }
      last = Math.max(last, reported);
    }
    System.out.println("| killed | in the middle of a file | torn caches loaded | lost | saved |");
    System.out.println("|---|---|---|---|---|");
    System.out.printf("| %d | %d | %d | %d | %d |%n", rounds, unfinished, torn, lost, last);
    List<Path> left;
    try (var files = Files.list(folder)) {
      left = new ArrayList<>(files.toList());
    }
    left.add(folder);
    for (Path file : left) {
      Files.delete(file);
    }
    if (torn + lost > 0) {
      System.exit(1);
    }
  }

  private static long bytes(Path file) {
    try {
      return Files.size(file);
    } catch (IOException notThere) {
      return -1;
    }
  }

  private static Path report(Path folder) {
    return folder.resolve("report");
  }

  /** The last number that was reported saved. */
  private static int reported(Path folder) throws IOException {
    String lines = Files.exists(report(folder)) ? Files.readString(report(folder)) : "";
    int end = lines.lastIndexOf('\n');
    int before = lines.lastIndexOf('\n', end - 1);
    return end < 0 ? 0 : Integer.parseInt(lines.substring(before + 1, end));
  }

  private static Process start(Path folder, int from) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            Saving.class.getName(),
            folder.toString(),
            Integer.toString(from))
        .redirectOutput(ProcessBuilder.Redirect.appendTo(report(folder).toFile()))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  /** The number of what was saved; -1 if not all of it is of one number. */
  private static int restore(CacheStore store) {
    try (KvPool pool = new KvPool(LAYOUT, Budget.of("64MiB").account("kv"));
        SequenceState cache = pool.sequence();
        SequenceState expected = pool.sequence()) {
      int[] tokens = store.restore("a", cache, FINGERPRINT, TOKENS, Integer.MAX_VALUE);
      int number = tokens[0];
      fill(expected, number);
      for (int h = 0; h < 8; h++) {
        if (!Arrays.equals(content(cache, h), content(expected, h))) {
          return -1;
        }
      }
      return Arrays.stream(tokens).allMatch(token -> token == number) ? number : -1;
    }
  }

  private static byte[] content(SequenceState cache, int head) {
    var part = cache.kv().parts(0, head).getFirst();
    byte[] bytes = new byte[(int) (part.count() * part.form().tokenBytes())];
    part.read(0, part.count(), MemorySegment.ofArray(bytes), 0);
    return bytes;
  }

  private static void fill(SequenceState cache, int number) {
    SplittableRandom random = new SplittableRandom(number);
    float[] row = new float[8 * 64];
    for (int i = 0; i < row.length; i++) {
      row[i] = (float) random.nextGaussian();
    }
    Matrix one = new Matrix(Formats.F32, 1, row.length, MemorySegment.ofArray(row));
    cache.reserve(TOKENS);
    for (int i = 0; i < TOKENS; i++) {
      cache.kv().append(0, i, one, one, 0, 1);
    }
    cache.commit(TOKENS);
  }

  /** The process: saves one cache after the other under one name, and says so of each. */
  static final class Saving {
    private Saving() {}

    public static void main(String[] args) {
      CacheStore store = new CacheStore(Path.of(args[0]), CacheStore.USUAL_BYTES);
      int[] tokens = new int[TOKENS];
      for (int number = Integer.parseInt(args[1]) + 1; ; number++) {
        try (KvPool pool = new KvPool(LAYOUT, Budget.of("64MiB").account("kv"));
            SequenceState cache = pool.sequence()) {
          fill(cache, number);
          Arrays.fill(tokens, number);
          store.save("a", cache, tokens, FINGERPRINT, CacheStore.Precision.AS_STORED);
          System.out.println(number);
        }
      }
    }
  }
}
