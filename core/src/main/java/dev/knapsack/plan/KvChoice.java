package dev.knapsack.plan;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * The part of a request that says what the KV cache keeps and how, and what is left to the plan.
 *
 * @param format the formats; if empty, the plan chooses among {@link #LADDER}
 * @param weightsFirst whether fewer bits are taken as soon as they keep all weights resident, and
 *     not only where nothing else fits at all
 * @param recent tokens that stay in full precision; if empty, what comes with the formats
 * @param transform what is done to heads first; if empty, what comes with the formats
 * @param policies which tokens are kept: the first with any of the formats, the others, where that
 *     does not do, with the last of them
 * @param resident how many of the last tokens stay in memory at the least, 0 for all; if empty,
 *     all, but where a context that was asked for fits in no other way
 */
public record KvChoice(
    Optional<KvFormat> format,
    boolean weightsFirst,
    OptionalInt recent,
    Optional<KvTransform> transform,
    List<KvPolicy> policies,
    OptionalInt resident) {
  public KvChoice {
    policies = List.copyOf(policies);
  }

  /**
   * Policies of a plan that may forget, that which was measured to lose least first; nothing that
   * was measured to lose more than one answer in twenty: {@code planner/KvQuality}.
   */
  private static final List<KvPolicy> FORGETTING =
      Stream.of("duo(50%)", "keydiff(50%)").map(Recipe::of).toList();

  /** All is left to the plan, which takes F16 wherever it fits, and never forgets. */
  public static final KvChoice USUAL =
      new KvChoice(
          Optional.empty(),
          false,
          OptionalInt.empty(),
          Optional.empty(),
          List.of(KvPolicy.FULL),
          OptionalInt.empty());

  /**
   * All is left to the plan, which keeps the weights resident if fewer bits can, or else if
   * forgetting can.
   */
  public static final KvChoice AUTO =
      new KvChoice(
          Optional.empty(),
          true,
          OptionalInt.empty(),
          Optional.empty(),
          Stream.concat(Stream.of(KvPolicy.FULL), FORGETTING.stream()).toList(),
          OptionalInt.empty());

  /** Tokens that stay in full precision beside four bits. */
  private static final int RECENT = 64;

  /** The formats that a plan chooses among, that which loses least first. */
  public static final List<KvFormat> LADDER =
      List.of(
          KvFormat.F16,
          KvFormat.of(Formats.Q8_0, Formats.Q8_0),
          new KvFormat(Formats.Q8_0, Formats.Q4_0, RECENT, KvTransform.ROTATED),
          new KvFormat(Formats.Q4_0, Formats.Q4_0, RECENT, KvTransform.ROTATED));

  /** A choice of these formats, with nothing forgotten. */
  public static KvChoice of(KvFormat format) {
    return new KvChoice(
        Optional.of(format),
        false,
        OptionalInt.empty(),
        Optional.empty(),
        List.of(KvPolicy.FULL),
        OptionalInt.empty());
  }

  /** A choice of this format for keys and values. */
  public static KvChoice of(Format format) {
    return of(KvFormat.of(format, format));
  }

  /**
   * Reads formats as {@link KvFormat#parse} does, or {@code auto}.
   *
   * @throws dev.knapsack.error.UnsupportedFormatException as {@link KvFormat#parse}
   * @throws IllegalArgumentException as {@link KvFormat#parse}
   */
  public static KvChoice parse(String text) {
    return text.strip().equalsIgnoreCase("auto") ? AUTO : of(KvFormat.parse(text));
  }

  /**
   * This recipe in these formats, as {@link Plan.Cache#parse} has them.
   *
   * @param formats such as {@code q8_0}, or {@code auto} to leave them to the plan
   * @param recipe such as {@code full} or {@code h2o(80)}
   * @throws dev.knapsack.error.UnsupportedFormatException if there is no such format
   * @throws IllegalArgumentException if there is no such recipe
   */
  public static KvChoice parse(String formats, String recipe) {
    return parse(formats).withPolicy(Recipe.of(recipe));
  }

  public KvChoice withRecent(int tokens) {
    return new KvChoice(
        format, weightsFirst, OptionalInt.of(tokens), transform, policies, resident);
  }

  public KvChoice withTransform(KvTransform value) {
    return new KvChoice(format, weightsFirst, recent, Optional.of(value), policies, resident);
  }

  /** Keeping what this policy keeps. */
  public KvChoice withPolicy(KvPolicy value) {
    return withPolicies(List.of(value));
  }

  /** Keeping what the first of these policies keeps, or else another. */
  public KvChoice withPolicies(List<KvPolicy> values) {
    return new KvChoice(format, weightsFirst, recent, transform, values, resident);
  }

  /** With so many of the last tokens in memory at the least; 0 for all. */
  public KvChoice withResident(int tokens) {
    return new KvChoice(format, weightsFirst, recent, transform, policies, OptionalInt.of(tokens));
  }

  /** Says whether tokens may go to disk where all of them fit in no way. */
  public boolean maySpill() {
    return resident.isEmpty() && policies.contains(KvPolicy.FULL);
  }

  /** The caches that may be taken, in the order in which they are preferred. */
  public List<Plan.Cache> candidates() {
    return with(format.map(List::of).orElse(LADDER));
  }

  /** The caches of the ladder's steps, with what was said. */
  public List<Plan.Cache> alternatives() {
    return with(LADDER);
  }

  private List<Plan.Cache> with(List<KvFormat> formats) {
    return Stream.concat(
            formats.stream().map(f -> as(f, policies.getFirst())),
            policies.stream().skip(1).map(policy -> as(formats.getLast(), policy)))
        .distinct()
        .toList();
  }

  private Plan.Cache as(KvFormat f, KvPolicy policy) {
    return new Plan.Cache(
        f.withRecent(recent.orElse(f.recent())).withTransform(transform.orElse(f.transform())),
        policy,
        policy.equals(KvPolicy.FULL) || policies.size() == 1 ? resident.orElse(0) : 0);
  }
}
