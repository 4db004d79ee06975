package dev.knapsack.cache.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.store.CacheStore.Precision;
import dev.knapsack.cache.store.Caches.Held;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import dev.knapsack.error.CacheNotSavedException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class CacheStoreTest {
  /** A layer that sees everything, one with a window, and one with other heads. */
  private static final List<LayerLayout.Heads> LAYERS =
      List.of(
          new LayerLayout.Heads(2, 32, 64, 0, 1),
          new LayerLayout.Heads(2, 32, 64, 20, 1),
          new LayerLayout.Heads(1, 64, 32, 0, 1));

  /** The same, with layers that carry states. */
  private static final List<LayerLayout> MIXED =
      List.of(
          LAYERS.get(0),
          new LayerLayout.Recurrent(1200),
          LAYERS.get(1),
          new LayerLayout.None(),
          new LayerLayout.Recurrent(8),
          new LayerLayout.Both(LAYERS.get(0), new LayerLayout.Recurrent(64)));

  static final List<KvLayout> LAYOUTS =
      List.of(
          new KvLayout(LAYERS, Formats.F16, Formats.F16, 0, KvPolicy.FULL, 8),
          new KvLayout(LAYERS, Formats.F32, Formats.Q4_0, 0, KvPolicy.FULL, 8),
          new KvLayout(LAYERS, Formats.Q8_0, Formats.Q4_1, 12, KvPolicy.FULL, 8),
          new KvLayout(LAYERS, Formats.Q2_1, Formats.F8_E4M3, 12, KvPolicy.FULL, 8),
          new KvLayout(MIXED, Formats.F16, Formats.F16, 0, KvPolicy.FULL, 8));

  private static final KvLayout PLAIN = LAYOUTS.getFirst();
  private static final int TOKENS = 45;

  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private CacheStore store() {
    return new CacheStore(folder, CacheStore.USUAL_BYTES);
  }

  /** Saves a cache of {@link #TOKENS} tokens; what it held. */
  private List<Held> save(CacheStore store, String name, KvLayout layout, Precision precision) {
    try (KvPool pool = new KvPool(layout, account);
        SequenceState cache = pool.sequence()) {
      Caches.grow(cache, 30, 1);
      Caches.grow(cache, TOKENS - 30, 2);
      long bytes =
          store.save(name, cache, Caches.tokens(TOKENS, 3), Caches.fingerprint(layout), precision);
      assertThat(store.find(name).orElseThrow().bytes()).isEqualTo(bytes);
      return Caches.held(cache);
    }
  }

  private List<Held> restore(CacheStore store, String name, KvLayout layout) {
    try (KvPool pool = new KvPool(layout, account);
        SequenceState cache = pool.sequence()) {
      int[] tokens =
          store.restore(name, cache, Caches.fingerprint(layout), TOKENS, Caches.VOCABULARY);
      assertThat(tokens).isEqualTo(Caches.tokens(TOKENS, 3));
      assertThat(cache.length()).isEqualTo(TOKENS);
      List<Held> held = Caches.held(cache);
      Caches.grow(cache, 30, 4); // it goes on as any other
      assertThat(cache.length()).isEqualTo(TOKENS + 30);
      return held;
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void asStoredIsExact(KvLayout layout) {
    List<Held> held = save(store(), "a", layout, Precision.AS_STORED);
    assertThat(restore(store(), "a", layout)).isEqualTo(held);
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void fourBitIsSmallerAndCloseAndKeepsTheLastPage(KvLayout layout) {
    List<Held> held = save(store(), "a", layout, Precision.AS_STORED);
    save(store(), "b", layout, Precision.FOUR_BIT);
    assertThat(store().find("b").orElseThrow().bytes())
        .isLessThan(store().find("a").orElseThrow().bytes());
    List<Held> restored = restore(store(), "b", layout);
    assertThat(restored).hasSameSizeAs(held);
    for (int i = 0; i < held.size(); i++) {
      Held was = held.get(i);
      Held is = restored.get(i);
      assertThat(is.position()).isEqualTo(was.position());
      if (is.position() >= TOKENS - layout.pageTokens()) {
        assertThat(is).isEqualTo(was);
      }
      close(is.key(), was.key());
      close(is.value(), was.value());
    }
  }

  private Path file(String name) {
    return store().find(name).orElseThrow().file();
  }

  /** A saved cache says nothing of where its tokens lay: files are the same, byte for byte. */
  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void tokensOnDiskAreSavedAndPutBackLikeThoseInMemory(KvLayout inMemory) throws IOException {
    int count = 500;
    KvLayout onDisk = inMemory.withResident(20);
    int[] tokens = Caches.tokens(count, 3);
    Fingerprint fingerprint = Caches.fingerprint(inMemory);
    for (KvLayout layout : List.of(inMemory, onDisk)) {
      try (KvPool pool = new KvPool(layout, account);
          SequenceState cache = pool.sequence()) {
        for (int i = 0; i < count; i += 50) {
          Caches.grow(cache, 50, i);
          cache.settle();
        }
        assertThat(cache.kv().spill().tokens() > 300).isEqualTo(layout == onDisk);
        String name = layout == onDisk ? "disk" : "memory";
        store().save(name, cache, tokens, fingerprint, Precision.AS_STORED);
      }
    }
    for (String name : List.of("disk", "memory")) {
      for (KvLayout layout : List.of(inMemory, onDisk)) {
        try (KvPool pool = new KvPool(layout, account);
            SequenceState cache = pool.sequence()) {
          store().restore(name, cache, fingerprint, count, Caches.VOCABULARY);
          assertThat(cache.kv().spill().tokens() > 300).isEqualTo(layout == onDisk);
          assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(count, 50));
          store().save("again", cache, tokens, fingerprint, Precision.AS_STORED);
        }
        assertThat(Files.mismatch(file("again"), file("memory"))).isEqualTo(-1);
      }
    }
  }

  /** Within half a step of 4 bits over the largest number, and the coarse form's own. */
  private static void close(List<Float> is, List<Float> was) {
    float most = (float) was.stream().mapToDouble(Math::abs).max().orElseThrow();
    for (int i = 0; i < is.size(); i++) {
      assertThat(is.get(i)).isCloseTo(was.get(i), within(most / 3));
    }
  }

  @Test
  void theSavedCacheIsAsSmallAsItSays() {
    save(
        store(),
        "a",
        new KvLayout(LAYERS, Formats.F32, Formats.F32, 0, KvPolicy.FULL, 8),
        Precision.FOUR_BIT);
    long bytes = store().find("a").orElseThrow().bytes();
    // 45 tokens (of the windowed layer 20 to 28), all but 8 of them in 4.5 bits a number.
    assertThat(bytes).isBetween(20_000L, 45_000L);
  }

  @Test
  void aSavedCacheIsItsOwnersAlone() throws IOException {
    save(
        store(),
        "a",
        new KvLayout(LAYERS, Formats.F32, Formats.F32, 0, KvPolicy.FULL, 8),
        Precision.FOUR_BIT);
    try (Stream<Path> files = Files.list(folder)) {
      Path saved =
          files.filter(f -> f.getFileName().toString().startsWith("a.")).findFirst().orElseThrow();
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(saved)))
          .isEqualTo("rw-------");
    }
  }

  private void refuse(Path file, byte[] bytes, Problem... problems) throws IOException {
    Files.write(file, bytes);
    try (KvPool pool = new KvPool(PLAIN, account);
        SequenceState cache = pool.sequence()) {
      assertThatThrownBy(() ->
              store().restore("a", cache, Caches.fingerprint(PLAIN), TOKENS, Caches.VOCABULARY))
          .isInstanceOfSatisfying(
              CacheFileException.class, e -> assertThat(e.problem()).isIn((Object[]) problems))
          .hasMessageStartingWith(file + ": ");
      assertThat(cache.length()).isZero();
      assertThat(Caches.held(cache)).isEmpty();
    }
  }

  @Test
  void aFlippedBitAnywhereIsFound() throws IOException {
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    Path file = store().find("a").orElseThrow().file();
    byte[] whole = Files.readAllBytes(file);
    TreeSet<Integer> places = new TreeSet<>();
    for (int section : sections(whole)) {
      for (int i = 0; i < CacheFormat.FRAME + CacheFormat.PART; i++) {
        places.add(Math.min(whole.length - 1, section + i));
      }
    }
    for (int i = 0; i < CacheFormat.HEADER; i++) {
      places.add(i);
    }
    SplittableRandom random = new SplittableRandom(1);
    random.ints(300, 0, whole.length).forEach(places::add);
    for (int place : places) {
      byte[] damaged = whole.clone();
      damaged[place] ^= (byte) (1 << random.nextInt(8));
      refuse(
          file,
          damaged,
          place < 8 ? Problem.NOT_A_CACHE : place < 12 ? Problem.VERSION : Problem.DAMAGED);
    }
  }

  /** Where sections begin, and the end. */
  private static List<Integer> sections(byte[] file) {
    List<Integer> sections = new ArrayList<>();
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int at = CacheFormat.HEADER;
    while (at < file.length) {
      sections.add(at);
      at += CacheFormat.FRAME + (int) bytes.getLong(at + 16) + CacheFormat.CHECKSUM;
    }
    assertThat(at).isEqualTo(file.length);
    sections.add(at);
    return sections;
  }

  @Test
  void aFileThatIsCutOffOrTooLongIsNotLoaded() throws IOException {
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    Path file = store().find("a").orElseThrow().file();
    byte[] whole = Files.readAllBytes(file);
    TreeSet<Integer> lengths = new TreeSet<>(sections(whole));
    lengths.addAll(List.of(0, 1, 8, 12, 63, 64, 65, whole.length - 1));
    new SplittableRandom(2).ints(100, 0, whole.length).forEach(lengths::add);
    lengths.remove(whole.length);
    for (int length : lengths) {
      refuse(file, Arrays.copyOf(whole, length), Problem.TRUNCATED);
    }
    refuse(file, Arrays.copyOf(whole, whole.length + 1), Problem.DAMAGED);
    refuse(file, "Once upon a time, there was a file.".getBytes(), Problem.NOT_A_CACHE);
  }

  /** Checksums are no secret: what a file says is checked against what there is, too. */
  @ParameterizedTest
  @ValueSource(ints = {-1, Integer.MAX_VALUE, Integer.MIN_VALUE, 46, 1 << 20})
  void countsThatCannotBeAreRefusedWhateverTheirChecksum(int count) throws IOException {
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    Path file = store().find("a").orElseThrow().file();
    byte[] whole = Files.readAllBytes(file);
    List<Integer> sections = sections(whole);
    for (int section : sections.subList(0, sections.size() - 1)) {
      int end = sections.get(sections.indexOf(section) + 1) - CacheFormat.CHECKSUM;
      for (int field = 0; field < CacheFormat.FRAME + CacheFormat.PART; field += 4) {
        byte[] forged = whole.clone();
        ByteBuffer bytes = ByteBuffer.wrap(forged).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(section + field, count);
        CRC32C crc = new CRC32C();
        crc.update(forged, section, end - section);
        bytes.putInt(end, (int) crc.getValue());
        boolean token = section == sections.get(1) && field >= CacheFormat.FRAME;
        boolean name = section == sections.getFirst() && field >= CacheFormat.FRAME + 12;
        if (token && count == 46 || name) {
          continue; // a token as good as any, and what only people read
        }
        refuse(file, forged, Problem.DAMAGED, Problem.MODEL);
      }
    }
  }

  @Test
  void whatWasComputedOtherwiseIsRefused() {
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    Fingerprint f = Caches.fingerprint(PLAIN);
    assertThat(store().fingerprint("a")).isEqualTo(f);
    refused(
        new Fingerprint("77", "other", f.shape(), f.formats(), f.recipe(), f.engine()),
        Problem.MODEL,
        "is a cache of the model some-model (1f2e), not of other (77); it is restored with that"
            + " model.");
    refused(
        new Fingerprint(f.model(), f.name(), "5b", f.formats(), f.recipe(), f.engine()),
        Problem.SHAPE,
        "other layers, heads or rotary angles (5a5a, not 5b)");
    refused(
        new Fingerprint(f.model(), f.name(), f.shape(), "k=q8_0,v=q8_0", f.recipe(), f.engine()),
        Problem.FORMATS,
        "is of a cache in k=f16,v=f16, not in k=q8_0,v=q8_0");
    refused(
        new Fingerprint(f.model(), f.name(), f.shape(), f.formats(), "streaming", f.engine()),
        Problem.RECIPE,
        "keeps tokens by the recipe 'full', not 'streaming'");
    refused(
        new Fingerprint(f.model(), f.name(), f.shape(), f.formats(), f.recipe(), "2"),
        Problem.ENGINE,
        "was computed by version 1 of the engine, and this is version 2");
  }

  @Test
  void aTransformedCacheIsNoOther() {
    assertThat(Fingerprint.formats(PLAIN)).isEqualTo("k=f16,v=f16");
    assertThat(Fingerprint.formats(PLAIN.withTransform(KvTransform.ROTATED)))
        .isEqualTo("k=f16,v=f16 rotated");
    assertThat(Fingerprint.formats(PLAIN.withTransform(KvTransform.REORDERED)))
        .isEqualTo("k=f16,v=f16 reordered");
  }

  @Test
  void aCacheOfSketchedKeysIsNoOther() {
    List<LayerLayout.Heads> twice = PLAIN.heads().stream().map(l -> l.sketched(2)).toList();
    KvLayout sketched = new KvLayout(twice, PLAIN.keyFormat(), PLAIN.valueFormat());
    assertThat(Fingerprint.formats(sketched))
        .isEqualTo("k=f16,v=f16 of 2 directions a channel")
        .isNotEqualTo(Fingerprint.formats(PLAIN));
  }

  private void refused(Fingerprint expected, Problem problem, String message) {
    try (KvPool pool = new KvPool(PLAIN, account);
        SequenceState cache = pool.sequence()) {
      assertThatThrownBy(() -> store().restore("a", cache, expected, TOKENS, Caches.VOCABULARY))
          .isInstanceOfSatisfying(
              CacheFileException.class, e -> assertThat(e.problem()).isEqualTo(problem))
          .hasMessageContaining(message);
    }
  }

  @Test
  void aCacheThatDoesNotFitInMemoryLeavesNothingBehind() {
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    try (KvPool pool = new KvPool(PLAIN, Budget.ofBytes(16 << 10).account("kv"));
        SequenceState cache = pool.sequence()) {
      assertThatThrownBy(() ->
              store().restore("a", cache, Caches.fingerprint(PLAIN), TOKENS, Caches.VOCABULARY))
          .isInstanceOf(BudgetExceededException.class);
      assertThat(pool.leasedBytes()).isZero();
    }
  }

  @Test
  void whatWasUsedLongestAgoGoesFirst() throws IOException {
    save(store(), "one", PLAIN, Precision.AS_STORED);
    long bytes = store().find("one").orElseThrow().bytes();
    CacheStore store = new CacheStore(folder, 3 * bytes);
    save(store, "two", PLAIN, Precision.AS_STORED);
    save(store, "three", PLAIN, Precision.AS_STORED);
    for (String name : List.of("one", "two", "three")) {
      Files.setLastModifiedTime(store.find(name).orElseThrow().file(), FileTime.fromMillis(1000));
    }
    restore(store, "one", PLAIN);
    save(store, "two", PLAIN, Precision.AS_STORED);
    save(store, "four", PLAIN, Precision.AS_STORED);
    assertThat(store.list()).extracting(CacheStore.Entry::name).containsOnly("one", "two", "four");
    assertThat(store.remove("two")).isTrue();
    assertThat(store.remove("two")).isFalse();
    assertThat(store.find("two")).isEmpty();
    CacheStore small = new CacheStore(folder, bytes - 10);
    assertThatThrownBy(() -> save(small, "one", PLAIN, Precision.AS_STORED))
        .isInstanceOfSatisfying(
            CacheNotSavedException.class, e -> assertThat(e.missing()).isEqualTo(10))
        .hasMessageContaining("all saved caches together may have", "(10 missing)");
    assertThat(restore(store, "one", PLAIN)).isNotEmpty();
  }

  @Test
  void whatWasLeftUnfinishedIsNoCacheAndGoes() throws IOException {
    Path left = Files.write(folder.resolve("b.kv.tmp"), new byte[100]);
    assertThat(store().list()).isEmpty();
    assertThat(store().find("b")).isEmpty();
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    assertThat(left).doesNotExist();
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(f -> f.getFileName().toString())).containsOnly("a.kv", ".lock");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ".", "..", "../a", "a/b", ".hidden", "a\0b", "a b", "a\\b"})
  void namesThatNoFileShouldHave(String name) {
    assertThatThrownBy(() -> store().find(name))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("cannot be the name");
    assertThatThrownBy(() -> store().remove(name)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aNameIsNoLongerThanFileSystemsTake() {
    for (String name : List.of("a".repeat(65), "𐐀".repeat(51), "漢".repeat(67))) {
      assertThatThrownBy(() -> CacheStore.checkName(name))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("1 to 64 letters")
          .hasMessageContaining("at most 200 bytes in UTF-8");
    }
    String longest = "𐐀".repeat(50);
    save(store(), longest, PLAIN, Precision.FOUR_BIT);
    assertThat(restore(store(), longest, PLAIN)).isNotEmpty();
  }

  @Test
  void whatIsNoCacheIsListedAsSuch() throws IOException {
    save(store(), "a", PLAIN, Precision.FOUR_BIT);
    Files.writeString(folder.resolve("b.kv"), "something else");
    Files.writeString(folder.resolve("c d.kv"), "");
    Files.createDirectory(folder.resolve("e.kv"));
    List<CacheStore.Entry> entries = store().list();
    assertThat(entries).extracting(CacheStore.Entry::name).containsOnly("a", "b", "c d");
    for (CacheStore.Entry entry : entries) {
      Optional<String> problem = store().problem(entry);
      switch (entry.name()) {
        case "a" -> assertThat(problem).isEmpty();
        case "b" -> assertThat(problem.orElseThrow()).doesNotContain(folder.toString());
        default -> assertThat(problem.orElseThrow()).contains("'c d' cannot be the name");
      }
    }
  }

  /** The disk is full before a byte is written, or after some; or says so only at the end. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 1000, 30_000})
  void aFullDiskLeavesWhatWasThere(int room) throws IOException {
    List<Held> before = save(store(), "a", PLAIN, Precision.AS_STORED);
    Path file = store().find("a").orElseThrow().file();
    byte[] saved = Files.readAllBytes(file);
    for (boolean honest : new boolean[] {true, false}) {
      CacheStore full = new CacheStore(folder, CacheStore.USUAL_BYTES, new FullDisk(room, honest));
      assertThatThrownBy(() -> save(full, "a", PLAIN, Precision.AS_STORED))
          .isInstanceOfSatisfying(
              CacheNotSavedException.class,
              e -> assertThat(e.missing()).isEqualTo(saved.length - room))
          .hasMessageStartingWith(file + ": not saved: the disk is full: it takes")
          .hasMessageContaining("%,d more than are free".formatted(saved.length - room));
      assertThat(file).hasBinaryContent(saved);
      assertThat(folder.resolve("a.kv.tmp")).doesNotExist();
    }
    assertThat(restore(store(), "a", PLAIN)).isEqualTo(before);
  }

  @Test
  void aDirectoryThatCannotBeIsNamed() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    CacheStore store = new CacheStore(file.resolve("below"), CacheStore.USUAL_BYTES);
    assertThatThrownBy(() -> save(store, "a", PLAIN, Precision.FOUR_BIT))
        .isInstanceOf(CacheNotSavedException.class)
        .hasMessageContaining("file");
  }
}
