package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens that a policy moves to disk in units, and has read again. */
class SpilledUnitsTest {
  private static final int SIZE = 32;
  private static final int HEADS = 2;
  private static final int GROUP = 2;
  private static final int PAGE = 8;
  private static final int UNIT = 8;
  private static final int LAST = 5;
  private static final int ROOM = 20;

  /** Moves all but the last tokens to disk, as soon as there is a number of units. */
  private record InUnits(int after) implements KvPolicy, Retrieval {
    @Override
    public String name() {
      return "units";
    }

    @Override
    public KvBounds bounds() {
      return tokens -> Math.min(tokens, after + LAST + UNIT + ROOM);
    }

    @Override
    public Optional<Retrieval> retrieval() {
      return Optional.of(this);
    }

    @Override
    public int fewest() {
      return UNIT;
    }

    @Override
    public int mostUnit() {
      return UNIT;
    }

    @Override
    public void score(CachedHead head, float[] queries, float[] out) {
      float[] key = new float[SIZE];
      for (int u = 0; u < out.length; u++) {
        head.unitKey(u, key);
        for (int c = 0; c < SIZE; c++) {
          out[u] += key[c] * queries[c];
        }
      }
    }

    @Override
    public void compress(KvCache cache) {
      for (int l = 0; l < cache.layout().layers().size(); l++) {
        for (int h = 0; h < HEADS && cache.layout().heads(l).window() == 0; h++) {
          CachedHead head = cache.head(l, h);
          int units = (Math.min(head.spillable(), head.count() - LAST)) / UNIT;
          if (units * UNIT >= after) {
            int[][] places = new int[units][];
            Arrays.setAll(places, u -> IntStream.range(u * UNIT, (u + 1) * UNIT).toArray());
            head.spill(places, ROOM);
          }
        }
      }
    }
  }

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");
  @TempDir Path folder;

  @AfterEach
  void nothingIsLeft() throws IOException {
    assertThat(account.used()).isZero();
    assertThat(Files.list(folder)).as("files without names").isEmpty();
  }

