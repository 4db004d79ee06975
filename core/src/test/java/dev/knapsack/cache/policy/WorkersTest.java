package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPool;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** However many workers there are, a recipe keeps the same tokens, and makes the same of them. */
class WorkersTest {
  @TempDir Path folder;

  static List<String> recipes() {
    return RecipePromiseTest.recipes();
  }

  @ParameterizedTest
  @MethodSource("recipes")
  void workersChangeNothing(String text) {
    List<String> alone = kept(text, 1);
    assertThat(kept(text, 2)).isEqualTo(alone);
    assertThat(kept(text, 5)).isEqualTo(alone);
  }

  /** What each head holds after two turns. */
  private List<String> kept(String text, int workers) {
    Recipe recipe = RecipePromiseTest.given(text);
    List<String> kept = new ArrayList<>();
    try (WorkerTeam team = new WorkerTeam(workers);
        KvPool pool =
            RecipePromiseTest.pool(
                RecipePromiseTest.layout(recipe, Formats.F16, 0),
                Budget.of("64MiB").account("kv"),
                folder)) {
      pool.workers(team);
      try (KvCache cache = pool.cache()) {
        RecipePromiseTest.turn(cache, 64, true);
        RecipePromiseTest.turn(cache, 64, true);
        for (int l = 0; l < cache.layout().layers().size(); l++) {
          for (int h = 0; h < cache.layout().heads(l).kvHeads(); h++) {
            kept.add(written(cache.head(l, h)));
          }
        }
      }
    }
    return kept;
  }

  private static String written(CachedHead head) {
    StringBuilder out = new StringBuilder();
    out.append("%d %d: ".formatted(head.layer(), head.kvHead()));
    float[] key = new float[head.keySize()];
    float[] value = new float[head.valueSize()];
    for (int i = 0; i < head.count(); i++) {
      head.key(i, key);
      head.value(i, value);
      out.append(head.position(i)).append(i < head.coarse() ? "~" : " ");
      out.append(Arrays.hashCode(key)).append('/').append(Arrays.hashCode(value)).append(' ');
    }
    float[] mean = new float[head.keySize()];
    int units = head.heads().window() > 0 ? 0 : head.units();
    for (int unit = 0; unit < units; unit++) {
      head.unitKey(unit, mean);
      out.append(head.unitTokens(unit)).append('x').append(Arrays.hashCode(mean)).append(' ');
    }
    return out.toString();
  }
}
