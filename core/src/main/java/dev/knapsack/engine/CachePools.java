package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Workspace;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.Tokenizer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The pools of the caches that requests ask for: that of the plan, and those beside it that share
 * its pages. Safe for use by many threads.
 */
final class CachePools {
  /** Those that are not made again when they are asked for again: the last that were. */
  private static final int MOST = 16;

  private final ModelFile file;
  private final ModelSpec spec;
  private final @Nullable Tokenizer tokenizer;
  private final Plan.Cache planned;
  private final KvPool pool;
  private final Workspace workspace;

  private final Map<Plan.Cache, KvPool> others =
      new LinkedHashMap<>(MOST, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Plan.Cache, KvPool> eldest) {
          return size() > MOST;
        }
      };

  /**
   * @param planned what the plan says of caches
   * @param pool of the plan's layout
   * @param workspace in which steps of all of them are computed
   */
  CachePools(
      ModelFile file,
      ModelSpec spec,
      @Nullable Tokenizer tokenizer,
      Plan.Cache planned,
      KvPool pool,
      Workspace workspace) {
    this.file = file;
    this.spec = spec;
    this.tokenizer = tokenizer;
    this.planned = planned;
    this.pool = pool;
    this.workspace = workspace;
  }

  /** That of the plan. */
  KvPool planned() {
    return pool;
  }

  /**
   * The pool of the cache that a request asks for; the plan's if it asks for none.
   *
   * @throws IllegalArgumentException if the model's heads do not fit its formats, or it needs
   *     memory in steps that the plan has not
   * @throws dev.knapsack.error.ModelFileException if its recipe goes by a file beside the model
   *     that is missing or damaged
   * @throws dev.knapsack.error.SpillException if it moves tokens to disk, and they cannot be kept
   *     there
   */
  synchronized KvPool of(Optional<Plan.Cache> asked) {
    // Copies of states are the plan's, whatever a request asks for.
    Plan.Cache cache = asked.map(c -> c.withCheckpoints(planned.checkpoints())).orElse(planned);
    if (cache.equals(planned)) {
      return pool;
    }
    KvPool known = others.get(cache);
    if (known == null) {
      known = make(cache);
      others.put(cache, known);
    }
    return known;
  }

  private KvPool make(Plan.Cache cache) {
    KvPolicy policy =
        cache.policy().equals(planned.policy())
            ? pool.layout().policy()
            : ModelCompanions.given(cache.policy(), file, spec);
    KvLayout layout = cache.withPolicy(policy).layout(spec);
    if (!workspace.serves(layout)) {
      throw new IllegalArgumentException(
          "The KV recipe '%s' with keys in %s and values in %s needs memory in every step that this model's plan has not; open the model with a plan for it."
              .formatted(policy, layout.keyFormat().name(), layout.valueFormat().name()));
    }
    KvPool made = pool.beside(layout);
    if (tokenizer != null && policy.wantsSentences()) {
      made.sentenceEnds(SentenceEnds.of(tokenizer));
    }
    return made;
  }
}
