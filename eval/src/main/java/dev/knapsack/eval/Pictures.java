package dev.knapsack.eval;

import java.awt.Color;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.Styler.ChartTheme;

/** Pictures of measurements: one look for all, written as SVG or PNG. */
public final class Pictures {
  private static final Color[] COLORS = {
    new Color(0x1f77b4),
    new Color(0xd62728),
    new Color(0x2ca02c),
    new Color(0x9467bd),
    new Color(0x8c564b),
    new Color(0xe377c2)
  };

  private Pictures() {}

  /** The colour of a series, by its number; they repeat. */
  public static Color color(int series) {
    return COLORS[series % COLORS.length];
  }

  /** Axes without anything between them, the legend to their right. */
  public static XYChart chart(String xAxis, String yAxis) {
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(560)
            .theme(ChartTheme.Matlab)
            .xAxisTitle(xAxis)
            .yAxisTitle(yAxis)
            .build();
    chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setMarkerSize(9);
    return chart;
  }

  /** Writes a picture in the format of its file's ending; its folder is made. */
  public static void write(XYChart chart, Path file) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    if (!file.toString().endsWith(".svg")) {
      Files.write(file, ChartEncoder.getBytes(chart, "png"));
      return;
    }
    // Letters are outlines, of numbers with as many digits as a double has.
    String svg = new String(ChartEncoder.getBytes(chart, "svg"), StandardCharsets.UTF_8);
    Files.writeString(file, svg.replaceAll("(\\.\\d\\d)\\d+", "$1"));
  }
}