  private static KvLayout layout(Format format, int recent) {
    LayerLayout.Heads layer = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, GROUP);
    LayerLayout.Heads window = new LayerLayout.Heads(HEADS, SIZE, SIZE, 20, GROUP);
    return new KvLayout(
        List.of(layer, window, layer), format, format, recent, new InUnits(24), PAGE);
  }

  /** The key of a token points where the number of its unit says, and its value is its number. */
  private static float key(int token, int channel) {
    return token / UNIT % SIZE == channel ? 4 : 0;
  }

  private static void grow(KvCache cache, int tokens) {
    int first = cache.length();
    cache.reserve(tokens);
    float[] keys = new float[tokens * HEADS * SIZE];
    float[] values = new float[keys.length];
    for (int i = 0; i < keys.length; i++) {
      int token = first + i / (HEADS * SIZE);
      keys[i] = key(token, i % SIZE);
      values[i] = token;
    }
    Matrix k = new Matrix(Formats.F32, tokens, HEADS * SIZE, MemorySegment.ofArray(keys));
    Matrix v = new Matrix(Formats.F32, tokens, HEADS * SIZE, MemorySegment.ofArray(values));
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      cache.append(l, 0, k, v, 0, tokens);
    }
    cache.commit(tokens);
    cache.encode();
    cache.compress();
  }

  /** A row whose first query head of each KV head asks for these units, the first one most. */
  private static void ask(KvCache cache, int layer, int... units) {
    float[] query = new float[HEADS * GROUP * SIZE];
    for (int i = 0; i < units.length; i++) {
      for (int h = 0; h < HEADS; h++) {
        query[h * GROUP * SIZE + units[i] % SIZE] = units.length - i;
      }
    }
    cache.fetch(layer, new Matrix(Formats.F32, 1, query.length, MemorySegment.ofArray(query)));
  }

  /** The tokens that attention sees of a head, by their values. */
  private static int[] seen(KvCache cache, int layer, int head) {
    KvSpan[] spans = cache.pieces(layer, 0).next()[head];
    return Arrays.stream(spans)
        .flatMapToInt(span ->
            IntStream.range(0, span.length())
                .map(i -> {
                  long value =
                      span.pages()[i / PAGE]
                          + span.valuesAt()
                          + i % PAGE * span.valueFormat().bytes(SIZE);
                  float[] decoded = new float[SIZE];
                  span.valueFormat()
                      .decode(span.memory(), value, MemorySegment.ofArray(decoded), 0, SIZE);
                  assertThat(span.before(cache.length())).isEqualTo(span.length());
                  return Math.round(decoded[i % SIZE]);
                }))
        .sorted()
        .toArray();
  }

  private static int[] unit(int unit) {
    return IntStream.range(unit * UNIT, (unit + 1) * UNIT).toArray();
  }

  private static int[] both(int[]... tokens) {
    return Arrays.stream(tokens).flatMapToInt(Arrays::stream).sorted().toArray();
  }

  private static int[] resident(KvCache cache) {
    CachedHead head = cache.head(0, 0);
    return IntStream.range(0, head.count()).map(head::position).toArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "F16"})
  void aQueryBringsTheUnitItPointsAtAndNothingElse(String format) {
    KvLayout layout = layout(format.equals("F32") ? Formats.F32 : Formats.F16, 0);
    int step = 30;
    try (KvPool pool = new KvPool(layout, account, folder);
        KvCache cache = pool.cache()) {
      while (cache.length() < 240) {
        grow(cache, step);
        for (int layer : new int[] {0, 2}) {
          ask(cache, layer, 3, 1, 2);
        }
        assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(cache.length(), step));
        pool.compact();
      }
      assertThat(resident(cache)).hasSizeLessThan(24 + LAST + UNIT).contains(239);
      for (int[] asked : new int[][] {{7, 20}, {7, 4}, {4, 7, 0}, {25, 24}, {11}}) {
        ask(cache, 2, asked);
        assertThat(seen(cache, 2, 1)).contains(both(unit(asked[0]), resident(cache)));
        assertThat(cache.head(2, 1).unitsHere()).contains(asked[0]).hasSize(ROOM / UNIT);
        assertThat(seen(cache, 2, 1))
            .containsExactly(
                both(
                    both(
                        Arrays.stream(cache.head(2, 1).unitsHere())
                            .mapToObj(SpilledUnitsTest::unit)
                            .toArray(int[][]::new)),
                    resident(cache)));
        assertThat(seen(cache, 0, 0)).as("another layer").contains(unit(3)).contains(unit(1));
      }
      ask(cache, 2, 9, 14);
      assertThat(cache.head(2, 0).unitsHere()).containsExactly(9, 14);
      assertThat(layout.diskBytes(240))
          .isGreaterThanOrEqualTo(2L * HEADS * cache.head(0, 0).units() * 4096);
      assertThat(layout.bytes(20_000, step))
          .isLessThan(layout.withPolicy(KvPolicy.FULL).bytes(20_000, step) / 4);
      // The layer with a window forgets as ever.
      assertThat(seen(cache, 1, 0)).endsWith(238, 239).hasSizeLessThan(20 + 2 * PAGE);
    }
  }

  @Test
  void whatIsThereIsNotReadAgain() throws IOException {
    AtomicReference<FileChannel> file = new AtomicReference<>();
    SpillFolder disk =
        new SpillFolder(
            folder,
            in -> {
              file.set(
                  FileChannel.open(
                      in.resolve("units"),
                      StandardOpenOption.CREATE,
                      StandardOpenOption.READ,
                      StandardOpenOption.WRITE,
                      StandardOpenOption.DELETE_ON_CLOSE));
              return file.get();
            });
    PagePool pages = new PagePool(account, budget.total(), account, folder);
    pages.spillFolder(disk);
    try (KvPool pool = new KvPool(layout(Formats.F16, 0), pages);
        KvCache cache = pool.cache()) {
      grow(cache, 100);
      ask(cache, 0, 3, 5);
      file.get().truncate(0);
      ask(cache, 0, 5, 3);
      assertThat(seen(cache, 0, 1)).containsExactly(both(unit(3), unit(5), resident(cache)));
      assertThatThrownBy(() -> ask(cache, 0, 5, 6))
          .isInstanceOf(SpillException.class)
          .hasMessageContaining("the file ends");
      // What is left is whole units.
      assertThat(seen(cache, 0, 0)).containsExactly(both(unit(5), resident(cache)));
    }
  }

  @Test
  void sequencesWithTheSameBeginningReadTheSameFile() {
    try (KvPool pool = new KvPool(layout(Formats.F16, 0), account, folder);
        KvCache cache = pool.cache()) {
      grow(cache, 100);
      ask(cache, 0, 3, 5);
      KvCache fork = cache.fork();
      grow(fork, 60);
      ask(fork, 0, 15, 2);
      ask(cache, 0, 3, 4);
      assertThat(fork.head(0, 1).unitsHere()).containsExactly(2, 15);
      assertThat(seen(fork, 0, 1)).contains(unit(15)).contains(unit(2));
      assertThat(seen(cache, 0, 1)).containsExactly(both(unit(3), unit(4), resident(cache)));
      fork.close();
      ask(cache, 0, 7, 8);
      assertThat(seen(cache, 0, 1)).containsExactly(both(unit(7), unit(8), resident(cache)));
    }
  }

  @Test
  void recentTokensOfFullPrecisionStay() {
    KvLayout layout = layout(Formats.Q8_0, 16);
    try (KvPool pool = new KvPool(layout, account, folder);
        KvCache cache = pool.cache()) {
      for (int i = 0; i < 10; i++) {
        grow(cache, 21);
        assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(cache.length(), 21));
      }
      ask(cache, 0, 3, 5);
      assertThat(resident(cache)).hasSizeGreaterThanOrEqualTo(16);
      assertThat(seen(cache, 0, 1)).contains(both(resident(cache)));
      assertThat(cache.head(0, 1).unitsHere()).containsExactly(3, 5);
      assertThatThrownBy(
              () -> cache.head(0, 0).spill(new int[][] {{cache.head(0, 0).count() - 1}}, 8))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("recent");
    }
  }

  @Test
  void goesBackToNothingAlone() {
    try (KvPool pool = new KvPool(layout(Formats.F16, 0), account, folder);
        KvCache cache = pool.cache()) {
      grow(cache, 100);
      assertThat(cache.nearest(99)).isZero();
      assertThat(cache.nearest(100)).isEqualTo(100);
      assertThat(cache.back(50)).isZero();
      assertThat(cache.head(0, 0).units()).isZero();
      grow(cache, 10);
      assertThat(seen(cache, 0, 0)).containsExactly(IntStream.range(0, 10).toArray());
    }
  }

  @Test
  void aFullDiskEmptiesTheSequenceAndSaysSo() {
    try (KvPool pool = FullDisk.pool(layout(Formats.F16, 0), account, folder);
        KvCache cache = pool.cache()) {
      grow(cache, 20);
      assertThatThrownBy(() -> grow(cache, 80))
          .isInstanceOf(SpillException.class)
          .hasMessageContaining("No space left on device");
      assertThat(cache.length()).isZero();
      grow(cache, 10);
      assertThat(seen(cache, 0, 0)).containsExactly(IntStream.range(0, 10).toArray());
    }
  }
}
