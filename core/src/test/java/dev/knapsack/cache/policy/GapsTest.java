package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeStep.positions;
import static dev.knapsack.cache.policy.MadeStep.range;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where tokens stand between which others were forgotten. */
class GapsTest {
  private static final int SIZE = 32;
  private static final int PAGE = 16;

  @RegisterExtension private final MadeCaches made = new MadeCaches();

  private KvLayout layout(Format format, int recent, KvPolicy policy) {
    LayerLayout.Heads layer = new LayerLayout.Heads(1, SIZE, SIZE, 0, 1);
    return new KvLayout(List.of(layer), format, format, recent, policy, PAGE);
  }

  /** One key in five is short, and stays: the later the shorter. */
  private static MadeStep shortKeys(int at) {
    MadeStep.Vectors keys = (_, _, token, _) -> token % 5 == at ? 1 - token / 400f : 3;
    return MadeStep.of(keys, MadeStep.NONE, new AtomicInteger(), 1);
  }

  private static final MadeStep FIFTHS = shortKeys(2);

  private static KvPolicy keeps(int tokens) {
    return Recipe.of("score=knorm budget=uniform(%d) action=evict when=block(1)".formatted(tokens));
  }

  /** Tokens are forgotten while they are recent; perhaps none has been encoded before. */
  @ParameterizedTest
  @CsvSource({"60,1", "60,7", "60,30", "12,1", "12,7", "12,30"})
  void recentTokensKeepTheirsWhenTheyAreEncoded(int kept, int step) {
    KvCache cache = made.cache(layout(Formats.Q8_0, 20, keeps(kept)));
    FIFTHS.read(cache, 300, step);
    assertThat(positions(cache, 0, 0)).containsExactly(range(60 - kept, 60, 5, 2));
  }

  @Test
  void forksForgetTheirOwn() {
    KvCache cache = made.cache(layout(Formats.F16, 0, keeps(12)));
    FIFTHS.read(cache, 60, 10);
    assertThat(positions(cache, 0, 0)).containsExactly(range(0, 12, 5, 2));
    try (KvCache fork = cache.fork()) {
      FIFTHS.read(cache, 10, 10);
      shortKeys(3).read(fork, 10, 10);
      assertThat(positions(cache, 0, 0)).endsWith(62, 67).hasSize(12);
      assertThat(positions(fork, 0, 0)).endsWith(63, 68).hasSize(12);
    }
    assertThat(positions(cache, 0, 0)).endsWith(62, 67);
  }

  /** So that what long contexts need for it is in the budget, and not on the heap. */
  @Test
  void pagesSayIt() {
    KvLayout full = layout(Formats.F16, 0, KvPolicy.FULL);
    KvLayout gaps = layout(Formats.F16, 0, keeps(1000));
    KvCache cache = made.cache(gaps);
    FIFTHS.read(cache, 160, 50);
    long plain = full.tokenBytes(0) * PAGE;
    assertThat(made.account().used())
        .isGreaterThanOrEqualTo(10 * (plain + (long) Integer.BYTES * PAGE));
    assertThat(gaps.bytes(160)).isGreaterThan(full.bytes(160));
    assertThat(cache.spans(0, 0)[0][0].positionsAt()).isEqualTo(KvSpan.NO_GAPS);
    cache.head(0, 0).keep(new int[] {3, 9, 100});
    KvSpan span = cache.spans(0, 0)[0][0];
    assertThat(span.positionsAt()).isEqualTo(plain);
    assertThat(new int[] {span.position(0), span.position(1), span.position(2)})
        .containsExactly(3, 9, 100);
    assertThat(new int[] {span.before(3), span.before(9), span.before(10), span.before(101)})
        .containsExactly(0, 1, 2, 3);
  }
}
