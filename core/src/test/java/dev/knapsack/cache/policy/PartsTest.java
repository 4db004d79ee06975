package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeCaches.HEADS;
import static dev.knapsack.cache.policy.MadeCaches.LAYERS;
import static dev.knapsack.cache.policy.MadeStep.positions;
import static dev.knapsack.cache.policy.MadeStep.random;
import static dev.knapsack.cache.policy.MadeStep.randomAttention;
import static dev.knapsack.cache.policy.MadeStep.range;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import java.util.List;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What all recipes promise, whatever keys and attention are. */
class PartsTest {
  /** Recipes of {@value #KEPT} tokens, by name. */
  static final List<String> RECIPES =
      List.of(
          "streaming(4,60)",
          "knorm(64)",
          "keydiff(64)",
          "lagkv(64)",
          "h2o(64)",
          "scissorhands(64)",
          "snapkv(64)",
          "dapq(64)",
          "pyramidkv(64)",
          "adakv(64)",
          "expected(64)",
          "criticalkv(64)",
          "score=retention budget=uniform(64) action=evict when=block(32)",
          "score=expected budget=ada(64) action=evict when=block(8)",
          "score=critical(16) budget=uniform(64) action=evict when=step",
          "cake(64)",
          "elastic(64)",
          "kvmerger(64)",
          "score=h2o(8) budget=cake(64,8,1,1) action=evict when=block(16)",
          "score=window(16) budget=uniform(20%) action=evict when=block(8)",
          "score=h2o(8) budget=ada(64) action=evict when=step",
          "score=window(7) budget=pyramid(64,7) action=evict when=block(16)",
          "snapkv(21%)",
          "pyramidkv(21%)",
          "adakv(21%)",
          "h2o(21%)",
          "duo(64)",
          "duo(21%)",
          "compresskv(64)",
          "hack(21%)",
          "scalekv(64)",
          "score=streaming(4) budget=hack(64) action=evict when=block(16)",
          "score=h2o(8) budget=errors(64) action=evict when=step",
          "score=h2o(8) budget=ada(64) action=evict when=block(16)",
          "score=h2o(8) budget=pyramid(21%,8) action=evict when=block(16)");

  private static final int KEPT = 64;

  @RegisterExtension private final MadeCaches made = new MadeCaches();

  @ParameterizedTest
  @FieldSource("RECIPES")
  void keepsToItsBytesAndItsTokens(String name) {
    Recipe recipe = (Recipe) Recipe.of(name);
    KvCache cache = made.cache(recipe);
    cache.text().prompt(300);
    for (int step : new int[] {50, 100, 37, 100, 13}) {
      made.step(cache, step, random(1), randomAttention(2));
      assertThat(made.account().peak()).isLessThanOrEqualTo(cache.layout().bytes(300, 100));
      for (int l : new int[] {0, 2, 3}) {
        assertThat((long) cache.head(l, 0).count() + cache.head(l, 1).count())
            .isLessThanOrEqualTo(recipe.bounds().together(cache.layout(), l, 300));
      }
      for (int l = 0; l <= LAYERS; l++) {
        assertThat(cache.head(l, 0).count())
            .isLessThanOrEqualTo(l == 1 ? 40 + 100 + 16 : recipe.bounds().most(300));
      }
    }
    made.pool().compact();
    long after = made.account().used();
    // Layers that see everything keep what the recipe says, on average over them.
    int slack = recipe.trigger().slack() == Integer.MAX_VALUE ? 0 : recipe.trigger().slack();
    int kept = 0;
    for (int l : new int[] {0, 2, 3}) {
      for (int h = 0; h < HEADS; h++) {
        kept += cache.head(l, h).count();
      }
    }
    int most = LAYERS * HEADS * (KEPT + slack);
    int least = recipe.trigger().stay(KEPT) - 5;
    assertThat(kept).isBetween(LAYERS * HEADS * least, most);
    assertThat(after).isLessThan(cache.layout().withPolicy(KvPolicy.FULL).bytes(300, 100) / 2);
    assertThat(positions(cache, 1, 0)).endsWith(298, 299).hasSizeGreaterThanOrEqualTo(40);
    made.step(cache, 1, random(1), randomAttention(2));
    assertThat(positions(cache, 0, 0)).endsWith(300);
  }

  @ParameterizedTest
  @FieldSource("RECIPES")
  void asManyTokensAsThereAreAreAllOfThem(String name) {
    KvCache cache =
        made.cache(
            Recipe.of(name.replace("64", "300").replace("60", "296").replaceAll("2.%", "100%")));
    cache.text().prompt(300);
    made.read(cache, 300, 70, random(3), randomAttention(4));
    for (int l : new int[] {0, 2, 3}) {
      for (int h = 0; h < HEADS; h++) {
        assertThat(positions(cache, l, h)).containsExactly(range(0, 300));
      }
    }
  }

  /** What is kept depends on the text, not on the steps in which it is read. */
  @ParameterizedTest
  @ValueSource(strings = {"snapkv(64)", "pyramidkv(64)", "adakv(64)", "cake(64)", "dapq(64)"})
  void stepsDoNotMatterToWhatLooksOnceWhenThePromptIsRead(String name) {
    List<int[]> expected = null;
    for (int step : new int[] {300, 100, 31, 1}) {
      KvCache cache = made.cache(Recipe.of(name));
      cache.text().prompt(300);
      made.read(cache, 300, step, random(1), randomAttention(2));
      List<int[]> kept =
          List.of(positions(cache, 0, 0), positions(cache, 2, 1), positions(cache, 3, 0));
      expected = expected == null ? kept : expected;
      for (int i = 0; i < kept.size(); i++) {
        assertThat(kept.get(i)).as("step %d", step).containsExactly(expected.get(i));
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "snapkv(0)|1 token or more",
        "pyramidkv(32)|more tokens than the 32",
        "cake(32)|more tokens than the 32",
        "score=varied(8,1) budget=cake(64,9,1,1) action=evict when=step|same number of rows",
        "score=varied(8,1) budget=cake(64,8,1,0) action=evict when=step|above 0",
        "score=window(0) budget=ada(3) action=evict when=step|1 row or more",
        "score=knorm budget=ada(0) action=evict when=step|1 token or more",
        "score=knorm budget=uniform(101%) action=evict when=step|0 to 100 percent",
        "score=knorm budget=uniform(0%) action=evict when=step|1 token or more",
      })
  void saysWhatWouldWork(String text, String works) {
    assertThatThrownBy(() -> Recipe.of(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(text)
        .hasMessageContaining(works);
  }

  @ParameterizedTest
  @FieldSource("RECIPES")
  void isReadAsItIsWritten(String name) {
    KvPolicy recipe = Recipe.of(name);
    assertThat(Recipe.of(recipe.name())).isEqualTo(recipe);
  }
}
