package dev.knapsack.plan;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What is said about what the KV cache keeps and how, and what is left to the plan.
 *
 * @param format the formats; if empty, the plan chooses among {@link #LADDER}
 * @param weightsFirst whether fewer bits are taken as soon as they keep all weights resident, and
 *     not only where nothing else fits at all
 * @param recent tokens that stay in full precision; if empty, what comes with the formats
 * @param transform what is done to heads first; if empty, what comes with the formats
 * @param policy which tokens are kept; a plan never chooses one that forgets
 * @param resident how many of the last tokens stay in memory at the least, 0 for all; if empty,
 *     all, but where a context that was asked for fits in no other way
 */
public record KvChoice(
    Optional<KvFormat> format,
    boolean weightsFirst,
    OptionalInt recent,
    Optional<KvTransform> transform,
    KvPolicy policy,
    OptionalInt resident) {
  /** All is left to the plan, which takes F16 wherever it fits. */
  public static final KvChoice USUAL =
      new KvChoice(
          Optional.empty(),
          false,
          OptionalInt.empty(),
          Optional.empty(),
          KvPolicy.FULL,
          OptionalInt.empty());

  /** All is left to the plan, which keeps the weights resident if fewer bits can. */
  public static final KvChoice AUTO =
      new KvChoice(
          Optional.empty(),
          true,
          OptionalInt.empty(),
          Optional.empty(),
          KvPolicy.FULL,
          OptionalInt.empty());

  /** Tokens that stay in full precision beside four bits. */
  private static final int RECENT = 64;

  /** What a plan chooses among, that which loses least first. */
  public static final List<KvFormat> LADDER =
      List.of(
          KvFormat.F16,
          KvFormat.of(Formats.Q8_0, Formats.Q8_0),
          new KvFormat(Formats.Q8_0, Formats.Q4_0, RECENT, KvTransform.ROTATED),
          new KvFormat(Formats.Q4_0, Formats.Q4_0, RECENT, KvTransform.ROTATED));

  /** These formats. */
  public static KvChoice of(KvFormat format) {
    return new KvChoice(
        Optional.of(format),
        false,
        OptionalInt.empty(),
        Optional.empty(),
        KvPolicy.FULL,
        OptionalInt.empty());
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
    return new KvChoice(format, weightsFirst, OptionalInt.of(tokens), transform, policy, resident);
  }

  public KvChoice withTransform(KvTransform value) {
    return new KvChoice(format, weightsFirst, recent, Optional.of(value), policy, resident);
  }

  /** Keeping what this policy keeps. */
  public KvChoice withPolicy(KvPolicy value) {
    return new KvChoice(format, weightsFirst, recent, transform, value, resident);
  }

  /** With so many of the last tokens in memory at the least; 0 for all. */
  public KvChoice withResident(int tokens) {
    return new KvChoice(format, weightsFirst, recent, transform, policy, OptionalInt.of(tokens));
  }

  /** Whether tokens may go to disk where all of them fit in no way. */
  boolean maySpill() {
    return resident.isEmpty() && policy.equals(KvPolicy.FULL);
  }

  /** What may be taken, in the order in which it is preferred. */
  List<Plan.Cache> candidates() {
    return format.map(List::of).orElse(LADDER).stream().map(this::as).distinct().toList();
  }

  /** What the ladder's steps are with what was said. */
  List<Plan.Cache> alternatives() {
    return LADDER.stream().map(this::as).distinct().toList();
  }

  private Plan.Cache as(KvFormat f) {
    return new Plan.Cache(
        f.withRecent(recent.orElse(f.recent())).withTransform(transform.orElse(f.transform())),
        policy,
        resident.orElse(0));
  }
}
