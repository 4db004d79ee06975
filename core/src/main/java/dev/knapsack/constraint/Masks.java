package dev.knapsack.constraint;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Rung;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The tokens of one vocabulary that may follow in a language: a bit a token.
 *
 * <p>Masks that were made are kept by their terms, {@linkplain Horizon cut} to what a token can
 * tell. Where it does not matter which plain characters come ({@link PlainRun}), as within a
 * string, the tokens that have no others are known beforehand by their length, and of the rest only
 * what stands behind plain characters is looked at.
 *
 * <p>All its memory is leased. Safe for use by many threads.
 */
public final class Masks implements AutoCloseable {
  /** Masks that are kept at the most: more than an answer has different places, mostly. */
  private static final int MOST = 2048;

  /** The most that masks take, in bytes. */
  private static final long MOST_BYTES = 32L << 20;

  /** The part of a budget, 1 in so many, that masks take at the most where they are planned. */
  private static final int SHARE = 64;

  /** Bytes that a token takes, beside masks, in most vocabularies. */
  private static final int TOKEN_BYTES = 48;

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  /** The plain characters that a token begins with. */
  private record Begin(int bytes, int characters) {
    static Begin of(byte[] token, Term character) {
      int bytes = 0;
      int characters = 0;
      Term left = character;
      for (int i = 0; i < token.length && !left.never(); i++) {
        left = left.derive(token[i] & 0xFF);
        if (left.nullable()) {
          bytes = i + 1;
          characters++;
          left = character;
        }
      }
      return new Begin(bytes, characters);
    }
  }

  private final Tokenizer tokenizer;
  private final int words;
  private final int longest;
  private final Set<Integer> ends;
  private final List<Integer> controls = new ArrayList<>();
  private final Deque<AutoCloseable> held = new ArrayDeque<>();

  /** Tokens of plain characters, by their bytes and, the shorter first, as a list. */
  private final VocabularyTrie plainTokens;

  private final MemorySegment plainByLength;

  /** The number of tokens of the list that have up to so many characters. */
  private final int[] plainUpTo;

  /** The tokens of plain characters. */
  private final long[] plainMask;

  /** All other tokens by their bytes. */
  private final VocabularyTrie otherTokens;

  /**
   * The same without the plain characters that they begin with, by how many those are: those that
   * have no quote, and those that have one.
   */
  private final List<VocabularyTrie> unquotedEnds = new ArrayList<>();

  private final List<VocabularyTrie> quotedEnds = new ArrayList<>();

  private final MaskCache cache;

  /** Masks that take what is free, up to {@link #MOST_BYTES}. */
  public Masks(Tokenizer tokenizer, int vocabulary, Account account) {
    this(tokenizer, vocabulary, account, Long.MAX_VALUE);
  }

