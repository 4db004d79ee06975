package dev.knapsack.constraint;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The tokens of one vocabulary that may follow in a language: a bit a token.
 *
 * <p>Masks that were made are kept by their terms, {@linkplain Horizon cut} to what a token can
 * tell, and the one used longest ago makes room. Where plain characters change nothing, as within a
 * string, the tokens that have no others are known beforehand, and of the rest only what stands
 * behind plain characters is looked at.
 *
 * <p>All its memory is leased. Safe for use by many threads.
 */
public final class Masks implements AutoCloseable {
  /** Characters that a string of JSON has as they are. */
  static final CodePoints PLAIN =
      CodePoints.range(' ', Character.MAX_CODE_POINT).minus(CodePoints.of("\"\\"));

  /** Masks of a slab. */
  private static final int SLAB = 64;

  /** The most that masks take, in bytes. */
  private static final long MOST = 32L << 20;

  /** The key of a mask. */
  private record Key(Term term, boolean hidden) {}

  private final Tokenizer tokenizer;
  private final Account account;
  private final int words;
  private final Set<Integer> ends;
  private final List<Integer> controls = new ArrayList<>();
  private final List<AutoCloseable> held = new ArrayList<>();
  private final VocabularyTrie plainTokens;
  private final VocabularyTrie otherTokens;

  /** {@link #otherTokens} without the plain characters that they begin with. */
  private final VocabularyTrie otherEnds;

  /** The tokens of {@link #plainTokens}. */
  private final long[] plainMask;

  // Guarded by this object.
  private final List<MemorySegment> slabs = new ArrayList<>();
  private final Map<Key, Integer> slots = new LinkedHashMap<>(16, 0.75f, true);

