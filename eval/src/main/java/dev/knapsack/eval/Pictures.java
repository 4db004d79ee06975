package dev.knapsack.eval;

import java.awt.Color;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.HeatMapChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.internal.chartpart.IChart;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.Styler.ChartTheme;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

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

  /** Height of a row of cells. */
  private static final int ROW = 30;

  /** Readable without colours, too. */
  private static final Color[] HEAT = {
    new Color(0xb2182b), new Color(0xf4a582), new Color(0xfff7bc), new Color(0xa6dba0)
  };

  private static final Marker[] MARKERS = {
    SeriesMarkers.CIRCLE, SeriesMarkers.DIAMOND, SeriesMarkers.SQUARE, SeriesMarkers.TRIANGLE_UP
  };

  private Pictures() {}

  /** The colour of a series, by its number; they repeat. */
  public static Color color(int series) {
    return COLORS[series % COLORS.length];
  }

  /** Gives a series the colour and the marker of its number. */
  public static void style(XYSeries series, int number) {
    series.setMarker(MARKERS[number % MARKERS.length]);
    series.setMarkerColor(color(number));
    series.setLineColor(color(number));
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

  /** Cells of 0 to 100 without any yet, from red to green; what they are is said above. */
  public static HeatMapChart heatMap(String xAxis, String title, int rows) {
    HeatMapChart chart =
        new HeatMapChartBuilder()
            .width(900)
            .height(120 + ROW * rows)
            .theme(ChartTheme.Matlab)
            .title(title)
            .xAxisTitle(xAxis)
            .build();
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setLegendVisible(false);
    // Of both axes, where these are names: every row is to have its own.
    chart.getStyler().setXAxisTickMarkSpacingHint(ROW / 2);
    chart.getStyler().setMin(0);
    chart.getStyler().setMax(100);
    chart.getStyler().setRangeColors(HEAT);
    chart.getStyler().setShowValue(true);
    chart.getStyler().setHeatMapValueDecimalPattern("0");
    return chart;
  }

  /** Writes a picture in the format of its file's ending; its folder is made. */
  public static void write(IChart chart, Path file) throws IOException {
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