  /**
   * @param vocabulary tokens that may be chosen, the first of the tokenizer's
   * @param most bytes to take at the most, if the tokens by their bytes are not more
   * @throws BudgetExceededException if there is no room for the tokens by their bytes
   * @throws ConstraintException if the texts of tokens depend on each other
   */
  public Masks(Tokenizer tokenizer, int vocabulary, Account account, long most) {
    if (!tokenizer.joinsBytes()) {
      throw new ConstraintException(
          "",
          "This model's vocabulary writes a token in another way beside others, so that what may"
              + " follow cannot be said token by token; ask without a constraint.");
    }
    this.tokenizer = tokenizer;
    this.words = (vocabulary + 63) / 64;
    this.ends = new HashSet<>(tokenizer.endTokens());
    this.plainMask = new long[words];
    List<VocabularyTrie.Entry> plain = new ArrayList<>();
    List<VocabularyTrie.Entry> other = new ArrayList<>();
    List<List<VocabularyTrie.Entry>> unquoted = new ArrayList<>();
    List<List<VocabularyTrie.Entry>> quoted = new ArrayList<>();
    SortedMap<Integer, List<Integer>> byLength = new TreeMap<>();
    Term plainCharacter = new Terms().character(PlainRun.CHARACTERS);
    int longestToken = 0;
    for (int token = 0; token < vocabulary; token++) {
      if (ends.contains(token)) {
        continue;
      }
      if (tokenizer.isControl(token)) {
        controls.add(token);
        continue;
      }
      byte[] bytes = tokenizer.bytes(token, false);
      if (bytes.length == 0) {
        continue;
      }
      longestToken = Math.max(longestToken, bytes.length);
      Begin begin = Begin.of(bytes, plainCharacter);
      if (begin.bytes() == bytes.length) {
        plain.add(new VocabularyTrie.Entry(token, bytes));
        byLength.computeIfAbsent(begin.characters(), _ -> new ArrayList<>()).add(token);
        set(plainMask, token);
      } else {
        other.add(new VocabularyTrie.Entry(token, bytes));
        byte[] end = Arrays.copyOfRange(bytes, begin.bytes(), bytes.length);
        List<List<VocabularyTrie.Entry>> behind = hasQuote(end) ? quoted : unquoted;
        while (behind.size() <= begin.characters()) {
          behind.add(new ArrayList<>());
        }
        behind.get(begin.characters()).add(new VocabularyTrie.Entry(token, end));
      }
    }
    this.longest = longestToken;
    this.plainUpTo = new int[byLength.isEmpty() ? 1 : byLength.lastKey() + 1];
    try {
      plainTokens = held(new VocabularyTrie(plain, account));
      otherTokens = held(new VocabularyTrie(other, account));
      for (List<VocabularyTrie.Entry> entries : unquoted) {
        unquotedEnds.add(held(new VocabularyTrie(entries, account)));
      }
      for (List<VocabularyTrie.Entry> entries : quoted) {
        quotedEnds.add(held(new VocabularyTrie(entries, account)));
      }
      plainByLength = held(account.lease(4L * Math.max(1, plain.size()))).segment();
      long left = Math.max(0, most - trieBytes());
      cache = held(new MaskCache(account, words, Math.min(left, mostBytes(words))));
      held(account.budget().onPressure(Rung.DROP_MASKS, account, cache));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
    int count = 0;
    for (int length = 1; length < plainUpTo.length; length++) {
      for (int token : byLength.getOrDefault(length, List.of())) {
        plainByLength.setAtIndex(INT, count++, token);
      }
      plainUpTo[length] = count;
    }
  }

  private static boolean hasQuote(byte[] bytes) {
    for (byte one : bytes) {
      if (one == '"') {
        return true;
      }
    }
    return false;
  }

  /**
   * Bytes to plan for a vocabulary by its bytes and for masks, which are fewer where the budget is
   * small.
   */
  public static long planned(int vocabulary, long budget) {
    int words = (vocabulary + 63) / 64;
    return Account.charged(
        (long) TOKEN_BYTES * vocabulary + Math.min(mostBytes(words), budget / SHARE));
  }

  private long trieBytes() {
    return held.stream().mapToLong(Masks::bytes).sum();
  }

  private static long bytes(AutoCloseable one) {
    return switch (one) {
      case VocabularyTrie trie -> trie.bytes();
      case Lease lease -> Account.charged(lease.segment().byteSize());
      default -> 0;
    };
  }

  /** The most that masks of so many words take, in bytes. */
  private static long mostBytes(int words) {
    return Math.min(MOST_BYTES, MaskCache.bytes(words, MOST));
  }

  private <T extends AutoCloseable> T held(T one) {
    held.push(one);
    return one;
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
    MaskCache.Key key = new MaskCache.Key(new Horizon(language.terms, longest).of(term), hidden);
    if (!cache.read(key, mask)) {
      make(language, key.term(), hidden, mask);
      cache.keep(key, mask);
    }
  }

  private void make(Language language, Term term, boolean hidden, long[] mask) {
    PlainRun run = hidden ? null : PlainRun.of(language, term, longest);
    Near near = hidden ? null : language.terms.near(term);
    if (run != null) {
      writeWithin(language, term, run, mask);
    } else if (near != null && PlainRun.of(language, near.base(), longest) != null) {
      write(language, near.base(), false, mask);
      clearSpecial(mask);
      plainTokens.correct(language.terms, term, near.base(), mask);
      otherTokens.correct(language.terms, term, near.base(), mask);
    } else {
      Arrays.fill(mask, 0);
      // What begins with a plain text that leads to where all plain text may come may come.
      plainTokens.allow(term, hidden, next -> !hidden && PlainRun.loops(language, next), mask);
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

  /** The tokens of bytes that may follow where any plain characters may, or none. */
  private void writeWithin(Language language, Term term, PlainRun run, long[] mask) {
    Term unquoted = PlainRun.unquoted(language, term);
    if (unquoted != null) {
      write(language, unquoted, false, mask);
    } else {
      writePlain(run.most(), mask);
      allow(unquotedEnds, run, mask);
    }
    allow(quotedEnds, run, mask);
  }

  private static void allow(List<VocabularyTrie> ends, PlainRun run, long[] mask) {
    for (int begun = 0; begun < ends.size() && begun <= run.most(); begun++) {
      ends.get(begun).allow(run.after(begun), false, _ -> false, mask);
    }
  }

  /** The tokens that end an answer and control tokens are those of a term itself. */
  private void clearSpecial(long[] mask) {
    ends.forEach(end -> clear(mask, end));
    controls.forEach(control -> clear(mask, control));
  }

  private void clear(long[] mask, int token) {
    if (token >> 6 < words) {
      mask[token >> 6] &= ~(1L << token);
    }
  }

  /** The tokens of up to so many plain characters, and no others. */
  private void writePlain(int characters, long[] mask) {
    int all = plainUpTo[plainUpTo.length - 1];
    int few = plainUpTo[Math.min(characters, plainUpTo.length - 1)];
    if (few < all / 2) {
      Arrays.fill(mask, 0);
      for (int i = 0; i < few; i++) {
        set(mask, plainByLength.getAtIndex(INT, i));
      }
    } else {
      System.arraycopy(plainMask, 0, mask, 0, words);
      for (int i = few; i < all; i++) {
        int token = plainByLength.getAtIndex(INT, i);
        clear(mask, token);
      }
    }
  }

  private void set(long[] mask, int token) {
    if (token >> 6 < words) {
      mask[token >> 6] |= 1L << token;
    }
  }

  /** Gives all its memory back; nobody may use it any more. */
  @Override
  public void close() {
    while (!held.isEmpty()) {
      switch (held.pop()) {
        case VocabularyTrie trie -> trie.close();
        case Lease lease -> lease.close();
        case MaskCache kept -> kept.close();
        case Budget.Registration place -> place.close();
        default -> throw new IllegalStateException();
      }
    }
  }
}