  /**
   * @param vocabulary tokens that may be chosen, the first of the tokenizer's
   * @throws BudgetExceededException if there is no room for the tokens by their bytes
   * @throws ConstraintException if the texts of tokens depend on each other
   */
  public Masks(Tokenizer tokenizer, int vocabulary, Account account) {
    if (!tokenizer.joinsBytes()) {
      throw new ConstraintException(
          "",
          "This model's vocabulary writes a token in another way beside others, so that what may"
              + " follow cannot be said token by token; ask without a constraint.");
    }
    this.tokenizer = tokenizer;
    this.account = account;
    this.words = (vocabulary + 63) / 64;
    this.ends = new HashSet<>(tokenizer.endTokens());
    this.plainMask = new long[words];
    List<VocabularyTrie.Entry> plain = new ArrayList<>();
    List<VocabularyTrie.Entry> other = new ArrayList<>();
    List<VocabularyTrie.Entry> behind = new ArrayList<>();
    Terms terms = new Terms();
    Term plainText = terms.repeat(terms.character(PLAIN), 0, -1);
    for (int token = 0; token < vocabulary; token++) {
      if (ends.contains(token)) {
        continue;
      }
      if (tokenizer.isControl(token)) {
        controls.add(token);
        continue;
      }
      byte[] bytes = tokenizer.bytes(token, false);
      if (bytes.length > 0 && derived(plainText, bytes, 0).nullable()) {
        plain.add(new VocabularyTrie.Entry(token, bytes));
        plainMask[token >> 6] |= 1L << token;
      } else if (bytes.length > 0) {
        other.add(new VocabularyTrie.Entry(token, bytes));
        int from = plain(plainText, bytes);
        behind.add(new VocabularyTrie.Entry(token, Arrays.copyOfRange(bytes, from, bytes.length)));
      }
    }
    try {
      plainTokens = held(new VocabularyTrie(plain, account));
      otherTokens = held(new VocabularyTrie(other, account));
      otherEnds = held(new VocabularyTrie(behind, account));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** The length of the plain characters that a text begins with, in bytes. */
  private static int plain(Term plainText, byte[] bytes) {
    int length = 0;
    Term term = plainText;
    for (int i = 0; i < bytes.length; i++) {
      term = term.derive(bytes[i] & 0xFF);
      length = term.nullable() ? i + 1 : length;
    }
    return length;
  }

  private VocabularyTrie held(VocabularyTrie trie) {
    held.add(trie);
    return trie;
  }

  static Term derived(Term term, byte[] bytes, int from) {
    Term left = term;
    for (int i = from; i < bytes.length && !left.never(); i++) {
      left = left.derive(bytes[i] & 0xFF);
    }
    return left;
  }

  Tokenizer tokenizer() {
    return tokenizer;
  }

  /** Words of 64 bits that a mask has. */
  int words() {
    return words;
  }

  /**
   * The texts that may follow behind a token; never, if it may not come.
   *
   * @param hidden whether a space with which it begins counts for nothing
   */
  Term after(Term term, int token, boolean hidden) {
    if (tokenizer.isControl(token)) {
      return term.derive(Term.SPECIAL + token);
    }
    byte[] bytes = tokenizer.bytes(token, false);
    return derived(term, bytes, hidden && bytes.length > 0 && bytes[0] == ' ' ? 1 : 0);
  }

  /** Says whether a token may follow: by itself, without its mask. */
  boolean allows(Term term, int token, boolean hidden) {
    if (ends.contains(token)) {
      return term.nullable();
    }
    if (tokenizer.isControl(token)) {
      return term.derive(Term.SPECIAL + token).live();
    }
    byte[] bytes = tokenizer.bytes(token, false);
    if (bytes.length == 0) {
      return false;
    }
    for (int i = 1; hidden && i < bytes.length; i++) {
      if (bytes[i] == ' ') {
        return false; // as in the mask
      }
    }
    return after(term, token, hidden).live();
  }

  /** Writes the tokens that may follow into a mask. */
  void write(Language language, Term term, boolean hidden, long[] mask) {
    int longest = Math.max(plainTokens.depth(), otherTokens.depth());
    Key key = new Key(new Horizon(language.terms, longest).of(term), hidden);
    if (!read(key, mask)) {
      make(language, key.term(), hidden, mask);
      keep(key, mask);
    }
  }

  private void make(Language language, Term term, boolean hidden, long[] mask) {
    if (!hidden && loops(language, term)) {
      System.arraycopy(plainMask, 0, mask, 0, words);
      otherEnds.allow(term, false, _ -> false, mask);
    } else {
      Arrays.fill(mask, 0);
      // What begins with a plain text that leads to where all plain text may come may come.
      plainTokens.allow(term, hidden, next -> !hidden && loops(language, next), mask);
      otherTokens.allow(term, hidden, _ -> false, mask);
    }
    if (term.nullable()) {
      ends.forEach(end -> set(mask, end));
    }
    for (Shape.Special special : language.terms.specials(term)) {
      for (int token : special.complement() ? controls : special.tokens()) {
        if (!ends.contains(token) && term.derive(Term.SPECIAL + token).live()) {
          set(mask, token);
        }
      }
    }
  }

  private void set(long[] mask, int token) {
    if (token >> 6 < words) {
      mask[token >> 6] |= 1L << token;
    }
  }

  /** Says whether each plain character leads from a term to itself. */
  private static boolean loops(Language language, Term term) {
    if (term.loops == Term.Answer.UNKNOWN) {
      boolean loops =
          term.derive(' ') == term
              && term.live()
              && loops(term, term, language.plain, new HashSet<>());
      term.loops = loops ? Term.Answer.YES : Term.Answer.NO;
    }
    return term.loops == Term.Answer.YES;
  }

  private record Step(Term term, Term character) {}

  private static boolean loops(Term start, Term term, Term character, Set<Step> seen) {
    for (int b = 0; b < 256; b++) {
      Term left = character.derive(b);
      if (left.never()) {
        continue;
      }
      Term next = term.derive(b);
      boolean ends = left.nullable();
      if (ends
          ? next != start
          : next.never() || (seen.add(new Step(next, left)) && !loops(start, next, left, seen))) {
        return false;
      }
    }
    return true;
  }

  // Masks that are kept

  private synchronized boolean read(Key key, long[] mask) {
    Integer slot = slots.get(key);
    if (slot != null) {
      MemorySegment.copy(slab(slot), ValueLayout.JAVA_LONG, offset(slot), mask, 0, words);
    }
    return slot != null;
  }

  private synchronized void keep(Key key, long[] mask) {
    boolean room = slots.size() < SLAB * slabs.size() || grow();
    if (slots.containsKey(key) || (!room && slots.isEmpty())) {
      return;
    }
    int slot = slots.size();
    if (!room) {
      Iterator<Map.Entry<Key, Integer>> oldest = slots.entrySet().iterator();
      slot = oldest.next().getValue();
      oldest.remove();
    }
    slots.put(key, slot);
    MemorySegment.copy(mask, 0, slab(slot), ValueLayout.JAVA_LONG, offset(slot), words);
  }

  /** Takes room for more masks where it is free: nobody is asked to give back for them. */
  private boolean grow() {
    long bytes = 8L * words * SLAB;
    if (bytes * (slabs.size() + 1) > MOST || account.free() < Account.charged(bytes)) {
      return false;
    }
    try {
      Lease lease = account.lease(bytes);
      held.add(lease);
      return slabs.add(lease.segment());
    } catch (BudgetExceededException e) {
      return false; // somebody was faster
    }
  }

  private MemorySegment slab(int slot) {
    return slabs.get(slot / SLAB);
  }

  private long offset(int slot) {
    return 8L * words * (slot % SLAB);
  }

  /** Gives all its memory back; nobody may use it any more. */
  @Override
  public synchronized void close() {
    slots.clear();
    slabs.clear();
    for (AutoCloseable one : held) {
      switch (one) {
        case VocabularyTrie trie -> trie.close();
        case Lease lease -> lease.close();
        default -> throw new IllegalStateException();
      }
    }
    held.clear();
  }
}
