package dev.knapsack.bench;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.eval.Pictures;
import java.awt.Color;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A roofline (Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009):
 * multiply-adds per byte that must come from memory, and multiply-adds per second; what was
 * measured, below what memory and arithmetic allow.
 *
 * <p>Usage: {@code bench/measure Roofline MODEL...}, with {@code -Ddepths=0,4096,16384}, {@code
 * -Drounds=3} and {@code -Dpicture=FILE} in {@code KNAPSACK_JAVA_OPTS} for others. Prints a
 * Markdown table, and draws {@code docs/pictures/roofline.png}.
 */
public final class Roofline {
  /** The beginning of the picture, in multiply-adds per byte; {@link #MOST} is its end. */
  private static final double LEAST = 0.25;

  private static final double MOST = 4096;

  private Roofline() {}

  /** The rate of reading or writing at one depth. */
  private record Point(int depth, double intensity, double rate) {}

  /** A model's measurements. */
  private record Measured(String name, List<Point> prefill, List<Point> decode) {}

  public static void main(String[] args) throws Exception {
    String depths = System.getProperty("depths", "0,4096,16384");
    String rounds = System.getProperty("rounds", "3");
    Path picture = Path.of(System.getProperty("picture", "docs/pictures/roofline.png"));
    List<Measured> models = new ArrayList<>();
    List<Double> memory = new ArrayList<>();
    Map<String, List<Double>> arithmetic = new TreeMap<>();
    System.out.println(
        "| model | tokens in the cache | prefill, tokens/s | of arithmetic | decode, tokens/s | of"
            + " memory |");
    System.out.println("|---|---|---|---|---|---|");
    for (String model : args) {
      JsonObject run =
          JsonCommand.run(
              List.of(
                  "./knapsack", "bench", model, "--depths", depths, "--rounds", rounds, "--json"),
              ProcessBuilder.Redirect.INHERIT);
      if (run.isEmpty()) {
        throw new IllegalStateException("Measuring " + model + " failed, or took too long");
      }
      Measured measured = new Measured(name(model), new ArrayList<>(), new ArrayList<>());
      for (JsonElement element : run.getAsJsonArray("depths")) {
        JsonObject at = element.getAsJsonObject();
        row(measured.name, at);
        measured.prefill.add(point(at, "prefill"));
        measured.decode.add(point(at, "decode"));
        memory.add(number(at, "memoryBytesPerSecond"));
        arithmetic
            .computeIfAbsent(run.get("activations").getAsString(), _ -> new ArrayList<>())
            .add(number(at, "multiplyAddsPerSecond"));
      }
      models.add(measured);
    }
    XYChart chart = chart();
    double bandwidth = median(memory);
    arithmetic.forEach((activations, rates) -> roof(chart, activations, bandwidth, median(rates)));
    for (int i = 0; i < models.size(); i++) {
      Measured m = models.get(i);
      Color color = Pictures.color(i);
      points(chart, m.name + ", prefill", m.prefill, color, SeriesMarkers.DIAMOND);
      points(chart, m.name + ", decode", m.decode, color, SeriesMarkers.CIRCLE);
    }
    Pictures.write(chart, picture);
    System.err.println("drawn: " + picture);
  }

  private static String name(String model) {
    return Path.of(model).getFileName().toString().replaceFirst("\\.gguf$", "");
  }

  private static double number(JsonObject at, String key) {
    return JsonCommand.number(at, key);
  }

  private static double median(List<Double> values) {
    return Medians.of(values.stream().mapToDouble(Double::doubleValue).toArray());
  }

  private static Point point(JsonObject at, String what) {
    double work = number(at, what + "MultiplyAddsPerToken");
    return new Point(
        at.get("depth").getAsInt(),
        work / number(at, what + "BytesPerToken"),
        work * number(at, what));
  }

  private static void row(String name, JsonObject at) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %,d | %.1f | %.0f %% | %.2f | %.0f %% |%n",
        name,
        at.get("depth").getAsInt(),
        number(at, "prefill"),
        100 * number(at, "prefillShareOfArithmetic"),
        number(at, "decode"),
        100 * number(at, "decodeShareOfMemory"));
  }

  private static XYChart chart() {
    XYChart chart =
        Pictures.chart("multiply-adds per byte from memory", "multiply-adds per second");
    chart.getStyler().setXAxisLogarithmic(true);
    chart.getStyler().setYAxisLogarithmic(true);
    chart.getStyler().setXAxisMin(LEAST);
    chart.getStyler().setXAxisMax(MOST);
    return chart;
  }

  /** Up with the memory to where the arithmetic ends it. */
  private static void roof(XYChart chart, String activations, double bandwidth, double peak) {
    double ridge = peak / bandwidth;
    XYSeries series =
        chart.addSeries(
            String.format(
                Locale.ROOT,
                "limit: %.0f GB/s, %.0f G/s (%s)",
                bandwidth / 1e9,
                peak / 1e9,
                activations),
            new double[] {LEAST, ridge, MOST},
            new double[] {LEAST * bandwidth, peak, peak});
    series.setLineColor(Color.DARK_GRAY);
    series.setMarker(SeriesMarkers.NONE);
  }

  /** Joined by a thin line in the order of their depths. */
  private static void points(
      XYChart chart, String name, List<Point> points, Color color, Marker marker) {
    XYSeries series =
        chart.addSeries(
            name,
            points.stream().mapToDouble(Point::intensity).toArray(),
            points.stream().mapToDouble(Point::rate).toArray());
    series.setLineColor(color);
    series.setLineWidth(0.7f);
    series.setMarkerColor(color);
    series.setMarker(marker);
  }
}
