package dev.knapsack.eval;

import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Reading;
import dev.knapsack.error.CacheNotSavedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * The cost of a recipe in the four stages of a cache's life, after SCBench (Li et al., arXiv
 * 2412.10319): a prompt is read and a first question answered (generation), its cache brought to
 * its size (compression), the others asked of the same cache (retrieval), and the cache saved,
 * dropped, and taken up by another engine that is asked the same (loading).
 *
 * @param trial what was tried
 * @param contexts prompts read
 * @param generateSeconds reading a prompt and answering its first question, the mean
 * @param bytes that all caches took once brought to size
 * @param readSeconds reading a prompt, with compressing, the mean
 * @param asked questions asked
 * @param right questions answered exactly
 * @param laterAsked questions that were not the first of their prompt
 * @param laterRight of these, those answered exactly
 * @param questionSeconds asking and answering a question of a cache that is there, the mean
 * @param fetchedBytes that answers had read again from disk, at most, of all caches
 * @param savedBytes bytes of all saved caches; 0 if they cannot be saved
 * @param loadSeconds taking one up, the mean
 * @param same questions answered after loading as before, token for token
 * @param unsaved why caches cannot be saved; empty if they can
 */
public record KvStages(
    KvTrial trial,
    int contexts,
    double generateSeconds,
    long bytes,
    double readSeconds,
    int asked,
    int right,
    int laterAsked,
    int laterRight,
    double questionSeconds,
    long fetchedBytes,
    long savedBytes,
    double loadSeconds,
    int same,
    String unsaved) {
  /** Opens the model. */
  interface Opener {
    Knapsack open(KvTrial trial) throws IOException;
  }

  static KvStages of(KvTrial trial, List<KvRecipes.Context> contexts, Opener opener, Path scratch)
      throws IOException {
    Files.createDirectories(scratch);
    Path folder = Files.createTempDirectory(scratch, "stages");
    try {
      Life life = new Life(contexts, new CacheStore(folder, Long.MAX_VALUE));
      try (Knapsack model = opener.open(trial)) {
        life.live(new Asker(model));
      }
      if (life.unsaved.isEmpty()) {
        try (Knapsack model = opener.open(trial)) {
          life.again(new Asker(model));
        }
      }
      return life.result(trial);
    } finally {
      delete(folder);
    }
  }

  static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /** The stages, and the sums of what they measure. */
  private static final class Life {
    private final List<KvRecipes.Context> contexts;
    private final CacheStore store;
    private final List<Asker.Written> answers = new ArrayList<>();
    private long generateNanos;
    private long readNanos;
    private long questionNanos;
    private long loadNanos;
    private long bytes;
    private long fetchedBytes;
    private long savedBytes;
    private int right;
    private int laterAsked;
    private int laterRight;
    private int same;
    private String unsaved = "";

    Life(List<KvRecipes.Context> contexts, CacheStore store) {
      this.contexts = contexts;
      this.store = store;
    }

    void live(Asker asker) throws IOException {
      for (int c = 0; c < contexts.size(); c++) {
        KvRecipes.Context context = contexts.get(c);
        long begin = System.nanoTime();
        try (Reading reading = asker.read(context.tokens())) {
          readNanos += System.nanoTime() - begin;
          bytes += asker.leased();
          long fetched = 0;
          for (int q = 0; q < context.questions().size(); q++) {
            Asked asked = context.questions().get(q);
            long asking = System.nanoTime();
            Asker.Written answer = asker.answer(reading, context.rest(asked), asked.maxTokens());
            questionNanos += System.nanoTime() - asking;
            generateNanos += q == 0 ? System.nanoTime() - begin : 0;
            fetched = Math.max(fetched, asker.fetchedBytes());
            answers.add(answer);
            boolean answered = asked.question().answeredBy(asker.text(answer.tokens()));
            right += answered ? 1 : 0;
            laterAsked += q == 0 ? 0 : 1;
            laterRight += q > 0 && answered ? 1 : 0;
          }
          fetchedBytes += fetched;
          save(reading, c);
        }
      }
    }

    private void save(Reading reading, int context) {
      if (unsaved.isEmpty()) {
        try {
          savedBytes += reading.save(store, "context-" + context, CacheStore.Precision.AS_STORED);
        } catch (CacheNotSavedException e) {
          unsaved = String.valueOf(e.getMessage());
          savedBytes = 0;
        }
      }
    }

    void again(Asker asker) throws IOException {
      int at = 0;
      for (int c = 0; c < contexts.size(); c++) {
        KvRecipes.Context context = contexts.get(c);
        long begin = System.nanoTime();
        try (Reading reading = asker.restore(store, "context-" + c)) {
          loadNanos += System.nanoTime() - begin;
          for (Asked asked : context.questions()) {
            Asker.Written answer = asker.answer(reading, context.rest(asked), asked.maxTokens());
            same += answer.equals(answers.get(at++)) ? 1 : 0;
          }
        }
      }
    }

    KvStages result(KvTrial trial) {
      int prompts = contexts.size();
      return new KvStages(
          trial,
          prompts,
          generateNanos / 1e9 / prompts,
          bytes,
          readNanos / 1e9 / prompts,
          answers.size(),
          right,
          laterAsked,
          laterRight,
          questionNanos / 1e9 / answers.size(),
          fetchedBytes,
          savedBytes,
          loadNanos / 1e9 / prompts,
          same,
          unsaved);
    }
  }

  /** All figures as one JSON object. */
  public JsonObject json() {
    JsonObject line = trial.json();
    line.addProperty("contexts", contexts);
    line.addProperty("generateSeconds", generateSeconds);
    line.addProperty("ledgerBytes", bytes);
    line.addProperty("readSeconds", readSeconds);
    line.addProperty("asked", asked);
    line.addProperty("right", right);
    line.addProperty("laterAsked", laterAsked);
    line.addProperty("laterRight", laterRight);
    line.addProperty("questionSeconds", questionSeconds);
    line.addProperty("fetchedBytes", fetchedBytes);
    if (unsaved.isEmpty()) {
      line.addProperty("savedBytes", savedBytes);
      line.addProperty("loadSeconds", loadSeconds);
      line.addProperty("sameAfterLoading", same);
    } else {
      line.addProperty("unsaved", unsaved);
    }
    return line;
  }
}
