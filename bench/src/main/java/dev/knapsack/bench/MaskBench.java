package dev.knapsack.bench;

import dev.knapsack.constraint.Cursor;
import dev.knapsack.constraint.Language;
import dev.knapsack.constraint.Masks;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Constraint;
import dev.knapsack.memory.Budget;
import dev.knapsack.text.Tokenizer;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.StringJoiner;

/**
 * Time that a constraint takes: to be made into a language, and for the mask of each token of texts
 * that are in it, each time anew. Prints microseconds of the thread, which others on the machine do
 * not change much: the median and the 99th percentile.
 */
final class MaskBench {
  private static final int ROUNDS = 20;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private MaskBench() {}

  /**
   * @param args a GGUF file whose vocabulary is used
   */
  public static void main(String[] args) {
    if (args.length != 1) {
      throw new IllegalArgumentException("Give a GGUF file with a vocabulary.");
    }
    try (ModelFile file = ModelFile.open(Path.of(args[0]))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Budget budget = Budget.of("256MiB");
      long begin = THREADS.getCurrentThreadCpuTime();
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), budget.account("constraint"))) {
        System.out.printf(
            "%,d tokens, by their bytes in %,d us, %,d bytes%n",
            tokenizer.size(),
            (THREADS.getCurrentThreadCpuTime() - begin) / 1000,
            budget.account("constraint").used());
        for (int properties : new int[] {5, 50}) {
          measure(tokenizer, masks, properties);
        }
      }
    }
  }

  private static void measure(Tokenizer tokenizer, Masks masks, int properties) {
    StringJoiner schema = new StringJoiner(", ", "{\"type\": \"object\", \"properties\": {", "}}");
    StringJoiner text = new StringJoiner(", ", "{", "}");
    for (int i = 0; i < properties; i++) {
      String name = "property_" + i;
      String type =
          i % 2 == 0 ? "{\"type\": \"string\", \"maxLength\": 500}" : "{\"type\": \"integer\"}";
      schema.add("\"" + name + "\": " + type);
      text.add("\"" + name + "\": " + (i % 2 == 0 ? "\"what it says is number " + i + "\"" : i));
    }
    int[] tokens = tokenizer.encode(text.toString(), false, false);
    long[] compile = new long[ROUNDS];
    long[] mask = new long[ROUNDS * tokens.length];
    int count = 0;
    for (int round = 0; round < ROUNDS; round++) {
      long begin = THREADS.getCurrentThreadCpuTime();
      Language language = Language.of(new Constraint.JsonSchema(schema.toString()));
      compile[round] = THREADS.getCurrentThreadCpuTime() - begin;
      Cursor cursor = new Cursor(language, masks, () -> false);
      for (int token : tokens) {
        begin = THREADS.getCurrentThreadCpuTime();
        cursor.mask();
        mask[count++] = THREADS.getCurrentThreadCpuTime() - begin;
        if (!cursor.allows(token)) {
          throw new IllegalStateException("A token of the text is not in the language");
        }
        cursor.accept(token);
      }
    }
    print(properties + " properties, compiled", compile);
    print(properties + " properties, masks", mask);
  }

  private static void print(String what, long[] nanoseconds) {
    long[] sorted = nanoseconds.clone();
    Arrays.sort(sorted);
    System.out.printf(
        "%-26s p50 %,9.1f us  p99 %,9.1f us%n",
        what,
        sorted[sorted.length / 2] / 1e3,
        sorted[Math.min(sorted.length - 1, sorted.length * 99 / 100)] / 1e3);
  }
}
