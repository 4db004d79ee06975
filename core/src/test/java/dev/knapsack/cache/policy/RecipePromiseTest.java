package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** No recipe takes more memory than a plan counts for it, whenever it forgets, and in any steps. */
@Execution(ExecutionMode.CONCURRENT)
class RecipePromiseTest {
  private static final int SIZE = 32;
  private static final int HEADS = 2;
  private static final int GROUP = 2;
  private static final int PAGE = 16;
  private static final int TURN = 130;
  private static final int ANSWER = 12;
  private static final int LENGTH = 2 * (TURN + ANSWER);

  @TempDir Path folder;

  /** All published methods, at budgets in tokens and in shares of the prompt. */
  static List<String> recipes() {
    List<String> recipes = new ArrayList<>();
    for (String name : Recipe.NAMES) {
      String word = name.replaceAll("\\(.*", "");
      if (!word.contains("=") && !word.equals("full")) {
        for (String budget : word.equals("think") ? List.of("40") : List.of("40", "21%")) {
          recipes.add(word + "(" + budget + ")");
        }
      }
    }
    recipes.add("score=window(8) budget=uniform(40) action=quantise(q8_0) when=block(8)");
    recipes.add("score=h2o(8) budget=cake(21%,8,1,1) action=evict when=block(8)");
    recipes.add("score=critical(8) budget=ada(40) action=evict when=block(8)");
    recipes.add("score=critical(8) budget=pyramid(40,8) action=sentences(2) when=block(8)");
    return recipes.stream().distinct().toList();
  }

  /** The recipe, which has been given what it lacks. */
  static Recipe given(String text) {
    KvPolicy made = Recipe.of(text);
    return (Recipe)
        (text.contains("epicache")
            ? LayerSensitivityTest.given(made, 1, 0.9, 0.4)
            : MadeBases.given(CalibratedPartsTest.given(made)));
  }

  /** The recipe at other times, too. */
  private static List<Recipe> timed(String text) {
    Recipe recipe = given(text);
    return Stream.of(
            recipe.trigger(),
            new Trigger.Block(8),
            new Trigger.PromptBlocks(8),
            new Trigger.Step(),
            new Trigger.Half(),
            new Trigger.Prompt())
        .map(when -> new Recipe(recipe.scorer(), recipe.allocator(), recipe.action(), when))
        .distinct()
        .toList();
  }

  @Test
  void allMethodsAreTried() {
    assertThat(recipes()).hasSizeGreaterThan(2 * 20).contains("snapkv(40)", "icecache(21%)");
  }

  @ParameterizedTest
  @MethodSource("recipes")
  void keepsToWhatIsPlanned(String text) {
    List<Recipe> timed = timed(text);
    for (int i = 0; i < timed.size(); i++) {
      KvLayout layout = layout(timed.get(i), Formats.F16, 0);
      if (i % 2 == 0) {
        keepsToWhatIsPlanned(layout, 64, true);
      }
      if (i == 0 || i % 2 == 1) {
        twoKeepToWhatIsPlanned(layout, 64, true);
      }
    }
    twoKeepToWhatIsPlanned(layout(timed.getFirst(), Formats.F16, 0), 9, false);
    keepsToWhatIsPlanned(layout(timed.getFirst(), Formats.Q8_0, 20), 9, true);
  }

