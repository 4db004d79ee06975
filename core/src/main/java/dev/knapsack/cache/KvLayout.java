package dev.knapsack.cache;

import dev.knapsack.memory.Account;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The content of a sequence's cache in each layer, and its formats: all that is needed to know how
 * many bytes a number of tokens takes.
 *
 * @param layers what each layer remembers
 * @param keyFormat format of cached keys: one of {@link Formats#cache()}
 * @param valueFormat format of cached values
 * @param recent how many of the last tokens stay in {@link #FULL} precision
 * @param transform what is done to keys and values before they are appended, and to attention's
 *     queries and results with them
 * @param policy which tokens are kept
 * @param resident how many tokens of a head stay in memory at the least once earlier ones go to
 *     disk, {@linkplain #diskBlock a block} at a time; 0 keeps all of them in memory
 * @param pageTokens tokens in a page
 * @param checkpoints which copies are kept of states that layers carry; none where no layer does
 */
public record KvLayout(
    List<LayerLayout> layers,
    Format keyFormat,
    Format valueFormat,
    int recent,
    KvTransform transform,
    KvPolicy policy,
    int resident,
    int pageTokens,
    Checkpoints checkpoints) {
  /**
   * Tokens in a page unless said otherwise: as many as attention takes at a time, and with every
   * format and head size of the field a page's keys end on a 64-byte line.
   */
  public static final int PAGE_TOKENS = 64;

  /** The format of recent tokens. */
  public static final Format FULL = Formats.F16;

  public KvLayout {
    layers = List.copyOf(layers);
    if (pageTokens < 1 || recent < 0 || resident < 0) {
      throw new IllegalArgumentException(
          "A page holds at least one token, and 0 or more are recent and resident; not %d, %d, %d"
              .formatted(pageTokens, recent, resident));
    }
    if (resident > 0 && !policy.equals(KvPolicy.FULL)) {
      throw new IllegalArgumentException(
          "The recipe '%s' forgets tokens; only a cache that keeps all of them moves some to disk"
              .formatted(policy));
    }
    if (policy.bounds().bases().isPresent()
        && (transform == KvTransform.REORDERED || heads(layers).anyMatch(l -> l.sketch() > 0))) {
      throw new IllegalArgumentException(
          "The recipe '%s' reduces heads as the model computes them, or rotated; not reordered or sketched"
              .formatted(policy));
    }
    for (int l = 0; l < layers.size(); l++) {
      if (layers.get(l) instanceof LayerLayout.Latent) {
        checkLatent(l, keyFormat, valueFormat, transform, policy);
      }
    }
    for (LayerLayout.Heads layer : heads(layers).toList()) {
      checkFits("key", keyFormat, layer.keySize());
      checkFits("value", valueFormat, layer.valueSize());
      policy
          .bounds()
          .coarse()
          .ifPresent(coarse -> {
            checkFits("key", coarse.keysBeside(keyFormat), layer.keySize());
            checkFits("value", coarse.valuesBeside(valueFormat), layer.valueSize());
          });
    }
    if (keyFormat.equals(FULL) && valueFormat.equals(FULL)) {
      recent = 0;
    }
    if (!carriesStates(layers)) {
      checkpoints = Checkpoints.NONE;
    } else if (checkpoints.distance() < 1 || checkpoints.distance() % pageTokens != 0) {
      throw new IllegalArgumentException(
          "Checkpoints of states are kept where pages end: every %,d tokens, or a multiple of that; not every %,d"
              .formatted(pageTokens, checkpoints.distance()));
    }
  }

  /** The usual checkpoints. */
  public KvLayout(
      List<LayerLayout> layers,
      Format keyFormat,
      Format valueFormat,
      int recent,
      KvTransform transform,
      KvPolicy policy,
      int resident,
      int pageTokens) {
    this(
        layers,
        keyFormat,
        valueFormat,
        recent,
        transform,
        policy,
        resident,
        pageTokens,
        Checkpoints.USUAL);
  }

  public KvLayout(List<? extends LayerLayout> layers, Format keyFormat, Format valueFormat) {
    this(layers, keyFormat, valueFormat, 0, KvPolicy.FULL, PAGE_TOKENS);
  }

  /** Heads as they are, and all in memory. */
  public KvLayout(
      List<? extends LayerLayout> layers,
      Format keyFormat,
      Format valueFormat,
      int recent,
      KvPolicy policy,
      int pageTokens) {
    this(
        List.copyOf(layers),
        keyFormat,
        valueFormat,
        recent,
        KvTransform.NONE,
        policy,
        0,
        pageTokens);
  }

  private static Stream<LayerLayout.Heads> heads(List<LayerLayout> layers) {
    return layers.stream().map(LayerLayout::heads);
  }

  /** Refuses what needs values beside keys, or queries and keys as a model projects them. */
  private static void checkLatent(
      int layer, Format keys, Format values, KvTransform transform, KvPolicy policy) {
    boolean coarseFits =
        policy
            .bounds()
            .coarse()
            .map(c ->
                c.dropped() == 0
                    && c.droppedOfValues() == 0
                    && c.keysBeside(keys).equals(c.valuesBeside(values)))
            .orElse(true);
    if (!keys.equals(values) || transform != KvTransform.NONE) {
      throw new IllegalArgumentException(
          "Layer %d caches rows whose first numbers are values and all are keys: in one format, as they are; not keys in %s and values in %s%s. F16 or Q8_0 for both will do."
              .formatted(
                  layer,
                  keys.name(),
                  values.name(),
                  transform == KvTransform.NONE ? "" : ", " + transform.participle()));
    }
    if (!coarseFits || policy.bounds().bases().isPresent() || wantsHeads(policy, layer)) {
      throw new IllegalArgumentException(
          "The recipe '%s' needs keys and values apart, as a model projects them, and layer %d caches rows that are both. Recipes that go by attention weights, positions or cached keys will do."
              .formatted(policy, layer));
    }
  }

  private static boolean wantsHeads(KvPolicy policy, int layer) {
    return policy.observer().wantsOutputNorms(layer) || policy.observer().gates().isPresent();
  }

  /** A layer's heads: {@link LayerLayout.Heads#NONE} if it has none. */
  public LayerLayout.Heads heads(int layer) {
    return layers.get(layer).heads();
  }

  /** Those of each layer. */
  public List<LayerLayout.Heads> heads() {
    return heads(layers).toList();
  }

  /** The same, with this many recent tokens in full precision. */
  public KvLayout withRecent(int tokens) {
    return new KvLayout(
        layers,
        keyFormat,
        valueFormat,
        tokens,
        transform,
        policy,
        resident,
        pageTokens,
        checkpoints);
  }

  /** The same, with this done to keys and values first. */
  public KvLayout withTransform(KvTransform other) {
    return new KvLayout(
        layers, keyFormat, valueFormat, recent, other, policy, resident, pageTokens, checkpoints);
  }

  /** The same, keeping what this policy keeps. */
  public KvLayout withPolicy(KvPolicy policy) {
    return new KvLayout(
        layers,
        keyFormat,
        valueFormat,
        recent,
        transform,
        policy,
        resident,
        pageTokens,
        checkpoints);
  }

  /**
   * The same, with at least so many tokens in memory and earlier ones on disk; 0 for none there.
   */
  public KvLayout withResident(int tokens) {
    return new KvLayout(
        layers, keyFormat, valueFormat, recent, transform, policy, tokens, pageTokens, checkpoints);
  }

  /** The same, with these checkpoints. */
  public KvLayout withCheckpoints(Checkpoints value) {
    return new KvLayout(
        layers, keyFormat, valueFormat, recent, transform, policy, resident, pageTokens, value);
  }

  /**
   * Says whether heads of this size can be stored in the format: it must be whole blocks.
   *
   * @param headSize numbers in a head
   */
  public static boolean fits(Format format, int headSize) {
    return headSize % format.blockValues() == 0;
  }

  private static void checkFits(String what, Format format, int headSize) {
    if (!fits(format, headSize)) {
      throw new IllegalArgumentException(
          "The KV cache cannot hold %ss of %d numbers in %s, whose blocks are of %d; F16 fits any size"
              .formatted(what, headSize, format.name(), format.blockValues()));
    }
  }

  /** The most tokens that a head of a layer has in the layout's formats. */
  private int stored(int tokens, int step, LayerLayout.Heads layer) {
    if (layer.window() == 0 && !policy.equals(KvPolicy.FULL)) {
      return (int) Math.min(tokens, (long) policy.bounds().most(tokens) + step);
    }
    int stored = Math.max(0, tokens - recent);
    if (layer.window() == 0 && resident > 0) {
      return (int) Math.min(stored, (long) resident + diskBlock() - 1 + step + pageTokens);
    }
    return stored;
  }

  /** The pages of what policies remember of the tokens of layers without a sliding window. */
  private SortedMap<Long, Long> numberSlabs(int tokens, int step) {
    SortedMap<Long, Long> slabs = new TreeMap<>();
    int coarse = Math.min(tokens, policy.bounds().mostCoarse(tokens));
    for (int l = 0; l < layers.size(); l++) {
      int layer = l;
      numbers(l)
          .ifPresent(form -> {
            long heads = heads(layer).kvHeads();
            long most = Math.min(tokens, (long) stored(tokens, step, heads(layer)) + coarse);
            long together = policy.bounds().together(this, layer, tokens) + heads * coarse;
            slabs.merge(
                form.pageBytes(),
                Math.min(heads * pages((int) most), pages(together, heads, step)),
                Long::sum);
          });
    }
    return slabs;
  }

  /** Those of layers without a sliding window, in the layout's formats. */
  private SortedMap<Long, Long> keptSlabs(int tokens, int step, int shared) {
    SortedMap<Long, Long> slabs = new TreeMap<>();
    SortedMap<Long, Long> heads = new TreeMap<>();
    boolean all = policy.equals(KvPolicy.FULL);
    for (int l = 0; l < layers.size(); l++) {
      LayerLayout.Heads layer = heads(l);
      if (layer.seeAll()) {
        long pages = (long) layer.kvHeads() * pages(stored(tokens, step, layer));
        if (!all) {
          long together = policy.bounds().together(this, l, tokens);
          pages = Math.min(pages, pages(together, layer.kvHeads(), step));
        }
        long own = Math.max(0, pages - (long) layer.kvHeads() * shared);
        slabs.merge(stored(l).pageBytes(), own, Long::sum);
        heads.merge(stored(l).pageBytes(), (long) layer.kvHeads(), Long::sum);
      }
    }
    if (!all && shared == 0) {
      long together = policy.bounds().inAll(this, tokens);
      slabs.replaceAll(
          (size, n) -> Math.min(n, pages(together, heads.getOrDefault(size, 0L), step)));
    }
    return slabs;
  }

  /** The most pages that heads have for what they hold together: one of each may not be full. */
  private long pages(long together, long heads, int step) {
    return (together + heads * (step + pageTokens - 1)) / pageTokens;
  }

  /** Says whether tokens between others may be forgotten. */
  private boolean gaps(LayerLayout.Heads heads) {
    return heads.seeAll() && !policy.equals(KvPolicy.FULL);
  }

  /** The form in which a layer's tokens are kept. */
  HeadForm stored(int layer) {
    LayerLayout.Heads heads = heads(layer);
    return new HeadForm(
        keyFormat,
        valueFormat,
        heads.keySize(),
        heads.valueSize(),
        pageTokens,
        gaps(heads),
        inKeys(layer));
  }

  /** Says whether a layer's values are the first numbers of its keys. */
  private boolean inKeys(int layer) {
    return layers.get(layer) instanceof LayerLayout.Latent;
  }

  /** The form of a layer's tokens that count less; empty if there are none. */
  Optional<HeadForm> coarse(int layer) {
    LayerLayout.Heads heads = heads(layer);
    return !heads.seeAll()
        ? Optional.empty()
        : policy
            .bounds()
            .coarse()
            .map(c ->
                new HeadForm(
                    c.keysBeside(keyFormat),
                    c.valuesBeside(valueFormat),
                    c.keySize(heads.keySize(), keyFormat),
                    c.valueSize(heads.valueSize(), valueFormat),
                    pageTokens,
                    true,
                    inKeys(layer)));
  }

  /** Numbers that are held of a key of a layer's coarser tokens; all if there are none. */
  public int heldOfKeys(int layer) {
    return coarse(layer).map(HeadForm::keySize).orElse(heads(layer).keySize());
  }

  /** Numbers that are held of a value of such. */
  public int heldOfValues(int layer) {
    return coarse(layer).map(HeadForm::valueSize).orElse(heads(layer).valueSize());
  }

  /** The form in which a layer's recent tokens are kept. */
  HeadForm full(int layer) {
    LayerLayout.Heads heads = heads(layer);
    return new HeadForm(
        FULL, FULL, heads.keySize(), heads.valueSize(), pageTokens, gaps(heads), inKeys(layer));
  }

  /** The form of what the policy remembers of a layer's tokens; empty if that is nothing. */
  Optional<HeadForm> numbers(int layer) {
    LayerLayout.Heads heads = heads(layer);
    int numbers = heads.seeAll() ? policy.observer().numbers(heads) : 0;
    return numbers == 0
        ? Optional.empty()
        : Optional.of(new HeadForm(Formats.F32, Formats.F32, numbers, 0, pageTokens));
  }

  /** Bytes of one token in a layer, recent ones aside. */
  public long tokenBytes(int layer) {
    return heads(layer).kvHeads() * stored(layer).tokenBytes();
  }

  /** Pages of one head that {@code tokens} tokens take. */
  public int pages(int tokens) {
    return Math.ceilDiv(tokens, pageTokens);
  }

  /** Bytes that a sequence of {@code tokens} tokens leases, with nothing freed. */
  public long bytes(int tokens) {
    return bytes(tokens, tokens);
  }

  /**
   * The most bytes that a sequence of {@code tokens} tokens leases while it grows by at most {@code
   * step} tokens at a time, if {@linkplain SequenceState#settle settled} after each step.
   */
  public long bytes(int tokens, int step) {
    return besidePages(tokens, step)
        + slabs(tokens, step, KvShare.NONE).entrySet().stream()
            .mapToLong(e -> SlabArena.bytes(e.getKey(), e.getValue()))
            .sum();
  }

  /**
   * The pages of such a sequence, how many of each size in bytes, and its checkpoints, which are
   * pages too; without the first pages of each head that it has from elsewhere. In layers with a
   * sliding window it has all of its own: those that are shared there may be taken away once no
   * later token sees them.
   */
  SortedMap<Long, Long> slabs(int length, int step, KvShare shared) {
    int tokens = withLookahead(length);
    SortedMap<Long, Long> slabs = keptSlabs(tokens, step, shared.blocks());
    int own = checkpoints.own(shared.checkpoints());
    checkpoint().forEach((size, n) -> slabs.merge(size, n * own, Long::sum));
    numberSlabs(tokens, step).forEach((size, n) -> slabs.merge(size, n, Long::sum));
    for (int l = 0; l < layers.size(); l++) {
      LayerLayout.Heads layer = heads(l);
      if (layer.window() > 0) {
        long pages = pages(stored(tokens, step, layer));
        // A window and a step begin anywhere in a page: they touch one page more than they fill.
        pages = Math.min(pages, ((long) layer.window() + step) / pageTokens + 2);
        slabs.merge(stored(l).pageBytes(), layer.kvHeads() * pages, Long::sum);
      }
      if (retrieves(l)) {
        // What is back and what never left are apart: one more page of a head is not full.
        slabs.merge(stored(l).pageBytes(), (long) layer.kvHeads(), Long::sum);
        slabs.merge(
            unitKeys(l).pageBytes(), (long) layer.kvHeads() * pages(mostUnits(tokens)), Long::sum);
      }
      coarse(l)
          .ifPresent(coarse ->
              slabs.merge(
                  coarse.pageBytes(),
                  (long) layer.kvHeads()
                      * pages(Math.min(tokens, policy.bounds().mostCoarse(tokens))),
                  Long::sum));
      if (recent > 0 && layer.kvHeads() > 0) {
        long full = Math.min(pages(tokens), pages(recent + pageTokens - 1 + step));
        slabs.merge(full(l).pageBytes(), layer.kvHeads() * full, Long::sum);
      }
    }
    return slabs;
  }

  /**
   * Bytes that such a sequence leases beside its pages: for the attention weights of a layer's
   * heads and some rows, where the policy wants any, for what the policy remembers of heads, for
   * states, and for what comes back from disk.
   */
  long besidePages(int length, int step) {
    int tokens = withLookahead(length);
    long weights = 0;
    int coarse = policy.bounds().mostCoarse(tokens);
    long most = Math.min(tokens, (long) policy.bounds().most(tokens) + coarse + step);
    for (int l = 0; l < layers.size(); l++) {
      if (heads(l).seeAll()) {
        long more = (long) heads(l).kvHeads() * (coarse + step);
        long together = policy.bounds().together(this, l, tokens) + more;
        weights = Math.max(weights, PolicyView.weightBytes(this, l, most, together, step));
      }
    }
    return Account.charged(weights)
        + Account.charged(PolicyMemory.bytes(this))
        + Account.charged(2 * RecurrentStates.bytes(this))
        + (diskBlocks(tokens) > 0 ? Account.charged(SpilledTokens.bufferBytes(this)) : 0)
        + (policy.retrieval().isPresent() ? Account.charged(SpilledUnits.bufferBytes(this)) : 0);
  }

  /** Rows after the prompt's last token are held as tokens are, for the time of a step. */
  private int withLookahead(int tokens) {
    return (int) Math.min(Integer.MAX_VALUE, (long) tokens + policy.observer().lookahead());
  }

  /** Says whether tokens go to disk. */
  boolean usesDisk() {
    return resident > 0 || policy.retrieval().isPresent();
  }

  /** Says whether tokens of a layer go to disk by the policy's choice. */
  boolean retrieves(int layer) {
    return heads(layer).seeAll() && policy.retrieval().isPresent();
  }

  /** The most tokens of such a unit. */
  int mostUnit() {
    return policy.retrieval().map(Retrieval::mostUnit).orElse(0);
  }

  /** The most units of a head in a sequence of {@code tokens} tokens. */
  int mostUnits(int tokens) {
    return policy.retrieval().map(retrieval -> tokens / retrieval.fewest()).orElse(0);
  }

  /** The form of units' mean keys. */
  HeadForm unitKeys(int layer) {
    return new HeadForm(FULL, FULL, heads(layer).keySize(), 0, pageTokens);
  }

  /** Tokens that go to disk together. */
  public int diskBlock() {
    return SpilledTokens.PAGES * pageTokens;
  }

  /** Blocks of so many tokens that are on disk. */
  private int diskBlocks(int tokens) {
    boolean some = resident > 0 && heads(layers).anyMatch(LayerLayout.Heads::seeAll);
    return some ? (int) (Math.max(0, (long) tokens - recent - resident) / diskBlock()) : 0;
  }

  /** Bytes on disk of a sequence of {@code tokens} tokens. */
  public long diskBytes(int tokens) {
    return diskBlocks(tokens) * SpilledTokens.blockBytes(this)
        + (policy.retrieval().isPresent() ? SpilledUnits.fileBytes(this, tokens) : 0);
  }

  /** The stored pages of one block of tokens, in layers with a sliding window or in the others. */
  SortedMap<Long, Long> blockSlabs(boolean windowed) {
    SortedMap<Long, Long> slabs = new TreeMap<>();
    for (int l = 0; l < layers.size(); l++) {
      if (heads(l).window() > 0 == windowed && heads(l).kvHeads() > 0) {
        slabs.merge(stored(l).pageBytes(), (long) heads(l).kvHeads(), Long::sum);
      }
    }
    return slabs;
  }

  /** The page of one checkpoint; nothing where there are none. */
  SortedMap<Long, Long> checkpoint() {
    SortedMap<Long, Long> slabs = new TreeMap<>();
    if (checkpoints.count() > 0) {
      slabs.put(checkpointBytes(), 1L);
    }
    return slabs;
  }

  /** Bytes of a checkpoint: of a copy of all states. */
  public long checkpointBytes() {
    long bytes = 0;
    for (int l = 0; l < layers.size(); l++) {
      bytes += checkpointBytes(l);
    }
    return bytes;
  }

  /** Bytes of a layer's state in a checkpoint, which begin at a 64-byte line. */
  long checkpointBytes(int layer) {
    long numbers = RecurrentStates.bytes(this, layer) / Float.BYTES;
    return SlabArena.stride(checkpointFormat(layer).bytes(numbers));
  }

  /** The format of a layer's state in a checkpoint. */
  Format checkpointFormat(int layer) {
    long numbers = RecurrentStates.bytes(this, layer) / Float.BYTES;
    boolean fits = numbers % checkpoints.format().blockValues() == 0;
    return fits && !layers.get(layer).isExact() ? checkpoints.format() : Formats.F32;
  }

  /** Says whether a layer carries a state from token to token. */
  public boolean carriesStates() {
    return carriesStates(layers);
  }

  private static boolean carriesStates(List<LayerLayout> layers) {
    return layers.stream().anyMatch(layer -> layer.stateBytes() > 0);
  }

  /** The longest sliding window of a layer; 0 if none has one. */
  public int longestWindow() {
    return heads(layers).mapToInt(LayerLayout.Heads::window).max().orElse(0);
  }
}
