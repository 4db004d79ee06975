package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.WeakHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The terms of one constraint: makes them, each once, and finds their derivatives.
 *
 * <p>Names are all defined before a derivative is asked for. Terms that nobody refers to are
 * forgotten, and so is what the others remember when there are many. Used by one thread at a time.
 */
final class Terms {
  /** New terms after which all forget their derivatives. */
  private static final int MANY = 1 << 15;

  /** Bytes that a {@link Shape.Text} has at the most: each of its ends is a text of its own. */
  private static final int TEXT = 32;

  private final WeakHashMap<Shape, WeakReference<Term>> all = new WeakHashMap<>();
  private final Map<String, Term> definitions = new LinkedHashMap<>();
  private final OpenObjects objects = new OpenObjects(this);
  private final Map<CodePoints, Term> characters = new HashMap<>();
  private final Emptiness emptiness = new Emptiness(this);
  private int next;
  private int sinceForgotten;
  private boolean resolved;

  private final Term never = intern(new Shape.Never());
  private final Term empty = intern(new Shape.Empty());

  private Term intern(Shape shape) {
    WeakReference<Term> known = all.get(shape);
    Term there = known == null ? null : known.get();
    if (there != null) {
      return there;
    }
    if (++sinceForgotten > MANY) {
      sinceForgotten = 0;
      for (WeakReference<Term> each : all.values()) {
        Term term = each.get();
        if (term != null) {
          term.derivatives = null;
          term.expansion = null;
          term.near = null;
          term.nearKnown = false;
        }
      }
    }
    Term term = new Term(this, shape, next++);
    all.remove(shape); // the key must be the term's own shape, so that it stays as long
    all.put(shape, new WeakReference<>(term));
    return term;
  }

  // Making terms

  /** No text at all. */
  Term never() {
    return never;
  }

  /** The text without bytes. */
  Term empty() {
    return empty;
  }

  /** One byte of a set. */
  Term bytes(ByteSet set) {
    return set.isEmpty() ? never : intern(new Shape.Bytes(set));
  }

  /** Exactly these characters. */
  Term text(String exact) {
    return bytes(exact.getBytes(StandardCharsets.UTF_8));
  }

  /** Exactly these bytes. */
  Term bytes(byte[] exact) {
    String bytes = new String(exact, StandardCharsets.ISO_8859_1);
    Term term = empty;
    for (int i = (bytes.length() - 1) / TEXT * TEXT; i >= 0; i -= TEXT) {
      term = pair(text(bytes, i, Math.min(i + TEXT, bytes.length())), term);
    }
    return term;
  }

  private Term text(String bytes, int from, int to) {
    return switch (to - from) {
      case 0 -> empty;
      case 1 -> bytes(ByteSet.of(bytes.charAt(from)));
      default -> intern(new Shape.Text(bytes.substring(from, to)));
    };
  }

  /** One character of a set. */
  Term character(CodePoints set) {
    return characters.computeIfAbsent(set, s -> Utf8.character(this, s));
  }

  Term sequence(Term... parts) {
    return sequence(Arrays.asList(parts));
  }

  Term sequence(List<Term> parts) {
    Term term = empty;
    for (Term part : parts.reversed()) {
      term = concatenated(part, term);
    }
    return term;
  }

  private Term concatenated(Term part, Term rest) {
    if (rest == empty || part.never()) {
      return part;
    }
    if (rest.never()) {
      return never;
    }
    List<Term> firsts = new ArrayList<>();
    Term left = part;
    while (left.shape instanceof Shape.Sequence(Term first, Term behind)) {
      firsts.add(first);
      left = behind;
    }
    Term term = pair(left, rest);
    for (Term first : firsts.reversed()) {
      term = pair(first, term);
    }
    return term;
  }

  private Term pair(Term first, Term rest) {
    return first.never() || rest.never()
        ? never
        : first == empty ? rest : rest == empty ? first : intern(new Shape.Sequence(first, rest));
  }

  Term choice(Term... options) {
    return choice(Arrays.asList(options));
  }

  /** Any of these; of none, never. */
  Term choice(Collection<Term> options) {
    if (options.size() == 1) {
      return options.iterator().next();
    }
    TreeMap<Integer, Term> sorted = new TreeMap<>();
    // What differs in its first byte alone is one option.
    Map<Term, ByteSet> byRest = new LinkedHashMap<>();
    for (Term option : options) {
      flatten(option, sorted, byRest);
    }
    byRest.forEach((rest, set) -> {
      Term one = pair(bytes(set), rest);
      sorted.put(one.id, one);
    });
    return switch (sorted.size()) {
      case 0 -> never;
      case 1 -> sorted.firstEntry().getValue();
      default -> intern(new Shape.Choice(List.copyOf(sorted.values())));
    };
  }

