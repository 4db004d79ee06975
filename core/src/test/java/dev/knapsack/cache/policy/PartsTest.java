package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What each part of a recipe does with keys and attention that were made for it. */
class PartsTest {
  private static final int SIZE = 8;
  private static final int LAYERS = 3;
  private static final int HEADS = 2;
  private static final int GROUP = 2;

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

  /** What a made sequence has at a token. */
  private interface Vectors {
    float at(int layer, int head, int token, int channel);
  }

  /** What a query row looks at. */
  private interface Attention {
    float at(int layer, int query, int row, int token);
  }

  private static final Attention EVEN = (_, _, row, _) -> 1f / (row + 1);

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");
  private final List<AutoCloseable> open = new ArrayList<>();
  private final List<KvPool> pools = new ArrayList<>();
  private int observed;

  @AfterEach
  void nothingIsLeft() throws Exception {
    for (AutoCloseable closeable : open.reversed()) {
      closeable.close();
    }
    assertThat(account.used()).isZero();
  }

  private KvCache cache(KvPolicy made) {
    KvPolicy policy = CalibratedPartsTest.given(made);
    KvLayout.Layer layer = new KvLayout.Layer(HEADS, SIZE, SIZE, 0, GROUP);
    KvLayout.Layer window = new KvLayout.Layer(HEADS, SIZE, SIZE, 40, GROUP);
    KvLayout layout =
        new KvLayout(List.of(layer, window, layer, layer), Formats.F32, Formats.F32, 0, policy, 16);
    KvPool pool = new KvPool(layout, account);
    open.add(pool);
    pools.add(pool);
    KvCache cache = pool.cache();
    open.add(cache);
    return cache;
  }

  private void read(KvCache cache, int tokens, int step, Vectors vectors, Attention attention) {
    int end = cache.length() + tokens;
    while (cache.length() < end) {
      step(cache, Math.min(step, end - cache.length()), vectors, attention);
    }
  }

