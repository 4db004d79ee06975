package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class KvCacheTest {
  static final List<Format> FORMATS =
      List.of(Formats.F32, Formats.F16, Formats.BF16, Formats.Q8_0, Formats.Q4_0);

  /** A layer that sees everything, one with a window, and one with other heads. */
  private static KvLayout layout(Format keys, Format values) {
    return new KvLayout(
        List.of(
            new LayerLayout.Heads(2, 32, 64, 0, 1),
            new LayerLayout.Heads(2, 32, 64, 20, 1),
            new LayerLayout.Heads(1, 64, 32, 0, 1)),
        keys,
        values,
        0,
        KvPolicy.FULL,
        8);
  }

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");

  /** The number that {@code token} of sequence {@code sequence} has at this place. */
  private static float number(int sequence, int token, int layer, boolean key, int column) {
    return ((sequence * 31 + token * 7 + layer * 3 + (key ? 1 : 0) + column) % 16 - 8) / 8f;
  }

  private static Matrix rows(
      int sequence, int first, int rows, int layer, boolean key, int columns) {
    float[] numbers = new float[rows * columns];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        numbers[r * columns + c] = number(sequence, first + r, layer, key, c);
      }
    }
    return new Matrix(Formats.F32, rows, columns, MemorySegment.ofArray(numbers));
  }

  static void grow(KvCache cache, int sequence, int tokens) {
    cache.reserve(tokens);
    int first = cache.length();
    List<LayerLayout.Heads> layers = cache.layout().heads();
    for (int l = 0; l < layers.size(); l++) {
      LayerLayout.Heads heads = layers.get(l);
      // The rows that count are in the middle of a larger batch.
      cache.append(
          l,
          0,
          rows(sequence, first - 1, tokens + 2, l, true, heads.kvHeads() * heads.keySize()),
          rows(sequence, first - 1, tokens + 2, l, false, heads.kvHeads() * heads.valueSize()),
          1,
          tokens);
    }
    cache.commit(tokens);
  }

  /** All that is held must be what was written, as its format stores it. */
  static void check(KvCache cache, int... sequenceOfToken) {
    assertThat(cache.length()).isEqualTo(sequenceOfToken.length);
    List<LayerLayout.Heads> layers = cache.layout().heads();
    for (int l = 0; l < layers.size(); l++) {
      LayerLayout.Heads heads = layers.get(l);
      int[] ends = null;
      // Each piece is looked at while it is there.
      for (Iterator<KvSpan[][]> pieces = cache.pieces(l, 0); pieces.hasNext(); ) {
        KvSpan[][] piece = pieces.next();
        if (ends == null) {
          ends = Stream.of(piece).mapToInt(spans -> spans[0].start()).toArray();
        }
        for (int h = 0; h < heads.kvHeads(); h++) {
          for (KvSpan span : piece[h]) {
            assertThat(span.length() == 0 || span.start() == ends[h]).isTrue();
            ends[h] += span.length();
            checkSpan(span, l, h, heads, sequenceOfToken);
          }
        }
      }
      assertThat(ends).containsOnly(cache.length());
    }
  }

  private static void checkSpan(
      KvSpan span, int layer, int head, LayerLayout.Heads heads, int[] sequenceOfToken) {
    for (int i = 0; i < span.length(); i++) {
      int token = span.start() + i;
      int sequence = sequenceOfToken[token];
      long page = span.pages()[i / span.pageTokens()];
      checkHead(
          span,
          span.keyFormat(),
          page,
          head,
          i,
          heads.keySize(),
          rows(sequence, token, 1, layer, true, heads.kvHeads() * heads.keySize()));
      checkHead(
          span,
          span.valueFormat(),
          page + span.valuesAt(),
          head,
          i,
          heads.valueSize(),
          rows(sequence, token, 1, layer, false, heads.kvHeads() * heads.valueSize()));
    }
  }

  private static void checkHead(
      KvSpan span, Format format, long at, int head, int i, int size, Matrix row) {
    long bytes = format.bytes(size);
    byte[] expected = new byte[(int) bytes];
    format.encode(row.data(), 4L * head * size, MemorySegment.ofArray(expected), 0, size);
    assertThat(
            span.memory()
                .asSlice(at + i % span.pageTokens() * bytes, bytes)
                .toArray(ValueLayout.JAVA_BYTE))
        .isEqualTo(expected);
  }

  static int[] sequence(int... parts) {
    List<Integer> all = new ArrayList<>();
    for (int p = 0; p < parts.length; p += 2) {
      for (int i = 0; i < parts[p + 1]; i++) {
        all.add(parts[p]);
      }
    }
    return all.stream().mapToInt(Integer::intValue).toArray();
  }

  static final List<List<Format>> PAIRS =
      FORMATS.stream().flatMap(k -> FORMATS.stream().map(v -> List.of(k, v))).toList();

  @ParameterizedTest
  @FieldSource("PAIRS")
  void holdsWhatWasAppended(List<Format> formats) {
    try (KvPool pool = new KvPool(layout(formats.get(0), formats.get(1)), account);
        KvCache cache = pool.cache()) {
      grow(cache, 1, 5);
      grow(cache, 1, 1);
      grow(cache, 1, 30);
      check(cache, sequence(1, 36));
      assertThat(account.used()).isEqualTo(pool.layout().bytes(36)).isEqualTo(pool.leasedBytes());
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void refusesHeadsThatAreNoWholeBlocks() {
    assertThatThrownBy(() ->
            new KvLayout(
                List.of(new LayerLayout.Heads(1, 48, 64, 0, 1)), Formats.Q8_0, Formats.Q8_0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("keys of 48 numbers in Q8_0, whose blocks are of 32");
  }

  @Test
  void whatWasNotCommittedIsOverwritten() {
    try (KvPool pool = new KvPool(layout(Formats.F16, Formats.F16), account);
        KvCache cache = pool.cache()) {
      grow(cache, 1, 10);
      cache.reserve(4);
      cache.append(0, 0, rows(9, 10, 4, 0, true, 64), rows(9, 10, 4, 0, false, 128), 0, 4);
      assertThat(cache.spans(0, 4)[0][0].length()).isEqualTo(14);
      grow(cache, 2, 4);
      check(cache, sequence(1, 10, 2, 4));
    }
  }

  @Test
  void forksShareUntilOneWrites() {
    try (KvPool pool = new KvPool(layout(Formats.F16, Formats.Q8_0), account)) {
      KvLayout layout = pool.layout();
      KvCache first = pool.cache();
      grow(first, 1, 20);
      long alone = account.used();
      KvCache second = first.fork();
      KvCache third = second.fork();
      assertThat(account.used()).isEqualTo(alone);
      grow(second, 2, 3);
      // Only the last page of each layer was copied.
      assertThat(account.used()).isLessThanOrEqualTo(alone + layout.bytes(1));
      grow(first, 3, 9);
      grow(third, 4, 1);
      check(first, sequence(1, 20, 3, 9));
      check(second, sequence(1, 20, 2, 3));
      check(third, sequence(1, 20, 4, 1));
      first.close();
      check(second, sequence(1, 20, 2, 3));
      check(third, sequence(1, 20, 4, 1));
      second.close();
      pool.compact();
      check(third, sequence(1, 20, 4, 1));
      assertThat(account.used()).isEqualTo(layout.bytes(21));
      third.close();
      assertThat(account.used()).isZero();
    }
  }

  @Test
  void truncatingGivesPagesBack() {
    try (KvPool pool = new KvPool(layout(Formats.F32, Formats.F32), account);
        KvCache cache = pool.cache()) {
      grow(cache, 1, 50);
      cache.back(17);
      pool.compact();
      assertThat(account.used()).isEqualTo(pool.layout().bytes(17));
      grow(cache, 2, 10);
      check(cache, sequence(1, 17, 2, 10));
      cache.back(0);
      assertThat(account.used()).isZero();
      assertThat(cache.nearest(1)).as("there are no more").isZero();
      assertThatThrownBy(() -> cache.back(-1)).isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void windowsForgetWhatNobodySees() {
    try (KvPool pool = new KvPool(layout(Formats.F16, Formats.F16), account);
        KvCache cache = pool.cache()) {
      long most = 0;
      for (int i = 0; i < 100; i++) {
        grow(cache, 1, 3);
        most = Math.max(most, account.used());
        cache.encode();
        cache.compress();
        pool.compact();
      }
      check(cache, sequence(1, 300));
      assertThat(cache.spans(0, 0)[0][0].start()).isZero();
      // The token at 300 sees 281 to 300; 280 is where its page starts.
      assertThat(cache.spans(1, 0)[1][0].start()).isEqualTo(280);
      assertThat(most).isLessThanOrEqualTo(pool.layout().bytes(300, 3));
      assertThat(pool.layout().bytes(300, 3)).isLessThan(pool.layout().bytes(300));
      assertThat(cache.back(300)).isEqualTo(300);
      assertThat(cache.nearest(299)).as("the token at 299 sees 280 to 299").isEqualTo(299);
      assertThat(cache.back(298)).isZero();
      grow(cache, 5, 4);
      check(cache, sequence(5, 4));
    }
  }

  @Test
  void aStepThatDoesNotFitChangesNothing() {
    KvLayout layout = layout(Formats.F16, Formats.F16);
    Budget small = Budget.ofBytes(layout.bytes(24));
    try (KvPool pool = new KvPool(layout, small.account("kv"));
        KvCache cache = pool.cache()) {
      grow(cache, 1, 10);
      long before = small.used();
      assertThatThrownBy(() -> cache.reserve(20)).isInstanceOf(BudgetExceededException.class);
      assertThat(small.used()).isEqualTo(before);
      check(cache, sequence(1, 10));
      grow(cache, 1, 14);
      check(cache, sequence(1, 24));
    }
  }

  @Test
  void usingAClosedCacheIsAnError() {
    try (KvPool pool = new KvPool(layout(Formats.F16, Formats.F16), account)) {
      KvCache cache = pool.cache();
      cache.close();
      assertThatThrownBy(cache::close).hasMessageContaining("after close");
      assertThatThrownBy(() -> cache.reserve(1)).hasMessageContaining("after close");
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void anyMixOfOperationsKeepsEverySequenceAndLosesNoByte(long seed) {
    Random random = new Random(seed);
    try (KvPool pool = new KvPool(layout(Formats.F16, Formats.F16), account)) {
      List<KvCache> caches = new ArrayList<>(List.of(pool.cache()));
      List<int[]> expected = new ArrayList<>(List.of(new int[0]));
      for (int step = 0; step < 120; step++) {
        int at = random.nextInt(caches.size());
        KvCache cache = caches.get(at);
        switch (random.nextInt(6)) {
          case 0, 1, 2 -> {
            int tokens = 1 + random.nextInt(20);
            grow(cache, step, tokens);
            int[] grown = java.util.Arrays.copyOf(expected.get(at), cache.length());
            java.util.Arrays.fill(grown, cache.length() - tokens, cache.length(), step);
            expected.set(at, grown);
          }
          case 3 -> {
            caches.add(cache.fork());
            expected.add(expected.get(at));
          }
          case 4 -> {
            int kept = random.nextInt(cache.length() + 1);
            cache.back(kept);
            expected.set(at, java.util.Arrays.copyOf(expected.get(at), kept));
          }
          default -> {
            if (caches.size() > 1) {
              caches.remove(at).close();
              expected.remove(at);
            }
          }
        }
        if (random.nextInt(8) == 0) {
          pool.compact();
        }
        if (step % 10 == 0) {
          for (int i = 0; i < caches.size(); i++) {
            check(caches.get(i), expected.get(i));
          }
        }
      }
      caches.forEach(KvCache::close);
      assertThat(account.used()).isZero();
    }
  }

  @Test
  void recentTokensStayInFullPrecision() {
    KvLayout layout = layout(Formats.Q8_0, Formats.Q4_0).withRecent(20);
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      long most = 0;
      for (int i = 0; i < 60; i++) {
        grow(cache, 1, 1 + i % 5);
        most = Math.max(most, account.used());
        cache.encode();
        cache.compress();
        pool.compact();
        assertThat(most).isLessThanOrEqualTo(layout.bytes(cache.length(), 5));
      }
      for (KvSpan[] head : cache.spans(0, 0)) {
        assertThat(head[0].keyFormat()).isEqualTo(Formats.Q8_0);
        assertThat(head[0].valueFormat()).isEqualTo(Formats.Q4_0);
        assertThat(head[1].keyFormat()).isEqualTo(Formats.F16);
        // Whole pages move, as long as enough is left.
        assertThat(head[1].length()).isBetween(20, 27);
      }
      // The numbers of this test are exact in F16, so that the way there changes nothing.
      check(cache, sequence(1, cache.length()));
      int kept = cache.length() - 1;
      cache.back(kept);
      grow(cache, 2, 10);
      cache.encode();
      cache.compress();
      check(cache, sequence(1, kept, 2, 10));
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void bytesGrowByPages() {
    KvLayout layout = layout(Formats.F16, Formats.F16);
    assertThat(Stream.of(1, 8).map(layout::bytes).distinct()).hasSize(1);
    assertThat(layout.bytes(9)).isEqualTo(2 * layout.bytes(8));
    assertThat(layout.bytes(0)).isZero();
  }
}
