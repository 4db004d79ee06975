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
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.IntBinaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Recipes whose tokens go to disk, with keys that were made for them. */
class OnDiskTest {
  private static final int SIZE = 32;
  private static final int HEADS = 2;
  private static final int GROUP = 2;
  private static final int PAGE = 16;
  private static final int LENGTH = 400;

  /** A token that ends a sentence. */
  private static final int STOP = 1;

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");
  private final List<AutoCloseable> open = new ArrayList<>();
  private KvPool pool;
  @TempDir Path folder;

  @AfterEach
  void nothingIsLeft() throws Exception {
    for (AutoCloseable closeable : open.reversed()) {
      closeable.close();
    }
    assertThat(account.used()).isZero();
  }

  private KvCache cache(String recipe) {
    LayerLayout.Heads layer = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, GROUP);
    LayerLayout.Heads window = new LayerLayout.Heads(HEADS, SIZE, SIZE, 40, GROUP);
    KvLayout layout =
        new KvLayout(
            List.of(layer, window, layer), Formats.F16, Formats.F16, 0, Recipe.of(recipe), PAGE);
    pool = new KvPool(layout, account, folder);
    open.add(pool);
    BitSet ends = new BitSet();
    ends.set(STOP);
    pool.sentenceEnds(ends);
    KvCache cache = pool.cache();
    open.add(cache);
    return cache;
  }

  /**
   * Reads tokens; a value is its token's number.
   *
   * @param channel where the key of a token points, by head and token
   * @param ids of the tokens, by position
   * @param looked the token that all rows look at; -1 for all alike
   */
  private void read(
      KvCache cache, int tokens, int step, IntBinaryOperator channel, int sentence, int looked) {
    int end = cache.length() + tokens;
    while (cache.length() < end) {
      int first = cache.length();
      int rows = Math.min(step, end - first);
      cache.reserve(rows);
      int[] ids =
          IntStream.range(first, first + rows)
              .map(p -> (p + 1) % sentence == 0 ? STOP : 0)
              .toArray();
      cache.text().read(ids, 0, rows);
      for (int l = 0; l < cache.layout().layers().size(); l++) {
        float[] keys = new float[rows * HEADS * SIZE];
        float[] values = new float[keys.length];
        for (int i = 0; i < keys.length; i++) {
          int token = first + i / (HEADS * SIZE);
          int head = i / SIZE % HEADS;
          keys[i] = channel.applyAsInt(head, token) == i % SIZE ? 3 : 0.01f * (token % 7);
          values[i] = token;
        }
        cache.append(l, 0, matrix(rows, keys), matrix(rows, values), 0, rows);
        cache
            .view()
            .observe(
                l,
                new SeenStep(
                    first,
                    rows,
                    (row, kvHead, spans, out) -> {
                      for (int i = 0; i < out.columns(); i++) {
                        for (int g = 0; g < GROUP; g++) {
                          out.data()
                              .setAtIndex(
                                  ValueLayout.JAVA_FLOAT,
                                  (long) g * out.columns() + i,
                                  looked < 0 || i == looked ? 0.5f : 0.001f);
                        }
                      }
                    }));
      }
      cache.commit(rows);
      cache.encode();
      cache.compress();
      pool.compact();
    }
  }

  private static Matrix matrix(int rows, float[] numbers) {
    return new Matrix(Formats.F32, rows, numbers.length / rows, MemorySegment.ofArray(numbers));
  }

  /** One step's queries: one query head of each group points at a channel. */
  private static void ask(KvCache cache, int channel) {
    float[] query = new float[HEADS * GROUP * SIZE];
    for (int h = 0; h < HEADS; h++) {
      query[h * GROUP * SIZE + channel] = 1;
    }
    cache.fetch(0, matrix(1, query));
    cache.fetch(2, matrix(1, query));
  }

  /** The tokens that attention sees, by their values. */
  private static Set<Integer> seen(KvCache cache, int layer, int head) {
    Set<Integer> seen = new HashSet<>();
    for (KvSpan span : cache.pieces(layer, 0).next()[head]) {
      for (int i = 0; i < span.length(); i++) {
        long at = span.pages()[i / PAGE] + span.valuesAt() + (long) i % PAGE * SIZE * 2;
        float[] value = new float[SIZE];
        Formats.F16.decode(span.memory(), at, MemorySegment.ofArray(value), 0, SIZE);
        assertThat(seen.add(Math.round(value[0]))).as("once").isTrue();
      }
    }
    return seen;
  }

  private static List<Integer> range(int from, int to) {
    return IntStream.range(from, to).boxed().toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"sentencekv(400)", "icecache(400)", "sentencekv(100%)", "icecache(100%)"})
  void asManyTokensAsThereAreStayInMemory(String recipe) {
    KvCache cache = cache(recipe);
    cache.text().prompt(LENGTH);
    read(cache, LENGTH, 70, (_, t) -> t % SIZE, 20, -1);
    ask(cache, 3);
    assertThat(cache.head(0, 0).count()).isEqualTo(LENGTH);
    assertThat(cache.head(2, 1).units()).isZero();
    assertThat(seen(cache, 2, 0)).hasSize(LENGTH);
  }

  @Test
  void aSentenceComesBackWholeForTheQueriesOfTheSentenceThatIsWritten() {
    KvCache cache = cache("sentencekv(96)");
    cache.text().prompt(LENGTH);
    // Sentences of 20 tokens, whose keys point where the number of the sentence says.
    read(cache, LENGTH, 100, (h, t) -> (t / 20 + h) % SIZE, 20, -1);
    CachedHead head = cache.head(0, 0);
    assertThat(head.count()).isEqualTo(OnDisk.FIRST + OnDisk.LAST);
    assertThat(head.room()).isEqualTo(96 - OnDisk.FIRST - OnDisk.LAST);
    assertThat(IntStream.range(0, head.units()).map(head::unitTokens).sum())
        .isEqualTo(LENGTH - OnDisk.FIRST - OnDisk.LAST);
    for (int sentence : new int[] {7, 13, 2}) {
      int written = cache.length() - LENGTH; // that stays in memory
      ask(cache, sentence);
      assertThat(seen(cache, 0, 0))
          .containsAll(range(0, 4))
          .containsAll(range(sentence * 20, sentence * 20 + 20))
          .containsAll(range(LENGTH - 32, LENGTH))
          .hasSizeBetween(96 - 19 + written, 96 + written);
      assertThat(seen(cache, 2, 1))
          .as("another head's keys point elsewhere")
          .containsAll(range((sentence - 1) * 20, sentence * 20));
      // Asked again and again, the mean query points there; then the sentence ends.
      read(cache, 19, 1, (_, _) -> 0, 1000, -1);
      ask(cache, (sentence + 1) % SIZE);
      assertThat(seen(cache, 0, 0)).containsAll(range(sentence * 20, sentence * 20 + 20));
      read(cache, 1, 1, (_, _) -> 0, 1, -1);
    }
  }

  @Test
  void tokensThatNobodyLooksAtAreNoCandidates() {
    KvCache cache = cache("score=window(16) budget=uniform(64) action=sentences(2) when=prompt");
    cache.text().prompt(LENGTH);
    // The last rows look at one token, whose neighbours count too; of the others the later stay.
    read(cache, LENGTH, 100, (_, t) -> t / 20 % SIZE, 20, 150);
    CachedHead head = cache.head(0, 0);
    int[] units = IntStream.range(0, head.units()).map(head::unitTokens).toArray();
    assertThat(Arrays.stream(units).sum()).isEqualTo(128);
    assertThat(units[0]).as("what is left of a sentence is joined to the next").isBetween(8, 27);
    ask(cache, 150 / 20);
    assertThat(seen(cache, 0, 0)).containsAll(range(148, 153)).doesNotContain(140, 100);
  }

  @Test
  void sentencesAreJoinedUntilTheyPayAndCutWhenTheyAreLong() {
    for (int sentence : new int[] {1, 3, 8, 20, 100, 1000}) {
      KvCache cache = cache("sentencekv(128)");
      cache.text().prompt(LENGTH);
      read(cache, LENGTH, 100, (_, _) -> 0, sentence, -1);
      CachedHead head = cache.head(0, 0);
      int[] units = IntStream.range(0, head.units()).map(head::unitTokens).toArray();
      assertThat(Arrays.stream(units).sum()).isEqualTo(LENGTH - 36);
      for (int unit : units) {
        assertThat(unit).isBetween(Sentences.FEWEST, KvLayout.PAGE_TOKENS);
      }
      if (sentence == 20) {
        assertThat(units).startsWith(16, 20, 20).endsWith(20, 20, 8);
      }
    }
  }

  @Test
  void similarKeysComeBackTogetherWhereverTheyStood() {
    KvCache cache = cache("score=streaming(4) budget=uniform(100) action=similar(8) when=prompt");
    cache.text().prompt(LENGTH);
    // Twenty directions, each every twentieth token.
    read(cache, LENGTH, 150, (h, t) -> (t * 7 + h) % 20, 1000, -1);
    for (int channel : new int[] {3, 11, 19}) {
      ask(cache, channel);
      for (int h = 0; h < HEADS; h++) {
        int at = h;
        List<Integer> pointing =
            range(0, LENGTH).stream().filter(t -> (t * 7 + at) % 20 == channel).toList();
        assertThat(seen(cache, 2, h))
            .containsAll(pointing)
            .containsAll(range(0, 4))
            .containsAll(range(LENGTH - 32, LENGTH))
            .hasSizeLessThanOrEqualTo(100);
      }
    }
    // The query head that points somewhere decides, though the other one does not.
    assertThat(cache.head(0, 0).unitsHere()).isNotEmpty();
  }

  @Test
  void treesPartAllKeysIntoPagesOfASize() {
    KvCache cache = cache("score=streaming(4) budget=uniform(64) action=similar(16) when=prompt");
    cache.text().prompt(5000);
    SplittableRandom random = new SplittableRandom(1);
    int[] channels = random.ints(5000, 0, SIZE).toArray();
    read(cache, 5000, 1000, (_, t) -> channels[t], 1000, -1);
    CachedHead head = cache.head(0, 1);
    int[] units = IntStream.range(0, head.units()).map(head::unitTokens).toArray();
    assertThat(Arrays.stream(units).sum()).isEqualTo(5000 - 36);
    for (int unit : units) {
      assertThat(unit).isBetween(16, 31);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "score=streaming(4) budget=uniform(96) action=similar(16) when=block(32)",
        "score=window(32) budget=uniform(96) action=sentences(5) when=block(32)",
        "score=window(32) budget=ada(96) action=sentences(5) when=block(32)",
        "score=window(32) budget=pyramid(96,32) action=similar(8) when=block(32)",
        "sentencekv(96)",
        "icecache(25%)"
      })
  void keepsToItsBytesWhileALongTextIsRead(String recipe) {
    KvCache cache = cache(recipe);
    cache.text().prompt(LENGTH);
    SplittableRandom random = new SplittableRandom(2);
    while (cache.length() < LENGTH) {
      int step = Math.min(50, LENGTH - cache.length());
      read(cache, step, step, (h, t) -> (t * 31 + h) % SIZE, 20, -1);
      ask(cache, random.nextInt(SIZE));
      assertThat(account.peak()).isLessThanOrEqualTo(cache.layout().bytes(LENGTH, 50));
    }
    for (int i = 0; i < 60; i++) {
      read(cache, 1, 1, (h, t) -> (t * 31 + h) % SIZE, 20, -1);
      ask(cache, random.nextInt(SIZE));
      assertThat(account.peak()).isLessThanOrEqualTo(cache.layout().bytes(LENGTH + 60, 50));
    }
    CachedHead head = cache.head(0, 0);
    assertThat(seen(cache, 0, 0)).hasSize(head.count() + back(head)).contains(0, LENGTH + 59);
    assertThat(head.units()).isPositive();
    assertThat(seen(cache, 1, 0)).as("a window is left alone").contains(LENGTH + 59, LENGTH + 20);
  }

  private static int back(CachedHead head) {
    return Arrays.stream(head.unitsHere()).map(head::unitTokens).sum();
  }

  @Test
  void memoryDoesNotGrowWithTheText() {
    KvLayout layout =
        cache("score=streaming(4) budget=uniform(96) action=similar(16) when=block(32)").layout();
    KvLayout full = layout.withPolicy(KvPolicy.FULL);
    assertThat(layout.bytes(20_000, 50)).isLessThan(full.bytes(20_000, 50) / 10);
    assertThat(layout.diskBytes(20_000)).isGreaterThanOrEqualTo(full.bytes(20_000 - 96, 1) * 2 / 3);
  }

  @ParameterizedTest
  @CsvSource({
    "score=knorm budget=uniform(64) action=similar(7) when=prompt,8 to 2048 tokens",
    "score=knorm budget=uniform(64) action=sentences(0) when=prompt,1 budget or more",
  })
  void saysWhatWouldWork(String text, String works) {
    assertThatThrownBy(() -> Recipe.of(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(text)
        .hasMessageContaining(works);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sentencekv(64)", "icecache", "icecache(25%)"})
  void isReadAsItIsWritten(String name) {
    KvPolicy recipe = Recipe.of(name);
    assertThat(Recipe.of(recipe.name())).isEqualTo(recipe);
    assertThat(recipe.remembers()).isTrue();
  }
}
