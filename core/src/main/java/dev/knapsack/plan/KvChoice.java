package dev.knapsack.plan;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What is said about how the KV cache is stored, and what is left to the plan.
 *
 * @param format the formats; if empty, the plan chooses among {@link #LADDER}
 * @param resident whether fewer bits are taken as soon as they keep all weights resident, and not
 *     only where nothing else fits at all
 * @param recent tokens that stay in full precision; if empty, what comes with the formats
 * @param rotated whether heads are rotated; if empty, what comes with the formats
 */
public record KvChoice(
    Optional<KvFormat> format, boolean resident, OptionalInt recent, Optional<Boolean> rotated) {
  /** All is left to the plan, which takes F16 wherever it fits. */
  public static final KvChoice USUAL =
      new KvChoice(Optional.empty(), false, OptionalInt.empty(), Optional.empty());

  /** All is left to the plan, which keeps the weights resident if fewer bits can. */
  public static final KvChoice AUTO =
      new KvChoice(Optional.empty(), true, OptionalInt.empty(), Optional.empty());

  /** Tokens that stay in full precision beside four bits. */
  private static final int RECENT = 64;

  /** What a plan chooses among, that which loses least first. */
  public static final List<KvFormat> LADDER =
      List.of(
          KvFormat.F16,
          KvFormat.of(Formats.Q8_0, Formats.Q8_0),
          new KvFormat(Formats.Q8_0, Formats.Q4_0, RECENT, true),
          new KvFormat(Formats.Q4_0, Formats.Q4_0, RECENT, true));

  /** These formats. */
  public static KvChoice of(KvFormat format) {
    return new KvChoice(Optional.of(format), false, OptionalInt.empty(), Optional.empty());
  }

  /** This format for keys and values. */
  public static KvChoice of(Format format) {
    return of(KvFormat.of(format, format));
  }

  /**
   * Reads formats as {@link KvFormat#parse} does, or {@code auto}.
   *
   * @throws dev.knapsack.tensor.UnsupportedFormatException as {@link KvFormat#parse}
   * @throws IllegalArgumentException as {@link KvFormat#parse}
   */
  public static KvChoice parse(String text) {
    return text.strip().equalsIgnoreCase("auto") ? AUTO : of(KvFormat.parse(text));
  }

  public KvChoice withRecent(int tokens) {
    return new KvChoice(format, resident, OptionalInt.of(tokens), rotated);
  }

  public KvChoice withRotation(boolean value) {
    return new KvChoice(format, resident, recent, Optional.of(value));
  }

  /** What may be taken, in the order in which it is preferred. */
  List<KvFormat> candidates() {
    return format.map(List::of).orElse(LADDER).stream().map(this::as).distinct().toList();
  }

  /** What the ladder's steps are with what was said. */
  List<KvFormat> alternatives() {
    return LADDER.stream().map(this::as).distinct().toList();
  }

  private KvFormat as(KvFormat f) {
    return f.withRecent(recent.orElse(f.recent())).withRotation(rotated.orElse(f.rotated()));
  }
}
