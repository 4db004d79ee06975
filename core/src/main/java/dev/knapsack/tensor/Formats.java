package dev.knapsack.tensor;

import dev.knapsack.error.UnsupportedFormatException;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The formats that model files hold, those that a KV cache can have, and bit planes. */
public final class Formats {
  public static final Format F32 = new F32();
  public static final Format F16 = new F16();
  public static final Format BF16 = new BF16();
  public static final BlockFormat Q8_0 = new Q8_0();
  public static final BlockFormat Q4_0 = new Q4_0();
  public static final BlockFormat Q4_1 = new Q4_1();
  public static final BlockFormat Q5_0 = new Q5_0();
  public static final BlockFormat Q5_1 = new Q5_1();
  public static final BlockFormat Q2_K = new Q2_K();
  public static final BlockFormat Q3_K = new Q3_K();
  public static final BlockFormat Q4_K = new Q4_K();
  public static final BlockFormat Q5_K = new Q5_K();
  public static final BlockFormat Q6_K = new Q6_K();
  public static final BlockFormat IQ4_NL = new IQ4_NL();
  public static final BlockFormat IQ4_XS = new IQ4_XS();
  public static final BlockFormat MXFP4 = new MXFP4();
  public static final BlockFormat TQ1_0 = new TQ1_0();
  public static final BlockFormat TQ2_0 = new TQ2_0();
  public static final BlockFormat Q1_0 = new Q1_0();

  public static final Format F8_E4M3 = new F8_E4M3();
  public static final Format F8_E5M2 = new F8_E5M2();
  public static final BlockFormat Q2_1 = new Q2_1();
  public static final BlockFormat BFP4 = new BlockFloat("BFP4", 4, 32);
  public static final BlockFormat BFP6 = new BlockFloat("BFP6", 6, 32);
  public static final BlockFormat BFP4_64 = new BlockFloat("BFP4_64", 4, 64);
  public static final BlockFormat BFP6_64 = new BlockFloat("BFP6_64", 6, 64);

  public static final BlockFormat SIGNS = new Signs();

  private static final List<BlockFormat> PLANES =
      IntStream.rangeClosed(1, 8).<BlockFormat>mapToObj(Planes::new).toList();

  private static final List<Format> ALL =
      List.of(
          F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL,
          IQ4_XS, MXFP4, TQ1_0, TQ2_0, Q1_0);

  private static final List<Format> CACHE =
      List.of(
          F32, F16, BF16, F8_E4M3, F8_E5M2, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0, Q2_1, BFP6, BFP6_64, BFP4,
          BFP4_64, SIGNS);

  private static final List<Format> WEIGHTS = Stream.concat(ALL.stream(), PLANES.stream()).toList();

  private Formats() {}

  /** All formats that model files hold, the plain ones first. */
  public static List<Format> all() {
    return ALL;
  }

  /** The formats that weights can have in memory: those of model files, and bit planes. */
  public static List<Format> weights() {
    return WEIGHTS;
  }

  /** The format of bit planes with codes of 1 to 8 bits: {@code P1} to {@code P8}. */
  public static BlockFormat planes(int bits) {
    return PLANES.get(bits - 1);
  }

  /**
   * The formats for keys and values in a cache, the plain ones first: those that are encoded fast
   * enough to do so for every token. Not all of them occur in model files.
   */
  public static List<Format> cache() {
    return CACHE;
  }

  /**
   * Returns the format if model files hold it.
   *
   * @throws UnsupportedFormatException if it can be in memory only
   */
  public static Format checkInFiles(Format format) {
    if (!ALL.contains(format)) {
      throw new UnsupportedFormatException(
          "Model files do not hold the number format '"
              + format
              + "', only "
              + names(ALL.stream()));
    }
    return format;
  }

  /**
   * The format of this name, in upper or lower case, wherever it can be.
   *
   * @throws UnsupportedFormatException if there is none
   */
  public static Format byName(String name) {
    return everywhere()
        .filter(f -> f.name().equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(() -> new UnsupportedFormatException("'" + name + "'", names(everywhere())));
  }

  /**
   * The format of this {@code ggml_type} number.
   *
   * @throws UnsupportedFormatException if there is none
   */
  public static Format byGgufType(int type) {
    return ALL.stream()
        .filter(f -> f.ggufType() == type)
        .findFirst()
        .orElseThrow(() -> new UnsupportedFormatException("number " + type, namesAndNumbers()));
  }

  private static Stream<Format> everywhere() {
    return Stream.concat(WEIGHTS.stream(), CACHE.stream()).distinct();
  }

  private static String names(Stream<Format> formats) {
    return formats.map(Format::name).collect(Collectors.joining(", "));
  }

  private static String namesAndNumbers() {
    return ALL.stream()
        .map(f -> f.name() + " (" + f.ggufType() + ")")
        .collect(Collectors.joining(", "));
  }
}
