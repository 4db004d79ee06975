package dev.knapsack.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;

/**
 * A report for people of forms of the KV cache: a table, pictures, a page.
 *
 * @param title what was measured: the model, and along what
 * @param results F16 first
 */
public record KvFormatsReport(String title, List<KvFormatResult> results) {
  public KvFormatsReport {
    results = List.copyOf(results);
  }

  private boolean asked() {
    return results.getFirst().asked() > 0;
  }

  /** A row for each form. */
  public Table table() {
    List<String> headings =
        new ArrayList<>(
            List.of(
                "KV cache",
                "bytes/token",
                "leased",
                "resident",
                "of F16",
                "perplexity",
                "divergence",
                "same token"));
    if (asked()) {
      headings.addAll(List.of("recall", "in answers", "same token", "decode, tokens/s"));
    }
    Table table = new Table(headings);
    results.forEach(result -> table.add(row(result)));
    return table;
  }

  private List<String> row(KvFormatResult r) {
    List<String> cells =
        new ArrayList<>(
            List.of(
                r.form(),
                Long.toString(r.bytes().numbers()),
                fixed(0, r.bytes().ledgerPerToken()),
                fixed(0, r.bytes().residentPerToken()),
                fixed(1, 100 * r.shareOfFull()) + " %",
                r.perplexity() == 0 ? "" : fixed(4, r.perplexity()),
                divergence(r.text()),
                share(r.text())));
    if (asked()) {
      cells.addAll(
          List.of(
              r.right() + "/" + r.asked(),
              divergence(r.answers()),
              share(r.answers()),
              fixed(1, r.decodeTokensPerSecond())));
    }
    return cells;
  }

  private static String divergence(Agreement agreement) {
    return agreement.positions() == 0
        ? ""
        : String.format(Locale.ROOT, "%.2e", agreement.divergence());
  }

  private static String share(Agreement agreement) {
    return agreement.positions() == 0 ? "" : fixed(2, 100 * agreement.same()) + " %";
  }

  private static String fixed(int decimals, double value) {
    return String.format(Locale.ROOT, "%,." + decimals + "f", value);
  }

  /** A JSON object a line, one for each form. */
  public String jsonLines() {
    StringBuilder lines = new StringBuilder();
    results.forEach(result -> lines.append(result.json()).append('\n'));
    return lines.toString();
  }

  /**
   * Writes {@code kv-formats.md}, {@code kv-formats.jsonl} and the pictures, as PNG and SVG.
   *
   * @param folder is made if it does not exist
   */
  public void write(Path folder) throws IOException {
    Files.createDirectories(folder);
    StringBuilder page = new StringBuilder("# KV cache formats\n\n" + title + "\n\n");
    page.append(table().markdown());
    page.append(
        """

        Bytes of a token: of its keys and values alone; as the account leased them; as the resident set grew. Divergence: mean
        Kullback-Leibler divergence of the next token's distribution from that with the F16 cache, in nats; same token: share of
        positions at which both find the same token the most probable.
        """);
    draw(folder, page, "divergence", "divergence from F16, nats", true, r -> r.text().divergence());
    if (asked()) {
      draw(folder, page, "recall", "questions answered exactly, %", false, r -> 100 * r.recall());
    }
    Files.writeString(folder.resolve("kv-formats.md"), page);
    Files.writeString(folder.resolve("kv-formats.jsonl"), jsonLines());
  }

  private void draw(
      Path folder,
      StringBuilder page,
      String name,
      String axis,
      boolean logarithmic,
      ToDoubleFunction<KvFormatResult> quality)
      throws IOException {
    XYChart chart = Pictures.chart("bytes per token", axis);
    chart.getStyler().setXAxisMin(0.0);
    chart.getStyler().setYAxisLogarithmic(logarithmic);
    int drawn = 0;
    for (int i = 0; i < results.size(); i++) {
      KvFormatResult result = results.get(i);
      double value = quality.applyAsDouble(result);
      if (value > 0 || !logarithmic) {
        XYSeries series =
            chart.addSeries(
                result.form(),
                new double[] {result.bytes().ledgerPerToken()},
                new double[] {value});
        Pictures.style(series, i);
        drawn++;
      }
    }
    if (drawn == 0) {
      return; // the F16 cache alone differs from itself in nothing
    }
    Pictures.write(chart, folder.resolve(name + ".png"));
    Pictures.write(chart, folder.resolve(name + ".svg"));
    page.append("\n![").append(axis).append("](").append(name).append(".svg)\n");
  }
}
