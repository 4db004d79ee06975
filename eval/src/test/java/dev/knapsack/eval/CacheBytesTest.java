package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class CacheBytesTest {
  private static final List<LayerLayout.Heads> LAYERS =
      List.of(new LayerLayout.Heads(2, 64, 64, 0, 2), new LayerLayout.Heads(1, 128, 64, 0, 4));

  static Stream<Format> formats() {
    return Formats.cache().stream();
  }

  @ParameterizedTest
  @MethodSource("formats")
  void whatIsLeasedIsWhatTheLayoutSays(Format format) {
    KvLayout layout = new KvLayout(LAYERS, format, format);
    Budget budget = Budget.of("64MiB");
    CacheBytes bytes = CacheBytes.measure(layout, 256, budget.account("kv"));
    assertThat(bytes.tokens()).isEqualTo(256);
    assertThat(bytes.ledger()).isEqualTo(layout.bytes(256));
    assertThat(bytes.numbers())
        .isEqualTo(4 * format.bytes(64) + format.bytes(128) + format.bytes(64));
    assertThat(bytes.ledgerPerToken()).isGreaterThanOrEqualTo(bytes.numbers());
    assertThat(budget.used()).isZero();
  }

  @Test
  void ofALargeCacheAllIsResidentAndNothingIsAfterIt() {
    KvLayout layout = new KvLayout(LAYERS, Formats.F16, Formats.F16);
    int tokens = CacheBytes.tokens(layout);
    assertThat(tokens).isEqualTo((16 << 20) / 896 / 64 * 64);
    CacheBytes bytes = CacheBytes.measure(layout, tokens, Budget.of("64MiB").account("kv"));
    // The heap of the tests' own JVM moves beside it.
    assertThat(bytes.resident()).isBetween(bytes.ledger() * 3 / 4, bytes.ledger() * 3 / 2);
    assertThat(bytes.left()).isLessThan(bytes.ledger() / 2);
  }

  @Test
  void whatDoesNotFitHoldsNothing() {
    Budget budget = Budget.of("1MiB");
    KvLayout layout = new KvLayout(LAYERS, Formats.F16, Formats.F16);
    assertThatThrownBy(() -> CacheBytes.measure(layout, 4096, budget.account("kv")))
        .isInstanceOf(BudgetExceededException.class);
    assertThat(budget.used()).isZero();
  }
}
