package dev.knapsack.planner;

import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.CostModel.Setting;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds the plan that answers soonest within a budget: a knapsack over the places of the weights,
 * the format of the KV cache and the length of a prefill step.
 *
 * <p>The small choices are enumerated. For each combination the number of streamed layers follows:
 * the fewest that make the rest fit, spread evenly, so that each is read while those before it
 * compute. Among what fits the best is that which reads a prompt and writes {@value #ANSWER_TOKENS}
 * tokens soonest. Fewer bits for the cache cost quality, so they are taken only where F16 fits in
 * no way at all; or, if {@link KvChoice#AUTO} says so, as soon as they keep the weights resident,
 * and where that is not enough for it, recipes that forget.
 *
 * <p>Where even the fewest bits fit in no way, and the context was asked for, the cache's earlier
 * tokens go to disk. Memory is given to weights first and what is left to tokens: a byte of either
 * saves a byte of reading at a full context, but that of the weights in every step before too.
 *
 * <p>Last, a part of what is left goes to copies of states that layers carry: so far apart that
 * making them takes next to no time, and as many as there can be in the context.
 */
public final class Planner {
  /** The answer that plans are compared for, with the prompt of {@link Plan.Prediction}. */
  static final int ANSWER_TOKENS = 256;

  /** Tokens of a step of texts that are computed whole, where the longest are shorter. */
  private static final int ENCODER_STEP = 512;

  private static final List<Integer> CHUNKS = List.of(512, 256, 128, 64, 32, 16);

  /** The buffers of the output projection, where no layer decides their size. */
  private static final List<Long> OUTPUT_BUFFERS = List.of(8L << 20, 2L << 20);

  /** Tokens of a head that stay in memory at the least, where the plan moves some to disk. */
  static final int LEAST_RESIDENT = 1024;

  /** The part of the budget, 1 in so many, that checkpoints may take. */
  private static final int CHECKPOINT_SHARE = 8;

  /** The most time that a copy of states may take, for that of computing the tokens between. */
  private static final double CHECKPOINT_TIME = 0.01;

  /** The measured error of logits after going back to a checkpoint in these formats. */
  private static final Map<Format, String> LOSS =
      Map.of(
          Formats.F32, "exact",
          Formats.F16, "NMSE up to 4e-7",
          Formats.BF16, "NMSE up to 2e-5",
          Formats.Q8_0, "NMSE up to 9e-5, with experts to 2e-2");

  /** Experts that a cache holds at the least, as a share of those of one layer. */
  private static final int EXPERT_STEPS = 8;

  private static final boolean[] BOTH = {false, true};

  private final ModelFile file;
  private final ModelSpec spec;
  private final CostModel costs;
  private final JvmShare jvm;
  private final long leastWeights;

  /** A setting, with what it costs. */
  private record Candidate(Setting setting, long bytes, Plan.Prediction prediction) {
    double seconds() {
      double decode = prediction.decodeTokensPerSecond();
      return decode > 0
          ? prediction.secondsToFirstToken() + ANSWER_TOKENS / decode
          : prediction.secondsToFirstToken() + ANSWER_TOKENS / prediction.prefillTokensPerSecond();
    }
  }

  /** Choices that are made before the number of streamed layers is. */
  private record Frame(
      int context,
      Plan.Cache cache,
      int chunk,
      boolean outputStreamed,
      boolean expertsCached,
      boolean gathered) {
    Frame withCache(Plan.Cache value) {
      return new Frame(context, value, chunk, outputStreamed, expertsCached, gathered);
    }

    Frame withChunk(int value) {
      return new Frame(context, cache, value, outputStreamed, expertsCached, gathered);
    }

    Frame withOutputStreamed(boolean value) {
      return new Frame(context, cache, chunk, value, expertsCached, gathered);
    }

    Frame withExpertsCached(boolean value) {
      return new Frame(context, cache, chunk, outputStreamed, value, gathered);
    }

    Frame withGathered(boolean value) {
      return new Frame(context, cache, chunk, outputStreamed, expertsCached, value);
    }
  }

  /**
   * A planner for one model on one machine.
   *
   * @throws dev.knapsack.error.ModelFileException if the file lacks layers or an embedding
   */
  public Planner(ModelFile file, ModelSpec spec, Machine machine, Kernels kernels, JvmShare jvm) {
    this.file = file;
    this.spec = spec;
    this.costs = new CostModel(file, spec, machine, kernels);
    this.jvm = jvm;
    this.leastWeights = leastWeightBytes();
  }

  /** The cost model that this planner computes with. */
  CostModel costs() {
    return costs;
  }

  /**
   * The best plan.
   *
   * @throws PlanDoesNotFitException if there is none, with what would fit
   * @throws IllegalArgumentException if the request names a cache format that the model's heads do
   *     not fit, or more context than the model was trained for
   * @throws dev.knapsack.error.ModelFileException if the recipe for the cache goes by a file beside
   *     the model that is missing or of another model
   */
  public Plan plan(PlanRequest asked) {
    check(asked);
    PlanRequest request =
        asked.withCache(asked.cache().withPolicies(given(asked.cache().policies())));
    int usual = Math.min(spec.context(), PlanRequest.USUAL_CONTEXT);
    int context = request.context().orElse(usual);
    Optional<Candidate> best = best(request, context);
    if (best.isEmpty() && request.context().isEmpty()) {
      int largest = largestContext(request, context);
      if (largest > 0) {
        context = largest;
        best = best(request, context);
      }
    }
    if (best.isEmpty()) {
      best = spilled(request, context);
    }
    if (best.isEmpty()) {
      throw doesNotFit(request, context);
    }
    return describe(request, withCheckpoints(request, best.get()));
  }

  private PlanDoesNotFitException doesNotFit(PlanRequest request, int context) {
    long least = leastBytes(request, context);
    int largest = largestContext(request, context);
    String work =
        request.sequences() == 1
            ? "%,d tokens of context".formatted(context)
            : "%,d sequences of %,d tokens each".formatted(request.sequences(), context);
    String instead =
        largest > 0
            ? "; or ask for at most %,d tokens of context".formatted(largest)
            : "; no context is small enough for the budget";
    // By so much the least budget may be larger at another start.
    long wholeMebibytes = Math.ceilDiv(least + jvm.varies(), 1L << 20);
    return new PlanDoesNotFitException(
        "%s with %s needs at least %,d bytes (%s), %,d more than the budget of %,d bytes. Give it --memory %sMiB%s."
            .formatted(
                spec.name(),
                work,
                least,
                Budget.formatSize(least),
                least - request.budget(),
                request.budget(),
                wholeMebibytes,
                instead),
        request.budget(),
        least,
        largest);
  }

  /** The policies with what they lack; of several, those alone whose files are there. */
  private List<KvPolicy> given(List<KvPolicy> policies) {
    return policies.stream()
        .filter(policy -> policies.size() == 1 || ModelCompanions.areThere(policy, file))
        .map(policy -> ModelCompanions.given(policy, file, spec))
        .toList();
  }

  private void check(PlanRequest request) {
    if (request.context().isPresent() && request.context().getAsInt() > spec.context()) {
      throw new IllegalArgumentException(
          "%s was trained for %,d tokens of context; %,d were asked for. Ask for at most that."
              .formatted(spec.name(), spec.context(), request.context().getAsInt()));
    }
    if (spec.readsWholeTexts() && request.prefillChunk().isPresent()) {
      throw new IllegalArgumentException(
          "%s computes each text in one step, as long as its context; steps of %,d tokens were asked for. Leave them out, or plan a shorter context."
              .formatted(spec.name(), request.prefillChunk().getAsInt()));
    }
    request
        .cache()
        .format()
        .ifPresent(format -> {
          if (!fitsHeads(format)) {
            throw new IllegalArgumentException(
                (spec.cachesLatents()
                        ? "%s caches rows whose first numbers are values and all are keys: in one"
                            + " format, as they are, and not in %s. F16 fits."
                        : "The heads of %s are no whole blocks of %s. F16 fits.")
                    .formatted(spec.name(), format.describe()));
          }
        });
  }

  private boolean fitsHeads(KvFormat format) {
    return spec.layers().stream().allMatch(layer -> format.fits(layer.remembers()));
  }

  private List<Plan.Cache> caches(PlanRequest request) {
    return request.cache().candidates().stream()
        .filter(c -> fitsHeads(c.format()))
        .map(c -> c.withCheckpoints(fewCheckpoints(request, c.layout(spec))))
        .toList();
  }

  /** The checkpoints that a plan begins with: the usual ones, or fewer if states are large. */
  private static Checkpoints fewCheckpoints(PlanRequest request, KvLayout layout) {
    Checkpoints usual = Checkpoints.USUAL;
    long fit =
        request.budget()
            / CHECKPOINT_SHARE
            / Math.max(1, request.sequences() * layout.checkpointBytes());
    return usual.withCount(Math.clamp(fit, usual.count() / 2, usual.count()));
  }

  /** The same with as many checkpoints as are of use and fit. */
  private Candidate withCheckpoints(PlanRequest request, Candidate best) {
    Setting s = best.setting;
    KvLayout layout = s.cache().layout(spec);
    if (!layout.carriesStates()) {
      return best;
    }
    Plan.Prediction speed = best.prediction;
    double copy = 2.0 * layout.checkpointBytes() / speed.memoryBytesPerSecond();
    double tokens = copy * speed.prefillTokensPerSecond() / CHECKPOINT_TIME;
    int page = layout.pageTokens();
    long pages = Math.ceilDiv((long) Math.max(tokens, s.prefillChunk()), page);
    int distance = (int) Math.min(pages, Math.ceilDiv(s.context(), page)) * page;
    int few = s.cache().checkpoints().count();
    long each = s.sequences() * layout.checkpointBytes();
    long spare =
        Math.min(request.budget() - best.bytes, request.budget() / CHECKPOINT_SHARE - few * each);
    long more = Math.min(spare / each, Math.ceilDiv(s.context(), distance));
    int count = few + (int) Math.max(0, more);
    Candidate with;
    do {
      Plan.Cache cache =
          s.cache()
              .withCheckpoints(new Checkpoints(distance, count, s.cache().checkpoints().format()));
      Setting setting = s.withCache(cache);
      with = new Candidate(setting, costs.bytes(setting, jvm), speed);
    } while (with.bytes > request.budget() && --count >= few);
    return with;
  }

  private List<Integer> chunks(PlanRequest request, int context) {
    if (spec.encoding() != null) {
      return Stream.of(Math.max(context, ENCODER_STEP), context).distinct().toList();
    }
    if (spec.readsWholeTexts()) {
      return List.of(context);
    }
    if (request.prefillChunk().isPresent()) {
      return List.of(Math.min(request.prefillChunk().getAsInt(), context));
    }
    List<Integer> chunks = CHUNKS.stream().filter(c -> c <= context).toList();
    return chunks.isEmpty() ? List.of(context) : chunks;
  }

  private static boolean[] either(boolean both) {
    return both ? BOTH : new boolean[] {false};
  }

  /** All combinations of the small choices with one form of the cache. */
  private List<Frame> frames(PlanRequest request, int context, Plan.Cache cache) {
    List<Frame> frames = new ArrayList<>();
    for (int chunk : chunks(request, context)) {
      for (boolean outputStreamed : either(costs.hasOutput())) {
        for (boolean expertsCached : either(costs.expertCount() > 0)) {
          for (boolean gathered : either(costs.hasTables())) {
            frames.add(new Frame(context, cache, chunk, outputStreamed, expertsCached, gathered));
          }
        }
      }
    }
    return frames;
  }

  /**
   * The best candidate, with the first form of the cache that has one: one with resident weights if
   * the request would rather have fewer bits than read weights again.
   */
  private Optional<Candidate> best(PlanRequest request, int context) {
    if (request.cache().weightsFirst()) {
      Optional<Candidate> resident =
          best(request, context, c -> c.setting.weights().staysInMemory());
      if (resident.isPresent()) {
        return resident;
      }
    }
    return best(request, context, c -> true);
  }

  private Optional<Candidate> best(PlanRequest request, int context, Predicate<Candidate> allowed) {
    return caches(request).stream()
        .map(cache -> best(request, context, cache, allowed))
        .flatMap(Optional::stream)
        .findFirst();
  }

  private Optional<Candidate> best(
      PlanRequest request, int context, Plan.Cache cache, Predicate<Candidate> allowed) {
    return frames(request, context, cache).stream()
        .map(f -> fit(request, f))
        .filter(Objects::nonNull)
        .filter(allowed)
        .min(Comparator.comparingDouble(Candidate::seconds));
  }

  /** The best candidate with tokens on disk, and as many in memory as there is room for. */
  private Optional<Candidate> spilled(PlanRequest request, int context) {
    Optional<Plan.Cache> form = spilledForm(request);
    Optional<Candidate> least = form.flatMap(cache -> best(request, context, cache, _ -> true));
    if (least.isEmpty()) {
      return least;
    }
    Setting s = least.get().setting;
    int page = KvLayout.PAGE_TOKENS;
    int fits = LEAST_RESIDENT / page;
    int fails = Math.max(fits, context / page) + 1;
    while (fails - fits > 1) {
      int middle = (fits + fails) >>> 1;
      Setting more = s.withCache(s.cache().withResident(middle * page));
      if (costs.bytes(more, jvm) <= request.budget()) {
        fits = middle;
      } else {
        fails = middle;
      }
    }
    Setting most = s.withCache(s.cache().withResident(fits * page));
    return Optional.of(new Candidate(most, costs.bytes(most, jvm), costs.predict(most)));
  }

  /** The form of the cache that loses most, with as few tokens in memory as may be. */
  private Optional<Plan.Cache> spilledForm(PlanRequest request) {
    List<Plan.Cache> caches = caches(request).stream().filter(Plan.Cache::keepsAll).toList();
    return request.context().isPresent() && request.cache().maySpill() && !caches.isEmpty()
        ? Optional.of(caches.getLast().withResident(LEAST_RESIDENT))
        : Optional.empty();
  }

  /** The fewest streamed layers with which this frame fits the budget; null if none do. */
  private @Nullable Candidate fit(PlanRequest request, Frame frame) {
    Setting probe = setting(request, frame, Plan.Weights.RESIDENT);
    long room =
        request.budget()
            - jvm.bytes()
            - costs.cacheBytes(probe)
            - costs.activationBytes(probe)
            - request.constraint();
    for (Plan.Weights least : places(frame)) {
      long spare = room - costs.weightBytes(least);
      if (spare < 0) {
        continue;
      }
      Plan.Weights weights = least;
      if (frame.expertsCached) {
        // What is left is best spent on experts.
        long more = spare / costs.expertBytes() * costs.expertBytes();
        long all = costs.expertCount() * costs.expertBytes();
        weights =
            new Plan.Weights(
                least.streamedLayers(),
                least.outputStreamed(),
                least.streamBuffer(),
                Math.min(all, least.expertCache() + more),
                least.gathered());
      }
      Setting setting = setting(request, frame, weights);
      return new Candidate(setting, costs.bytes(setting, jvm), costs.predict(setting));
    }
    return null;
  }

  /** Ways to place the weights, those with fewer streamed layers and larger buffers first. */
  private List<Plan.Weights> places(Frame frame) {
    List<Plan.Weights> places = new ArrayList<>();
    for (int streamed = 0; streamed <= costs.layers(); streamed++) {
      if (frame.outputStreamed && streamed == 0) {
        for (long buffer : OUTPUT_BUFFERS) {
          places.add(place(streamed, frame, buffer));
        }
      } else {
        places.add(place(streamed, frame, 0));
      }
    }
    return places;
  }

  private Plan.Weights place(int streamed, Frame frame, long outputBuffer) {
    List<Integer> layers = spread(streamed, costs.layers());
    long buffer = 0;
    for (int layer : layers) {
      buffer = Math.max(buffer, costs.layerBytes(layer, !frame.expertsCached));
    }
    if (frame.outputStreamed) {
      buffer =
          Math.max(
              Math.max(buffer, Math.min(outputBuffer, costs.outputBytes())),
              costs.outputRowBytes());
    }
    return new Plan.Weights(
        layers,
        frame.outputStreamed,
        CostModel.pages(buffer),
        frame.expertsCached ? leastExperts() : -1,
        frame.gathered);
  }

  /** The least bytes that weights take. */
  private long leastWeightBytes() {
    long least = Long.MAX_VALUE;
    Plan.Cache any = Plan.Cache.of(KvFormat.F16);
    for (boolean outputStreamed : either(costs.hasOutput())) {
      for (boolean cached : either(costs.expertCount() > 0)) {
        for (Plan.Weights place : places(new Frame(1, any, 1, outputStreamed, cached, true))) {
          least = Math.min(least, costs.weightBytes(place));
        }
      }
    }
    return least;
  }

  /** The least bytes of any setting for this context. */
  private long leastBytes(PlanRequest request, int context) {
    long least = Long.MAX_VALUE;
    List<Plan.Cache> caches = new ArrayList<>(caches(request));
    spilledForm(request).ifPresent(caches::add);
    for (Plan.Cache cache : caches) {
      for (int chunk : chunks(request, context)) {
        Frame frame = new Frame(context, cache, chunk, false, false, false);
        Setting s = setting(request, frame, Plan.Weights.RESIDENT);
        least = Math.min(least, costs.cacheBytes(s) + costs.activationBytes(s));
      }
    }
    return jvm.bytes() + leastWeights + least + request.constraint();
  }

  /** The largest context of at most {@code most} tokens that fits; 0 if none does. */
  private int largestContext(PlanRequest request, int most) {
    int fits = 0;
    int fails = most + 1;
    while (fails - fits > 1) {
      int middle = (fits + fails) >>> 1;
      if (leastBytes(request, middle) <= request.budget()) {
        fits = middle;
      } else {
        fails = middle;
      }
    }
    return fits;
  }

  /** As many experts as two steps of one layer may need at once. */
  private long leastExperts() {
    return Math.max(2, Math.ceilDiv(costs.mostExperts(), EXPERT_STEPS)) * costs.expertBytes();
  }

  private static Setting setting(PlanRequest request, Frame frame, Plan.Weights weights) {
    return new Setting(
        frame.context,
        request.sequences(),
        frame.cache,
        frame.chunk,
        request.workers(),
        weights,
        request.constraint());
  }

  /** {@code count} of {@code of} layers, as evenly as they go, the last among them. */
  static List<Integer> spread(int count, int of) {
    List<Integer> layers = new ArrayList<>();
    for (int i = 0; i < of; i++) {
      if ((long) (i + 1) * count / of > (long) i * count / of) {
        layers.add(i);
      }
    }
    return layers;
  }

  private Plan describe(PlanRequest request, Candidate best) {
    Setting s = best.setting;
    List<Plan.Choice> choices = new ArrayList<>();
    choices.add(weightsChoice(request, best));
    if (costs.hasOutput()) {
      choices.add(outputChoice(request, best));
    }
    if (costs.hasTables()) {
      choices.add(tablesChoice(request, best));
    }
    if (costs.expertCount() > 0) {
      choices.add(expertsChoice(request, best));
    }
    if (!spec.readsWholeTexts()
        && spec.layers().stream().anyMatch(layer -> layer.attention() != null)) {
      choices.add(cacheChoice(request, best));
    }
    if (!spec.readsWholeTexts()) {
      choices.add(chunkChoice(request, best));
    }
    if (s.cache().layout(spec).carriesStates()) {
      choices.add(checkpointChoice(request, best));
    }
    return new Plan(
        spec.name(),
        request.budget(),
        s.context(),
        s.sequences(),
        s.cache(),
        s.prefillChunk(),
        s.workers(),
        s.weights(),
        costs.shares(s, jvm),
        choices,
        best.prediction);
  }

  private Plan.Choice weightsChoice(PlanRequest request, Candidate best) {
    int chosen = best.setting.weights().streamedLayers().size();
    List<Plan.Alternative> alternatives = new ArrayList<>();
    Frame frame = frame(best);
    for (int streamed :
        List.of(0, costs.layers() / 4, costs.layers() / 2, costs.layers()).stream()
            .distinct()
            .toList()) {
      if (streamed != chosen) {
        Plan.Weights place = place(streamed, frame, OUTPUT_BUFFERS.getFirst());
        Plan.Weights weights =
            new Plan.Weights(
                place.streamedLayers(),
                place.outputStreamed(),
                place.streamBuffer(),
                best.setting.weights().expertCache(),
                place.gathered());
        alternatives.add(
            alternative(request, streamedName(streamed), setting(request, frame, weights)));
      }
    }
    return new Plan.Choice("weights", streamedName(chosen), alternatives);
  }

  private static String streamedName(int layers) {
    return layers == 0 ? "all layers resident" : layers + " layers streamed";
  }

  private Plan.Choice outputChoice(PlanRequest request, Candidate best) {
    boolean chosen = best.setting.weights().outputStreamed();
    Frame other = frame(best).withOutputStreamed(!chosen);
    return new Plan.Choice(
        "output", outputName(chosen), List.of(forced(request, outputName(!chosen), other)));
  }

  private static String outputName(boolean streamed) {
    return streamed ? "streamed" : "resident";
  }

  private Plan.Choice tablesChoice(PlanRequest request, Candidate best) {
    boolean chosen = best.setting.weights().gathered();
    Frame other = frame(best).withGathered(!chosen);
    return new Plan.Choice(
        "tables", tablesName(chosen), List.of(forced(request, tablesName(!chosen), other)));
  }

  private static String tablesName(boolean gathered) {
    return gathered ? "on disk, rows read when needed" : "resident";
  }

  private Plan.Choice expertsChoice(PlanRequest request, Candidate best) {
    Frame f = frame(best);
    Frame other = f.withExpertsCached(!f.expertsCached);
    return new Plan.Choice(
        "experts",
        expertsName(f.expertsCached),
        List.of(forced(request, expertsName(!f.expertsCached), other)));
  }

  private static String expertsName(boolean cached) {
    return cached ? "kept by use, the rest read when needed" : "with their layers";
  }

  private Plan.Choice cacheChoice(PlanRequest request, Candidate best) {
    Frame f = frame(best);
    List<Plan.Alternative> alternatives = new ArrayList<>();
    Set<Plan.Cache> others = new LinkedHashSet<>(request.cache().alternatives());
    if (!f.cache.keepsAll()) {
      others.add(f.cache.withPolicy(KvPolicy.FULL));
    }
    if (f.cache.resident() > 0) {
      others.add(f.cache.withResident(0));
    }
    for (Plan.Cache of : others) {
      Plan.Cache cache = of.withCheckpoints(f.cache.checkpoints());
      if (!cache.equals(f.cache) && fitsHeads(cache.format())) {
        Plan.Alternative way = forced(request, cache.describe(f.context), f.withCache(cache));
        alternatives.add(
            new Plan.Alternative(
                way.name(),
                way.bytes(),
                way.decodeTokensPerSecond(),
                way.cost() + quality(cache).map(q -> "; " + q).orElse("")));
      }
    }
    return new Plan.Choice("kv", chosenCache(best.setting), alternatives);
  }

  /** The chosen cache, and what is to be known of it: the figures beside it say nothing of that. */
  private String chosenCache(Setting s) {
    String chosen = s.cache().describe(s.context());
    if (!s.cache().keepsAll()) {
      return chosen + "; " + quality(s.cache()).orElse("");
    }
    long disk = costs.diskBytes(s);
    return disk == 0
        ? chosen
        : "%s; when full, %s on disk and %.2f tok/s"
            .formatted(
                chosen, Budget.formatSize(disk), 1 / costs.stepSeconds(s, 1, s.context() - 1, 1));
  }

  /** The measured loss of answers by this cache. */
  private static Optional<String> quality(Plan.Cache cache) {
    Optional<String> measured = KvQuality.of(cache).map(KvQuality::describe);
    return measured.isEmpty() && !cache.keepsAll() ? Optional.of("quality not measured") : measured;
  }

  private Plan.Choice chunkChoice(PlanRequest request, Candidate best) {
    Frame f = frame(best);
    List<Plan.Alternative> alternatives = new ArrayList<>();
    for (int chunk : CHUNKS) {
      if (chunk != f.chunk && chunk <= f.context) {
        alternatives.add(forced(request, chunk + " tokens", f.withChunk(chunk)));
      }
    }
    return new Plan.Choice("prefill step", f.chunk + " tokens", alternatives);
  }

  private Plan.Choice checkpointChoice(PlanRequest request, Candidate best) {
    Setting s = best.setting;
    Checkpoints chosen = s.cache().checkpoints();
    List<Plan.Alternative> alternatives = new ArrayList<>();
    for (Format format : Checkpoints.FORMATS) {
      if (!format.equals(chosen.format())) {
        Plan.Cache cache = s.cache().withCheckpoints(chosen.withFormat(format));
        Plan.Alternative way = alternative(request, copies(s, cache), s.withCache(cache));
        alternatives.add(
            new Plan.Alternative(
                way.name(),
                way.bytes(),
                way.decodeTokensPerSecond(),
                way.cost() + "; " + LOSS.get(format)));
      }
    }
    return new Plan.Choice(
        "checkpoints",
        "one every %,d tokens, %s".formatted(chosen.distance(), copies(s, s.cache())),
        alternatives);
  }

  private String copies(Setting s, Plan.Cache cache) {
    int count = cache.checkpoints().count();
    long bytes = (long) s.sequences() * count * cache.layout(spec).checkpointBytes();
    return "%,d a sequence in %s: %s"
        .formatted(count, cache.checkpoints().format().name(), Budget.formatSize(bytes));
  }

  private static Frame frame(Candidate c) {
    Setting s = c.setting;
    return new Frame(
        s.context(),
        s.cache(),
        s.prefillChunk(),
        s.weights().outputStreamed(),
        s.weights().expertCache() >= 0,
        s.weights().gathered());
  }

  /** The best of another frame; or, if that fits in no way, what it would take as things stand. */
  private Plan.Alternative forced(PlanRequest request, String name, Frame frame) {
    Candidate fits = fit(request, frame);
    if (fits != null) {
      return alternative(request, name, fits.setting);
    }
    Plan.Weights smallest = places(frame).getLast();
    return alternative(request, name, setting(request, frame, smallest));
  }

  private Plan.Alternative alternative(PlanRequest request, String name, Setting s) {
    long bytes = costs.bytes(s, jvm);
    Plan.Prediction prediction = costs.predict(s);
    int streamed = s.weights().streamedLayers().size();
    String cost =
        bytes > request.budget()
            ? "does not fit: %s over the budget"
                .formatted(Budget.formatSize(bytes - request.budget()))
            : "%s, first token after %.2f s"
                .formatted(streamedName(streamed), prediction.secondsToFirstToken());
    double speed =
        costs.hasOutput()
            ? prediction.decodeTokensPerSecond()
            : prediction.prefillTokensPerSecond();
    return new Plan.Alternative(name, bytes, speed, cost);
  }
}