  static KvLayout layout(KvPolicy policy, Format format, int recent) {
    LayerLayout.Heads layer = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, GROUP);
    LayerLayout.Heads window = new LayerLayout.Heads(HEADS, SIZE, SIZE, 40, GROUP);
    return new KvLayout(List.of(layer, window, layer, layer), format, format, recent, policy, PAGE);
  }

  private void keepsToWhatIsPlanned(KvLayout layout, int step, boolean prompts) {
    String what = "%s, %d at a time, prompts: %s".formatted(layout.policy().name(), step, prompts);
    long planned = layout.bytes(LENGTH, step);
    Account alone = Budget.of("64MiB").account("kv");
    try (KvPool pool = pool(layout, alone);
        KvCache cache = pool.cache()) {
      turn(cache, step, prompts);
      turn(cache, step, prompts);
      assertThat(alone.peak()).as(what).isLessThanOrEqualTo(planned);
    }
    assertThat(alone.used()).as(what).isZero();
  }

  private void twoKeepToWhatIsPlanned(KvLayout layout, int step, boolean prompts) {
    String what = "%s, %d at a time, prompts: %s".formatted(layout.policy().name(), step, prompts);
    long planned = layout.bytes(LENGTH, step);
    Account two = Budget.of("64MiB").account("kv");
    try (KvPool pool = pool(layout, two);
        KvCache cache = pool.cache()) {
      turn(cache, step, prompts);
      try (KvCache fork = cache.fork()) {
        turn(fork, step, prompts);
        turn(cache, step, prompts);
      }
      assertThat(two.peak()).as("two of " + what).isLessThanOrEqualTo(2 * planned);
    }
    assertThat(two.used()).as(what).isZero();
  }

  @Test
  void aForkThatDoesNotFitLeavesNothing() {
    KvPolicy policy =
        Recipe.of("score=expected budget=uniform(40) action=sentences(2) when=block(8)");
    KvLayout layout = layout(policy, Formats.F16, 0);
    Budget budget = Budget.of("8MiB");
    Account account = budget.account("kv");
    try (KvPool pool = pool(layout, account);
        KvCache cache = pool.cache()) {
      turn(cache, 64, true);
      long used = account.used();
      long pages = pool.livePages();
      // Room for what the policy remembers of heads, and not for what units pass through.
      long memory = 4L * 3 * HEADS * policy.observer().memory(layout.heads(0));
      long room = (memory + 8191) / 4096 * 4096;
      try (Lease _ = budget.account("others").lease(budget.total() - used - room)) {
        assertThatThrownBy(cache::fork).isInstanceOf(BudgetExceededException.class);
      }
      assertThat(account.used()).isEqualTo(used);
      assertThat(pool.livePages()).isEqualTo(pages);
      cache.fork().close();
      assertThat(account.used()).isEqualTo(used);
    }
    assertThat(account.used()).isZero();
  }

  private KvPool pool(KvLayout layout, Account account) {
    return pool(layout, account, folder);
  }

  static KvPool pool(KvLayout layout, Account account, Path folder) {
    KvPool pool = new KvPool(layout, account, folder);
    BitSet ends = new BitSet();
    ends.set(1);
    pool.sentenceEnds(ends);
    MadeBases.tell(pool);
    return pool;
  }

  static void turn(KvCache cache, int step, boolean prompts) {
    if (prompts) {
      cache.text().prompt(cache.length() + TURN);
    }
    int end = cache.length() + TURN;
    while (cache.length() < end) {
      int tokens = Math.min(step - cache.view().lookahead(step), end - cache.length());
      step(cache, tokens, cache.view().lookahead(step, tokens));
    }
    for (int i = 0; i < ANSWER; i++) {
      step(cache, 1, 0);
    }
  }

  private static void step(KvCache cache, int added, int ahead) {
    int first = cache.length();
    int tokens = added + ahead;
    cache.reserve(tokens);
    int[] ids = new int[tokens];
    for (int i = 0; i < tokens; i++) {
      ids[i] = (first + i) % 11 == 0 ? 1 : 0;
    }
    cache.text().read(ids, 0, added);
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      int layer = l;
      Matrix rows = random(tokens, HEADS * SIZE, first + 1000L * layer);
      cache.append(l, 0, rows, rows, 0, tokens);
      cache.fetch(l, random(tokens, HEADS * GROUP * SIZE, -first - 1000L * layer));
      cache.pieces(l, tokens).forEachRemaining(_ -> {});
      cache
          .view()
          .observe(
              l,
              new SeenStep(
                  first,
                  tokens,
                  (row, kvHead, _, out) -> attention(cache.head(layer, kvHead), first + row, out),
                  (position, kvHead, out) -> {
                    for (int i = 0; i < out.length; i++) {
                      out[i] = number(position * 64L + kvHead * 32 + i);
                    }
                  },
                  null,
                  (position, kvHead) -> 1 + position % 3 + kvHead));
    }
    cache.commit(added);
    cache.encode();
    cache.compress();
  }

  private static void attention(CachedHead head, int row, Matrix out) {
    for (int i = 0; i < out.columns(); i++) {
      int token = i < head.count() ? head.position(i) : head.cache().length() + i - head.count();
      for (int g = 0; g < GROUP; g++) {
        float weight = Math.abs(number(token * 131L + head.layer() * 17 + head.kvHead() * 2 + g));
        out.data()
            .setAtIndex(
                ValueLayout.JAVA_FLOAT,
                (long) g * out.columns() + i,
                token > row ? 0 : weight / (row + 1));
      }
    }
  }

  private static Matrix random(int rows, int columns, long seed) {
    float[] numbers = new float[rows * columns];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = number(seed * 4099 + i);
    }
    return new Matrix(Formats.F32, rows, columns, MemorySegment.ofArray(numbers));
  }

  /** From -1 to 1, by the seed alone. */
  private static float number(long seed) {
    long x = (seed + 1) * 0x9E3779B97F4A7C15L;
    x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
    return (int) (x >> 32) / (float) (1L << 31);
  }
}
