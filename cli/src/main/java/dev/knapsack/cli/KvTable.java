package dev.knapsack.cli;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.policy.Method;
import dev.knapsack.cache.policy.Method.Measured;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.cache.policy.Trigger;
import dev.knapsack.planner.KvQuality;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** The recipes and forms of the KV cache, and what each was measured to lose. */
final class KvTable {
  private KvTable() {}

  /** The tables, and how to read them, line by line. */
  static List<String> text() {
    List<String> lines = new ArrayList<>();
    lines.addAll(
        """
        --kv RECIPE: which tokens the cache keeps. In brackets is what is taken if nothing is said:
        tokens a head, or with % their share of the prompt, as in snapkv(25%); of think the
        channels that go, and of cskv the numbers that stay, both in percent.

        WHEN: tokens go while the prompt is read, once it has been, or in each step. RIGHT: answers
        of the notes model, of %d, with AT of the bytes of a whole cache in F16, asked once tokens
        are gone; 8 or so can be guessed. FILE: what has to lie beside the model; 'knapsack
        calibrate' writes kv.json and cskv.gguf.
        """
            .replace("%d", Integer.toString(Measured.ASKED))
            .lines()
            .toList());
    lines.add("");
    lines.add(row("RECIPE", "KEEPS", "WHEN", "AT", "RIGHT", "FILE", "SOURCE"));
    lines.add(row("full", "every token", "", "100%", Integer.toString(Measured.WHOLE), "", ""));
    Recipe.PUBLISHED.forEach(method -> lines.add(row(method)));
    lines.addAll(
        """

        Others are written out of their parts: 'score=streaming(4) budget=uniform(1024)
        action=evict when=block(64)'. auto: the plan chooses formats and, where those are not enough
        to keep the weights in memory, a recipe, and says what that was measured to lose.

        --kv-format FORMAT: how they are stored. One format for all, such as q8_0; two, as in
        k=q8_0,v=q4_0, or k=qjl,v=q8_0 for keys in bits of a sketch; or auto, which takes fewer bits
        rather than read weights from disk in every step. If nothing is said it is f16, or less where
        that does not fit. KL: how far the next token's distribution is from that with F16, in nats,
        along texts of 1,021 tokens; rotated is --kv-rotate, last 64 in F16 --kv-recent 64.
        """
            .lines()
            .toList());
    lines.add("");
    lines.add("%-40s  %s".formatted("FORMAT", "KL"));
    KvQuality.MEASURED.forEach(quality ->
        lines.add(
            String.format(
                Locale.ROOT,
                "%-40s  %.6f",
                quality.cache().format().describe(),
                quality.divergence())));
    lines.add("");
    lines.add("The figures are those of one small model: they say in which order forms lose.");
    lines.add("'knapsack eval kv' and 'eval kv-formats' measure another.");
    return lines;
  }

  private static String row(Method method) {
    Measured measured = method.measured();
    boolean known = measured.percent() > 0;
    Recipe recipe = (Recipe) Recipe.of(method.usual());
    return row(
        method.usual(),
        method.keeps(),
        when(recipe.trigger()),
        known ? measured.percent() + "%" : "",
        known ? Integer.toString(measured.right()) : "",
        recipe.lacks().stream().map(Companion::suffix).collect(Collectors.joining(" ")),
        method.source());
  }

  private static String row(Object... cells) {
    return "%-18s  %-53s  %-10s  %4s  %5s  %-12s  %s".formatted(cells).stripTrailing();
  }

  private static String when(Trigger trigger) {
    return switch (trigger) {
      case Trigger.Block _, Trigger.Half _, Trigger.PromptBlocks _ -> "while read";
      case Trigger.Prompt _ -> "once read";
      case Trigger.Step _ -> "each step";
    };
  }
}