  private void flatten(Term option, Map<Integer, Term> sorted, Map<Term, ByteSet> byRest) {
    switch (option.shape) {
      case Shape.Never() -> {}
      case Shape.Choice(List<Term> options) -> options.forEach(o -> flatten(o, sorted, byRest));
      case Shape.Bytes(ByteSet set) -> byRest.merge(empty, set, ByteSet::or);
      case Shape.Sequence(Term first, Term rest)
          when first.shape instanceof Shape.Bytes(ByteSet set) ->
          byRest.merge(rest, set, ByteSet::or);
      default -> sorted.put(option.id, option);
    }
  }

  /** Texts that are of both; without control tokens. */
  Term both(Term a, Term b) {
    if (a.never() || b.never()) {
      return never;
    }
    if (a == b) {
      return a;
    }
    if (a == empty || b == empty) {
      // Whether the other has the empty text is not known before all is defined.
      return intern(a == empty ? new Shape.Both(a, b) : new Shape.Both(b, a));
    }
    if (a.shape instanceof Shape.Bytes(ByteSet one)
        && b.shape instanceof Shape.Bytes(ByteSet other)) {
      return bytes(one.and(other));
    }
    return intern(a.id < b.id ? new Shape.Both(a, b) : new Shape.Both(b, a));
  }

  /** Texts of the first that are not of the second; without control tokens. */
  Term except(Term a, Term b) {
    if (a.never() || a == b) {
      return never;
    }
    if (b.never()) {
      return a;
    }
    if (a.shape instanceof Shape.Bytes(ByteSet one)
        && b.shape instanceof Shape.Bytes(ByteSet other)) {
      return bytes(one.and(other.complement()));
    }
    return intern(new Shape.Except(a, b));
  }

  /**
   * A term several times.
   *
   * @param most less than 0 for any number
   */
  Term repeat(Term item, int least, int most) {
    if (least < 0 || (most >= 0 && most < least)) {
      throw new IllegalArgumentException(
          "A term %d to %d times; give 0 or more, the smaller first.".formatted(least, most));
    }
    if (most == 0 || item == empty) {
      return empty;
    }
    if (item.never()) {
      return least == 0 ? empty : never;
    }
    boolean same =
        least == 0
            && most < 0
            && item.shape instanceof Shape.Repeat(_, int l, int m)
            && l == 0
            && m < 0;
    return same || (least == 1 && most == 1) ? item : intern(new Shape.Repeat(item, least, most));
  }

  /** Whatever {@link #define} says of a name, before or after this. */
  Term reference(String name) {
    return intern(new Shape.Reference(name));
  }

  /** Says what a name stands for, once. */
  void define(String name, Term body) {
    if (resolved) {
      throw new IllegalStateException(
          "'%s' is defined when derivatives have been asked for.".formatted(name));
    }
    if (definitions.putIfAbsent(name, body) != null) {
      throw new IllegalStateException("'%s' is defined twice.".formatted(name));
    }
  }

  /** Says whether a name is defined. */
  boolean isDefined(String name) {
    return definitions.containsKey(name);
  }

  /** An object's members, in any order. */
  Term members(Members definition) {
    return objects.begin(definition);
  }

  /** One control token. */
  Term special(int token) {
    return intern(new Shape.Special(Set.of(token), false));
  }

  /** Any control token but these. */
  Term specialExcept(Set<Integer> tokens) {
    return intern(new Shape.Special(Set.copyOf(tokens), true));
  }

  /** A place in an object. */
  Term open(Shape.Open place) {
    return intern(place);
  }

  /** The objects of which members are read. */
  OpenObjects objects() {
    return objects;
  }

  // Names

  /** The term that a name or a place in an object stands for. */
  Term expansion(Term term) {
    Term known = term.expansion;
    if (known == null) {
      known =
          switch (term.shape) {
            case Shape.Reference(String name) -> definition(name);
            case Shape.Open open -> objects.following(open);
            default -> throw new IllegalStateException(term + " stands for itself");
          };
      term.expansion = known;
    }
    return known;
  }

