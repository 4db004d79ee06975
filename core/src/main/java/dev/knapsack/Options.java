package dev.knapsack;

import dev.knapsack.engine.Engine;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.model.Encoding;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.PlanRequest;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * Choices in opening a model in a host, and what is not left to the plan: a value that {@code
 * with…} derives others from. Each refuses with an {@link IllegalArgumentException} what no model
 * can be opened with.
 */
public final class Options {
  OptionalInt context = OptionalInt.empty();
  int sequences = 1;
  KvChoice cacheChoice = KvChoice.USUAL;
  OptionalInt prefillChunk = OptionalInt.empty();
  OptionalInt workers = OptionalInt.empty();
  Optional<Plan> plan = Optional.empty();
  Optional<Path> spill = Optional.empty();
  boolean parseSpecial;
  boolean constraints;
  Optional<Encoding.Pooling> pooling = Optional.empty();

  /** The choices that are the engine's own. */
  Engine.Options engine = Engine.Options.usual();

  private Options() {}

  /** One sequence, all else left to the plan; a guest in a larger program. */
  public static Options usual() {
    return new Options();
  }

  private Options with(Consumer<Options> change) {
    Options copy = new Options();
    copy.context = context;
    copy.sequences = sequences;
    copy.cacheChoice = cacheChoice;
    copy.prefillChunk = prefillChunk;
    copy.workers = workers;
    copy.plan = plan;
    copy.spill = spill;
    copy.parseSpecial = parseSpecial;
    copy.constraints = constraints;
    copy.pooling = pooling;
    copy.engine = engine;
    change.accept(copy);
    return copy;
  }

  private static int atLeastOne(String what, int count) {
    if (count < 1) {
      throw new IllegalArgumentException(
          "%,d %s were asked for; give 1 or more.".formatted(count, what));
    }
    return count;
  }

  /**
   * Tokens that a sequence may hold. By default what the model was trained for, at most {@value
   * PlanRequest#USUAL_CONTEXT} and as much of it as fits.
   */
  public Options withContext(int tokens) {
    return with(o -> o.context = OptionalInt.of(atLeastOne("tokens of context", tokens)));
  }

  /** Sequences that hold memory at once; 1 by default. */
  public Options withSequences(int count) {
    return with(o -> o.sequences = atLeastOne("sequences", count));
  }

  /**
   * The cache of keys and values: what of them it keeps and how, as far as it is not left to the
   * plan.
   */
  public Options withCacheFormat(KvChoice choice) {
    return with(o -> o.cacheChoice = choice);
  }

  /** Tokens of a prompt in one step; the plan's choice by default. */
  public Options withPrefillChunk(int tokens) {
    return with(o -> o.prefillChunk = OptionalInt.of(atLeastOne("tokens in one step", tokens)));
  }

  /** Threads that compute, 1 to {@value WorkerTeam#MOST}; one a core by default. */
  public Options withWorkers(int count) {
    return with(o -> o.workers = OptionalInt.of(WorkerTeam.check(count)));
  }

  /**
   * Plans memory for answers that are held to a {@link dev.knapsack.generation.Constraint}; false
   * by default, and then they take what is free.
   */
  public Options withConstraints(boolean value) {
    return with(o -> o.constraints = value);
  }

  /**
   * The form of activations that meet weights in a block format; by default that which the
   * arithmetic is fastest with.
   */
  public Options withPrecision(Compute.Precision value) {
    return with(o -> o.engine = engine.withPrecision(value));
  }

  /** This plan instead of a new one; what else is said about planning does not count then. */
  public Options withPlan(Plan given) {
    return with(o -> o.plan = Optional.of(given));
  }

  /**
   * Folder for cached tokens that the plan has no memory for; {@code spill} in the host's by
   * default. It is made when it is needed, and nothing is left there.
   */
  public Options withSpill(Path folder) {
    return with(o -> o.spill = Optional.of(folder));
  }

  /**
   * Requests that may wait while all sequences are busy; 64 by default, 0 to refuse them. Of those
   * that wait the one with the highest {@linkplain GenerationRequest#withPriority priority} is
   * next, of several {@linkplain GenerationRequest#withTenant tenants} the one whose last turn is
   * the longest ago, and of its requests the oldest.
   */
  public Options withQueue(int requests) {
    if (requests < 0) {
      throw new IllegalArgumentException(
          requests + " requests may wait; give 0 or more, 0 to refuse them at once.");
    }
    return with(o -> o.engine = engine.withQueue(requests));
  }

  /** A part in the host's budget, for models that are open beside others. */
  public Options withShare(Host.Share value) {
    return with(o -> o.engine = engine.withShare(value));
  }

  /**
   * Looks prompts up among what other sequences have computed, so that a common beginning is
   * computed and held once; true by default.
   */
  public Options withPrefixes(boolean value) {
    return with(o -> o.engine = engine.withPrefixes(value));
  }

  /**
   * Finds what other {@linkplain GenerationRequest#withTenant tenants} have computed, too; false by
   * default, and then nobody can tell from the time to a first token what others have asked.
   */
  public Options withSharedPrefixes(boolean value) {
    return with(o -> o.engine = engine.withSharedPrefixes(value));
  }

  /**
   * Keeps the beginnings of prompts in this folder too, so that they need not be computed again
   * when memory has given them up, or when the model is opened another time, by this process or
   * another. Other models may use the same folder. It is written beside all else; when that cannot
   * be done any more, answers go on.
   *
   * @param bytes bytes of all its files at the most: what was used longest ago is deleted first
   */
  public Options withPrefixStore(Path folder, long bytes) {
    Engine.Options.PrefixPlace place = new Engine.Options.PrefixPlace(folder, bytes);
    return with(o -> o.engine = engine.withPrefixStore(place));
  }

  /**
   * Computes every answer so that it does not depend on what is computed beside it, not even in
   * rounding; false by default, and then that is so of answers whose request names a seed.
   *
   * @see Generation#seed()
   */
  public Options withReproducible(boolean value) {
    return with(o -> o.engine = engine.withReproducible(value));
  }

  /**
   * Reads prompts in steps so short, while answers are being written, that two tokens of one are no
   * further apart than this, as far as the pace of the machine can be foretold; by default prompts
   * are read as fast as can be.
   */
  public Options withTimeBetweenTokens(Duration target) {
    if (target.isNegative() || target.isZero()) {
      throw new IllegalArgumentException(
          "The time between tokens cannot be %s; give more than nothing.".formatted(target));
    }
    return with(o -> o.engine = engine.withBetweenTokens(target.toNanos() / 1e9));
  }

  /**
   * Reads special tokens that are written out in messages as such; false by default, and then
   * nothing that a message says can begin or end a turn.
   */
  public Options withParseSpecial(boolean value) {
    return with(o -> o.parseSpecial = value);
  }

  /** One vector of a text's rows made so, whatever the file of an embedding model says. */
  public Options withPooling(Encoding.Pooling value) {
    return with(o -> o.pooling = Optional.of(value));
  }

  /** Is told how far loading has come. */
  public Options withProgress(Host.LoadProgress listener) {
    return with(o -> o.engine = engine.withProgress(listener));
  }

  int workerCount() {
    return workers.orElse(Runtime.getRuntime().availableProcessors());
  }
}
