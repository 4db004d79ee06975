package dev.knapsack.plan;

import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.model.ModelSpec;
import java.util.List;

/**
 * The division of a budget: who gets which bytes, what that costs, and all that the engine needs to
 * open the model; a value that prints as a table, serialises to JSON, and can be edited.
 *
 * @param model the model's name, for people
 * @param budget bytes that the process may have resident
 * @param context tokens that a sequence may hold
 * @param sequences sequences that may run at once
 * @param cache how keys and values are cached, and which of them
 * @param prefillChunk tokens of a prompt that one step takes at the most
 * @param workers threads that compute
 * @param weights which weights stay and which are streamed
 * @param shares bytes per account; their sum is the predicted peak resident set
 * @param choices what was chosen among what, for people
 * @param prediction speed to expect
 * @param notes sentences on what was replaced, left out or assumed in reading the model
 */
public record Plan(
    String model,
    long budget,
    int context,
    int sequences,
    Cache cache,
    int prefillChunk,
    int workers,
    Weights weights,
    List<Share> shares,
    List<Choice> choices,
    Prediction prediction,
    List<String> notes) {
  /** Rows of tables on disk that are read at once. */
  public static final int ROWS_AT_ONCE = 8;

  public Plan {
    notes = List.copyOf(notes);
    shares = List.copyOf(shares);
    choices = List.copyOf(choices);
  }

  /** A plan of a model that there is nothing to say of. */
  public Plan(
      String model,
      long budget,
      int context,
      int sequences,
      Cache cache,
      int prefillChunk,
      int workers,
      Weights weights,
      List<Share> shares,
      List<Choice> choices,
      Prediction prediction) {
    this(
        model,
        budget,
        context,
        sequences,
        cache,
        prefillChunk,
        workers,
        weights,
        shares,
        choices,
        prediction,
        List.of());
  }

  /** This plan with these notes. */
  public Plan withNotes(List<String> sentences) {
    return new Plan(
        model,
        budget,
        context,
        sequences,
        cache,
        prefillChunk,
        workers,
        weights,
        shares,
        choices,
        prediction,
        sentences);
  }

  /** Predicted peak resident set in bytes. */
  public long bytes() {
    return shares.stream().mapToLong(Share::bytes).sum();
  }

  /** The bytes of one account; 0 if it is not planned for. */
  public long bytes(String account) {
    return shares.stream()
        .filter(share -> share.account().equals(account))
        .mapToLong(Share::bytes)
        .sum();
  }

  /**
   * The cache of a sequence: what it keeps, and how.
   *
   * @param format how numbers are stored
   * @param policy which tokens are kept: {@link KvPolicy#FULL}, or a {@link
   *     dev.knapsack.cache.policy.Recipe}
   * @param resident how many of the last tokens stay in memory at the least, earlier ones being on
   *     disk ({@link KvLayout#resident}); 0 keeps all in memory
   * @param checkpoints which copies are kept of states that layers carry, for a model with such
   */
  public record Cache(KvFormat format, KvPolicy policy, int resident, Checkpoints checkpoints) {
    public Cache {
      if (resident < 0) {
        throw new IllegalArgumentException(
            "%,d tokens of the KV cache cannot stay in memory; give 0 to keep all there"
                .formatted(resident));
      }
      if (resident > 0 && !policy.equals(KvPolicy.FULL)) {
        throw new IllegalArgumentException(
            "The KV recipe '%s' forgets tokens: there are none to keep on disk. Keep all in memory, or take the recipe 'full'."
                .formatted(policy.name()));
      }
    }

    /** With the usual checkpoints. */
    public Cache(KvFormat format, KvPolicy policy, int resident) {
      this(format, policy, resident, Checkpoints.USUAL);
    }

    /** All tokens, stored so. */
    public static Cache of(KvFormat format) {
      return new Cache(format, KvPolicy.FULL, 0);
    }

    /**
     * This recipe in these formats, as the command line has them.
     *
     * @param format such as {@code q8_0} or {@code k=q8_0,v=q4_0}
     * @param recipe such as {@code full} or {@code h2o(80)}
     * @throws IllegalArgumentException if there is no such recipe or format
     */
    public static Cache parse(String format, String recipe) {
      return of(KvFormat.parse(format)).withPolicy(Recipe.of(recipe));
    }

    /** This cache, keeping what this policy keeps. */
    public Cache withPolicy(KvPolicy value) {
      return new Cache(format, value, resident, checkpoints);
    }

    /** This cache with so many tokens in memory at the least; 0 for all. */
    public Cache withResident(int tokens) {
      return new Cache(format, policy, tokens, checkpoints);
    }

    /** This cache with these checkpoints. */
    public Cache withCheckpoints(Checkpoints value) {
      return new Cache(format, policy, resident, value);
    }

    /** Says whether every token is kept. */
    public boolean keepsAll() {
      return policy.equals(KvPolicy.FULL);
    }

    /**
     * The layout of this cache for a model.
     *
     * @throws IllegalArgumentException if the heads are no whole blocks of a format
     */
    public KvLayout layout(ModelSpec spec) {
      return spec.kvLayout(format)
          .withPolicy(policy)
          .withResident(resident)
          .withCheckpoints(checkpoints);
    }

    /**
     * For people: {@code Q8_0}, or {@code F16, streaming(4): at most 1,087 kept}, or {@code F16,
     * the last 4,096 in memory}.
     *
     * @param context tokens of a sequence
     */
    public String describe(int context) {
      if (keepsAll()) {
        return format.describe()
            + (resident > 0 && resident < context
                ? ", the last %,d in memory".formatted(resident)
                : "");
      }
      String name =
          policy instanceof Recipe recipe
              ? recipe.scorer().name() + " " + recipe.allocator().name()
              : policy.name();
      int most = policy.bounds().most(context);
      String count = most < context ? "at most %,d ".formatted(most) : "fewer than all ";
      String kept = "%s, %s: %s".formatted(format.describe(), name, count);
      int coarse = policy.bounds().mostCoarse(context);
      String others = coarse < context ? "at most %,d ".formatted(coarse) : "the rest ";
      return policy
          .bounds()
          .coarse()
          .map(c -> kept + "so, " + others + describe(c))
          .orElse(kept + "kept");
    }

    private String describe(CoarseForm coarse) {
      KvFormat other =
          KvFormat.of(coarse.keysBeside(format.keys()), coarse.valuesBeside(format.values()));
      return coarse.dropped() == 0
          ? "in " + other.describe()
          : "in %s without %d %% of their keys' channels"
              .formatted(other.describe(), coarse.dropped());
    }
  }

  /**
   * The places of weights: resident, streamed, or kept by use.
   *
   * @param streamedLayers layers read from disk in every step, in order; the others stay (all but
   *     their experts, if those are cached)
   * @param outputStreamed whether the output projection is read from disk in every step
   * @param streamBuffer bytes of each of the two buffers that streamed layers and blocks of the
   *     output are read into; 0 if nothing is streamed
   * @param expertCache bytes for experts that are kept by use, the rest being read when a token
   *     needs them; -1 when experts stay or stream with their layers
   * @param gathered whether tables of which a step needs its tokens' rows alone (the embedding,
   *     where it is not the output projection too, and others like it) stay on disk, and rows are
   *     read
   */
  public record Weights(
      List<Integer> streamedLayers,
      boolean outputStreamed,
      long streamBuffer,
      long expertCache,
      boolean gathered) {
    /** With all tables in memory. */
    public Weights(
        List<Integer> streamedLayers, boolean outputStreamed, long streamBuffer, long expertCache) {
      this(streamedLayers, outputStreamed, streamBuffer, expertCache, false);
    }

    /** All weights stay, none is streamed. */
    public static final Weights RESIDENT = new Weights(List.of(), false, 0, -1);

    public Weights {
      streamedLayers = List.copyOf(streamedLayers);
    }

    /** The same with tables in memory, or on disk. */
    public Weights withGathered(boolean value) {
      return new Weights(streamedLayers, outputStreamed, streamBuffer, expertCache, value);
    }

    /** Says whether all that steps multiply with stays. */
    public boolean staysInMemory() {
      return withGathered(false).equals(RESIDENT);
    }
  }

  /** A table for people: bytes by account, choices with what else there was, speed to expect. */
  @Override
  public String toString() {
    return PlanTable.render(this);
  }

  /** JSON, indented for people: to save, edit, read again and open a model with. */
  public String toJson() {
    return PlanJson.write(this);
  }

  /**
   * Reads what {@link #toJson} wrote, or someone edited.
   *
   * @throws dev.knapsack.error.PlanFileException if it is no plan
   */
  public static Plan ofJson(String json) {
    return PlanJson.read(json);
  }

  /** An account's bytes, and what they are for. */
  public record Share(String account, long bytes, String what) {}

  /** One decision: what was taken, and what else there was. */
  public record Choice(String component, String chosen, List<Alternative> alternatives) {
    public Choice {
      alternatives = List.copyOf(alternatives);
    }
  }

  /** A way not taken, with the whole plan's bytes and decode rate if it were. */
  public record Alternative(String name, long bytes, double decodeTokensPerSecond, String cost) {}

  /**
   * The speed that is predicted.
   *
   * @param prefillTokensPerSecond rate of reading a prompt
   * @param decodeTokensPerSecond rate of writing an answer, at a nearly empty cache; 0 of a model
   *     that writes none
   * @param secondsToFirstToken from a warm engine, for a prompt of {@code promptTokens}
   * @param promptTokens the prompt that the time to first token is for
   * @param memoryBytesPerSecond rate of reading memory that this rests on
   */
  public record Prediction(
      double prefillTokensPerSecond,
      double decodeTokensPerSecond,
      double secondsToFirstToken,
      int promptTokens,
      double memoryBytesPerSecond) {}
}