  private Term definition(String name) {
    Term body = definitions.get(name);
    if (body == null) {
      throw new ConstraintException(name, "is not defined; define it, or do not refer to it.");
    }
    return body;
  }

  // Derivatives

  Term derive(Term term, int symbol) {
    resolve();
    if (term.shape instanceof Shape.Bytes(ByteSet set)) {
      return set.has(symbol) ? empty : never;
    }
    if (term.shape instanceof Shape.Sequence(Term first, Term rest)
        && first.shape instanceof Shape.Bytes(ByteSet set)) {
      return set.has(symbol) ? rest : never;
    }
    if (symbol >= Term.SPECIAL) {
      return computed(term, symbol);
    }
    if (!emptiness.firsts(term).has(symbol)) {
      return never;
    }
    Derivatives known = term.derivatives;
    Term derivative = known == null ? null : known.get(symbol);
    if (derivative == null) {
      derivative = computed(term, symbol);
      if (term.derivatives == null) {
        term.derivatives = new Derivatives();
      }
      term.derivatives.put(symbol, derivative);
    }
    return derivative;
  }

  private Term computed(Term term, int symbol) {
    return switch (term.shape) {
      case Shape.Never(), Shape.Empty() -> never;
      case Shape.Bytes(ByteSet set) -> set.has(symbol) ? empty : never;
      case Shape.Text(String bytes) ->
          bytes.charAt(0) == symbol ? text(bytes, 1, bytes.length()) : never;
      case Shape.Special(Set<Integer> tokens, boolean complement) ->
          symbol >= Term.SPECIAL && tokens.contains(symbol - Term.SPECIAL) != complement
              ? empty
              : never;
      case Shape.Sequence _ -> inSequence(term, symbol);
      case Shape.Choice(List<Term> options) -> {
        List<Term> derivatives = new ArrayList<>(options.size());
        for (Term option : options) {
          Term derivative = derive(option, symbol);
          if (!derivative.never()) {
            derivatives.add(derivative);
          }
        }
        yield choice(derivatives);
      }
      case Shape.Both(Term one, Term other) -> both(derive(one, symbol), derive(other, symbol));
      case Shape.Except(Term one, Term other) -> {
        Term rest = derive(one, symbol);
        yield rest.never() ? never : except(rest, derive(other, symbol));
      }
      case Shape.Repeat(Term item, int least, int most) -> {
        Term derivative = derive(item, symbol);
        int needed = nullable(item) ? 0 : Math.max(0, least - 1);
        yield derivative.never()
            ? never
            : concatenated(derivative, repeat(item, needed, most < 0 ? most : most - 1));
      }
      case Shape.Reference _, Shape.Open _ -> derive(expansion(term), symbol);
    };
  }

  private Term inSequence(Term term, int symbol) {
    List<Term> options = new ArrayList<>(1);
    Term left = term;
    while (left.shape instanceof Shape.Sequence(Term first, Term rest)) {
      Term derivative = derive(first, symbol);
      if (!derivative.never()) {
        options.add(concatenated(derivative, rest));
      }
      if (!nullable(first)) {
        return choice(options);
      }
      left = rest;
    }
    options.add(derive(left, symbol));
    return choice(options);
  }

  /** Finds what depends on names, when the first derivative is asked for. */
  private void resolve() {
    if (!resolved) {
      resolved = true;
      emptiness.resolve(definitions.keySet().stream().map(this::reference).toList());
    }
  }

  boolean nullable(Term term) {
    resolve();
    return emptiness.nullable(term);
  }

  boolean live(Term term) {
    resolve();
    return emptiness.live(term);
  }

  /** Bytes that a text has at the least, or fewer; for control tokens more than any token has. */
  int shortest(Term term) {
    resolve();
    return emptiness.shortest(term);
  }

  /** See {@link Emptiness#firsts}. */
  ByteSet firsts(Term term) {
    resolve();
    return emptiness.firsts(term);
  }

  /** See {@link Near}. */
  @Nullable Near near(Term term) {
    if (!term.nearKnown) {
      term.near = Near.of(this, term);
      term.nearKnown = true;
    }
    return term.near;
  }

  /** See {@link Emptiness#alike}. */
  Collection<ByteSet> alike(Term term) {
    resolve();
    return emptiness.alike(term);
  }

  /** The control tokens with which a text may begin, as sets. */
  List<Shape.Special> specials(Term term) {
    resolve();
    return emptiness.specials(term);
  }
}
