package dev.knapsack.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;

/**
 * A report for people of recipes of the KV cache: a table, pictures, a page.
 *
 * @param title what was measured: the model, and with which questions
 * @param results the full F16 cache first; once with hidden questions, or visible ones, or each
 * @param stages what the stages of a cache's life cost; may be none
 */
public record KvRecipesReport(String title, List<KvRecipeResult> results, List<KvStages> stages) {
  public KvRecipesReport {
    results = List.copyOf(results);
    stages = List.copyOf(stages);
  }

  /** A row for each recipe at each budget. */
  public Table table() {
    List<String> headings =
        new ArrayList<>(
            List.of(
                "recipe",
                "budget",
                "question",
                "bytes",
                "of F16",
                "peak",
                "resident",
                "recall",
                "of full",
                "divergence",
                "same token",
                "perplexity",
                "read, ms",
                "first token, ms",
                "decode, tokens/s"));
    boolean text = results.stream().anyMatch(r -> r.text().positions() > 0);
    if (text) {
      headings.addAll(List.of("text: perplexity", "divergence", "same token"));
    }
    Table table = new Table(headings);
    results.forEach(result -> table.add(row(result, text)));
    return table;
  }

  private static List<String> row(KvRecipeResult r, boolean text) {
    List<String> cells =
        new ArrayList<>(
            List.of(
                r.trial().recipe(),
                r.trial().percent().isPresent() ? r.trial().percent().getAsInt() + " %" : "",
                r.visible() ? "visible" : "hidden",
                fixed(0, (double) r.bytes() / r.contexts()),
                fixed(1, 100 * r.shareOfFull()) + " %",
                bytes(r.peakBytes()),
                bytes(r.resident()),
                r.right() + "/" + r.asked(),
                r.fullRight() == 0 ? "" : fixed(1, 100.0 * r.right() / r.fullRight()) + " %",
                String.format(Locale.ROOT, "%.2e", r.answers().divergence()),
                fixed(1, 100 * r.answers().same()) + " %",
                r.perplexity() == 0 ? "" : fixed(3, r.perplexity()),
                fixed(1, 1000 * r.readSeconds()),
                fixed(1, 1000 * r.firstTokenSeconds()),
                fixed(1, r.decodeTokensPerSecond())));
    if (text) {
      boolean measured = r.text().positions() > 0;
      cells.add(measured ? fixed(4, r.textPerplexity()) : "");
      cells.add(measured ? String.format(Locale.ROOT, "%.2e", r.text().divergence()) : "");
      cells.add(measured ? fixed(1, 100 * r.text().same()) + " %" : "");
    }
    return cells;
  }

  /** A row for each recipe: what the stages of a cache's life cost. */
  public Table stageTable() {
    Table table =
        new Table(
            List.of(
                "recipe",
                "budget",
                "generate, ms",
                "compress: bytes",
                "ms",
                "retrieve: recall",
                "later questions",
                "ms a question",
                "read again: bytes",
                "load: bytes",
                "ms",
                "same answers"));
    stages.forEach(stage -> table.add(row(stage)));
    return table;
  }

  private static List<String> row(KvStages s) {
    boolean saved = s.unsaved().isEmpty();
    return List.of(
        s.trial().recipe(),
        s.trial().percent().isPresent() ? s.trial().percent().getAsInt() + " %" : "",
        fixed(1, 1000 * s.generateSeconds()),
        fixed(0, (double) s.bytes() / s.contexts()),
        fixed(1, 1000 * s.readSeconds()),
        s.right() + "/" + s.asked(),
        s.laterAsked() == 0 ? "" : s.laterRight() + "/" + s.laterAsked(),
        fixed(1, 1000 * s.questionSeconds()),
        fixed(0, (double) s.fetchedBytes() / s.contexts()),
        saved ? fixed(0, (double) s.savedBytes() / s.contexts()) : "cannot be saved",
        saved ? fixed(1, 1000 * s.loadSeconds()) : "",
        saved ? s.same() + "/" + s.asked() : "");
  }

  private static String bytes(long bytes) {
    return String.format(Locale.ROOT, "%,d", bytes);
  }

  private static String fixed(int decimals, double value) {
    return String.format(Locale.ROOT, "%,." + decimals + "f", value);
  }

  /** A JSON object a line, one for each row of the tables. */
  public String jsonLines() {
    StringBuilder lines = new StringBuilder();
    results.forEach(result -> lines.append(result.json()).append('\n'));
    stages.forEach(stage -> lines.append(stage.json()).append('\n'));
    return lines.toString();
  }

