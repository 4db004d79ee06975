package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.store.PrefixFolder;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** A tree that has given its blocks to a store, and one that finds them there. */
class PrefixStoreTest {
  private static final int PAGE = PrefixTreeTest.PAGE;
  private static final int STEP = 13;
  private static final int CAPACITY = 200;
  private static final long LARGE = 1L << 30;
  private static final LayerLayout.Recurrent STATE = new LayerLayout.Recurrent(5000);
  private static final LayerLayout.Heads HEADS = new LayerLayout.Heads(2, 32, 32, 0, 1);
  private static final LayerLayout WINDOW = new LayerLayout.Heads(1, 32, 32, 20, 1);
  private static final LayerLayout LATENT = new LayerLayout.Latent(64, 32, 3);

  static final List<KvLayout> LAYOUTS =
      List.of(
          layout(Formats.F16, 0, HEADS, HEADS),
          layout(Formats.Q8_0, 11, HEADS, HEADS),
          layout(Formats.Q4_0, 0, HEADS, WINDOW),
          layout(Formats.F16, 0, WINDOW, WINDOW),
          layout(Formats.F16, 11, LATENT, HEADS),
          layout(Formats.F16, 0, STATE, STATE),
          layout(Formats.Q8_0, 0, STATE, HEADS),
          layout(
              Formats.F16, 0, WINDOW, new LayerLayout.Both(HEADS, STATE), new LayerLayout.None()));

  private static final KvLayout PLAIN = LAYOUTS.getFirst();

  private static KvLayout layout(Format format, int recent, LayerLayout... layers) {
    return new KvLayout(List.of(layers), format, format, recent, KvPolicy.FULL, PAGE)
        .withCheckpoints(new Checkpoints(4 * PAGE, 6, Formats.F32));
  }

  @TempDir Path directory;
  private final Budget budget = Budget.of("32MiB");
  private final Account kv = budget.account("kv");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  /** A pool with room for some sequences, its tree, and the tree's store. */
  private final class Caches implements AutoCloseable {
    final Lease memory = budget.account("files").lease(PrefixFolder.MEMORY);
    final PrefixFolder folder;
    final KvPool pool;
    final PrefixTree tree;

    Caches(KvLayout layout, int sequences, long most, long arithmetic) {
      folder =
          new PrefixFolder(
              directory,
              most,
              memory.segment(),
              of -> new Fingerprint("m", "n", "s", Fingerprint.formats(of), "full", "1"),
              arithmetic);
      pool = new KvPool(layout, kv, sequences * layout.bytes(CAPACITY, STEP), Path.of("unused"));
      tree = new PrefixTree(pool, budget.account("kv/prefixes"), folder);
    }

    Caches(KvLayout layout) {
      this(layout, 3, LARGE, 1);
    }

    /** Computes a sequence; tokens of it that had to be. */
    int run(int[] tokens, String salt, boolean exact) {
      try (Sequence sequence = new Sequence(this, tokens, salt, exact)) {
        sequence.finish();
        assertThat(seen(sequence.state)).isEqualTo(straight(pool.layout(), tokens));
        return sequence.computed;
      }
    }

    int run(int[] tokens) {
      return run(tokens, "", false);
    }

