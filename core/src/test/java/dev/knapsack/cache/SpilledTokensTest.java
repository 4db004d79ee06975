package dev.knapsack.cache;

import static dev.knapsack.cache.KvCacheTest.check;
import static dev.knapsack.cache.KvCacheTest.grow;
import static dev.knapsack.cache.KvCacheTest.sequence;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.SpillException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

class SpilledTokensTest {
  private static final int PAGE = 8;
  private static final int RESIDENT = 40;
  private static final int BLOCK = SpilledTokens.PAGES * PAGE;

  /** Layers that keep all, and one with a window between them. */
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
            PAGE)
        .withResident(RESIDENT);
  }

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");
  @TempDir Path folder;

  static final List<List<Format>> PAIRS =
      List.of(
          List.of(Formats.F32, Formats.F32),
          List.of(Formats.F16, Formats.Q8_0),
          List.of(Formats.Q4_0, Formats.Q4_0));

  @ParameterizedTest
  @FieldSource("PAIRS")
  void allTokensAreReadWhereverTheyLie(List<Format> formats) throws IOException {
    Random random = new Random(formats.hashCode());
    KvLayout layout = layout(formats.get(0), formats.get(1));
    try (KvPool pool = new KvPool(layout, account, folder)) {
      try (KvCache cache = pool.cache()) {
        int step = 70;
        while (cache.length() < 1000) {
          grow(cache, 1, 1 + random.nextInt(step));
          assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(cache.length(), step));
          cache.encode();
          cache.compress();
          pool.compact();
          checkWindowed(cache);
          int inMemory = cache.length() - cache.spill().tokens();
          assertThat(inMemory).isLessThan(RESIDENT + BLOCK);
          assertThat(cache.spill().tokens() % BLOCK).isZero();
        }
        assertThat(cache.spill().tokens()).isGreaterThan(800);
        assertThat(layout.diskBytes(cache.length()))
            .isEqualTo(cache.spill().tokens() / BLOCK * SpilledTokens.blockBytes(layout));
        assertThat(layout.bytes(20_000, step))
            .isEqualTo(layout.bytes(1000, step))
            .isLessThan(layout.withResident(0).bytes(20_000, step) / 10);
        assertThat(Files.list(folder)).as("files without names").isEmpty();
      }
    }
    assertThat(account.used()).isZero();
  }

  /** All tokens, but for what the window has forgotten. */
  private static void checkWindowed(KvCache cache) {
    check(cache, sequence(1, cache.length()));
  }

  @Test
  void goesBackToWhereverItWas() {
    KvLayout layout =
        new KvLayout(
                List.of(new LayerLayout.Heads(2, 32, 32, 0, 1)),
                Formats.F16,
                Formats.F16,
                0,
                KvPolicy.FULL,
                PAGE)
            .withResident(RESIDENT);
    try (KvPool pool = new KvPool(layout, account, folder);
        KvCache cache = pool.cache()) {
      for (int kept : new int[] {700, 690, 5 * BLOCK, 4 * BLOCK + 1, 4 * BLOCK - 1, BLOCK, 3, 0}) {
        cache.back(0);
        for (int i = 0; i < 10; i++) {
          grow(cache, 1, 70);
          cache.encode();
          cache.compress();
        }
        assertThat(cache.back(kept)).isEqualTo(kept);
        check(cache, sequence(1, kept));
        grow(cache, 2, 90);
        cache.encode();
        cache.compress();
        check(cache, sequence(1, kept, 2, 90));
        grow(cache, 3, 200);
        cache.encode();
        cache.compress();
        check(cache, sequence(1, kept, 2, 90, 3, 200));
      }
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void sequencesWithTheSameBeginningGoOnAlone() {
    try (KvPool pool = new KvPool(layout(Formats.F16, Formats.F16), account, folder);
        KvCache cache = pool.cache()) {
      for (int i = 0; i < 6; i++) {
        grow(cache, 1, 60);
        cache.encode();
        cache.compress();
      }
      try (KvCache fork = cache.fork()) {
        for (int i = 0; i < 5; i++) {
          grow(fork, 2, 60);
          fork.encode();
          fork.compress();
          grow(cache, 3, 60);
          cache.encode();
          cache.compress();
        }
        check(fork, sequence(1, 360, 2, 300));
        check(cache, sequence(1, 360, 3, 300));
      }
      grow(cache, 1, 10);
      check(cache, sequence(1, 360, 3, 300, 1, 10));
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void recentTokensStayAsTheyWereComputed() {
    KvLayout layout = layout(Formats.Q8_0, Formats.Q4_0).withRecent(20);
    int step = 50;
    try (KvPool pool = new KvPool(layout, account, folder);
        KvCache cache = pool.cache()) {
      while (cache.length() < 700) {
        grow(cache, 1, step);
        assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(cache.length(), step));
        cache.encode();
        cache.compress();
        pool.compact();
      }
      assertThat(cache.spill().tokens()).isGreaterThan(400);
      int seen = 0;
      for (var pieces = cache.pieces(0, 0); pieces.hasNext(); ) {
        for (var span : pieces.next()[1]) {
          assertThat(span.start()).isEqualTo(seen);
          seen += span.length();
        }
      }
      assertThat(seen).isEqualTo(cache.length());
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void aFullDiskEmptiesTheSequenceAndSaysSo() {
    KvLayout layout = layout(Formats.F16, Formats.F16);
    try (KvPool pool = FullDisk.pool(layout, account, folder);
        KvCache cache = pool.cache()) {
      grow(cache, 1, RESIDENT + BLOCK - 1);
      cache.encode();
      cache.compress();
      grow(cache, 1, 1);
      assertThatThrownBy(() -> cache.compress())
          .isInstanceOf(SpillException.class)
          .hasMessageContaining(folder.toString())
          .hasMessageContaining("No space left on device")
          .hasMessageContaining("ask for less context");
      assertThat(cache.length()).isZero();
      pool.compact();
      assertThat(pool.livePages()).isZero();
      grow(cache, 2, 30);
      check(cache, sequence(2, 30));
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void whatCannotBeReadBackEmptiesTheSequenceAndSaysSo() throws IOException {
    KvLayout layout =
        new KvLayout(
                List.of(new LayerLayout.Heads(2, 32, 32, 0, 1)),
                Formats.F16,
                Formats.F16,
                0,
                KvPolicy.FULL,
                PAGE)
            .withResident(RESIDENT);
    List<FileChannel> files = new ArrayList<>();
    try (KvPool pool = FullDisk.watched(layout, account, folder, files::add);
        KvCache cache = pool.cache()) {
      grow(cache, 1, RESIDENT + 3 * BLOCK);
      cache.encode();
      cache.compress();
      files.getFirst().truncate(0);
      assertThatThrownBy(() -> cache.back(BLOCK + 3))
          .isInstanceOf(SpillException.class)
          .hasMessageContaining("ends before byte");
      assertThat(cache.length()).isZero();
      assertThat(pool.livePages()).isZero();
      grow(cache, 2, 30);
      check(cache, sequence(2, 30));
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void whatTheDiskHasNoRoomForIsRefusedBeforeItBegins() {
    KvLayout layout = layout(Formats.F32, Formats.F32);
    Budget large = Budget.of("1GiB");
    try (KvPool pool = new KvPool(layout, large.account("kv"), folder)) {
      assertThatThrownBy(() -> pool.promise(1 << 30, 16, KvShare.NONE))
          .isInstanceOf(SpillException.class)
          .hasMessageContaining("bytes are needed and")
          .hasMessageContaining("are free");
      assertThat(large.account("kv").used()).isZero();
    }
  }

  @Test
  void aFolderInMemoryIsNoDisk() {
    Path memory = Path.of("/dev/shm");
    Assumptions.assumeTrue(Files.isWritable(memory), "no file system in memory");
    assertThatThrownBy(
            () -> new KvPool(layout(Formats.F16, Formats.F16), account, memory.resolve("x")))
        .isInstanceOf(SpillException.class)
        .hasMessageContaining("in memory itself (tmpfs)");
  }

  @Test
  void aCacheThatForgetsTokensHasNoneToMove() {
    KvPolicy forgetful =
        new KvPolicy() {
          @Override
          public String name() {
            return "forgetful";
          }

          @Override
          public KvBounds bounds() {
            return _ -> 1;
          }

          @Override
          public void compress(KvCache cache) {}
        };
    assertThatThrownBy(() -> layout(Formats.F16, Formats.F16).withPolicy(forgetful))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
