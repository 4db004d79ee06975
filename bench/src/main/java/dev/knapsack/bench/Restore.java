package dev.knapsack.bench;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Request;
import dev.knapsack.engine.Session;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.os.Footprint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * Going on from a saved cache against reading the prompt again: the time to the first token of a
 * prompt that has been saved but for its last 16 tokens.
 *
 * <p>Usage: {@code bench/measure Restore MODEL [TOKENS...]}, by default 4096 and 16384 tokens, as
 * far as the model was trained for them. Prints a Markdown table: of each prompt and precision the
 * bytes on disk, the time to save, to restore and to the first token after that, the time to read
 * the prompt again, and how many times longer that is. The file is read once from the page cache,
 * where saving left it, and once after it was dropped from there where the system allows that
 * (root, Linux).
 */
public final class Restore {
  private static final int NEW = 16;

  private Restore() {}

  public static void main(String[] args) throws Exception {
    Path model = Path.of(args[0]);
    int trained;
    try (ModelFile file = ModelFile.open(model)) {
      ModelSpec spec = Families.spec(file);
      trained = spec.context();
    }
    int[] lengths =
        args.length > 1
            ? Arrays.stream(args).skip(1).mapToInt(Integer::parseInt).toArray()
            : new int[] {4096, 16384};
    Path folder = Files.createTempDirectory("knapsack-restore");
    try {
      System.out.println(
          "| tokens | precision | page cache | bytes | save, s | restore, s | first token, s |"
              + " read again, s | times | tokens skipped | same token |");
      System.out.println("|---|---|---|---|---|---|---|---|---|---|---|");
      for (int length : lengths) {
        if (length + NEW + 1 > trained) {
          System.out.printf(
              Locale.ROOT, "| %,d | the model was trained for %,d |%n", length, trained);
          continue;
        }
        measure(model, length, new CacheStore(folder, Long.MAX_VALUE));
      }
    } finally {
      List<Path> left;
      try (var files = Files.list(folder)) {
        left = new ArrayList<>(files.toList());
      }
      left.add(folder);
      for (Path file : left) {
        Files.delete(file);
      }
    }
  }

  private static void measure(Path model, int length, CacheStore store) throws IOException {
    Options options = Options.usual().withContext(length + NEW + 1);
    Host host =
        new Host(
            Budget.ofBytes(Footprint.defaultBudget()), Host.Options.usual().withWholeProcess(true));
    try (Knapsack knapsack = Knapsack.open(model, host, options)) {
      Engine engine = knapsack.engine();
      int vocabulary = knapsack.spec().vocabulary();
      int[] prompt = new SplittableRandom(length).ints(length, 0, vocabulary).toArray();
      // The compiler and the processor's clock are at their best for both ways.
      first(engine, Arrays.copyOf(prompt, Math.min(length, 512)));
      List<Saved> saved = new ArrayList<>();
      First again;
      try (Session session = engine.session()) {
        First most = read(session, Arrays.copyOf(prompt, length - NEW + 1));
        for (CacheStore.Precision precision : CacheStore.Precision.values()) {
          long begin = System.nanoTime();
          long bytes = session.save(store, precision.name(), precision);
          saved.add(new Saved(precision, bytes, seconds(begin)));
        }
        First rest = read(session, prompt);
        again = new First(rest.token(), 0, most.seconds() + rest.seconds());
      }
      for (Saved file : saved) {
        for (boolean warm : new boolean[] {true, false}) {
          if (!warm && !drop()) {
            continue;
          }
          try (Session session = engine.session()) {
            long begin = System.nanoTime();
            session.restore(store, file.precision().name());
            double restore = seconds(begin);
            First restored = read(session, prompt);
            double total = seconds(begin);
            System.out.printf(
                Locale.ROOT,
                "| %,d | %s | %s | %,d | %.3f | %.3f | %.3f | %.3f | %.1f | %,d | %s |%n",
                length,
                file.precision() == CacheStore.Precision.FOUR_BIT ? "4 bit" : "as stored",
                warm ? "warm" : "dropped",
                file.bytes(),
                file.seconds(),
                restore,
                total,
                again.seconds(),
                again.seconds() / total,
                restored.cached(),
                restored.token() == again.token() ? "yes" : "no");
          }
        }
      }
    }
  }

  /** A file, and how long writing it took. */
  private record Saved(CacheStore.Precision precision, long bytes, double seconds) {}

  /** The first token of an answer, and after how long. */
  private record First(int token, int cached, double seconds) {}

  private static First first(Engine engine, int[] prompt) {
    try (Session session = engine.session()) {
      return read(session, prompt);
    }
  }

  private static First read(Session session, int[] prompt) {
    long begin = System.nanoTime();
    Request request =
        Request.of(prompt).withMaxTokens(1).withSampling(Sampling.GREEDY).withIgnoreEnd(true);
    try (Answer answer = session.start(request)) {
      answer.text();
      return new First(answer.tokens()[0], answer.usage().cachedTokens(), seconds(begin));
    }
  }

  private static double seconds(long begin) {
    return (System.nanoTime() - begin) / 1e9;
  }

  /** Drops the page cache, if the system allows it. */
  private static boolean drop() {
    try {
      Files.writeString(Path.of("/proc/sys/vm/drop_caches"), "1");
      return true;
    } catch (IOException notAllowed) {
      return false;
    }
  }
}