    void writeAll() {
      try {
        for (PrefixBacklog.Block b = tree.backlog().next(folder);
            b != null;
            b = tree.backlog().next(folder)) {
          assertThat(folder.write(b.key(), b.parts(), b.exact(), b::copy)).isTrue();
          b.saved();
        }
        tree.backlog().used(folder).stream()
            .filter(b -> !folder.touch(b.key()))
            .forEach(PrefixBacklog.Block::lost);
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public void close() {
      tree.close();
      assertThat(pool.livePages()).isZero();
      pool.close();
      folder.close();
      memory.close();
    }
  }

  private static final class Sequence implements AutoCloseable {
    final Caches caches;
    final int[] tokens;
    final boolean exact;
    final SharedPrefix shared;
    final KvPromise promise;
    final SequenceState state;
    int computed;

    Sequence(Caches caches, int[] tokens, String salt, boolean exact) {
      this.caches = caches;
      this.tokens = tokens;
      this.exact = exact;
      KvPool pool = caches.pool;
      int most = (tokens.length - 1) / PAGE;
      shared = caches.tree.find(pool, salt, PrefixTreeTest.block(tokens), most, exact);
      KvShare share = new KvShare(shared.blocks(), true);
      state = pool.sequence(share);
      shared.adopt(state);
      boolean room = pool.hasRoom(CAPACITY, STEP, share);
      while (!room && caches.tree.drop(1) > 0) {
        room = pool.hasRoom(CAPACITY, STEP, share);
      }
      promise = pool.promise(CAPACITY, STEP, share);
      state.prompt(tokens.length);
    }

    void finish() {
      while (state.length() < tokens.length) {
        step(1);
      }
    }

    void step(long bytes) {
      shared.advance(
          state, promise, PrefixTreeTest.block(tokens), (tokens.length - 1) / PAGE, exact, bytes);
      caches.pool.compact();
      if (!shared.isReading()) {
        int from = state.length();
        int n = Math.min(Math.min(STEP, tokens.length - from), state.untilCheckpoint());
        SequenceStateTest.compute(state, Arrays.copyOfRange(tokens, from, from + n));
        state.commit(n);
        computed += n;
        state.kv().encode();
        int prompt = exact ? tokens.length : 0;
        shared.extend(
            state, promise, PrefixTreeTest.block(tokens), Integer.MAX_VALUE, prompt, exact);
        state.compress();
      }
    }

    @Override
    public void close() {
      promise.close();
      shared.inherit(state);
      state.close();
      shared.close();
    }
  }

  /** What the next token sees of a layer: a key and a value, or a state. */
  private record Seen(int layer, int head, int position, List<Float> numbers) {}

  private static List<Seen> seen(SequenceState state) {
    List<Seen> seen = new ArrayList<>();
    KvLayout layout = state.layout();
    for (int l = 0; l < layout.layers().size(); l++) {
      LayerLayout.Heads heads = layout.heads(l);
      int first = heads.kvHeads() == 0 ? 0 : heads.firstSeen(state.length());
      for (int h = 0; h < heads.kvHeads(); h++) {
        CachedHead head = state.kv().head(l, h);
        for (int place = 0; place < head.count(); place++) {
          if (head.position(place) >= first) {
            float[] key = new float[heads.keySize()];
            float[] value = new float[heads.valueSize()];
            head.key(place, key);
            head.value(place, value);
            seen.add(new Seen(l, h, head.position(place), list(key, value)));
          }
        }
      }
      if (layout.layers().get(l).stateBytes() > 0) {
        seen.add(new Seen(l, -1, 0, list(state.state(l).toArray(ValueLayout.JAVA_FLOAT))));
      }
    }
    return seen;
  }

  private static List<Float> list(float[]... arrays) {
    List<Float> list = new ArrayList<>();
    for (float[] array : arrays) {
      for (float number : array) {
        list.add(number);
      }
    }
    return list;
  }

  /** The same of a sequence that has read all of it. */
  private List<Seen> straight(KvLayout layout, int[] tokens) {
    try (KvPool pool = new KvPool(layout, budget.account("straight"));
        SequenceState state = pool.sequence()) {
      for (int from = 0; from < tokens.length; from += STEP) {
        int n = Math.min(STEP, tokens.length - from);
        SequenceStateTest.compute(state, Arrays.copyOfRange(tokens, from, from + n));
        state.commit(n);
        state.settle();
      }
      return seen(state);
    }
  }

  /** {@code length} tokens, of which the first {@code common} are the same for all seeds. */
  private static int[] tokens(int common, int seed, int length) {
    int[] tokens = new SplittableRandom(seed).ints(length, 0, 1000).toArray();
    int[] first = new SplittableRandom(99).ints(common, 0, 1000).toArray();
    System.arraycopy(first, 0, tokens, 0, common);
    return tokens;
  }

  /** Tokens of a text that another one with all of it need not compute. */
  private static int kept(KvLayout layout, int length) {
    int inStoredForm = layout.keyFormat() == Formats.F16 ? length : length - layout.recent();
    return Math.min(length - 1, inStoredForm) / PAGE * PAGE;
  }

  private List<Path> files() {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(f -> f.toString().endsWith(".prefix")).sorted().toList();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private void write(KvLayout layout, int[]... texts) {
    try (Caches caches = new Caches(layout)) {
      for (int[] text : texts) {
        caches.run(text);
      }
      caches.writeAll();
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void anotherTreeFindsWhatOneHasWritten(KvLayout layout) {
    write(layout, tokens(90, 1, 90));
    try (Caches caches = new Caches(layout)) {
      int kept = kept(layout, 90);
      assertThat(caches.run(tokens(90, 1, 90))).isEqualTo(90 - kept);
      assertThat(caches.folder.read()).isEqualTo(kept / PAGE);
      assertThat(caches.run(tokens(90, 1, 95))).as("in memory now").isEqualTo(95 - kept);
      assertThat(caches.folder.read()).isEqualTo(kept / PAGE);
      long written = caches.folder.written();
      caches.writeAll();
      assertThat(caches.folder.written() - written).as("those are there").isLessThanOrEqualTo(1);
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void aSequenceGoesOnInTheMiddleOfWhatIsThere(KvLayout layout) {
    write(layout, tokens(120, 1, 120));
    try (Caches caches = new Caches(layout)) {
      int computed = caches.run(tokens(75, 2, 120));
      int again = caches.run(tokens(120, 1, 120));
      if (layout.longestWindow() == 0) {
        assertThat(computed).isEqualTo(120 - (layout.carriesStates() ? 64 : 72));
        assertThat(again).as("partly in memory").isEqualTo(120 - kept(layout, 120));
      } else { // there was not room for all that windows had seen
        assertThat(computed).isBetween(120 - 72, 120 - 56);
        assertThat(again).isBetween(120 - 112, 120 - 64);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void whatMemoryHasNoRoomForComesFromTheStore(KvLayout layout) {
    try (Caches caches = new Caches(layout, 2, LARGE, 1)) {
      for (int round = 0; round < 3; round++) {
        for (int text = 0; text < 4; text++) {
          int computed = caches.run(tokens(0, text, 180));
          assertThat(computed).isEqualTo(round == 0 ? 180 : 180 - kept(layout, 180));
          caches.writeAll();
        }
      }
      assertThat(caches.folder.read()).isGreaterThan(22);
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void aDamagedFileIsDeletedAndWhatItHadIsComputed(KvLayout layout) throws IOException {
    int[] text = tokens(0, 1, 100);
    write(layout, text);
    SplittableRandom random = new SplittableRandom(3);
    for (int i = 0; i < 20; i++) {
      List<Path> files = files();
      assertThat(files).hasSizeGreaterThanOrEqualTo(kept(layout, 100) / PAGE);
      Path file = files.get(random.nextInt(files.size()));
      byte[] bytes = Files.readAllBytes(file);
      switch (i % 4) {
        case 0 -> bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
        case 2 -> bytes = Arrays.copyOf(bytes, bytes.length + 1);
        default -> bytes = Files.readAllBytes(files.get(random.nextInt(files.size())));
      }
      Files.write(file, bytes);
      try (Caches caches = new Caches(layout)) {
        assertThat(caches.run(text)).isLessThanOrEqualTo(100);
        caches.writeAll();
      }
      try (Caches caches = new Caches(layout)) {
        int computed = caches.run(text);
        assertThat(computed)
            .as("written again, round %d %s", i, file)
            .isEqualTo(100 - kept(layout, 100));
      }
    }
  }

  @Test
  void whatIsOfAnotherSaltLayoutOrArithmeticIsNotFound() {
    int[] text = tokens(0, 1, 100);
    try (Caches caches = new Caches(PLAIN)) {
      assertThat(caches.run(text, "a", true)).isEqualTo(100);
      assertThat(caches.run(text, "b", false)).as("in memory").isEqualTo(100);
      assertThat(caches.run(text, "a", true)).isEqualTo(4);
      caches.writeAll();
    }
    try (Caches caches = new Caches(LAYOUTS.get(1))) {
      assertThat(caches.run(text, "a", false)).isEqualTo(100);
    }
    try (Caches caches = new Caches(PLAIN)) {
      assertThat(caches.run(text, "", false)).isEqualTo(100);
      assertThat(caches.run(text, "b", true)).as("not exact").isEqualTo(100);
      assertThat(caches.run(text, "a", true)).isEqualTo(4);
    }
    try (Caches caches = new Caches(PLAIN, 3, LARGE, 2)) {
      assertThat(caches.run(text, "a", true)).as("to the bit").isEqualTo(100);
    }
    try (Caches caches = new Caches(PLAIN, 3, LARGE, 2)) {
      assertThat(caches.run(text, "a", false)).isEqualTo(4);
    }
  }

  @Test
  void theFolderKeepsWithinItsBytesAndWhatIsUsedStays() {
    write(PLAIN, tokens(0, 0, 100));
    long chain = files().stream().mapToLong(f -> f.toFile().length()).sum();
    int kept = 0;
    for (int text = 1; text < 9; text++) {
      try (Caches caches = new Caches(PLAIN, 3, 3 * chain, 1)) {
        kept += caches.run(tokens(0, 0, 100)) == 4 ? 1 : 0;
        caches.run(tokens(0, text, 100));
        caches.writeAll();
        long bytes = files().stream().mapToLong(f -> f.toFile().length()).sum();
        assertThat(bytes).isLessThanOrEqualTo(3 * chain).isEqualTo(caches.folder.bytes());
      }
    }
    assertThat(kept).isEqualTo(8);
    try (Caches caches = new Caches(PLAIN)) {
      assertThat(caches.run(tokens(0, 8, 100))).isEqualTo(4);
      assertThat(caches.run(tokens(0, 1, 100))).isEqualTo(100);
    }
  }

  @Test
  void twoOfOneFolderCountTogetherAndFindEachOthers() {
    long chain;
    try (Caches one = new Caches(PLAIN);
        Caches two = new Caches(PLAIN)) {
      one.run(tokens(0, 1, 100));
      one.writeAll();
      chain = one.folder.bytes();
      two.run(tokens(0, 2, 100));
      two.writeAll();
      assertThat(two.folder.bytes()).isEqualTo(2 * chain);
      assertThat(one.run(tokens(0, 2, 100))).isEqualTo(4);
      assertThat(two.run(tokens(0, 1, 100))).isEqualTo(4);
    }
    assertThat(files().stream().mapToLong(f -> f.toFile().length()).sum()).isEqualTo(2 * chain);
  }

  @Test
  void whatTheTreeGivesUpWhileItIsWrittenIsNotThere() throws IOException {
    int[] text = tokens(0, 1, 100);
    try (Caches caches = new Caches(PLAIN)) {
      caches.run(text);
      PrefixBacklog.Block first = caches.tree.backlog().next(caches.folder);
      assertThat(first).isNotNull();
      boolean written =
          caches.folder.write(
              first.key(),
              first.parts(),
              false,
              (part, from, bytes, into, at) -> {
                caches.tree.drop(Long.MAX_VALUE);
                return first.copy(part, from, bytes, into, at);
              });
      assertThat(written).isFalse();
      assertThat(files()).isEmpty();
      assertThat(caches.folder.bytes()).isZero();
      assertThat(caches.tree.backlog().next(caches.folder)).isNull();
      assertThat(caches.run(text)).isEqualTo(100);
      caches.writeAll();
    }
    try (Caches caches = new Caches(PLAIN)) {
      assertThat(caches.run(text)).isEqualTo(4);
    }
  }

  @Test
  void whoStopsReadingKeepsNothing() {
    write(PLAIN, tokens(0, 1, 100));
    try (Caches caches = new Caches(PLAIN);
        Sequence sequence = new Sequence(caches, tokens(0, 1, 100), "", false)) {
      sequence.step(1);
      assertThat(sequence.shared.isReading()).isTrue();
      assertThat(caches.pool.livePages()).isPositive();
      sequence.shared.stopReading();
      assertThat(caches.pool.livePages()).isZero();
      sequence.finish();
      assertThat(sequence.computed).isEqualTo(4);
    }
  }
}