  /**
   * Writes {@code kv.md}, {@code kv.jsonl} and the pictures, as PNG and SVG.
   *
   * @param folder is made if it does not exist
   */
  public void write(Path folder) throws IOException {
    Files.createDirectories(folder);
    StringBuilder page = new StringBuilder("# KV cache recipes\n\n" + title + "\n\n");
    page.append(table().markdown());
    page.append(
        """

        Budget: bytes that a recipe is given, as a share of the full F16 cache's. Bytes: what the account leased for the cache of
        a prompt, once it was brought to its size, and at most for what answers had read again from disk, the mean; peak: the most
        that one took while it was read; resident: by how much the process grew. Hidden questions are asked when the prompt has been compressed, visible ones are its end. Recall:
        questions answered exactly. Divergence: mean Kullback-Leibler divergence from the predictions of the full F16 cache along
        the answers that it gave, in nats; same token: share of these at which both find the same token the most probable.
        Perplexity is that of the exact answers. First token: from asking to it, with reading where the question is visible. Along a
        text: passages whose first half is the prompt, and predictions of the second.
        """);
    for (boolean visible : new boolean[] {false, true}) {
      List<KvRecipeResult> some = results.stream().filter(r -> r.visible() == visible).toList();
      if (!some.isEmpty()) {
        String when = visible ? "visible" : "hidden";
        page.append("\n## Question ").append(when).append("\n");
        draw(
            folder, page, "recall-" + when, "exact answers, %", false, some, r -> 100 * r.recall());
        draw(
            folder,
            page,
            "divergence-" + when,
            "divergence from the full cache, nats",
            true,
            some,
            r -> r.answers().divergence());
        drawDepths(folder, page, when, some);
      }
    }
    if (!stages.isEmpty()) {
      page.append("\n## Stages of a cache's life\n\n").append(stageTable().markdown());
      page.append(
          """

          Generate: a prompt is read and its first question answered; compress: bytes of its cache once brought to size, and the
          time to read it and do so; retrieve: all questions asked of the caches that are there, and those that were not the first
          of theirs, and what of a prompt was read again from disk for one, at most; load: bytes of a saved cache, the time until another engine has taken it up, and how many questions that
          answers token for token as before.
          """);
    }
    Files.writeString(folder.resolve("kv.md"), page);
    Files.writeString(folder.resolve("kv.jsonl"), jsonLines());
  }

  /** For each budget, what was answered by depth: a row a recipe. */
  private static void drawDepths(
      Path folder, StringBuilder page, String when, List<KvRecipeResult> results)
      throws IOException {
    List<Integer> depths = results.getFirst().depths().stream().map(Depth::percent).toList();
    int[] percents =
        results.stream().flatMapToInt(r -> r.trial().percent().stream()).distinct().toArray();
    for (int percent : depths.isEmpty() ? new int[0] : percents) {
      List<KvRecipeResult> rows =
          results.stream().filter(r -> r.trial().percent().orElse(percent) == percent).toList();
      List<Number[]> cells = new ArrayList<>();
      for (int y = 0; y < rows.size(); y++) {
        for (int x = 0; x < depths.size(); x++) {
          // The first stands on top.
          Depth depth = rows.get(rows.size() - 1 - y).depths().get(x);
          cells.add(new Number[] {x, y, 100.0 * depth.right() / depth.asked()});
        }
      }
      List<String> names = rows.reversed().stream().map(r -> r.trial().recipe()).toList();
      String name = "depths-%s-%d".formatted(when, percent);
      HeatMapChart chart =
          Pictures.heatMap("depth, % of the prompt", "exact answers, %", rows.size());
      chart.addSeries(name, depths, names, cells);
      Pictures.write(chart, folder.resolve(name + ".png"));
      Pictures.write(chart, folder.resolve(name + ".svg"));
      page.append("\nExact answers by depth at %d %% of the bytes:\n".formatted(percent));
      page.append("\n![by depth](").append(name).append(".svg)\n");
    }
  }

  /** A line a recipe, over what it takes. */
  private static void draw(
      Path folder,
      StringBuilder page,
      String name,
      String axis,
      boolean logarithmic,
      List<KvRecipeResult> results,
      ToDoubleFunction<KvRecipeResult> quality)
      throws IOException {
    Map<String, List<KvRecipeResult>> recipes = new LinkedHashMap<>();
    for (KvRecipeResult result : results) {
      if (!logarithmic || quality.applyAsDouble(result) > 0) {
        recipes.computeIfAbsent(result.trial().recipe(), _ -> new ArrayList<>()).add(result);
      }
    }
    if (recipes.isEmpty()) {
      return; // the full cache alone differs from itself in nothing
    }
    XYChart chart = Pictures.chart("bytes, % of the full F16 cache", axis);
    chart.getStyler().setXAxisMin(0.0);
    chart.getStyler().setYAxisLogarithmic(logarithmic);
    int i = 0;
    for (Map.Entry<String, List<KvRecipeResult>> recipe : recipes.entrySet()) {
      XYSeries series =
          chart.addSeries(
              recipe.getKey(),
              recipe.getValue().stream().mapToDouble(r -> 100 * r.shareOfFull()).toArray(),
              recipe.getValue().stream().mapToDouble(quality).toArray());
      Pictures.style(series, i++);
    }
    Pictures.write(chart, folder.resolve(name + ".png"));
    Pictures.write(chart, folder.resolve(name + ".svg"));
    page.append("\n![").append(axis).append("](").append(name).append(".svg)\n");
  }
}