  private void step(KvCache cache, int added, Vectors vectors, Attention attention) {
    int first = cache.length();
    int ahead = first + added == cache.promptEnd() ? cache.lookahead(Integer.MAX_VALUE) : 0;
    int tokens = added + ahead;
    cache.reserve(tokens);
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      float[] numbers = new float[tokens * HEADS * SIZE];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = vectors.at(l, i / SIZE % HEADS, first + i / (HEADS * SIZE), i % SIZE);
      }
      Matrix rows = new Matrix(Formats.F32, tokens, HEADS * SIZE, MemorySegment.ofArray(numbers));
      cache.append(l, 0, rows, rows, 0, tokens);
      int layer = l;
      cache.observe(
          l,
          new SeenStep(
              first,
              tokens,
              (row, kvHead, _, out) -> {
                observed++;
                assertThat(cache.layout().layers().get(layer).window()).isZero();
                CachedHead head = cache.head(layer, kvHead);
                for (int i = 0; i < out.columns(); i++) {
                  int token = i < head.count() ? head.position(i) : first + i - head.count();
                  for (int g = 0; g < GROUP; g++) {
                    out.data()
                        .setAtIndex(
                            ValueLayout.JAVA_FLOAT,
                            (long) g * out.columns() + i,
                            token > first + row
                                ? 0
                                : attention.at(layer, kvHead * GROUP + g, first + row, token));
                  }
                }
              },
              (position, kvHead, out) -> {
                for (int i = 0; i < out.length; i++) {
                  out[i] = vectors.at(layer, kvHead, position, i % SIZE) + i / SIZE;
                }
              },
              null,
              (position, kvHead) -> 1 + position % 3 + kvHead));
    }
    cache.commit(tokens - ahead);
    cache.settle();
  }

  private static int[] positions(KvCache cache, int layer, int head) {
    CachedHead cached = cache.head(layer, head);
    return IntStream.range(0, cached.count()).map(cached::position).toArray();
  }

  private static int[] range(int from, int to) {
    return IntStream.range(from, to).toArray();
  }

  private static Vectors random(long seed) {
    return (layer, head, token, channel) ->
        new SplittableRandom(seed + channel + 100L * (head + 10L * (layer + 10L * token)))
            .split()
            .nextFloat(-1, 1);
  }

  private static Attention randomAttention(long seed) {
    return (layer, query, row, token) ->
        new SplittableRandom(seed + query + 10L * (layer + 10L * (token + 1000L * row)))
            .split()
            .nextFloat();
  }

  @ParameterizedTest
  @FieldSource("RECIPES")
  void keepsToItsBytesAndItsTokens(String name) {
    Recipe recipe = (Recipe) Recipe.of(name);
    KvCache cache = cache(recipe);
    cache.prompt(300);
    for (int step : new int[] {50, 100, 37, 100, 13}) {
      step(cache, step, random(1), randomAttention(2));
      assertThat(account.peak()).isLessThanOrEqualTo(cache.layout().bytes(300, 100));
      for (int l : new int[] {0, 2, 3}) {
        assertThat((long) cache.head(l, 0).count() + cache.head(l, 1).count())
            .isLessThanOrEqualTo(recipe.together(cache.layout(), l, 300));
      }
      for (int l = 0; l <= LAYERS; l++) {
        assertThat(cache.head(l, 0).count())
            .isLessThanOrEqualTo(l == 1 ? 40 + 100 + 16 : recipe.most(300));
      }
    }
    pools.getLast().compact();
    long after = account.used();
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
    step(cache, 1, random(1), randomAttention(2));
    assertThat(positions(cache, 0, 0)).endsWith(300);
  }

  @ParameterizedTest
  @FieldSource("RECIPES")
  void asManyTokensAsThereAreAreAllOfThem(String name) {
    KvCache cache =
        cache(Recipe.of(name.replace("64", "300").replace("60", "296").replaceAll("2.%", "100%")));
    cache.prompt(300);
    read(cache, 300, 70, random(3), randomAttention(4));
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
      KvCache cache = cache(Recipe.of(name));
      cache.prompt(300);
      read(cache, 300, step, random(1), randomAttention(2));
      List<int[]> kept =
          List.of(positions(cache, 0, 0), positions(cache, 2, 1), positions(cache, 3, 0));
      expected = expected == null ? kept : expected;
      for (int i = 0; i < kept.size(); i++) {
        assertThat(kept.get(i)).as("step %d", step).containsExactly(expected.get(i));
      }
    }
  }

  @Test
  void knormKeepsTheShortestKeys() {
    KvCache cache = cache(Recipe.of("score=knorm budget=uniform(20) action=evict when=block(1)"));
    // Every fifth is short, with either sign.
    read(
        cache,
        100,
        100,
        (_, _, token, c) -> (c % 2 == 0 ? -1 : 1) * (token % 5 == 2 ? 1 : 3),
        EVEN);
    assertThat(positions(cache, 0, 1)).containsExactly(range(0, 20, 5, 2));
    assertThat(observed).as("it looks at no attention").isZero();
  }

  private static int[] range(int from, int count, int by, int at) {
    return IntStream.range(from, count).map(i -> i * by + at).toArray();
  }

  @Test
  void keydiffKeepsKeysThatPointElsewhere() {
    KvCache cache = cache(Recipe.of("score=keydiff budget=uniform(10) action=evict when=block(1)"));
    // Long keys in one direction, short ones in two others.
    read(
        cache,
        100,
        100,
        (_, _, token, c) ->
            token % 10 == 4 ? (c == 1 + token / 10 % 2 ? 0.1f : 0) : c == 0 ? 5 + token : 0.5f,
        EVEN);
    assertThat(positions(cache, 2, 0)).containsExactly(range(0, 10, 10, 4));
    assertThat(observed).isZero();
  }

  @Test
  void lagkvKeepsWhatDiffersFromWhatFollowsAndTheEnds() {
    int length = LagRelative.SINKS + 3 * LagRelative.LAG + 10;
    int kept = LagRelative.SINKS + LagRelative.LAG + 10 + 16;
    KvCache cache =
        cache(
            Recipe.of("score=lagkv budget=uniform(%d) action=evict when=block(1)".formatted(kept)));
    // Two chunks are ranked; in each, eight tokens have a channel out of the next chunk's range.
    read(
        cache,
        length,
        length,
        (_, _, token, c) ->
            (token - LagRelative.SINKS) % 16 == 3
                    && c == token % SIZE
                    && token < LagRelative.SINKS + 2 * LagRelative.LAG
                ? (token < LagRelative.SINKS + LagRelative.LAG ? 900 : 30)
                : (float) Math.sin(token * 7 + c),
        EVEN);
    int[] expected =
        IntStream.concat(
                IntStream.range(0, LagRelative.SINKS),
                IntStream.concat(
                    Arrays.stream(range(0, 16, 16, LagRelative.SINKS + 3)),
                    IntStream.range(LagRelative.SINKS + 2 * LagRelative.LAG, length)))
            .toArray();
    assertThat(positions(cache, 3, 1)).containsExactly(expected);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 30, 200})
  void h2oKeepsHeavyHittersThatNobodyLooksAtAnyMore(int step) {
    KvCache cache = cache(Recipe.of("score=h2o(10) budget=uniform(14) action=evict when=step"));
    cache.prompt(200);
    // Four tokens were looked at in the middle of the prompt; one query head of two looked.
    read(
        cache,
        200,
        step,
        random(1),
        (layer, query, row, token) ->
            query % GROUP == 1 && row < 100 && token % 20 == 7 && token < 80 ? 0.2f : 0.001f);
    assertThat(positions(cache, 0, 0))
        .containsExactly(7, 27, 47, 67, 190, 191, 192, 193, 194, 195, 196, 197, 198, 199);
    // A token of the answer that is looked at takes a place.
    read(cache, 40, 1, random(1), (_, _, _, token) -> token == 205 ? 5 : 0.001f);
    assertThat(positions(cache, 0, 0)).contains(205, 239).hasSize(14);
    assertThat(observed)
        .as("every row, where a layer sees everything")
        .isEqualTo(240 * LAYERS * HEADS);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 30, 101})
  void scissorhandsDropsHalfAtOnceAndKeepsWhatIsOftenLookedAt(int step) {
    KvCache cache =
        cache(Recipe.of("score=pivotal(50,4) budget=uniform(100) action=evict when=half"));
    // Every tenth gets more than its share of each row; one much more, but of few rows.
    Attention attention =
        (_, _, row, token) ->
            token == 33 && row % 10 == 0
                ? 1
                : token % 10 == 1 || (token < 60 && row % 5 == 0 && token != 33)
                    ? 2f / (row + 1)
                    : 0.5f / (row + 1);
    read(cache, 100, step, random(1), attention);
    assertThat(cache.head(0, 0).count()).as("as many as it may keep").isEqualTo(100);
    step(cache, 1, random(1), attention);
    assertThat(positions(cache, 0, 0))
        .hasSize(50)
        .contains(range(0, 10, 10, 1))
        .endsWith(97, 98, 99, 100)
        .doesNotContain(33);
    read(cache, 50, 1, random(1), attention);
    assertThat(cache.head(0, 0).count()).as("it fills up again").isEqualTo(100);
    step(cache, 1, random(1), attention);
    assertThat(positions(cache, 0, 0)).hasSize(50).contains(range(0, 15, 10, 1));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 9, 50, 200})
  void snapkvKeepsWhatTheLastRowsLookAt(int step) {
    KvCache cache =
        cache(Recipe.of("score=window(16) budget=uniform(26) action=evict when=prompt"));
    cache.prompt(200);
    // Much attention before the window counts nothing; neighbours of what counts are kept too.
    read(
        cache,
        200,
        step,
        random(1),
        (_, query, row, token) ->
            row < 184
                ? (token == 20 ? 1 : 0)
                : token == 50 || token == 120 + query / GROUP ? 0.3f : 0);
    assertThat(positions(cache, 2, 0))
        .startsWith(48, 49, 50, 51, 52, 118, 119, 120, 121, 122, 184)
        .hasSize(26);
    assertThat(positions(cache, 2, 1)).startsWith(48, 49, 50, 51, 52, 119, 120, 121, 122, 123, 184);
    int gathered = observed;
    assertThat(gathered)
        .isBetween(16 * LAYERS * HEADS, Math.max(16, Math.min(32, 15 + step)) * LAYERS * HEADS);
    read(cache, 20, 1, random(1), EVEN);
    assertThat(observed).as("nothing is looked at any more").isEqualTo(gathered);
    assertThat(positions(cache, 2, 0)).as("once").hasSize(46).endsWith(219);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 9, 50, 200})
  void dapqKeepsWhatRowsAfterThePromptLookAt(int step) {
    KvCache cache = cache(Recipe.of("score=ahead(8) budget=uniform(10) action=evict when=prompt"));
    cache.prompt(200);
    // Rows of the prompt look at one token, those after it at others, the last of it not at all.
    Attention attention =
        (_, query, row, token) ->
            row < 200
                ? (token == 20 ? 1 : 0)
                : token == 50 || token == 120 + query / GROUP ? 0.3f : 0;
    read(cache, 200, step, random(1), attention);
    assertThat(cache.length()).as("nothing of them is kept").isEqualTo(200);
    assertThat(positions(cache, 2, 0)).containsExactly(48, 49, 50, 51, 52, 118, 119, 120, 121, 122);
    assertThat(positions(cache, 2, 1)).containsExactly(48, 49, 50, 51, 52, 119, 120, 121, 122, 123);
    int gathered = observed;
    read(cache, 20, 1, random(1), EVEN);
    assertThat(observed).as("nothing is looked at any more").isEqualTo(gathered);
    assertThat(positions(cache, 2, 0)).hasSize(30).endsWith(219);
  }

  @Test
  void aWindowThatHasJustBegunCountsTheOneBefore() {
    KvCache cache =
        cache(Recipe.of("score=window(8) budget=uniform(13) action=evict when=block(1)"));
    cache.prompt(1000);
    // The row 104 begins a window.
    read(cache, 105, 105, random(1), (_, _, row, token) -> row < 104 ? (token == 50 ? 1 : 0) : 0);
    assertThat(positions(cache, 0, 0)).startsWith(48, 49, 50, 51, 52).endsWith(range(97, 105));
  }

  @Test
  void aPyramidHasMoreTokensInTheFirstLayers() {
    KvCache cache = cache(Recipe.of("pyramidkv(72)"));
    cache.prompt(400);
    read(cache, 400, 100, random(1), randomAttention(1));
    // 32 of the window and 40 on average: 78, 40 and 2; the layer with a window is none of them.
    assertThat(cache.head(0, 1).count()).isEqualTo(32 + 78);
    assertThat(cache.head(2, 0).count()).isEqualTo(32 + 40);
    assertThat(cache.head(3, 1).count()).isEqualTo(32 + 2);
    assertThat(positions(cache, 3, 1)).endsWith(range(368, 400));
  }

  @ParameterizedTest
  @CsvSource({"100,1000,28", "100,120,28", "40,50,4", "1000,900,28", "64,200,2"})
  void aPyramidKeepsWhatItSaysOnAverage(int average, int length, int layers) {
    Pyramid pyramid = new Pyramid(Size.of(average + 32), 32);
    int sum = 0;
    int before = Integer.MAX_VALUE;
    for (int l = 0; l < layers; l++) {
      int tokens = Pyramid.past(average, length, l, layers);
      assertThat(tokens).isBetween(0, before);
      assertThat(Math.min(tokens, length) + 32).isLessThanOrEqualTo(pyramid.most(length + 32));
      before = tokens;
      sum += tokens;
    }
    assertThat(sum).isBetween(layers * (average - 1), layers * average);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aPlanKnowsWhatEachLayerOfAPyramidHolds(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < 50; i++) {
      int window = random.nextInt(20);
      int length = random.nextInt(30, 300);
      Size size =
          random.nextBoolean()
              ? Size.of(window + 1 + random.nextInt(100))
              : new Size(0, random.nextInt(1, 10_000));
      KvCache cache =
          cache(
              new Recipe(
                  new Scorer.Streaming(1),
                  new Pyramid(size, window),
                  Action.EVICT,
                  new Trigger.Block(1)));
      if (random.nextBoolean()) {
        cache.prompt(length);
      }
      long[] bound = new long[LAYERS + 1];
      for (int l : new int[] {0, 2, 3}) {
        bound[l] = cache.layout().policy().together(cache.layout(), l, length);
      }
      long sum = bound[0] + bound[2] + bound[3];
      // Half of the layers are bound by the average, the other half by twice that at most.
      assertThat(sum).isLessThanOrEqualTo((long) LAYERS * HEADS * (3 * size.most(length) / 2 + 1));
      while (cache.length() < length) {
        step(cache, Math.min(7, length - cache.length()), (_, _, _, _) -> 0, EVEN);
        for (int l : new int[] {0, 2, 3}) {
          assertThat((long) HEADS * cache.head(l, 0).count())
              .as("%s of %d in layer %d", cache.layout().policy(), cache.length(), l)
              .isLessThanOrEqualTo(bound[l]);
        }
      }
    }
  }

  @Test
  void aPlanCountsALayerWhoseHeadsDifferAsOne() {
    KvLayout ada =
        cache(Recipe.of("score=h2o(8) budget=ada(64) action=evict when=block(1)")).layout();
    KvLayout alike =
        ada.withPolicy(Recipe.of("score=h2o(8) budget=uniform(64) action=evict when=block(1)"));
    KvLayout full = ada.withPolicy(KvPolicy.FULL);
    // A page more for each head at most, and weights of a head that may have all tokens.
    long page = 2L * 16 * SIZE * Float.BYTES;
    long weights = (long) Float.BYTES * GROUP * 3000;
    assertThat(ada.bytes(3000, 10))
        .isBetween(
            alike.bytes(3000, 10), alike.bytes(3000, 10) + LAYERS * HEADS * page + 2 * weights)
        .isLessThan(full.bytes(3000, 10) / 10);
  }

  @Test
  void cakeGivesMoreToLayersThatLookAtManyTokensAndAtOthersInEachRow() {
    KvCache cache =
        cache(Recipe.of("score=varied(10,200) budget=cake(60,10,1,1) action=evict when=prompt"));
    cache.prompt(300);
    // All layers look at one token in a row: the first at others by turns, the last at the same.
    Attention attention =
        (layer, _, row, token) -> {
          int center = layer == 0 ? row * 13 % 200 : layer == 2 ? row % 2 * 100 : 50;
          return Math.abs(token - center) < 5 ? 0.05f : token == 290 ? 0.5f : 0.0001f;
        };
    read(cache, 300, 70, random(1), attention);
    int first = cache.head(0, 0).count();
    int last = cache.head(3, 0).count();
    assertThat(first).isGreaterThan(cache.head(2, 0).count()).isGreaterThan(100);
    assertThat(last).isLessThan(cache.head(2, 0).count()).isLessThan(20);
    assertThat(first + cache.head(2, 0).count() + last).isBetween(3 * 60 - 3, 3 * 60);
    assertThat(positions(cache, 0, 0)).endsWith(range(290, 300));
  }

  @ParameterizedTest
  @CsvSource({"1,1,40,40", "3,1,60,20", "9,1,70,10", "0,0,40,40", "1,0,70,10"})
  void whatALayerCannotUseIsSharedByTheOthers(double one, double other, double most, double least) {
    double[] shares = LayerPreference.shares(new double[] {one, Double.NaN, other}, 40, 70);
    assertThat(shares).containsExactly(most, Double.NaN, least);
  }

  @Test
  void cakeKeepsWhatIsLookedAtByTurns() {
    KvCache cache =
        cache(Recipe.of("score=varied(10,200) budget=uniform(15) action=evict when=prompt"));
    cache.prompt(200);
    // As much attention on average, but the second token has it from two rows of ten.
    read(
        cache,
        200,
        200,
        random(1),
        (_, _, row, token) ->
            token == 50 ? 0.02f : token == 120 ? (row % 10 < 2 ? 0.1f : 0) : 0.0001f);
    assertThat(positions(cache, 2, 0)).startsWith(118, 119, 120, 121, 122, 190).hasSize(15);
  }

  @Test
  void momentsAreThoseOfEachQueryHead() {
    KvCache cache =
        cache(Recipe.of("score=varied(4,200) budget=uniform(900) action=evict when=step"));
    cache.prompt(40);
    Attention attention = randomAttention(5);
    read(cache, 40, 9, random(1), attention);
    Moments.OfTokens moments = new Moments(4).of(cache.head(2, 1));
    for (int token : new int[] {0, 20, 35}) {
      double mean = 0;
      double variance = 0;
      double entropy = 0;
      for (int query = GROUP; query < 2 * GROUP; query++) {
        double[] weights = new double[4];
        for (int r = 0; r < 4; r++) {
          weights[r] = attention.at(2, query, 36 + r, token);
          entropy -= weights[r] * Math.log(weights[r]) / GROUP;
        }
        double own = Arrays.stream(weights).average().orElseThrow();
        mean += own / GROUP;
        variance += Arrays.stream(weights).map(w -> (w - own) * (w - own)).sum() / 3 / GROUP;
      }
      assertThat(moments.mean()[token]).isCloseTo((float) mean, within(1e-5f));
      assertThat(moments.variance()[token]).isCloseTo((float) variance, within(1e-5f));
      assertThat(moments.entropy()[token]).isCloseTo((float) entropy, within(1e-5f));
    }
  }

  @Test
  void elasticMergesWhatGoesIntoTheNearestAndThenForgets() {
    KvCache cache =
        cache(Recipe.of("score=elastic(2,4) budget=uniform(8) action=nearest when=step"));
    cache.prompt(40);
    Vectors position = (_, _, token, _) -> token;
    read(cache, 40, 15, position, (_, _, _, token) -> token == 10 || token == 20 ? 0.4f : 0.01f);
    // Two first, two that are looked at, and four last.
    assertThat(positions(cache, 0, 0)).containsExactly(0, 1, 10, 20, 36, 37, 38, 39);
    float[] expected = {0, 3, 10.5f, 22, 32.5f, 37, 38, 39};
    float[] numbers = new float[SIZE];
    for (int i = 0; i < expected.length; i++) {
      cache.head(0, 0).key(i, numbers);
      assertThat(numbers).as("key %d", i).containsOnly(expected[i]);
      cache.head(0, 0).value(i, numbers);
      assertThat(numbers).as("value %d", i).containsOnly(expected[i]);
    }
    int gathered = observed;
    step(cache, 1, position, EVEN);
    assertThat(positions(cache, 0, 0)).containsExactly(0, 1, 10, 20, 37, 38, 39, 40);
    step(cache, 1, position, EVEN);
    assertThat(positions(cache, 0, 0)).containsExactly(0, 1, 10, 20, 38, 39, 40, 41);
    cache.head(0, 0).key(3, numbers);
    assertThat(numbers).as("nothing is merged any more").containsOnly(22);
    assertThat(observed).as("nor looked at").isEqualTo(gathered);
  }

  @Test
  void kvmergerMakesOneOfTokensInARowWhoseKeysPointTheSameWay() {
    KvCache cache =
        cache(Recipe.of("score=h2o(2) budget=uniform(8) action=runs(0.75) when=prompt"));
    cache.prompt(30);
    // Two heavy tokens; runs of five with one direction each, of lengths that differ.
    Vectors vectors =
        (_, _, token, c) -> c == token / 5 ? token % 5 == 2 ? 1 : token % 5 == 4 ? 3 : 2 : 0;
    read(
        cache,
        30,
        30,
        vectors,
        (_, _, _, token) ->
            token == 3 || token == 13 ? 9 : token % 5 == 2 ? 0.5f + token / 100f : 0.01f);
    // Half is kept as it is: two heavy and two last; the runs with the best pivots are merged.
    assertThat(positions(cache, 0, 0)).containsExactly(2, 3, 7, 12, 13, 17, 28, 29);
    CachedHead head = cache.head(0, 0);
    float[] numbers = new float[SIZE];
    head.key(4, numbers);
    assertThat(numbers[2]).as("heavy ones are not merged").isEqualTo(2);
    // Distances from the pivot, of length 1: 1 1 0 1 2, whose mean square is 7/4.
    double near = Math.exp(-1 / 3.5);
    double far = Math.exp(-4 / 3.5);
    head.key(2, numbers);
    assertThat(numbers[1])
        .isCloseTo((float) ((1 + 3 * 2 * near + 3 * far) / (1 + 3 * near + far)), within(1e-5f));
    head.value(2, numbers);
    assertThat(numbers[1])
        .isCloseTo((float) ((1 + 3 * 2 * near + 3 * far) / (1 + 3 * near + far)), within(1e-5f));
    assertThat(numbers[3]).isZero();
    // The heavy token of the run 10…14 parts it: its pivot takes what stands before.
    head.key(3, numbers);
    assertThat(numbers[2])
        .isCloseTo(
            (float) ((1 + 2 * 2 * Math.exp(-0.5)) / (1 + 2 * Math.exp(-0.5))), within(1e-5f));
  }

  @Test
  void keysThatPointElsewhereAreNotMerged() {
    KvCache cache =
        cache(Recipe.of("score=h2o(1) budget=uniform(6) action=runs(0.75) when=prompt"));
    cache.prompt(20);
    read(
        cache,
        20,
        20,
        (_, _, token, c) -> c == token % SIZE ? 2 : 0,
        (_, _, _, token) -> token % 4 == 1 ? 1 + token / 10f : 0.01f);
    assertThat(positions(cache, 0, 0)).hasSize(6).contains(9, 13, 17, 19);
    float[] numbers = new float[SIZE];
    for (int i = 0; i < 6; i++) {
      cache.head(0, 0).key(i, numbers);
      assertThat(numbers[cache.head(0, 0).position(i) % SIZE]).isEqualTo(2);
    }
  }

  @Test
  void adakvGivesMoreToHeadsThatSpreadTheirAttention() {
    KvCache cache = cache(Recipe.of("score=window(4) budget=ada(50) action=evict when=prompt"));
    cache.prompt(300);
    // The first head looks at one token, the second at all.
    read(
        cache,
        300,
        100,
        random(1),
        (_, query, row, token) -> query < GROUP ? (token == 9 ? 1 : 0) : 1f / row);
    // Five share the first head's token; a fifth of the average is left to it beside the window.
    assertThat(cache.head(0, 0).count()).isEqualTo(10);
    assertThat(positions(cache, 0, 0)).startsWith(7, 8, 9, 10, 11).endsWith(296, 297, 298, 299);
    assertThat(cache.head(0, 1).count()).isEqualTo(90);
  }

  @Test
  void headsTakeTheBestOfTheLayerInTurnAndNoMoreThanTheyHave() {
    Adaptive ada = new Adaptive(Size.of(5));
    float inf = Float.POSITIVE_INFINITY;
    assertThat(ada.divide(5, new float[][] {{9, 8, 7, 6, 5, 4, 3}, {1, 1, 1, 1, 1, 2, 2}}))
        .containsExactly(7, 3);
    assertThat(ada.divide(5, new float[][] {{inf, inf, 1, 1, 1, 1, 1}, {inf, inf, 1, 1, 1, 1, 1}}))
        .containsExactly(5, 5);
    assertThat(ada.divide(5, new float[][] {{1, 2}, {3, 3, 3, 3, 3, 3, 3, 3, 3}}))
        .containsExactly(1, 9);
    assertThat(ada.divide(5, new float[][] {{1, 2}, {3, 4}})).containsExactly(2, 2);
    assertThat(ada.divide(5, new float[][] {{Float.NaN, 2, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0}}))
        .containsExactly(6, 4);
  }

  @Test
  void aShareIsOfThePromptFromItsFirstStepOn() {
    KvCache cache =
        cache(Recipe.of("score=streaming(2) budget=uniform(25%) action=evict when=block(8)"));
    cache.prompt(201);
    for (int i = 0; i < 10; i++) {
      read(cache, 20, 20, random(1), EVEN);
      assertThat(cache.head(0, 0).count()).isLessThanOrEqualTo(51 + 7);
    }
    read(cache, 100, 1, random(1), EVEN);
    assertThat(cache.head(0, 0).count()).isBetween(51, 58);
    assertThat(Size.read("25%").orElseThrow().most(201)).isEqualTo(51);
    assertThat(Size.read("100%").orElseThrow().most(Integer.MAX_VALUE))
        .isEqualTo(Integer.MAX_VALUE);
  }

  @Test
  void aStepThatFailedLeavesNoScores() {
    KvCache cache = cache(Recipe.of("score=h2o(1) budget=uniform(4) action=evict when=block(1)"));
    read(cache, 4, 4, random(1), (_, _, _, _) -> 0);
    cache.reserve(2);
    cache.observe(0, new SeenStep(4, 2, (_, _, _, out) -> out.data().fill((byte) 1)));
    assertThat(cache.head(0, 0).scores(0, 6)).doesNotContain(0);
    cache.reserve(1);
    assertThat(cache.head(0, 0).scores(0, 6)).endsWith(0, 0);
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
